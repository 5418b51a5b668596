"""What the code inside cannot reach, be or use up."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_env.interpreter import Interpreter
from agent_env.sandbox.base import Limits, Mount, Sandbox, SandboxBackend, StopCause
from agent_env.sandbox.residence import passing_residence, residence_base
from tasks.home import home
from tests.conformance.commands import MakeSandbox, text

REFUSED = "EPERM"


def syscall(box: Sandbox, python: str, code: str) -> str:
    """What Python code inside prints; ``call(NAME, ...)`` calls the C library and prints the name of the error."""
    program = (
        "import ctypes, errno, os, socket\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(name, *args):\n"
        "    done = getattr(libc, name)(*args)\n"
        "    print('ok' if done >= 0 else errno.errorcode[ctypes.get_errno()])\n" + code
    )
    box.write("/tmp/call.py", program.encode())
    return text(box, f"{python} /tmp/call.py").strip()


@pytest.fixture
def listener() -> Iterator[int]:
    """A server on the host's loopback; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_user_is_not_root(box: Sandbox) -> None:
    assert text(box, "id -u; id -un; id -G").split()[:2] == [str(os.geteuid() or 1000), "agent"] or (
        text(box, "id -u").strip() == "1000"
    )


def test_there_are_no_capabilities(box: Sandbox) -> None:
    lines = text(box, "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status").split("\n")[:5]
    assert [line.split()[1] for line in lines] == ["0" * 16] * 5


def test_no_new_privileges_and_a_system_call_filter_hold(box: Sandbox) -> None:
    assert text(box, "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status").split() == [
        "NoNewPrivs:",
        "1",
        "Seccomp:",
        "2",
    ]


def test_a_setuid_program_gives_nothing(make: MakeSandbox, interpreter: Interpreter, tmp_path: Path) -> None:
    shutil.copy("/usr/bin/id", tmp_path / "id")
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(tmp_path / "id", 0, 0)
    (tmp_path / "id").chmod(0o4755)  # after the change of owner, which clears the bit
    if os.geteuid() == 0:  # the bit works outside; found by the folder, as nobody may not pass those above it
        done = subprocess.run(["./id", "-u"], cwd=tmp_path, user=65534, capture_output=True, text=True, check=True)
        if done.stdout != "0\n":
            pytest.skip("this machine itself ignores the setuid bit")

    box = make(mounts=(*interpreter.mounts(), Mount(source=tmp_path, target="/opt/extra")))
    try:
        own = text(box, "test -u /opt/extra/id && id -u")
        assert own != "0\n"
        assert text(box, "/opt/extra/id -u") == own
    finally:
        box.close()


def test_no_other_user_can_be_taken_on(box: Sandbox, python: str) -> None:
    refused = {REFUSED, "EINVAL"}  # the latter where there is no root to become
    assert {
        *syscall(box, python, "call('setuid', 0); call('setresuid', 0, 0, 0); call('setgid', 0)").split()
    } <= refused


