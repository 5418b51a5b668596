"""``repodojo demo``: the whole job on two real projects: build, prove, play, train."""

import json
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_env.sandbox.select import select_backend
from env_builder.build import BuildOptions, build_pool
from env_builder.repo_list import load_repo_list
from repodojo.commands.build import show_report as show_build
from repodojo.commands.rollout import show_report as show_rollout
from repodojo.commands.train import run_training
from repodojo.commands.train import show_report as show_training
from repodojo.console import Console, Follower
from repodojo.options import AsJson, SandboxName, Seed
from rl_trainer.config import EvaluationSettings, TrainConfig
from rl_trainer.evaluate import EvaluationReport, evaluate
from tasks.errors import RepoDojoError
from tasks.pool import Pool

if TYPE_CHECKING:
    from rl_trainer.train import TrainReport

CANDIDATES = 32
"""Candidates tried of each repository and family."""

MOST_TASKS = 36
"""Tasks after which the demo stops building."""


class DemoFailedError(RepoDojoError, RuntimeError):
    """What the demo is there to prove did not hold."""


def demo(
    out: Annotated[Path, typer.Option(help="Where the pool and the training run are put.")] = Path("demo"),
    sandbox: SandboxName = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Do the whole job on two real projects: build a pool, prove it by oracle and no-op, train a small policy on it."""
    console = Console(as_json=as_json)
    begun = time.monotonic()
    pool = _build(out / "pool", console, sandbox, seed)
    proofs = {policy: _prove(pool, policy, console, sandbox) for policy in ("oracle", "noop")}
    report = _train(pool, out / "run", console, sandbox, seed)
    numbers = _last_step(report.log)
    _summary(console, pool, report, numbers, time.monotonic() - begun)
    console.result(
        {
            "pool": str(pool.path),
            "certified": len(pool.tasks()),
            **{policy: proof.mean_reward for policy, proof in proofs.items()},
            "mean_reward_by_step": report.mean_reward_by_step,
            "checkpoint": str(report.checkpoint),
            "seconds": round(time.monotonic() - begun, 1),
        }
    )


def _build(path: Path, console: Console, sandbox: str, seed: int) -> Pool:
    console.say("[bold]1. Build[/]: mine and plant bugs in two real projects, and keep what three runs a state prove")
    requests = load_repo_list(str(files("repodojo").joinpath("demo_repos.toml")))
    backend = select_backend(sandbox)
    options = BuildOptions(limit_per_repo=CANDIDATES, max_tasks=MOST_TASKS, seed=seed)
    with console.progress() as bars:
        report = build_pool(requests, path, backend=backend, options=options, progress=bars)
    show_build(report, console)
    return Pool(path)


def _prove(pool: Pool, policy: str, console: Console, sandbox: str) -> EvaluationReport:
    """Run the oracle (reward 1 each) or the no-op (0 each) over every task.

    Raises:
        DemoFailedError: one of them earned something else.
    """
    console.say(f"\n[bold]2. Prove[/]: {policy} on every task, in the agent's sandbox, graded in a fresh one")
    with console.progress() as bars:
        settings = EvaluationSettings(sandbox=sandbox)
        report = evaluate(pool, policy, settings=settings, on_progress=Follower(bars))
    show_rollout(report, policy, console)
    expected = 1.0 if policy == "oracle" else 0.0
    if report.mean_reward != expected or report.outcomes.get("InfraFailed"):
        raise DemoFailedError(f"{policy} earned {report.mean_reward} in the mean; expected {expected} on every task")
    return report


def _train(pool: Pool, out: Path, console: Console, sandbox: str, seed: int) -> "TrainReport":
    console.say("\n[bold]3. Train[/]: a small policy, warm-started on solved episodes, then GRPO through the sandbox")
    report = run_training(TrainConfig(pool=pool.path, out=out, sandbox=sandbox, seed=seed, split="all"), console)
    show_training(report, console)
    return report


def _last_step(log: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return next(row for row in reversed(rows) if row.get("stage") == "grpo")


def _summary(console: Console, pool: Pool, report: "TrainReport", numbers: dict[str, Any], seconds: float) -> None:
    console.say(f"\n[bold]Done in {seconds / 60:.1f} minutes.[/]")
    for name, value in sorted(numbers.items()):
        if isinstance(value, float) and name in ("reward", "turns", "sampled_tokens_per_second", "seconds"):
            console.say(f"  last step, {name.replace('_', ' ')}: {value:.2f}")
    console.say(f"  pool        {pool.path}   (`repodojo pool ls {pool.path}`, `repodojo play {pool.path}`)")
    console.say(f"  policy      {report.checkpoint}   (`repodojo rollout {pool.path} --policy {report.checkpoint}`)")
    console.say(f"  curve, log  {report.curve}, {report.log.parent}")
