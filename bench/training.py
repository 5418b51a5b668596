"""Seconds of a GRPO step of 16 episodes with the small policy, going on from a finished run.

    python bench/training.py RUN [--steps 3]

RUN is the folder of a run, such as `demo/run`; it is copied, and the copy is trained for further steps.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from rl_trainer.config import TrainConfig
from rl_trainer.train import train


def main() -> None:
    """Train on, and print each step's parts and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    config = TrainConfig.model_validate_json((options.run / "config.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(options.run, copy)
        more = config.grpo.model_copy(update={"steps": config.grpo.steps + options.steps})
        settings = config.model_copy(update={"out": copy, "grpo": more})
        report = train(settings)
        rows = [json.loads(line) for line in report.log.read_text().splitlines()]
    steps = [row for row in rows if row["stage"] == "grpo"][-options.steps :]
    for row in steps:
        print(
            f"step {row['step']}: {row['seconds']:.1f} s ({row['collect_seconds']:.1f} collect, "
            f"{row['train_seconds']:.1f} train), {row['episodes']} episodes, {row['turns']:.1f} turns, "
            f"{row['sampled_tokens_per_second']:.0f} sampled tokens/s, reward {row['reward']:.2f}"
        )
    print(f"median {statistics.median(row['seconds'] for row in steps):.1f} s a step; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
