"""``repodojo pool ls``, ``show``, ``audit`` and ``unblock``: look into a pool, and make a hole in a copy."""

from collections import Counter
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.markup import escape
from rich.table import Table

from agent_env.pool_audit import audit_pool
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from repodojo.console import Console
from repodojo.options import AsJson, PoolPath, SandboxName
from tasks.pool import Pool
from tasks.task import Split, Task

pool = typer.Typer(help="Look into pools of tasks, and copy them changed.", no_args_is_help=True)


@pool.command("ls")
def list_tasks(
    path: PoolPath,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    as_json: AsJson = False,
) -> None:
    """List the tasks of a pool."""
    console = Console(as_json=as_json)
    opened = Pool(path)
    tasks, twins = opened.tasks(as_split(split)), opened.twins(as_split(split))
    table = Table("task", "split", "fail→pass", "pass→pass", "oracle", "difficulty", box=None)
    for task in tasks:
        measured = "" if task.difficulty is None else f"{task.difficulty:.2f}"
        tests = (str(len(task.fail_to_pass)), str(len(task.pass_to_pass)))
        table.add_row(task.id, task.split, *tests, _oracle_strength(task), measured)
    console.say(table)
    console.say(strategy_table(tasks))
    if twins:
        console.say(f"Impossible twins, which count in no reward: {', '.join(twin.id for twin in twins)}")
    console.say(f"{len(tasks)} tasks in {path}; pool hash {opened.hash[:16]}. Next: `repodojo pool show {path} TASK`.")
    shown = [
        {"id": t.id, "repo": t.repo, "strategy": t.strategy, "split": t.split, "oracle": _oracle_strength(t)}
        for t in tasks
    ]
    named = [{"id": t.id, "twin_of": t.twin_of, "split": t.split} for t in twins]
    console.result({"pool": str(path), "hash": opened.hash, "tasks": shown, "twins": named})


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
    if task.twin_of:
        test = escape(certificate.contradicted)
        console.say(f"impossible twin of {task.twin_of}: {test} contradicts the statement, so gold earns 0 by design")
    console.say(f"oracle: {_oracle(task)}")
    if certificate.flaky:
        console.say(f"left out as flaky: {', '.join(map(escape, certificate.flaky))}")
    if gold:
        console.say(f"\n[bold]gold patch[/]\n{escape(task.gold_patch)}")
        console.say(f"[bold]fail to pass[/]\n{escape(chr(10).join(task.fail_to_pass))}")
    console.result(task.model_dump(mode="json"))


@pool.command("audit")
def audit_tasks(
    path: PoolPath,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that gets one leak certificate (JSON) a task.")] = None,
    sandbox: SandboxName = "auto",
    as_json: AsJson = False,
) -> int:
    """Search all that an agent could reach for the answers of a pool's tasks. Exits 1 if one is found."""
    console = Console(as_json=as_json)
    opened = Pool(path)
    chosen = [opened.task(id_) for id_ in tasks] if tasks else opened.rows()
    bench = Workbench(opened, EnvironmentStore(select_backend(sandbox)))
    with console.progress() as bars:
        bars.started("audit", len(chosen))
        certificates = list(audit_pool(bench, chosen, lambda id_: bars.advanced("audit", id_)))
        bars.finished("audit")
    leaking = [certificate for certificate in certificates if certificate.findings]
    for certificate in leaking:
        console.say(f"[bold red]{certificate.task}[/]\n  " + escape("\n  ".join(certificate.findings)))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for certificate in certificates:
            (out / f"{certificate.task}.json").write_text(certificate.model_dump_json(indent=2) + "\n")
    searched = sum(sum(certificate.searched.values()) for certificate in certificates)
    where = f"; the certificates are in {out}" if out else "; `--out FOLDER` keeps the certificates"
    console.say(
        f"{len(certificates)} tasks, {searched} texts and the sandbox's root searched: "
        f"{len(leaking)} with an answer in reach{where}."
    )
    console.result({"pool": str(path), "tasks": len(certificates), "leaking": {c.task: c.findings for c in leaking}})
    return 1 if leaking else 0


@pool.command("unblock")
def unblock(
    path: PoolPath,
    out: Annotated[Path, typer.Option(help="The new pool; nothing may be there yet.")],
    as_json: AsJson = False,
) -> None:
    """Copy a pool with its blockers OFF, for a test bench: agents find the solution in the repository's history."""
    console = Console(as_json=as_json)
    made = Pool(path).copy_unblocked(out)
    console.say(f"[bold red]{out} is UNBLOCKED[/]: every task in it can be passed by `git checkout upstream -- .`")
    console.say(
        f"Use it to measure what a policy does with that hole: run the same policy or training on {path} and on {out}. "
        "Its rewards are never to be published as if they were real."
    )
    console.result({"pool": str(out), "unblocked": made.unblocked, "tasks": len(made.tasks())})


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


def _oracle_strength(task: Task) -> str:
    """``strict``: no forged test run can earn a reward. ``partial``: values are checked, but not those of the bug."""
    if task.oracle is None:
        return "none"
    return "strict" if task.oracle.discriminating else "partial"


def _oracle(task: Task) -> str:
    """What checks the task outside the tests' process."""
    if task.oracle is None:
        return "none"
    probes, values = len(task.oracle.probes), sum(len(probe.slots) for probe in task.oracle.probes)
    return f"{probes} probes of {values} values, discriminating {'yes' if task.oracle.discriminating else 'no'}"


def _find(opened: Pool, task_id: str) -> Task:
    begin = [task for task in opened.rows() if task.id == task_id] or [
        task for task in opened.tasks() if task.id.startswith(task_id)
    ]
    return begin[0] if len(begin) == 1 else opened.task(task_id)
