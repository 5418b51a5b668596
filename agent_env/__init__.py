"""Sandboxes, tools, grading, and the Gymnasium environment ``RepoDojo/SWE-v0``."""
