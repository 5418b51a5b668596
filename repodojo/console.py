"""What the command line shows: progress and tables for people, one JSON object for programs.

With ``--json`` progress goes to standard error, and the last line of standard output is one JSON object. Without it,
everything a person reads goes to standard output but progress.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Task as ProgressTask

LINE_SECONDS = 10.0
"""Where there is no terminal, a stage tells how far it is about this often."""


class Advance(Protocol):
    """How far a stage is; ``rl_trainer.progress.Progress`` is one."""

    @property
    def stage(self) -> str:
        """Its name."""
        ...

    @property
    def done(self) -> int:
        """Steps done."""
        ...

    @property
    def total(self) -> int:
        """Steps in all."""
        ...

    @property
    def note(self) -> str:
        """What the last step gave."""
        ...


class Console:
    """One command's output.

    Args:
        as_json: whether a program reads it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._people = RichConsole(stderr=as_json, highlight=False, soft_wrap=True)
        self._errors = RichConsole(stderr=True, highlight=False, soft_wrap=True)

    def say(self, message: RenderableType = "") -> None:
        """Show something to a person."""
        self._people.print(message)

    def result(self, values: Mapping[str, Any]) -> None:
        """The command's result, for programs; nothing where a person reads."""
        if self.as_json:
            sys.stdout.write(json.dumps(values, default=str) + "\n")
            sys.stdout.flush()

    def error(self, message: str, *, code: int) -> None:
        """What went wrong, to standard error; with ``--json`` also as the result."""
        self._errors.print(f"[bold red]error:[/] {_escape(message)}")
        self.result({"error": message, "exit_code": code})

    @contextmanager
    def progress(self) -> Iterator["StageBars"]:
        """Bars for the stages of a long work, on standard error."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with Progress(*columns, console=self._errors, transient=False) as bars:
            yield StageBars(bars, plain=not self._errors.is_terminal, errors=self._errors)


class StageBars:
    """Shows stages as bars; where standard error is no terminal, as lines when a stage begins, ends, and in between."""

    def __init__(self, bars: Progress, *, plain: bool, errors: RichConsole) -> None:
        self._bars = bars
        self._plain = plain
        self._errors = errors
        self._stages: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}
        """When a stage last had a line."""

    def started(self, stage: str, total: int | None) -> None:
        """A stage began."""
        self._stages[stage] = self._bars.add_task(_escape(stage), total=total, note="", visible=not self._plain)
        self._line(stage, "..." if total is None else f"0/{total}")

    def advanced(self, stage: str, note: str = "") -> None:
        """A step of a stage is done."""
        if stage in self._stages:
            self._bars.update(self._stages[stage], advance=1, note=_escape(note[:60]))
            if time.monotonic() - self._told[stage] > LINE_SECONDS:
                task = self._task(stage)
                self._line(stage, f"{task.completed:g}/{'?' if task.total is None else f'{task.total:g}'} {note[:60]}")

    def finished(self, stage: str) -> None:
        """A stage ended."""
        if stage not in self._stages:
            return
        task = self._task(stage)
        if task.total is None:
            self._bars.update(task.id, total=task.completed)
        self._bars.stop_task(task.id)
        self._line(stage, f"{task.completed:g} done in {task.elapsed or 0:.1f} s")

    def _task(self, stage: str) -> ProgressTask:
        return next(task for task in self._bars.tasks if task.id == self._stages[stage])

    def _line(self, stage: str, text: str) -> None:
        self._told[stage] = time.monotonic()
        if self._plain:
            self._errors.print(_escape(f"{stage}: {text}"))


class Follower:
    """Shows work that tells how much of a stage is done, rather than each step of it."""

    def __init__(self, bars: StageBars) -> None:
        self._bars = bars
        self._done: dict[str, int] = {}
        self._finished: set[str] = set()

    def __call__(self, progress: Advance) -> None:
        """Show one advance."""
        if progress.stage not in self._done:
            self._finish_open()  # a stage may end before all its steps are done
            self._bars.started(progress.stage, progress.total)
            self._done[progress.stage] = 0
        for _ in range(progress.done - self._done[progress.stage]):
            self._bars.advanced(progress.stage, progress.note)
        self._done[progress.stage] = progress.done
        if progress.done >= progress.total:
            self._finish_open()

    def _finish_open(self) -> None:
        for stage in [stage for stage in self._done if stage not in self._finished]:
            self._bars.finished(stage)
            self._finished.add(stage)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")
