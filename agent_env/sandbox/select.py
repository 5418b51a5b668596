"""Which sandbox backend to use, by the name that the user gave."""

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import SandboxBackend
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.docker import DockerBackend
from tasks.errors import BadInputError

_BACKENDS: dict[str, type[BubblewrapBackend] | type[DockerBackend]] = {
    "bubblewrap": BubblewrapBackend,
    "docker": DockerBackend,
}


def select_backend(name: str = "auto") -> SandboxBackend:
    """The backend of that name, proven to work here by a sandbox that was made and closed.

    Args:
        name: ``bubblewrap``, ``docker``, or ``auto`` for the first of them that works.

    Raises:
        BadInputError: there is no backend of that name.
        BackendUnavailableError: it does not work on this machine; the message says how to mend it.
    """
    if name not in ("auto", *_BACKENDS):
        raise BadInputError(f"unknown sandbox backend {name!r}: expected one of auto, {', '.join(_BACKENDS)}")
    failures = []
    for candidate in _BACKENDS if name == "auto" else (name,):
        backend = _BACKENDS[candidate]()
        fatal = [problem for problem in backend.problems() if problem.fatal]
        if not fatal:
            return backend
        failures.append(f"{candidate}: {fatal[0].what}")
    raise BackendUnavailableError("no sandbox can be made on this machine:\n" + "\n".join(failures))
