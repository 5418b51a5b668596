"""``repodojo pool strength``: how often wrong fixes pass a pool's tests, and how often right ones fail them."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from env_builder.strength.attempt import WRONG, Kind
from env_builder.strength.measure import StrengthOptions, measure_strength
from env_builder.strength.report import StrengthReport, Tally, TaskStrength
from repodojo.console import Console
from repodojo.options import AsJson, PoolPath, SandboxName, Seed
from tasks.errors import BadInputError
from tasks.pool import Pool


def strength(
    path: PoolPath,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    mutants: Annotated[int, typer.Option(min=1, help="Wrong fixes of each kind and task, at most.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Attempts graded at once.")] = 2,
    out: Annotated[Path | None, typer.Option(help="File that gets one record (JSON) a task.")] = None,
    sandbox: SandboxName = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> int:
    """Grade wrong fixes, which should fail, and rewritten solutions, which must pass. Exits 1 if one of those fails."""
    console = Console(as_json=as_json)
    if out and (out.is_dir() or not out.parent.is_dir()):
        raise BadInputError(f"--out is {out}; expected a file, in a folder that exists")
    pool = Pool(path)
    chosen = [pool.task(name) for name in dict.fromkeys(tasks)] if tasks else pool.tasks()
    bench = Workbench(pool, EnvironmentStore(select_backend(sandbox)))
    options = StrengthOptions(most=mutants, seed=seed, workers=workers)
    with console.progress() as bars:
        report = measure_strength(bench, chosen, options=options, progress=bars)
    result = {
        "pool": str(path),
        "hash": pool.hash,
        "mutants": mutants,
        "seed": seed,
        "seconds": round(report.seconds, 1),
        "total": report.tally.record(),
        "tasks": [task.record() for task in report.tasks],
    }
    if out:
        out.write_text(json.dumps(result, indent=2) + "\n")
    _show(report, console)
    _conclude(report, path, out, console)
    console.result(result)
    return 1 if report.tally.false_rejects else 0


def _show(report: StrengthReport, console: Console) -> None:
    table = Table(
        Column("task", overflow="fold"),
        *(Column(kind.value, no_wrap=True) for kind in (*WRONG, Kind.REWRITTEN)),
        title="wrong fixes killed, and rewritten solutions passed, of those tried",
        title_justify="left",
        box=None,
    )
    for task in report.tasks:
        table.add_row(task.task, *_row(task.tally))
    table.add_row("[bold]all[/]", *_row(report.tally))
    console.say(table)
    for task in report.tasks:
        _show_odd(task, console)


def _row(tally: Tally) -> list[str]:
    numbers = tally.record()
    cells = []
    for kind in WRONG:
        counted = numbers["wrong"][kind]
        text = f"{counted['killed']}/{counted['tried']}"
        cells.append(f"[yellow]{text}[/]" if counted["survivors"] else text)
    rewritten = numbers["rewritten"]
    text = f"{rewritten['tried'] - rewritten['rejected']}/{rewritten['tried']}"
    return [*cells, f"[bold red]{text}[/]" if rewritten["rejected"] else text]


def _show_odd(task: TaskStrength, console: Console) -> None:
    """What was graded otherwise than it should be, with its difference from the solution."""
    if task.without_mutants:
        console.say(f"[yellow]{escape(task.task)}[/] has no mutants: {task.without_mutants}")
    for one in task.tally.survivors:
        console.say(f"\n[yellow]survivor[/] of {escape(f'{task.task}: {one.kind.value}, {one.how}, {one.target}')}")
        console.say(escape(one.diff))
    for one in task.tally.false_rejects:
        tests = ", ".join(one.failed[:3]) or "no test"
        console.say(f"\n[bold red]false reject[/] by {escape(f'{task.task}: {one.how}, {one.reason} ({tests})')}")
        console.say(escape(one.diff))


def _conclude(report: StrengthReport, path: Path, out: Path | None, console: Console) -> None:
    tally = report.tally
    wrong, survivors, rejects = tally.tried(*WRONG), len(tally.survivors), len(tally.false_rejects)
    share = f" ({survivors / wrong:.1%})" if wrong else ""
    console.say(
        f"\n{wrong} wrong fixes and {tally.tried(Kind.REWRITTEN)} rewritten solutions of {len(report.tasks)} tasks "
        f"graded in {report.seconds:.0f} s: {survivors} wrong fixes earned a reward{share}, {rejects} rewritten "
        "solutions did not."
    )
    where = f"The records are in {out}." if out else "`--out FILE` keeps the records."
    console.say(
        f"{where} A survivor is a suspected false accept, or an equivalent mutant, which behaves as the solution does "
        f"and which no test can kill: judge by its diff, beside `repodojo pool show {path} TASK --gold`. Leave tasks "
        "out of training whose survivors are truly wrong, and tasks that reject a rewritten solution."
    )
