"""Sandboxes, tools, grading, and the Gymnasium environment ``RepoDojo/SWE-v0``, which this import makes known."""

from agent_env.registration import register

register()
