"""What Docker itself says of a sandbox's container, and what the kernel says inside: the hardening, line by line."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.base import Limits, Sandbox, SandboxSpec
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.docker.client import MACHINE_LABEL, OWNER_LABEL, docker_client
from agent_env.sandbox.hostroot import HOME_DIR
from agent_env.sandbox.seccomp import denied_names

pytestmark = pytest.mark.docker

LIMITS = Limits(memory_bytes=300 << 20, processes=77, cpus=0.5, file_bytes=5 << 20)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    tree = tmp_path_factory.mktemp("tree")
    tree.chmod(0o755)
    try:
        box = DockerBackend().create(SandboxSpec(layers=(tree,), limits=LIMITS))
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    yield box
    box.close()


@pytest.fixture(scope="module")
def container(box: Sandbox) -> dict[str, Any]:
    """What ``docker inspect`` says."""
    found: dict[str, Any] = docker_client().api.inspect_container(box._container._id)  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def status(box: Sandbox) -> dict[str, str]:
    """``/proc/self/status`` of a command."""
    lines = box.run("cat /proc/self/status", timeout=5).output.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def first(box: Sandbox) -> int:
    """The host's number of the container's first process."""
    pid: int = box._tree.first.pid  # type: ignore[attr-defined]
    return pid


def test_no_network(container: dict[str, Any]) -> None:
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert not container["HostConfig"]["PortBindings"]
    assert [network["IPAddress"] for network in container["NetworkSettings"]["Networks"].values()] == [""]


def test_no_capability_and_no_way_to_one(container: dict[str, Any], status: dict[str, str]) -> None:
    config = container["HostConfig"]
    assert (config["CapDrop"], config["CapAdd"], config["Privileged"]) == (["ALL"], None, False)
    assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert "no-new-privileges:true" in config["SecurityOpt"]
    assert status["NoNewPrivs"] == "1"


def test_the_first_process_has_none_either(box: Sandbox) -> None:
    lines = Path(f"/proc/{first(box)}/status").read_text().splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert {found[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert "0" not in found["Uid"].split()


def test_a_system_call_filter_that_denies_by_default(container: dict[str, Any], status: dict[str, str]) -> None:
    (profile,) = [option for option in container["HostConfig"]["SecurityOpt"] if option.startswith("seccomp=")]
    assert '"defaultAction": "SCMP_ACT_ERRNO"' in profile
    assert [name for name in denied_names() if _allows(profile.partition("=")[2], name)] == []
    assert status["Seccomp"] == "2"


def _allows(profile: str, name: str) -> bool:
    """Whether a profile allows a call to who has no capability."""
    return any(
        name in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("includes", {}).get("caps")
        for rule in json.loads(profile)["syscalls"]
    )


def test_a_read_only_root(container: dict[str, Any], box: Sandbox) -> None:
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    mounts = box.run("cat /proc/self/mounts", timeout=5).output.splitlines()
    writable = {line.split()[1] for line in mounts if line.split()[3].split(",")[0] == "rw"}
    assert writable - {"/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys/fs/cgroup"} - _masks(mounts) == {
        *("/dev/shm", "/testbed", "/tmp", HOME_DIR)
    }


def _masks(mounts: list[str]) -> set[str]:
    """Empty stand-ins that Docker lays over parts of /proc and /sys."""
    return {line.split()[1] for line in mounts if line.split()[1].startswith(("/proc/", "/sys/"))}


def test_limits(container: dict[str, Any], box: Sandbox) -> None:
    config = container["HostConfig"]
    assert (config["Memory"], config["MemorySwap"]) == (LIMITS.memory_bytes, LIMITS.memory_bytes)
    assert (config["PidsLimit"], config["NanoCpus"]) == (LIMITS.processes, LIMITS.cpus * 1e9)
    limits = {one["Name"]: (one["Soft"], one["Hard"]) for one in config["Ulimits"]}
    assert limits == {"fsize": (LIMITS.file_bytes, LIMITS.file_bytes), "core": (0, 0), "nofile": (1024, 4096)}
    assert box.run("ulimit -f; ulimit -c", timeout=5).output.split() == [str(LIMITS.file_bytes // 1024), "0"]


def test_an_ordinary_user(container: dict[str, Any], status: dict[str, str]) -> None:
    assert container["Config"]["User"] == f"{os.geteuid() or 1000}:{os.getegid() or 1000}"
    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    assert status["Groups"] in ("", str(os.getegid() or 1000))


def test_no_socket_of_the_host(container: dict[str, Any], box: Sandbox) -> None:
    for mount in container["Mounts"]:
        source = Path(mount["Source"])
        assert "docker.sock" not in str(source)
        assert mount["Type"] == "volume" or not stat.S_ISSOCK(source.stat().st_mode)
    assert box.run("find / -xdev -type s 2>/dev/null; ls /var/run/docker.sock 2>/dev/null", timeout=30).output == ""


def test_namespaces_of_its_own(container: dict[str, Any], box: Sandbox) -> None:
    config = container["HostConfig"]
    assert config["IpcMode"] == "private"
    assert (config["PidMode"], config["UTSMode"], config["UsernsMode"]) == ("", "", "")
    for name in ("ipc", "net", "pid", "mnt", "uts"):
        assert Path(f"/proc/{first(box)}/ns/{name}").readlink() != Path(f"/proc/self/ns/{name}").readlink(), name


def test_no_device_of_the_host(container: dict[str, Any], box: Sandbox) -> None:
    config = container["HostConfig"]
    assert not config["Devices"]
    assert not config["DeviceRequests"]
    assert not config["DeviceCgroupRules"]
    names = set(box.run("ls /dev", timeout=5).output.split())
    assert names <= {
        *("core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
        *("stderr", "stdin", "stdout", "tty", "urandom", "zero", "console"),
    }


def test_no_mount_leads_back_to_the_host(box: Sandbox) -> None:
    lines = Path(f"/proc/{first(box)}/mountinfo").read_text().splitlines()
    assert lines
    assert [line for line in lines if " shared:" in line] == []


def test_a_mount_of_the_hosts_does_not_open_the_work_tree_to_devices_or_setuid(box: Sandbox) -> None:
    lines = box.run("grep ' /testbed overlay ' /proc/self/mounts", timeout=5).output.splitlines()
    if os.geteuid() == 0:
        assert {"nosuid", "nodev"} <= set(lines[-1].split()[3].split(","))


def test_labels_say_whose_it_is(container: dict[str, Any]) -> None:
    labels = container["Config"]["Labels"]
    assert labels[OWNER_LABEL].startswith(f"{os.getpid()}-")
    assert labels[MACHINE_LABEL]
    assert container["Name"].startswith("/repodojo-")


def test_nothing_is_logged_by_the_daemon(container: dict[str, Any]) -> None:
    assert container["HostConfig"]["LogConfig"]["Type"] == "none"


def test_the_variables_tell_nothing_of_the_host(box: Sandbox) -> None:
    assert socket.gethostname() not in box.run("env; hostname", timeout=5).output
