"""``repodojo train``: warm start and reinforcement learning over a pool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repodojo.console import Console, Follower
from repodojo.options import AsJson
from rl_trainer.config import TrainConfig, load_config
from tasks.errors import BadInputError

if TYPE_CHECKING:
    from rl_trainer.train import TrainReport


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see examples/grpo.toml.")],
    model: Annotated[
        str | None, typer.Option(help="tiny, smollm2, a directory or a hub id; in place of the configuration's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a policy as a configuration says. Stopped, the same command goes on from the last checkpoint."""
    console = Console(as_json=as_json)
    settings = load_config(config)
    report = run_training(settings.model_copy(update={"model": model}) if model else settings, console)
    show_report(report, console)
    console.result(report.model_dump(mode="json"))


def run_training(config: TrainConfig, console: Console) -> "TrainReport":
    """Train with progress bars.

    Raises:
        BadInputError: the packages that training needs are missing, or the configuration is wrong.
    """
    try:
        from rl_trainer.train import train as run
    except ImportError as error:
        raise BadInputError(f"training needs more packages ({error}): pip install 'repodojo[train]'") from error
    with console.progress() as bars:
        return run(config, Follower(bars))


def show_report(report: "TrainReport", console: Console) -> None:
    """What the run gave, where it is, and what to do next."""
    rewards = " → ".join(f"{reward:.2f}" for reward in report.mean_reward_by_step)
    before = "" if report.baseline is None else f"{report.baseline:.2f} before, "
    console.say(f"{report.steps} steps on {len(report.tasks)} tasks in {report.seconds:.0f} s")
    console.say(f"mean reward: {before}by step {rewards}")
    console.say(f"checkpoint {report.checkpoint}, curve {report.curve}, log {report.log}")
    if report.trajectories:
        console.say(f"trajectories are in {report.trajectories}")
    console.say(f"Next: `repodojo rollout POOL --policy {report.checkpoint}`.")
