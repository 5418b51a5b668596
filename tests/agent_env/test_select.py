"""Choosing a backend: by name, or the first that works; what is missing is named along with how to mend it."""

import sys
from pathlib import Path

import pytest

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox import bubblewrap
from agent_env.sandbox.docker import DockerBackend, client
from agent_env.sandbox.select import select_backend
from tasks.errors import BadInputError


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose bwrap says what a kernel without user namespaces makes it say."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find_program", lambda: program)


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(client, "_clients", {})


def test_auto_takes_bubblewrap_where_it_works() -> None:
    assert select_backend().name == "bubblewrap"
    assert select_backend("bubblewrap").name == "bubblewrap"


def test_an_unknown_name_is_bad_input_and_the_known_are_told() -> None:
    for name in ("podman", "docker:", "bubblewrap:runsc", "auto:runsc", ""):
        with pytest.raises(BadInputError, match=rf"{name!r}.*auto, bubblewrap, docker or docker:RUNTIME"):
            select_backend(name)


@pytest.mark.usefixtures("no_docker")
def test_docker_asked_for_and_absent_says_how_to_mend_it() -> None:
    with pytest.raises(BackendUnavailableError, match=r"no Docker daemon answers.*start it"):
        select_backend("docker")


@pytest.mark.usefixtures("no_docker", "no_bubblewrap")
def test_auto_with_neither_names_both_problems() -> None:
    with pytest.raises(BackendUnavailableError) as caught:
        select_backend()
    assert "apparmor_restrict_unprivileged_userns" in str(caught.value)
    assert "no Docker daemon answers" in str(caught.value)


def test_a_daemon_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setattr(client, "_clients", {})
    with pytest.raises(BackendUnavailableError, match=r"must run on this machine.*tcp://127\.0\.0\.1:1"):
        DockerBackend().reap()


def test_no_docker_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    monkeypatch.setattr(client, "_clients", {})
    with pytest.raises(BackendUnavailableError, match=r"pip install 'repodojo\[docker\]'"):
        DockerBackend().reap()
