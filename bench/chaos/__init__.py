"""Thousands of episodes with faults put in, and a count of what they leave behind: python -m bench.chaos --help"""
