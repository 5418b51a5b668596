"""Errors of the trainer's room.

RepoDojoError
├── BadInputError
│   ├── ConfigError            a training configuration does not parse or does not validate; names the field
│   ├── ModelError             a model cannot be found or loaded; names what was given
│   └── TooFewTasksError       there are not enough tasks to train on
└── SamplerMismatchError       the sampler and the trainer do not hold the same weights: training would be wrong
"""

from tasks.errors import BadInputError, RepoDojoError


class ConfigError(BadInputError):
    """A training configuration does not parse or does not validate; the message names the field."""


class ModelError(BadInputError):
    """A model cannot be found or loaded; the message names what was given and what is accepted."""


class TooFewTasksError(BadInputError):
    """A pool or a split holds fewer tasks than training asks for."""


class SamplerMismatchError(RepoDojoError, RuntimeError):
    """Sampler and trainer give one token different log-probabilities: they do not hold the same weights."""
