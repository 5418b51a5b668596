"""Errors of the remote mode.

InfraError
└── RemoteError  a server cannot be reached, is full, or failed
"""

from tasks.errors import InfraError


class RemoteError(InfraError):
    """A server cannot be reached, is full, or failed; the message says which. Trying again later may help."""
