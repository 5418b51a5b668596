"""``repodojo pool ls`` and ``repodojo pool show``: look into a pool."""

from collections import Counter
from typing import Annotated, cast, get_args

import typer
from rich.markup import escape
from rich.table import Table

from repodojo.console import Console
from repodojo.options import AsJson, PoolPath
from tasks.pool import Pool
from tasks.task import Split, Task

pool = typer.Typer(help="Look into a pool of tasks.", no_args_is_help=True)


@pool.command("ls")
def list_tasks(
    path: PoolPath,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    as_json: AsJson = False,
) -> None:
    """List the tasks of a pool."""
    console = Console(as_json=as_json)
    opened = Pool(path)
    tasks = opened.tasks(as_split(split))
    table = Table("task", "split", "fail→pass", "pass→pass", "difficulty", box=None)
    for task in tasks:
        measured = "" if task.difficulty is None else f"{task.difficulty:.2f}"
        table.add_row(task.id, task.split, str(len(task.fail_to_pass)), str(len(task.pass_to_pass)), measured)
    console.say(table)
    console.say(strategy_table(tasks))
    console.say(f"{len(tasks)} tasks in {path}; pool hash {opened.hash[:16]}. Next: `repodojo pool show {path} TASK`.")
    shown = [{"id": t.id, "repo": t.repo, "strategy": t.strategy, "split": t.split} for t in tasks]
    console.result({"pool": str(path), "hash": opened.hash, "tasks": shown})


@pool.command("show")
def show_task(
    path: PoolPath,
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="A task's id, or the beginning of one.")],
    gold: Annotated[bool, typer.Option("--gold", help="Show the gold patch and the hidden tests too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one task: what the agent is told, and the evidence that it is real."""
    console = Console(as_json=as_json)
    task = _find(Pool(path), task_id)
    certificate = task.certificate
    console.say(
        f"[bold]{task.id}[/]  {task.strategy}, {task.repo} at {task.commit[:10]}, licence {escape(task.licence)}\n"
    )
    console.say(escape(task.statement.text))
    start = [run.reward for run in certificate.start_runs]
    solved = [run.reward for run in certificate.gold_runs]
    console.say(f"\ncertificate: start rewards {start}, gold rewards {solved}, in {certificate.sandbox}, no network")
    console.say(
        f"{len(task.fail_to_pass)} fail-to-pass and {len(task.pass_to_pass)} pass-to-pass tests",
    )
    if certificate.flaky:
        console.say(f"left out as flaky: {', '.join(map(escape, certificate.flaky))}")
    if gold:
        console.say(f"\n[bold]gold patch[/]\n{escape(task.gold_patch)}")
        console.say(f"[bold]fail to pass[/]\n{escape(chr(10).join(task.fail_to_pass))}")
    console.result(task.model_dump(mode="json"))


def strategy_table(tasks: list[Task]) -> Table:
    """Tasks by repository and strategy."""
    counts = Counter((task.repo, task.strategy) for task in tasks)
    table = Table("repository", "strategy", "tasks", title=f"{len(tasks)} certified tasks", title_justify="left")
    for (repo, strategy), number in sorted(counts.items()):
        table.add_row(repo, strategy, str(number))
    return table


def as_split(text: str) -> Split:
    """A split by its name; a bad one is a usage error."""
    for split in get_args(Split):
        if text == split:
            return cast(Split, split)
    raise typer.BadParameter(f"got {text!r}; expected all, train or test", param_hint="--split")


def _find(opened: Pool, task_id: str) -> Task:
    begin = [task for task in opened.tasks() if task.id.startswith(task_id)]
    return begin[0] if len(begin) == 1 else opened.task(task_id)
