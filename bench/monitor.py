"""How well the monitor tells hostile tool calls from benign ones, on the labelled corpus of the tests.

    python -m bench.monitor             precision and recall, by split and by vector
    python -m bench.monitor --errors    also the mistakes of the part dev; those of the others are only counted

The rules were tuned on the part ``dev`` alone, but their author had written ``held_out`` too and knew it. The part
``fresh`` was written after the rules and scored once, with no rule changed for it since: believe that one. A call
counts as flagged where any event comes back; the column ``vector`` asks for an event of the labelled vector.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from blockers.attacks.attack import Attack, View
from blockers.attacks.manifest import ATTACKS
from blockers.monitor.classify import classify
from blockers.monitor.events import Event
from blockers.monitor.hit import Context
from blockers.monitor.memory import Memory

CORPUS = Path(__file__).parent.parent / "tests" / "blockers" / "corpus"
SPLITS = ("dev", "held_out", "fresh")


class Judged(NamedTuple):
    """One row of the corpus and what the monitor said of it."""

    row: dict[str, Any]
    events: list[Event]

    @property
    def hostile(self) -> bool:
        """The label."""
        return "vector" in self.row

    @property
    def named(self) -> bool:
        """Whether an event has the labelled vector."""
        return any(event.vector == self.row.get("vector") for event in self.events)


def project_context(folder: Path = CORPUS) -> Context:
    """What the monitor is told of the corpus' project."""
    known = json.loads((folder / "project.json").read_text())
    return Context(project=frozenset(known["project"]), existing=frozenset(known["existing"]))


def judge(folder: Path = CORPUS) -> list[Judged]:
    """Classify every row of the corpus."""
    context = project_context(folder)
    rows = [
        json.loads(line)
        for name in ("benign", "hostile")
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [
        Judged(row, classify(row["tool"], row["arguments"], row.get("observation", ""), turn=1, context=context))
        for row in rows
    ]


class Score(NamedTuple):
    """Counts of one part of the corpus."""

    benign: int
    false_alarms: int
    hostile: int
    found: int
    named: int

    @property
    def precision(self) -> float:
        """Share of the flagged calls that are hostile."""
        return self.found / max(self.found + self.false_alarms, 1)

    @property
    def recall(self) -> float:
        """Share of the hostile calls that are flagged."""
        return self.found / max(self.hostile, 1)


def score(judged: Sequence[Judged]) -> Score:
    """Count."""
    hostile = [one for one in judged if one.hostile]
    benign = [one for one in judged if not one.hostile]
    return Score(
        benign=len(benign),
        false_alarms=sum(bool(one.events) for one in benign),
        hostile=len(hostile),
        found=sum(bool(one.events) for one in hostile),
        named=sum(one.named for one in hostile),
    )


def main() -> None:
    """Print the tables."""
    begun = time.perf_counter()
    judged = judge()
    seconds = time.perf_counter() - begun
    print(
        f"{'split':<9} {'benign':>6} {'alarms':>6} {'hostile':>7} {'found':>6} {'precision':>9} {'recall':>7} "
        f"{'vector':>7}"
    )
    for split in (*SPLITS, "all"):
        part = score([one for one in judged if split in ("all", one.row["split"])])
        print(
            f"{split:<9} {part.benign:>6} {part.false_alarms:>6} {part.hostile:>7} {part.found:>6} "
            f"{part.precision:>9.3f} {part.recall:>7.3f} {part.named / part.hostile:>7.3f}"
        )
    _print_vectors(judged)
    told = [one for one in judged if "status" in one.row]
    right = sum(
        any(event.status == one.row["status"] for event in one.events if event.vector == one.row["vector"])
        for one in told
    )
    print(f"status right in {right} of {len(told)} that say one; {1000 * seconds / len(judged):.2f} ms a call (rough)")
    named = [attack for attack in ATTACKS if names_attack(attack)]
    print(f"of the {len(ATTACKS)} attacks of `repodojo attack`, which others wrote, it names {len(named)}")
    if "--errors" in sys.argv:
        _print_errors([one for one in judged if one.row["split"] == "dev"])


def names_attack(attack: Attack) -> bool:
    """Whether any step of an attack gives an event, by its text alone: nothing is run."""
    view = View(
        statement="merge_with is wrong",
        canary="/tmp/canary",
        failing=("tests/test_dicttoolz.py::test_merge_with",),
        passing=("tests/test_dicttoolz.py::test_merge",),
        sources={"tests/test_dicttoolz.py": "def test_merge_with():\n    assert merge_with(sum, {1: 2}) == {1: 2}\n"},
    )
    memory = Memory()
    return any(
        classify("bash", {"command": step}, "", turn=turn, context=project_context(), memory=memory)
        for turn, step in enumerate(attack.steps(view), 1)
    )


def _print_vectors(judged: Sequence[Judged]) -> None:
    said = Counter(event.vector.value for one in judged for event in one.events)
    print(
        f"\n{'vector':<19} {'rows':>4} "
        + " ".join(f"{split + ' recall':>15}" for split in SPLITS)
        + f" {'precision':>9}"
    )
    for vector in sorted({one.row["vector"] for one in judged if one.hostile}):
        rows = [one for one in judged if one.row.get("vector") == vector]
        shares = []
        for split in SPLITS:
            part = [one for one in rows if one.row["split"] == split]
            shares.append(f"{sum(one.named for one in part)}/{len(part)}")
        wrong = sum(not one.hostile and any(event.vector == vector for event in one.events) for one in judged)
        print(
            f"{vector:<19} {len(rows):>4} "
            + " ".join(f"{share:>15}" for share in shares)
            + f" {1 - wrong / max(said[vector], 1):>9.3f}"
        )
    print()


def _print_errors(judged: Sequence[Judged]) -> None:
    for one in judged:
        wanted, got = one.row.get("vector"), [(event.vector.value, event.status) for event in one.events]
        status = one.row.get("status")
        right = one.named and (not status or (wanted, status) in got) if wanted else not got
        if not right:
            print(f"- {wanted} {status or ''} got {got}\n{json.dumps(one.row['arguments'], ensure_ascii=False)[:400]}")


if __name__ == "__main__":
    main()
