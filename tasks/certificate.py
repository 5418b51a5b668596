"""The evidence that a task is real: repeated runs of the start state and of the gold patch, and a clean leak audit."""

from typing import Literal

from tasks.record import Record


class RunEvidence(Record):
    """One run of a task's tests in one fresh sandbox."""

    order_seed: int
    """Seed that shuffled the order of the tests."""
    reward: Literal[0, 1]
    """What the grader gave: 1 only if every expected test passed and no other condition failed."""
    passed: int
    """How many of the expected tests passed."""
    seconds: float
    """Wall time of the run, sandbox start and stop included; left out of every digest."""


class Certificate(Record):
    """Why a task may be trusted. A task without one does not enter a pool."""

    format_version: Literal[1] = 1
    start_runs: tuple[RunEvidence, ...]
    """Runs of the untouched start state: reward 0 each, and every fail-to-pass test not passed."""
    gold_runs: tuple[RunEvidence, ...]
    """Runs of the start state with the gold patch: reward 1 each. Tasks with the same ``gold_tree`` digest (the bugs
    planted in one tree) share them. Of an impossible twin reward 0 each, by design: all but ``contradicted`` passed."""
    contradicted: str = ""
    """The hidden test of an impossible twin that contradicts the statement; empty for every other task."""
    flaky: tuple[str, ...] = ()
    """Tests left out because their result changed between runs of one state."""
    leak_findings: tuple[str, ...] = ()
    """What the leak audit found: always empty in a pool."""
    sandbox: str
    """Backend that ran it (``bubblewrap``, ``docker``)."""
    network: Literal[False] = False
    """The runs had no network."""
    digests: dict[str, str]
    """SHA-256 of what was run: ``environment``, ``start_tree``, ``gold_tree``, ``tests``, ``runner``."""

    def evidence(self) -> dict[str, object]:
        """The certificate less the seconds: equal for equal inputs, so it may enter a digest."""
        shown = self.model_dump(mode="json", exclude=None if self.contradicted else {"contradicted"})
        for run in [*shown["start_runs"], *shown["gold_runs"]]:
            del run["seconds"]
        return shown
