"""The configuration of a training run, a TOML file checked field by field; and the settings of an evaluation."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator

from agent_env.tools.formats import DEFAULT_FORMAT
from rl_trainer.errors import ConfigError
from tasks.record import Record
from tasks.task import Split


class SFTConfig(Record):
    """The supervised warm start, on trajectories made from gold patches."""

    tasks: int = Field(default=14, ge=0)
    """Tasks to learn from, those with the shortest demonstrations; 0 skips the warm start."""
    epochs: int = Field(default=40, ge=1)
    """The most passes over the demonstrations."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak of AdamW's learning rate; for a pretrained model about 2e-5."""
    batch_size: int = Field(default=2, ge=1)
    """Trajectories of an optimiser step."""
    target_loss: float = Field(default=0.005, ge=0)
    """Stop once an epoch's mean loss (nats a token) is this low: a policy that is certain of all explores nothing. A
    trajectory of n own tokens is repeated with a probability of about exp(-n * loss): 0.3 for 250 tokens at 0.005."""


class CalibrationConfig(Record):
    """Measuring pass rates by sampling, to choose tasks that are neither always solved nor never."""

    episodes: int = Field(default=4, ge=0)
    """Episodes a task; 0 skips it and trains on all tasks. After a warm start the tasks that it learnt from are
    measured, else all of the split."""
    write_difficulty: bool = False
    """Record the pass rates in the pool's tasks as their difficulty; this changes the pool's hash."""


class GRPOConfig(Record):
    """Reinforcement learning over groups of episodes."""

    algorithm: str = "grpo"
    """One of ``rl_trainer.algorithm.ALGORITHMS``: grpo, dr_grpo, rloo, dapo, gspo, cispo, ..."""
    steps: int = Field(default=3, ge=1)
    """Batches of episodes to collect and train on."""
    tasks_per_step: int = Field(default=4, ge=1)
    """Groups of a step."""
    group_size: int = Field(default=4, ge=2)
    """Episodes of a group."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's, constant; for a pretrained model about 1e-6."""
    updates: int = Field(default=1, ge=1)
    """Optimiser steps on each batch of episodes; above 1 the clip of the ratio comes into play."""
    kl_weight: float = Field(default=0.0, ge=0)
    """Weight of the k3 penalty towards the policy before reinforcement learning; 0 keeps no reference model."""
    hack_penalty: float = Field(default=0.0, ge=0)
    """Taken from the reward that the advantage sees, once for an episode in which the monitor saw any attempt to go
    around the work; never from the reward that is logged. The monitor errs: see its precision in the threat model."""
    checkpoint_every: int = Field(default=1, ge=1)
    """Steps between checkpoints; the last step always makes one."""


class TrainConfig(Record):
    """A whole run: model, warm start, calibration, reinforcement learning."""

    pool: Path
    """The task pool."""
    out: Path
    """The run's folder: metrics, checkpoints, curve. A run that finds its own checkpoints there goes on from them."""
    model: str = "tiny"
    """``tiny``, ``smollm2``, a directory, or a hub id ``OWNER/NAME``."""
    split: Split = "train"
    """Which tasks of the pool: ``train``, ``test`` or ``all``."""
    sandbox: str = "auto"
    """``auto``, ``bubblewrap`` or ``docker``."""
    seed: int = Field(default=0, ge=0)
    """Of everything random."""
    temperature: float = Field(default=1.0, gt=0)
    """Of sampling, in calibration and in reinforcement learning; the loss uses it too."""
    context: int = Field(default=2048, ge=64)
    """The most tokens of an episode."""
    turn_tokens: int = Field(default=256, ge=1)
    """The most sampled tokens of a turn."""
    observation_tokens: int = Field(default=256, ge=32)
    """The most tokens of an observation that the policy reads; the middle of a longer one is left out."""
    max_turns: int = Field(default=8, ge=1)
    """Turns of an episode."""
    command_timeout: float = Field(default=30.0, gt=0)
    """Seconds that one command of the policy may run."""
    tripwires: bool = False
    """Lay decoys with secret tokens into the sandboxes; their use is an event of its own."""
    twin_episodes: int = Field(default=1, ge=0)
    """Episodes of each impossible twin of the pool that are sampled at each checkpoint: how many pass is the hack rate
    in the log. They are never trained on. 0 measures none."""
    trajectories: bool = False
    """Keep each sampled episode as a file (ATIF, with token ids and log probabilities) below ``out``/trajectories, by
    stage: ``calibration``, ``step-000001``, ``twins-000001``."""
    concurrency: int = Field(default=16, ge=1)
    """Episodes at once, and the sampler's batch."""
    token_budget: int = Field(default=4096, ge=64)
    """Padded tokens of a micro-batch: bounds memory, never changes the loss."""
    sft: SFTConfig = SFTConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    grpo: GRPOConfig = GRPOConfig()

    @field_validator("grpo")
    @classmethod
    def _known_algorithm(cls, value: GRPOConfig) -> GRPOConfig:
        from rl_trainer.algorithm import ALGORITHMS  # loads torch: only once a configuration is really read

        if value.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm is {value.algorithm!r}; expected one of {', '.join(ALGORITHMS)}")
        return value


class EvaluationSettings(Record):
    """How episodes are run."""

    split: Split = "all"
    sandbox: str = "auto"
    """``auto``, ``bubblewrap`` or ``docker``."""
    max_turns: int = 30
    """Turns of an episode."""
    command_timeout: float = 30.0
    """Seconds that one command may run."""
    call_format: str = DEFAULT_FORMAT
    """How tool calls are written: one of ``agent_env.tools.FORMATS``."""
    packages: Literal["frozen"] | None = None
    """See ``agent_env.rules.Rules``."""
    seed: int = 0
    """Of sampling; read by models alone, as is all below."""
    temperature: float = 0.8
    context: int = 4096
    """The most tokens of an episode; a model with fewer positions uses its own."""
    turn_tokens: int = 512
    observation_tokens: int = 512
    concurrency: int = 16
    """Episodes at once."""


def load_config(path: Path) -> TrainConfig:
    """Read a TOML file; paths in it that are relative are relative to the working directory.

    Raises:
        ConfigError: it is missing, is not TOML, or a field is unknown, missing or out of range; the field is named.
    """
    try:
        return TrainConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} (got {problem['input']!r})"
            for problem in error.errors()
        )
        raise ConfigError(f"{path}: {problems}") from error
