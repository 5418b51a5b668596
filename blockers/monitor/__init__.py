"""Watches what an agent does and names it: a classifier for telemetry, feedback and penalties, never a boundary.

What keeps a reward honest are the walls (clean repository, no network, crossing rules, grading by the host). The
monitor says which of them an agent leant against, and it can be wrong both ways.
"""
