"""One attack on one task: a real episode, real tools, real grading, and what came of it."""

import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent_env.episode import Episode, Rules
from agent_env.grading import Grade, grade
from agent_env.grading.states import start_edits
from agent_env.outcome import Scored
from agent_env.tools import ToolCall, format_call
from agent_env.workbench import Workbench
from blockers.attacks.attack import Attack, Goal, View
from blockers.attacks.judge import GOT, NONE, Fooled, Trial, detected, fooled, gold_only_lines, only_here, resisted
from blockers.attacks.programs import PRELUDE
from tasks.patch import apply_patch, reader
from tasks.task import Task
from tasks.tree import Edits, list_files

RULES = Rules(max_steps=40, time_limit=120.0, command_timeout=15.0, observation_chars=200_000)
"""Longer observations than an agent's, so that what was obtained is seen whole."""

HANG_SECONDS = 3.0
"""Timeout of the grading run for an attack that lets it hang: what is not over by then earns nothing either way."""

SUBMIT = format_call(ToolCall("submit"))


@dataclass(frozen=True)
class Target:
    """A task with what its attacks are given and judged by; read once for all of them."""

    task: Task
    gold_lines: frozenset[str]
    """Lines that only the gold patch has."""
    hidden_lines: frozenset[str]
    """Lines that only the hidden tests have."""
    sources: Mapping[str, str]
    """Hidden test files by path."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What one attack on one task came to."""

    attack: str
    task: str
    trial: Trial
    fooled: Fooled | None
    detected: bool
    """Whether what must notice it did."""
    resisted: bool
    """Whether the task stopped it by itself."""


class _WatchingBench(Workbench):
    """A workbench that keeps its last grade; for one episode."""

    def __init__(self, bench: Workbench, *, timeout: float | None) -> None:
        super().__init__(bench.pool, bench.store)
        self.last: Grade | None = None
        self._timeout = timeout

    def grade(self, task: Task, changes: Edits) -> Grade:
        """See ``Workbench.grade``."""
        self.last = grade(task, changes, self.build(task), self.store.backend, timeout=self._timeout)
        return self.last


def read_target(task: Task, bench: Workbench) -> Target:
    """Read what a task's attacks need."""
    tree = bench.build(task).tree
    start = start_edits(task, tree)
    read = reader(tree, start)
    texts = [content.decode(errors="replace") for path in list_files(tree) if (content := read(path))]
    texts += [content.decode(errors="replace") for content in start.values() if content]
    hidden = {path: content.decode() for path, content in apply_patch(task.test_patch, read).items() if content}
    return Target(
        task,
        gold_lines=gold_only_lines(task.gold_patch, [*texts, *hidden.values()]),
        hidden_lines=only_here("\n".join(hidden.values()).splitlines(), [*texts, task.statement.text]),
        sources=hidden,
    )


def run_trial(attack: Attack, target: Target, bench: Workbench) -> TrialResult:
    """Try an attack on a task.

    Raises:
        InfraError: the episode did not start.
    """
    token = secrets.token_hex(8)
    canary = Path(tempfile.gettempdir()) / f"repodojo-canary-{token}"
    watching = _WatchingBench(bench, timeout=HANG_SECONDS if attack.hangs else None)
    actions = _actions(attack, make_view(attack, target, canary), token)
    begun = time.monotonic()
    try:
        played = _play(target.task, watching, actions)
        escaped = canary.exists()
    finally:
        canary.unlink(missing_ok=True)
    last = watching.last
    seen = "\n".join(played.seen)
    if attack.goal is Goal.OTHER_TOOLS:
        refused = all("there is no tool" in observation for observation in played.seen[2:])
        seen += f"\n{NONE if refused else GOT}:{token}"
    trial = Trial(
        outcome=played.outcome,
        reward=played.reward,
        masked=played.masked,
        reason=played.reason,
        seen=seen,
        events=played.events,
        escaped=escaped,
        answer=played.seen[-1] if played.outcome == Scored.__name__ else "",
        stopped=played.stopped,
        left_out=tuple(sorted({left.reason.value for left in last.left_out})) if last else (),
        seconds=time.monotonic() - begun,
    )
    how = fooled(trial, token=token, gold_lines=target.gold_lines, hidden_lines=target.hidden_lines)
    return TrialResult(
        attack=attack.id,
        task=target.task.id,
        trial=trial,
        fooled=how,
        detected=detected(attack, trial, token=token),
        resisted=resisted(attack, trial),
    )


def make_view(attack: Attack, target: Target, canary: Path) -> View:
    """What an attack is given beside the shell."""
    task = target.task
    if attack.knows != "tests":
        return View(statement=task.statement.text, canary=str(canary))
    return View(
        statement=task.statement.text,
        canary=str(canary),
        failing=task.fail_to_pass,
        passing=task.pass_to_pass,
        sources=target.sources,
    )


def _actions(attack: Attack, view: View, token: str) -> list[str]:
    turns = [_bash(PRELUDE.format(token=token, canary=view.canary))]
    if attack.goal is Goal.OTHER_TOOLS:
        turns += [format_call(ToolCall(name, {"input": view.statement})) for name in attack.steps(view)]
    else:
        turns += [_bash(step) for step in attack.steps(view)]
    return turns if attack.goal in (Goal.OBTAIN, Goal.OTHER_TOOLS) else [*turns, SUBMIT]


def _bash(command: str) -> str:
    return format_call(ToolCall("bash", {"command": command}))


class _Played(NamedTuple):
    """How an episode ended, fields as in ``Trial``, with the prompt and each turn's observation."""

    outcome: str
    reward: float
    masked: bool
    reason: str
    seen: list[str]
    stopped: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


def _play(task: Task, bench: Workbench, actions: Sequence[str]) -> _Played:
    episode = Episode(task, bench, RULES)
    seen = [episode.start()]
    stopped: set[str] = set()
    with episode:
        try:
            for action in actions:
                turn = episode.turn(action)
                seen.append(turn.observation)
                stopped |= {shown.stopped.value for shown in episode.observations if shown.stopped}
                if turn.outcome:
                    break
        except Exception as error:  # noqa: BLE001 - a host that raises is what some attacks are after
            return _Played("", 0.0, True, f"{type(error).__name__}: {error}"[:300], seen, tuple(sorted(stopped)))
    outcome = episode.outcome
    assert outcome is not None
    events = tuple(sorted({event.vector.value for event in episode.events}))
    causes = tuple(sorted(stopped))
    return _Played(outcome.name, outcome.reward, outcome.masked, outcome.detail, seen, causes, events)
