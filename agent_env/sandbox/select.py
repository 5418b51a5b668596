"""Which sandbox backend to use, by the name that the user gave."""

import warnings

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import SandboxBackend
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.docker import DockerBackend
from tasks.errors import BadInputError, RepoDojoError

_BACKENDS: dict[str, type[BubblewrapBackend] | type[DockerBackend]] = {
    "bubblewrap": BubblewrapBackend,
    "docker": DockerBackend,
}


def select_backend(name: str = "auto") -> SandboxBackend:
    """The backend of that name, proven to work here by a sandbox that was made and closed.

    What dead host processes left behind is removed, so that each start clears up after the last; where that fails, a
    ``RuntimeWarning`` says so.

    Args:
        name: ``bubblewrap``, ``docker``, ``docker:RUNTIME`` for an OCI runtime that the daemon knows
            (``docker:runsc``), or ``auto`` for the first of them that works.

    Raises:
        BadInputError: there is no backend, or no runtime, of that name.
        BackendUnavailableError: it does not work on this machine; the message says how to mend it.
    """
    kind, colon, runtime = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind not in ("auto", *_BACKENDS) or (colon and (kind != "docker" or not runtime)):
        expected = f"auto, {', '.join(_BACKENDS)} or docker:RUNTIME (docker:runsc)"
        raise BadInputError(f"unknown sandbox backend {name!r}: expected one of {expected}")
    failures = []
    for candidate in _BACKENDS if kind == "auto" else (kind,):
        backend = DockerBackend(runtime=runtime) if colon else _BACKENDS[candidate]()
        fatal = [problem for problem in backend.problems() if problem.fatal]
        if not fatal:
            _reap(backend)
            return backend
        failures.append(f"{candidate}: {fatal[0].what}")
    raise BackendUnavailableError("no sandbox can be made on this machine:\n" + "\n".join(failures))


def _reap(backend: SandboxBackend) -> None:
    """Sandboxes work: that old ones stay is no reason not to start."""
    try:
        backend.reap()
    except (RepoDojoError, OSError) as error:
        said = f"what dead processes left behind stays until the next start: {type(error).__name__}: {error}"
        warnings.warn(said, RuntimeWarning, stacklevel=3)