def test_there_is_only_a_loopback_interface(box: Sandbox) -> None:
    lines = text(box, "cat /proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_no_address_is_reachable(box: Sandbox, python: str) -> None:
    code = (
        "for address in ('192.0.2.1', '169.254.169.254', '10.0.0.1'):\n"
        "    s = socket.socket(); s.settimeout(2)\n"
        "    print(errno.errorcode.get(s.connect_ex((address, 80))))"
    )
    assert syscall(box, python, code).split() == ["ENETUNREACH"] * 3


def test_no_name_resolves(box: Sandbox, python: str) -> None:
    code = "try: print(socket.gethostbyname('example.org'))\nexcept OSError: print('none')"
    assert syscall(box, python, code) == "none"


def test_the_hosts_loopback_is_another(box: Sandbox, python: str, listener: int) -> None:
    code = f"s = socket.socket(); print(errno.errorcode.get(s.connect_ex(('127.0.0.1', {listener}))))"
    assert syscall(box, python, code) == "ECONNREFUSED"


def test_the_hosts_abstract_sockets_are_not_to_be_seen(box: Sandbox, python: str) -> None:
    name = f"\0repodojo-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        code = f"s = socket.socket(socket.AF_UNIX); print(errno.errorcode.get(s.connect_ex({name!r})))"
        assert syscall(box, python, code) == "ECONNREFUSED"


def test_raw_and_packet_sockets_are_refused(box: Sandbox, python: str) -> None:
    code = (
        "for family, protocol in ((socket.AF_INET, socket.IPPROTO_ICMP), (socket.AF_PACKET, 768)):\n"
        "    try: socket.socket(family, socket.SOCK_RAW, protocol); print('ok')\n"
        "    except PermissionError: print('EPERM')"
    )
    assert syscall(box, python, code).split() == [REFUSED] * 2


def test_the_own_loopback_works(box: Sandbox, python: str) -> None:
    code = "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('connected')"
    assert syscall(box, python, code) == "connected"


def test_there_is_no_socket_of_a_daemon(box: Sandbox) -> None:
    assert text(box, "ls /run/docker.sock /var/run/docker.sock /run/containerd /run/dbus 2>/dev/null || true") == ""


def test_the_hosts_processes_are_invisible(box: Sandbox) -> None:
    assert box.run(f"ls /proc/{os.getpid()}/cmdline", timeout=5).exit_code != 0 or os.getpid() < 100
    assert int(text(box, "ls -d /proc/[0-9]* | wc -l")) < 12


@pytest.fixture
def planted() -> Iterator[list[Path]]:
    """Files of the host that everybody may read: beside the sandboxes' own, in RepoDojo's cache, and elsewhere."""
    home().mkdir(parents=True, exist_ok=True)
    with (
        passing_residence(residence_base()) as residence,
        tempfile.TemporaryDirectory(prefix="repodojo-test-", dir=home()) as cached,
        tempfile.TemporaryDirectory(prefix="repodojo-test-", dir="/var/tmp") as elsewhere,
    ):
        paths = [Path(folder).resolve() / "planted-by-the-host" for folder in (residence, cached, elsewhere)]
        for path in paths:
            path.parent.chmod(0o755)
            path.write_text("host only")
            path.chmod(0o644)
        yield paths


def test_the_hosts_files_are_invisible(box: Sandbox, planted: list[Path]) -> None:
    for path in planted:
        assert path.read_text() == "host only"
        assert "host only" not in box.run(f"cat {path} /proc/self/root{path}", timeout=5).output
    search = f"find / -path /proc -prune -o -name {planted[0].name} -print 2>/dev/null; echo searched"
    assert box.run(search, timeout=60).output == "searched\n"


def test_nothing_outside_the_writable_places_can_be_written(box: Sandbox) -> None:
    for place in ("/usr/bin", "/etc", "/", "/opt", "/dev", "/proc/sys/kernel", "/usr/local/lib"):
        assert box.run(f"touch {place}/x", timeout=5).exit_code != 0, place


def test_kernel_settings_cannot_be_changed(box: Sandbox) -> None:
    text(box, "cat /proc/sys/vm/swappiness")
    for name in ("kernel/core_pattern", "vm/swappiness", "kernel/hostname"):
        assert box.run(f"cat /proc/sys/{name} > /tmp/now && cat /tmp/now > /proc/sys/{name}", timeout=5).exit_code != 0


@pytest.mark.parametrize(
    "call",
    [
        "call('ptrace', 16, os.getppid(), 0, 0)",
        "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "call('umount2', b'/proc', 2)",
        "call('unshare', 0x10000000)",
        "call('unshare', 0x20000)",
        "call('setns', os.open('/proc/self/ns/net', 0), 0)",
        "call('chroot', b'/tmp')",
        "call('syscall', 321, 0, None, 0)",
        "call('syscall', 250, 0, 0)",
        "call('syscall', 425, 8, None)",
        "call('syscall', 304, 0, None, 0)",
        "call('syscall', 310, os.getppid(), None, 0, None, 0, 0)",
        "call('sethostname', b'x', 1)",
        "call('reboot', 0)",
        "call('fcntl', os.open('/tmp/call.py', os.O_RDWR), 1024, 1)",
        "call('syscall', 72, os.open('/tmp/call.py', os.O_RDWR), ctypes.c_long(1 << 32 | 1024), 1)",
        "call('clock_settime', 0, ctypes.byref((ctypes.c_long * 2)(0, 0)))",
    ],
    ids=[
        *("ptrace", "mount", "umount", "user-namespace", "mount-namespace", "setns", "chroot", "bpf", "keyctl"),
        *("io_uring", "open_by_handle", "process_vm_readv", "hostname", "reboot"),
        *("lease", "lease-wide", "clock"),
    ],
)
def test_a_dangerous_call_is_refused(box: Sandbox, python: str, call: str) -> None:
    assert syscall(box, python, call) == REFUSED


def test_other_uses_of_fcntl_are_allowed(box: Sandbox, python: str) -> None:
    code = (
        "import fcntl\nfile = os.memfd_create('x', os.MFD_ALLOW_SEALING)\n"
        "for command in (*range(5), 1025, *range(1030, 1035)):\n"
        "    try: fcntl.fcntl(file, command, 0)\n"
        "    except OSError as error: assert error.errno != errno.EPERM, command\n"
        "print('done')"
    )
    assert syscall(box, python, code) == "done"


def test_a_new_user_namespace_by_clone_is_refused(box: Sandbox, python: str) -> None:
    assert box.run("unshare -Ur true", timeout=5).exit_code != 0
    assert syscall(box, python, "call('syscall', 56, 0x10000000 | 17, None, None, None, None)") == REFUSED
    assert syscall(box, python, "call('syscall', 435, None, 0)") in ("ENOSYS", REFUSED)


def test_device_nodes_cannot_be_made(box: Sandbox) -> None:
    for node in ("/tmp/node b 8 0", "/tmp/node c 1 1", "/testbed/whiteout c 0 0"):
        assert box.run(f"mknod {node}", timeout=5).exit_code != 0, node


def test_no_disk_is_among_the_devices(box: Sandbox) -> None:
    assert text(box, "find /dev -type b") == ""
    assert box.run("ls /dev/mem /dev/kmsg /dev/kvm /dev/fuse", timeout=5).exit_code != 0


def test_shared_memory_is_there_and_small(box: Sandbox, python: str) -> None:
    text(box, f"{python} -c 'import multiprocessing as m; m.Lock()'; echo x > /dev/shm/x; rm /dev/shm/x")
    assert box.run("head -c 700000000 /dev/zero > /dev/shm/big", timeout=20).exit_code != 0
    text(box, "rm -f /dev/shm/big")


def test_the_clock_is_the_hosts(box: Sandbox) -> None:
    before = int(time.time())
    assert before <= int(text(box, "date +%s")) <= time.time()


def test_hostname_is_the_same_everywhere(box: Sandbox) -> None:
    assert text(box, "cat /proc/sys/kernel/hostname; uname -n") == "repodojo\nrepodojo\n"


def test_the_environment_holds_nothing_of_the_hosts(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {line.partition("=")[0] for line in text(box, "env").splitlines()}
    allowed = "PATH VIRTUAL_ENV HOME USER LANG TERM PAGER GIT_PAGER PYTHONDONTWRITEBYTECODE PWD OLDPWD SHLVL _ HOSTNAME"
    assert names <= set(allowed.split())


def test_variables_of_the_spec_come_in(make: MakeSandbox) -> None:
    box = make(variables={"A": "b c", "PATH": "/usr/bin:/bin"})
    try:
        assert text(box, "echo $A; echo $PATH") == "b c\n/usr/bin:/bin\n"
    finally:
        box.close()


def test_memory_beyond_the_limit_is_told_as_such(make: MakeSandbox, python: str, tells_causes: bool) -> None:
    box = make(limits=Limits(memory_bytes=96 << 20))
    try:
        done = box.run(f"{python} -c 'x = bytearray(300 << 20)'", timeout=20)
        assert done.exit_code != 0
        if tells_causes:
            assert done.stopped is StopCause.OUT_OF_MEMORY
        assert text(box, "echo ok") == "ok\n"
    finally:
        box.close()


def test_files_in_tmp_count_as_memory(make: MakeSandbox, tells_causes: bool) -> None:
    if not tells_causes:
        pytest.skip("without control groups the limit is one of address space")
    box = make(limits=Limits(memory_bytes=96 << 20))
    try:
        done = box.run("head -c 300000000 /dev/zero > /tmp/big", timeout=20)
        assert done.stopped is StopCause.OUT_OF_MEMORY
    finally:
        box.close()


def test_an_ordinary_failure_is_not_told_as_memory(box: Sandbox) -> None:
    assert box.run("kill -9 $BASHPID & wait $!", timeout=5).stopped is None


def test_processes_beyond_the_limit_cannot_start(make: MakeSandbox) -> None:
    box = make(limits=Limits(processes=30))
    try:
        done = box.run("for i in {1..60}; do sleep 20 & done 2>&1", timeout=3)
        assert "fork" in done.output
        box.run("sleep 30", timeout=0.3)
        assert text(box, "echo ok").endswith("ok\n")  # the shell may still tell of jobs that were killed
    finally:
        box.close()


def test_two_sandboxes_see_nothing_of_each_other(box: Sandbox, fresh: Sandbox) -> None:
    text(fresh, "echo secret > /tmp/mine; echo secret > mine; sleep 77 & true")
    assert text(box, "ls /tmp/mine mine 2>/dev/null; grep -l ^sleep /proc/[0-9]*/cmdline; true") == ""


def test_many_sandboxes_at_once_keep_their_answers_apart(make: MakeSandbox, backend: SandboxBackend) -> None:
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        box = make()
        try:
            answers[number] = "".join(text(box, f"echo {number}-{turn}") for turn in range(20))
        finally:
            box.close()

    count = 8 if backend.name == "bubblewrap" else 3
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: "".join(f"{number}-{turn}\n" for turn in range(20)) for number in range(count)}
