"""The same attacks against the common ways to grade, and against ours: python -m bench.graders --help"""
