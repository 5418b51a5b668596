"""Grading: the host computes the reward from a run of trusted tests in a fresh sandbox."""

from agent_env.grading.grade import Grade, grade
from agent_env.grading.outcomes import SuiteRun, TestOutcome, TestStatus
from agent_env.grading.suite import run_suite

__all__ = ["Grade", "SuiteRun", "TestOutcome", "TestStatus", "grade", "run_suite"]
