"""The error tree of RepoDojo.

RepoDojoError                   the base of all that RepoDojo raises on purpose
├── BadInputError (ValueError)  what the user gave is wrong; the command line exits with 2
│   ├── PoolError               a directory is not a pool, is newer than this code, or is damaged
│   └── PatchError              a diff does not parse or does not apply
└── InfraError (RuntimeError)   the machine failed, not the user and not the policy; never becomes a reward

Rooms above add their own leaves in their own ``errors.py``. A message names what was got, what was expected and how
to mend it.
"""

import errno


class RepoDojoError(Exception):
    """Base of every error that RepoDojo raises on purpose."""


class BadInputError(RepoDojoError, ValueError):
    """The input is wrong and the user can mend it."""


class PoolError(BadInputError):
    """A directory is not a task pool, was written by a newer version, or is damaged."""


class PatchError(BadInputError):
    """A unified diff does not parse or does not apply to the files it names."""


class InfraError(RepoDojoError, RuntimeError):
    """The machine failed (disk, kernel, daemon): retried, counted and shown, never scored."""


_OF_THE_MACHINE = frozenset(
    {errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
"""A disk that cannot be read or is damaged, a server of files that forgot one, no descriptors, no memory."""


def is_of_machine(error: OSError) -> bool:
    """Whether the machine failed where files are read that a policy has written: all other errors (no such file, no
    permission, a name too long, ...) it can bring about itself."""
    return error.errno in _OF_THE_MACHINE


def raise_if_of_machine(error: OSError) -> None:
    """For walks over a tree, which pass over every other error."""
    if is_of_machine(error):
        raise error
