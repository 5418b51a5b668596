"""What every sandbox backend is put through: the tests of this folder run against each, and demand the same of each."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import BackendUnavailableError
from agent_env.interpreter import Interpreter, find_interpreter
from agent_env.sandbox.base import Limits, Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.cgroup import controls_cpu, make_group
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.client import docker_client
from tests.conformance.commands import MakeSandbox


@pytest.fixture(scope="session", params=["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)])
def backend(request: pytest.FixtureRequest) -> SandboxBackend:
    if request.param == "bubblewrap":
        return BubblewrapBackend()
    try:
        docker_client()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    return DockerBackend(runtime=os.environ.get("REPODOJO_TEST_RUNTIME"))


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    return find_interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")


@pytest.fixture(scope="session")
def python(interpreter: Interpreter) -> str:
    """How a command inside a sandbox calls Python."""
    return f"{interpreter.executable} -I"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bottom layer of every sandbox here."""
    root = tmp_path_factory.mktemp("tree")
    (root / "pkg" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\n")
    (root / "gone.txt").write_text("to be deleted\n")
    (root / "image.bin").write_bytes(b"\0\1\2\xff")
    (root / "pkg" / "mod.py").write_text("X = 1\n")
    (root / "pkg" / "deep" / "low.py").write_text("Y = 2\n")
    (root / "link").symlink_to("a.txt")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@pytest.fixture(scope="session")
def make(backend: SandboxBackend, tree: Path, interpreter: Interpreter) -> MakeSandbox:
    def make_sandbox(**changes: object) -> Sandbox:
        settings: dict[str, object] = {"layers": (tree,), "mounts": interpreter.mounts(), **changes}
        return backend.create(SandboxSpec(**settings))  # type: ignore[arg-type]

    return make_sandbox


@pytest.fixture(scope="module")
def box(make: MakeSandbox) -> Iterator[Sandbox]:
    """One sandbox for all tests of a module that leave it usable."""
    sandbox = make(limits=Limits(output_bytes=20_000))
    yield sandbox
    sandbox.close()


@pytest.fixture
def fresh(make: MakeSandbox) -> Iterator[Sandbox]:
    """A sandbox for one test alone."""
    sandbox = make()
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def limits_cpu(backend: SandboxBackend) -> bool:
    """Whether processor time is limited on this machine."""
    return backend.name == "docker" or controls_cpu()


@pytest.fixture(scope="session")
def tells_causes(backend: SandboxBackend) -> bool:
    """Whether limits are a control group's, which counts what it kills; an ordinary user may have none."""
    group = make_group(f"{os.getpid()}-0-probe", Limits())
    if group:
        group.remove()
    return backend.name == "docker" or group is not None
