"""A sandbox backend that can be given up, so that work in other threads ends at once."""

from agent_env.errors import SandboxError
from agent_env.sandbox.base import Problem, Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.local import kill_running


class StoppableBackend:
    """See ``SandboxBackend``; after ``give_up`` it makes no sandbox any more."""

    def __init__(self, backend: SandboxBackend) -> None:
        self._backend = backend
        self._is_given_up = False
        self.name = backend.name

    def give_up(self) -> None:
        """End what runs in the sandboxes of this process, and refuse to make another; callable from any thread."""
        self._is_given_up = True
        kill_running()

    def create(self, spec: SandboxSpec) -> Sandbox:
        """See ``SandboxBackend.create``."""
        if self._is_given_up:
            raise SandboxError("the work that this sandbox is for was given up")
        return self._backend.create(spec)

    def problems(self) -> list[Problem]:
        """See ``SandboxBackend.problems``."""
        return self._backend.problems()

    def reap(self) -> int:
        """See ``SandboxBackend.reap``."""
        return self._backend.reap()
