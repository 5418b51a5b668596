"""``repodojo replay`` and ``repodojo convert``: what to do with a recorded episode."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agent_env.exports import EXPORTS
from agent_env.replay import ReplayReport
from agent_env.replay import replay as replay_trajectory
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.trajectory import read_own, read_trajectory
from agent_env.workbench import Workbench
from repodojo.console import Console
from repodojo.options import AsJson, SandboxName
from tasks.errors import BadInputError
from tasks.pool import Pool

TrajectoryFile = Annotated[Path, typer.Argument(metavar="FILE", help="A trajectory file (ATIF).")]


def replay(
    path: TrajectoryFile,
    pool: Annotated[Path, typer.Option(help="The pool that holds its task.")],
    exact: Annotated[bool, typer.Option("--exact", help="Let nothing differ, test durations included.")] = False,
    sandbox: SandboxName = "auto",
    as_json: AsJson = False,
) -> int:
    """Run the calls of a recorded episode again, and show the first difference. Exits 0 if there is none, else 1."""
    console = Console(as_json=as_json)
    trajectory = read_own(path)
    bench = Workbench(Pool(pool), EnvironmentStore(select_backend(sandbox)))
    report = replay_trajectory(trajectory, bench, exact=exact)
    _show(report, console)
    found = report.difference
    shown = asdict(report)
    console.result({**shown, "same": found is None, "diff": found.diff() if found else ""})
    return 0 if found is None else 1


def convert(
    path: TrajectoryFile,
    to: Annotated[str, typer.Option(help=f"Format: {' or '.join(EXPORTS)}.")],
    out: Annotated[Path | None, typer.Option(help="File to write; beside FILE if absent.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write a recorded episode in another agent's file format."""
    console = Console(as_json=as_json)
    if to not in EXPORTS:
        raise BadInputError(f"--to is {to!r}; expected one of {', '.join(EXPORTS)}")
    make, suffix = EXPORTS[to]
    target = out or path.with_suffix(suffix)
    if target.exists() and target.resolve() == path.resolve():
        raise BadInputError(f"--out is the trajectory itself, {path}: name another file")
    text = json.dumps(make(read_trajectory(path)), indent=2, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")
    console.say(f"wrote {escape(str(target))}")
    console.result({"written": str(target), "format": to})
    return 0


def _show(report: ReplayReport, console: Console) -> None:
    for note in report.notes:
        console.say(f"[yellow]note:[/] {note}")
    for kind, number in report.ignored.items():
        console.say(f"[dim]{kind} left out of {number} comparison{'s' * (number > 1)}; --exact compares it too[/]")
    found = report.difference
    played = f"{report.task_id}: {report.steps} turns with {report.calls} calls"
    if found is None:
        console.say(f"[green]same[/]: {escape(played)}")
        return
    place = f"step {found.step}" + (f", call {found.call}" if found.call else "")
    console.say(f"[red]different[/] at {place} ({found.what}): {escape(played)}")
    console.say(escape(found.diff()))
