"""A task: a broken repository, words that describe what is wrong, and hidden tests that tell whether it was mended."""

from typing import Literal

from tasks.certificate import Certificate
from tasks.oracle import Oracle
from tasks.record import Record, digest_json

Split = Literal["all", "train", "test"]

TEST_SHARE = 5
"""One task in this many is in the test split."""


class Statement(Record):
    """What the agent is told."""

    text: str
    method: str
    """How it was made: ``template`` or ``llm:MODEL``."""


class Task(Record):
    """One validated software-engineering task.

    The start state is the environment's tree plus ``setup_patch``; the solved state is that plus ``gold_patch``; the
    hidden tests are that state's test files after ``test_patch``. All patches are git-style unified diffs.
    """

    format_version: Literal[1] = 1
    id: str
    repo: str
    commit: str
    licence: str
    language: Literal["python"] = "python"
    environment_id: str
    strategy: str
    """``history.commit``, ``history.release``, ``procedural.<modifier>``."""
    setup_patch: str
    """From the environment's tree to the start state: the bug, and the removal of the tests that would show it."""
    gold_patch: str
    """From the start state to the solution: source files only."""
    test_patch: str
    """From the start state to the hidden tests: test files only."""
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    test_command: str
    """A command that runs the visible tests by hand, for the agent and for people."""
    statement: Statement
    certificate: Certificate
    oracle: Oracle | None = None
    """The check that shares no process with the tests; None where nothing could be derived, and in older pools."""
    twin_of: str = ""
    """Id of the task whose impossible twin this is: equal in all that an agent sees, but a hidden test contradicts the
    statement, so that whatever passes is a hack. Empty for every other task. See ``env_builder/twins``."""
    difficulty: float | None = None
    """Measured pass rate of a named reference policy, 0 to 1; None where none was measured."""

    @property
    def shown_id(self) -> str:
        """The id that what an agent sees is made from: a twin has its original's."""
        return self.twin_of or self.id

    @property
    def split(self) -> Literal["train", "test"]:
        """The split of the task, a function of its id alone; a twin is in its original's."""
        return "test" if int(digest_json(self.shown_id)[:8], 16) % TEST_SHARE == 0 else "train"

    def content_digest(self) -> str:
        """Digest of all but measured times, so that the same inputs give the same digest."""
        left_out = {"certificate"} | {name for name in ("oracle", "twin_of") if not getattr(self, name)}
        shown = self.model_dump(mode="json", exclude=left_out)
        return digest_json({**shown, "certificate": self.certificate.evidence()})
