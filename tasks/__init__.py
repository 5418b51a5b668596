"""The data of RepoDojo: tasks, environments, certificates, and the pool that holds them on disk."""

from tasks.certificate import Certificate, RunEvidence
from tasks.environment import Environment
from tasks.errors import BadInputError, InfraError, PatchError, PoolError, RepoDojoError
from tasks.paths import PathKind, path_kind
from tasks.pool import Pool
from tasks.task import Split, Statement, Task

__all__ = [
    "BadInputError",
    "Certificate",
    "Environment",
    "InfraError",
    "PatchError",
    "PathKind",
    "Pool",
    "PoolError",
    "RepoDojoError",
    "RunEvidence",
    "Split",
    "Statement",
    "Task",
    "path_kind",
]
