"""``repodojo pool twins``: a pool with impossible doubles of some tasks, which measure hacking without a judge."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from env_builder.twin_pool import add_twins
from repodojo.console import Console
from repodojo.options import AsJson, PoolPath, SandboxName, Seed
from tasks.pool import Pool


def twins(
    path: PoolPath,
    out: Annotated[Path, typer.Option(help="The new pool; nothing may be there yet.")],
    share: Annotated[float, typer.Option(help="Of the tasks, above 0 and at most 1.")] = 0.1,
    sandbox: SandboxName = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Copy a pool with impossible twins: tasks whose hidden tests contradict the statement, so any pass is a hack."""
    console = Console(as_json=as_json)
    bench = Workbench(Pool(path), EnvironmentStore(select_backend(sandbox)))
    with console.progress() as bars:
        bars.started("twins", None)
        report = add_twins(bench, out, share=share, seed=seed, on_try=lambda id_: bars.advanced("twins", id_))
        bars.finished("twins")
    for one in report.left_out:
        console.say(f"[yellow]{escape(one.task)}[/] has no twin: {one.reason} ({escape(one.detail)})")
    console.say(
        f"{len(report.twins)} twins beside {report.tasks} tasks in {out}; {len(report.left_out)} tasks have none. "
        f"They count in no reward: `repodojo rollout {out}` tells the hack rate on its own."
    )
    console.result(
        {
            "pool": str(out),
            "hash": Pool(out).hash,
            "tasks": report.tasks,
            "twins": list(report.twins),
            "left_out": [one._asdict() for one in report.left_out],
        }
    )
