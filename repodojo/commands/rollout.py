"""``repodojo rollout``: episodes over a pool by an oracle, a no-op, or a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent_env.tools.formats import DEFAULT_FORMAT
from repodojo.commands.pool import as_split
from repodojo.console import Console, Follower
from repodojo.options import AsJson, CallFormat, Packages, PoolPath, SandboxName, Seed
from rl_trainer.config import EvaluationSettings
from rl_trainer.evaluate import EvaluationReport, evaluate
from tasks.pool import Pool


def rollout(
    path: PoolPath,
    policy: Annotated[str, typer.Option(help="oracle, noop, smollm2, a model's directory or hub id.")] = "oracle",
    episodes: Annotated[int | None, typer.Option(min=1, help="How many; one a task if absent.")] = None,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    call_format: CallFormat = DEFAULT_FORMAT,
    packages: Packages = None,
    trajectories: Annotated[Path | None, typer.Option(help="Folder for one trajectory file (ATIF) an episode.")] = None,
    sandbox: SandboxName = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> int:
    """Run episodes without training and print what they earned. Exits 1 if the machine broke every one of them."""
    console = Console(as_json=as_json)
    settings = EvaluationSettings(
        split=as_split(split), sandbox=sandbox, seed=seed, call_format=call_format, packages=packages
    )
    with console.progress() as bars:
        report = evaluate(
            Pool(path),
            policy,
            episodes=episodes,
            settings=settings,
            trajectories=trajectories,
            on_progress=Follower(bars),
        )
    show_report(report, policy, console)
    console.result(as_result(report))
    return 1 if report.mean_reward is None else 0


def show_report(report: EvaluationReport, policy: str, console: Console) -> None:
    """What the episodes gave."""
    outcomes = ", ".join(f"{number} {name}" for name, number in report.outcomes.items())
    mean = "none: the machine broke every episode" if report.mean_reward is None else f"{report.mean_reward:.3f}"
    console.say(
        f"{policy}: mean reward [bold]{mean}[/] over {report.episodes} episodes of {report.tasks} tasks "
        f"({outcomes}) in {report.seconds:.1f} s"
    )
    if report.twins:
        said = "none: the machine broke every one" if report.twins.rate is None else f"{report.twins.rate:.3f}"
        console.say(
            f"hack rate [bold]{said}[/]: {report.twins.passed} of {report.twins.episodes} impossible twins passed"
        )
    if report.trajectories:
        console.say(f"trajectories are in {report.trajectories}")


def as_result(report: EvaluationReport) -> dict[str, Any]:
    """The report as the command's JSON, with the hack rate where there are twins."""
    shown = report.model_dump(mode="json")
    return shown | ({"hack_rate": report.twins.rate} if report.twins else {})
