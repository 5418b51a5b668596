"""Errors of the environment room.

RepoDojoError
├── BadInputError
│   ├── BackendUnavailableError  a sandbox backend was asked for that this machine does not offer
│   └── EnvironmentBuildError    a repository's environment cannot be installed
├── InfraError
│   └── SandboxError             a sandbox did not start, or its machine failed under it
└── EpisodeError                 the environment was used out of order (a step after the end)
"""

from tasks.errors import BadInputError, InfraError, RepoDojoError


class BackendUnavailableError(BadInputError):
    """A sandbox backend was asked for that this machine does not offer; the message says how to get it."""


class EnvironmentBuildError(BadInputError):
    """A repository's environment cannot be installed; the message holds what was tried and what it printed."""


class SandboxError(InfraError):
    """A sandbox did not start, or the machine failed under it: an infrastructure failure, never a reward."""


class EpisodeError(RepoDojoError, RuntimeError):
    """The environment was used out of order, as by a step after the end of the episode."""
