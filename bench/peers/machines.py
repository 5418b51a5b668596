"""Three ways to run commands in a container, behind one interface: two peers through their own API, and Docker by hand.

Runs in the peers' virtual environment.
"""

import asyncio
import subprocess
import time
import uuid
from collections.abc import Sequence
from typing import Protocol


class Machine(Protocol):
    """One container's life."""

    @staticmethod
    def load() -> None:
        """Import what it needs, so that this is not counted."""

    def __init__(self, image: str, arguments: Sequence[str]) -> None:
        """Start it; ``arguments`` are further ones for ``docker run``."""

    def run(self, command: str) -> tuple[str, int | None]:
        """Output and exit status of a command."""

    def put(self, source: str, target: str) -> None:
        """Copy a file into it."""

    def close(self) -> None:
        """End it the way its users do."""

    def wait_until_gone(self) -> None:
        """Return once nothing of it is left; some peers stop it in the background."""


class SweRex:
    """SWE-ReX's Docker deployment, with one bash session, as SWE-agent uses it."""

    @staticmethod
    def load() -> None:
        """See ``Machine``."""
        import swerex.deployment.docker
        import swerex.runtime.remote  # noqa: F401

    def __init__(self, image: str, arguments: Sequence[str]) -> None:
        from swerex.deployment.docker import DockerDeployment
        from swerex.runtime.abstract import CreateBashSessionRequest

        self._loop = asyncio.Runner()
        self._deployment = DockerDeployment(image=image, pull="never", docker_args=list(arguments))
        self._loop.run(self._deployment.start())
        # Its default of 1 s is too short on a busy machine.
        session = CreateBashSessionRequest(startup_timeout=30)
        self._loop.run(self._deployment.runtime.create_session(session))

    def run(self, command: str) -> tuple[str, int | None]:
        """See ``Machine``."""
        from swerex.runtime.abstract import BashAction

        action = BashAction(command=command, timeout=300, check="silent")
        seen = self._loop.run(self._deployment.runtime.run_in_session(action))
        return seen.output, seen.exit_code

    def put(self, source: str, target: str) -> None:
        """See ``Machine``."""
        from swerex.runtime.abstract import UploadRequest

        self._loop.run(self._deployment.runtime.upload(UploadRequest(source_path=source, target_path=target)))

    def close(self) -> None:
        """See ``Machine``."""
        self._loop.run(self._deployment.stop())
        self._loop.close()

    def wait_until_gone(self) -> None:
        """It is."""


class MiniSweAgent:
    """mini-swe-agent's Docker environment."""

    @staticmethod
    def load() -> None:
        """See ``Machine``."""
        import minisweagent.environments.docker  # noqa: F401

    def __init__(self, image: str, arguments: Sequence[str]) -> None:
        from minisweagent.environments.docker import DockerEnvironment

        self._env = DockerEnvironment(image=image, cwd="/testbed", timeout=300, run_args=["--rm", *arguments])

    def run(self, command: str) -> tuple[str, int | None]:
        """See ``Machine``."""
        seen = self._env.execute({"command": command})
        return seen["output"], seen["returncode"]

    def put(self, source: str, target: str) -> None:
        """See ``Machine``; it has no way of its own."""
        subprocess.run(["docker", "cp", source, f"{self._env.container_id}:{target}"], check=True, capture_output=True)

    def close(self) -> None:
        """See ``Machine``."""
        self._gone = self._env.container_id
        self._env.cleanup()
        self._env.container_id = None  # else its destructor stops it again

    def wait_until_gone(self) -> None:
        """Ask the daemon until it knows nothing of it."""
        while subprocess.run(["docker", "inspect", self._gone], capture_output=True, check=False).returncode == 0:
            time.sleep(0.05)


class ByHand:
    """docker run, docker exec, docker cp, docker rm."""

    @staticmethod
    def load() -> None:
        """Nothing to import."""

    def __init__(self, image: str, arguments: Sequence[str]) -> None:
        self._name = f"repodojo-bench-{uuid.uuid4().hex[:12]}"
        given = ("--init", "--name", self._name, *arguments)
        self._docker("run", "-d", *given, image, "sleep", "infinity")

    def run(self, command: str) -> tuple[str, int | None]:
        """See ``Machine``."""
        call = ["docker", "exec", self._name, "bash", "-c", command]
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode(errors="replace"), done.returncode

    def put(self, source: str, target: str) -> None:
        """See ``Machine``."""
        self._docker("cp", source, f"{self._name}:{target}")

    def close(self) -> None:
        """See ``Machine``."""
        self._docker("rm", "-f", self._name)

    def wait_until_gone(self) -> None:
        """It is."""

    def _docker(self, *arguments: str) -> None:
        subprocess.run(["docker", *arguments], check=True, capture_output=True)


MACHINES: dict[str, type[Machine]] = {"SWE-ReX": SweRex, "mini-swe-agent": MiniSweAgent, "docker by hand": ByHand}
