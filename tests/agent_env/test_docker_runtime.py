"""OCI runtimes by name, and what stands in for the host's view where a runtime has a kernel of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import Sandbox, SandboxSpec, StopCause
from agent_env.sandbox.docker import DockerBackend, backend
from agent_env.sandbox.docker.client import docker_client
from agent_env.sandbox.docker.foreign import ForeignDockerSandbox
from agent_env.sandbox.inroot import READ_LIMIT
from agent_env.sandbox.select import select_backend
from tasks.errors import BadInputError

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def daemon() -> None:
    """There is one."""
    try:
        docker_client()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("one\n")
    return tmp_path


@pytest.fixture(scope="module", params=sorted({"runc", os.environ.get("REPODOJO_TEST_RUNTIME", "runc")}))
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose processes the host does not look at: of runc treated like that, and of another runtime (gVisor's
    ``runsc``) where ``REPODOJO_TEST_RUNTIME`` names one."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "a").write_text("one\n")
    tree.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "KERNEL_SHARING", frozenset())
        box = DockerBackend(runtime=request.param).create(SandboxSpec(layers=(tree,)))
    assert isinstance(box, ForeignDockerSandbox)
    yield box
    box.close()


def test_a_runtime_is_passed_on(tree: Path) -> None:
    box = select_backend("docker:runc").create(SandboxSpec(layers=(tree,)))
    assert box._container is not None  # type: ignore[attr-defined]
    found = docker_client().api.inspect_container(box._container._id)  # type: ignore[attr-defined]
    assert found["HostConfig"]["Runtime"] == "runc"
    assert box.run("cat a", timeout=5).output == "one\n"
    box.close()


def test_an_unknown_runtime_is_bad_input_and_the_known_are_told() -> None:
    with pytest.raises(BadInputError, match=r"unknown Docker runtime 'no-such'.*runc.*daemon\.json"):
        select_backend("docker:no-such")


def test_a_runtime_with_its_own_kernel_has_no_pool_and_this_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "KERNEL_SHARING", frozenset())
    (problem,) = DockerBackend().problems()
    assert not problem.fatal
    assert "started ahead" in problem.what


def test_files_pass_through_a_process_inside(foreign: Sandbox) -> None:
    data = bytes(range(256)) * 5000
    foreign.write("deep/er/file", data)
    foreign.write("/tmp/x y", b"")
    assert foreign.read("/testbed/deep/er/file") == data
    assert foreign.read("/tmp/x y") == b""
    assert foreign.run("cmp deep/er/file deep/er/file && echo mine >> deep/er/file", timeout=5).exit_code == 0
    assert foreign.changes() == {"deep/er/file": data + b"mine\n"}
    foreign.reset()
    assert foreign.changes() == {}


def test_errors_of_files_are_the_usual_ones(foreign: Sandbox) -> None:
    for path, error in (
        ("none", FileNotFoundError),
        ("/tmp", IsADirectoryError),
        ("/dev/zero", PermissionError),
        ("/etc/shadow", PermissionError),
    ):
        with pytest.raises(error):
            foreign.read(path)
    for path, error in (("/tmp", IsADirectoryError), ("/etc/x", PermissionError), ("/dev/null", PermissionError)):
        with pytest.raises(error):
            foreign.write(path, b"x")
    foreign.run(f"truncate -s {READ_LIMIT + 1} giant", timeout=5)
    with pytest.raises(OSError, match="larger than"):
        foreign.read("giant")


def test_a_timeout_ends_all_and_keeps_the_files(foreign: Sandbox) -> None:
    done = foreign.run("echo kept > kept; setsid sleep 300 & sleep 300", timeout=1)
    assert (done.exit_code, done.stopped) == (None, StopCause.TIMEOUT)
    assert "the shell was restarted" in done.output
    assert foreign.run("cat kept; grep -l ^sleep /proc/[0-9]*/cmdline", timeout=10).output == "kept\n"
    assert foreign.read("kept") == b"kept\n"


def test_a_shell_that_ends_is_replaced(foreign: Sandbox) -> None:
    assert foreign.run("exit 4", timeout=5).exit_code == 4
    assert foreign.run("cat a", timeout=5).output == "one\n"
