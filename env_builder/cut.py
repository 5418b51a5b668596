"""Which certified tasks a build keeps when it may keep only so many: decided by the order of the candidates alone.

Candidates end in any order, so a task counts only when all candidates before it are settled. Then the choice does not
depend on how many workers there were, how fast, or how often the build was interrupted.
"""

from collections import Counter

from tasks.ledger import CandidateEntry


class Cut:
    """The settled candidates up to the first that is not, and the first ``most`` certified among them.

    Args:
        most: how many tasks to keep; None keeps all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._waiting: dict[int, CandidateEntry] = {}
        self._prefix: list[CandidateEntry] = []
        self._certified = 0

    def settle(self, number: int, entry: CandidateEntry) -> None:
        """Candidate ``number`` of the order came to its end."""
        self._waiting[number] = entry
        while not self.is_full and (following := self._waiting.pop(len(self._prefix), None)) is not None:
            self._prefix.append(following)
            self._certified += following.outcome == "certified"

    @property
    def is_full(self) -> bool:
        """Whether enough tasks are certified and nothing before them is open."""
        return self._most is not None and self._certified >= self._most

    @property
    def certified(self) -> list[CandidateEntry]:
        """The entries of the tasks to keep."""
        return [entry for entry in self._prefix if entry.outcome == "certified"]

    @property
    def tried(self) -> int:
        """How many candidates were needed for that."""
        return len(self._prefix)

    def reasons(self) -> dict[str, int]:
        """Why the others of them are no tasks, the most frequent reason first."""
        return dict(Counter(entry.reason for entry in self._prefix if entry.outcome != "certified").most_common())
