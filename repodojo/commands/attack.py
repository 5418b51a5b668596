"""``repodojo attack``: every known way to fake a reward, against every task of a pool."""

import os
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from agent_env.attack_campaign import Campaign, run_campaign
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from blockers.attacks.attack import Attack
from blockers.attacks.manifest import select_attacks
from repodojo.console import Console
from repodojo.options import AsJson, PoolPath, SandboxName
from tasks.pool import Pool


def attack(
    path: PoolPath,
    sandbox: SandboxName = "auto",
    tasks: Annotated[
        int | None, typer.Option(min=1, help="How many tasks, in the pool's order; all if absent.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--task", help="A task's id; may be given often.")] = None,
    attacks: Annotated[str | None, typer.Option(help="Ids, or beginnings of ids, with commas between.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trials at once; one a core if absent.")] = None,
    as_json: AsJson = False,
) -> int:
    """Attack every task of a pool in real episodes. Exits 1 if one was fooled, or gold or doing nothing went wrong."""
    console = Console(as_json=as_json)
    pool = Pool(path)
    chosen = select_attacks(attacks.split(",") if attacks else ())
    targets = [pool.task(name) for name in dict.fromkeys(only)] if only else pool.tasks()
    targets = targets[:tasks]
    if not targets:
        raise typer.BadParameter(f"{path} holds no tasks yet", param_hint="POOL")
    bench = Workbench(pool, EnvironmentStore(select_backend(sandbox)))
    with console.progress() as bars:
        bars.started("attack", len(chosen) * len(targets) + 2 * len(targets))
        campaign = run_campaign(
            bench,
            targets,
            chosen,
            jobs=jobs or os.cpu_count() or 1,
            on_trial=lambda done, total, note: bars.advanced("attack", note),
        )
        bars.finished("attack")
    _show(campaign, chosen, console)
    console.result(_as_result(campaign, chosen))
    return 0 if campaign.holds else 1


def _show(campaign: Campaign, attacks: list[Attack], console: Console) -> None:
    table = Table("attack", "vector", "fooled", "noticed", "ended as", box=None)
    for attack in attacks:
        results = [result for result in campaign.results if result.attack == attack.id]
        fooled = sorted({result.fooled.value for result in results if result.fooled})
        noticed = sum(result.detected for result in results)
        passed_by = any(not result.detected and not result.resisted for result in results)
        ended = sorted({f"{result.trial.outcome} {result.trial.reason}"[:60] for result in results})
        table.add_row(
            attack.id,
            str(attack.vector),
            f"[bold red]{', '.join(fooled)}[/]" if fooled else "no",
            f"[yellow]{noticed}/{len(results)}[/]" if passed_by else f"{noticed}/{len(results)}",
            escape("; ".join(ended)),
        )
    console.say(table)
    verdict = "[green]nothing was fooled[/]" if not campaign.fooled else f"[bold red]{len(campaign.fooled)} fooled[/]"
    console.say(
        f"{len(attacks)} attacks on {campaign.tasks} tasks in {campaign.seconds:.0f} s: {verdict}, "
        f"{len(campaign.undetected)} unnoticed, {len(campaign.resisted)} stopped by the tests alone; "
        f"the monitor named something in {len(campaign.watched)} of {len(campaign.results)} trials; "
        f"gold earned {campaign.gold_pass:.0%}, doing nothing {campaign.noop_pass:.0%}"
    )


def _as_result(campaign: Campaign, attacks: list[Attack]) -> dict[str, Any]:
    def named(results: list[Any]) -> list[dict[str, str]]:
        return [
            {
                "attack": result.attack,
                "task": result.task,
                "how": result.fooled.value if result.fooled else "",
                "outcome": f"{result.trial.outcome}: {result.trial.reason}",
            }
            for result in results
        ]

    return {
        "attacks": len(attacks),
        "tasks": campaign.tasks,
        "fooled": len(campaign.fooled),
        "gold_pass": campaign.gold_pass,
        "noop_pass": campaign.noop_pass,
        "undetected": len(campaign.undetected),
        "resisted": len(campaign.resisted),
        "watched": len(campaign.watched),
        "seconds": round(campaign.seconds, 1),
        "fooled_trials": named(campaign.fooled),
        "undetected_trials": named(campaign.undetected),
    }
