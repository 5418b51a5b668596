"""The probe matrix: every way out that we could think of, one check each. Where the machine allows, a check first shows
that the same probe succeeds outside, so that it cannot pass by being broken; and inside it must be refused at once, so
that a peer that was reached and is silent does not count as a wall.
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent_env.interpreter import Interpreter
from agent_env.packages.service import PackageAccess, PackageService
from agent_env.sandbox.base import Sandbox, SandboxBackend, SandboxSpec
from blockers.package_proxy.policy import make_policy
from tests.conformance.commands import MakeSandbox, text

_PREAMBLE = """
import errno, os, socket
def say(work):
    try: print('OUT', work())
    except OSError as error: print('NO', errno.errorcode.get(error.errno, type(error).__name__))
    except Exception as error: print('NO', type(error).__name__)
def tcp(address, family=socket.AF_INET):
    s = socket.socket(family); s.settimeout(2); s.connect(address); return s.recv(4)
def udp(address, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(2); s.connect(address)
    s.send(b'?'); return s.recv(4)  # connected, so that the kernel tells who refuses
"""

_REFUSED = {"EACCES", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "EPERM"}
"""How the kernel says at once that nothing leaves; a timeout is not among them."""

_NOBODY = "ECONNREFUSED"
"""How the sandbox's own loopback answers, where nobody listens."""


def outside(code: str) -> str:
    """What the probe prints on the host."""
    done = subprocess.run([sys.executable, "-I", "-c", _PREAMBLE + code], capture_output=True, text=True, check=True)
    return done.stdout


def inside(box: Sandbox, python: str, code: str) -> str:
    """What the same prints in the sandbox."""
    box.write("/tmp/probe.py", (_PREAMBLE + code).encode())
    return text(box, f"{python} /tmp/probe.py")


@pytest.fixture(scope="module", params=["closed", pytest.param("packages", marks=pytest.mark.slow)])
def box(
    request: pytest.FixtureRequest, backend: SandboxBackend, make: MakeSandbox, tree: Path, interpreter: Interpreter
) -> Iterator[Sandbox]:
    """A sandbox, and one with the way to the package index: no other way may be open in it either."""
    if request.param == "closed":
        sandbox = make()
        yield sandbox
        sandbox.close()
        return
    service = PackageService("http://127.0.0.1:9/simple")
    policy = make_policy(until=datetime(2025, 1, 1, tzinfo=UTC), projects={"tiny"}, modules=(), files=())
    access = PackageAccess(service, policy, ())
    sandbox = backend.create(access.extend(SandboxSpec(layers=(tree,), mounts=interpreter.mounts())))
    access.hand_over(sandbox)
    yield sandbox
    sandbox.close()
    access.close()
    service.close()


@pytest.fixture(scope="module")
def answering() -> Iterator[dict[str, object]]:
    """Servers of the host that answer ``open``: addresses by kind."""
    with contextlib.ExitStack() as stack:
        found: dict[str, object] = {}
        name = f"repodojo-probe-{secrets.token_hex(4)}"
        kinds: list[tuple[str, int, object]] = [
            ("tcp", socket.AF_INET, ("127.0.0.1", 0)),
            ("everywhere", socket.AF_INET, ("0.0.0.0", 0)),
            ("abstract", socket.AF_UNIX, f"\0{name}"),
            ("unix", socket.AF_UNIX, f"/dev/shm/{name}"),
        ]
        if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
            kinds.append(("tcp6", socket.AF_INET6, ("::1", 0)))
        for kind, family, address in kinds:
            server = stack.enter_context(socket.socket(family))
            try:
                server.bind(address)  # type: ignore[arg-type]
            except OSError:
                if kind != "tcp6":
                    raise
                continue  # no loopback of IPv6 here
            server.listen()
            threading.Thread(target=_answer, args=(server,), daemon=True).start()
            found[kind] = server.getsockname()
        echo = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        echo.bind(("127.0.0.1", 0))
        threading.Thread(target=_echo, args=(echo,), daemon=True).start()
        found["udp"] = echo.getsockname()
        stack.callback(lambda: Path(f"/dev/shm/{name}").unlink(missing_ok=True))
        yield found


def _answer(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            asking, _ = server.accept()
            with asking:
                asking.send(b"open")


def _echo(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            _, asking = server.recvfrom(16)
            server.sendto(b"open", asking)


def refusal(box: Sandbox, python: str, code: str, *, opens: bool = False) -> str:
    """The name of the error that the probe meets in the sandbox.

    Args:
        opens: whether the same probe must succeed outside.
    """
    if opens:
        assert outside(code).split()[0] == "OUT"
    word, said = inside(box, python, code).split(maxsplit=1)
    assert word == "NO", said
    return said.strip()


def test_a_silent_peer_is_not_taken_for_a_wall() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert outside(f"say(lambda: udp({silent.getsockname()!r}))") == "NO TimeoutError\n"


def test_tcp_to_the_hosts_loopback(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    assert refusal(box, python, f"say(lambda: tcp({answering['tcp']!r}))", opens=True) == _NOBODY


def test_tcp_to_an_address_of_the_host(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    listening = answering["everywhere"]
    assert isinstance(listening, tuple)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        with contextlib.suppress(OSError):  # a host without a network has its loopback alone
            asking.connect(("192.0.2.1", 9))  # sends nothing, but chooses the address that leads outwards
        host = asking.getsockname()[0]
    address = ("127.0.0.1" if host == "0.0.0.0" else host, listening[1])
    expected = {_NOBODY} if address[0] == "127.0.0.1" else _REFUSED
    assert refusal(box, python, f"say(lambda: tcp({address!r}))", opens=True) in expected


def test_tcp_by_ipv6(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    code = f"say(lambda: tcp({answering.get('tcp6', ('::1', 9))!r}, socket.AF_INET6))"
    opens = "tcp6" in answering  # a host may have no IPv6
    assert refusal(box, python, code, opens=opens) in {_NOBODY, *_REFUSED}  # and a sandbox no loopback of it


def test_udp_to_the_hosts_loopback(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    assert refusal(box, python, f"say(lambda: udp({answering['udp']!r}))", opens=True) == _NOBODY


def test_an_abstract_socket_of_the_host(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    name = answering["abstract"]
    name = name.decode() if isinstance(name, bytes) else name
    assert refusal(box, python, f"say(lambda: tcp({name!r}, socket.AF_UNIX))", opens=True) == _NOBODY


def test_a_unix_socket_of_the_host(box: Sandbox, python: str, answering: dict[str, object]) -> None:
    assert refusal(box, python, f"say(lambda: tcp({answering['unix']!r}, socket.AF_UNIX))", opens=True) == "ENOENT"


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.2.1", "10.0.0.1", "172.17.0.1"],
    ids=["metadata", "task-metadata", "other-metadata", "public", "private", "docker-bridge"],
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_no_route_leads_to(box: Sandbox, python: str, kind: str, address: str) -> None:
    assert refusal(box, python, f"say(lambda: {kind}(({address!r}, 80)))") in _REFUSED


def test_no_route_leads_to_a_group(box: Sandbox, python: str) -> None:
    assert refusal(box, python, "say(lambda: udp(('224.0.0.1', 80)))") in _REFUSED  # by TCP it is refused everywhere


@pytest.mark.parametrize("address", ["2001:db8::1", "fd00:ec2::254"])
def test_no_route_of_ipv6_leads_to(box: Sandbox, python: str, address: str) -> None:
    assert refusal(box, python, f"say(lambda: udp(({address!r}, 80), socket.AF_INET6))") in _REFUSED


@pytest.mark.parametrize("address", ["fe80::1", "ff02::1"])
def test_no_interface_leads_to(box: Sandbox, python: str, address: str) -> None:
    # Without an interface the address is refused for its form, whatever there is to reach.
    code = (
        f"for index, name in socket.if_nameindex():\n    say(lambda: udp(({address!r}, 80, 0, index), socket.AF_INET6))"
    )
    words = inside(box, python, code).split()
    assert {*words[::2]} == {"NO"}
    assert {*words[1::2]} <= _REFUSED


def test_there_is_no_route_at_all(box: Sandbox) -> None:
    assert text(box, "tail -n +2 /proc/net/route") == ""


def test_all_routes_of_ipv6_end_at_the_loopback(box: Sandbox) -> None:
    lines = text(box, "cat /proc/net/ipv6_route 2>/dev/null || true").splitlines()  # none where IPv6 is off
    assert {line.split()[-1] for line in lines} <= {"lo"}


def test_no_name_is_resolved(box: Sandbox, python: str) -> None:
    code = "say(lambda: socket.getaddrinfo('pypi.org', 443)); say(lambda: socket.gethostbyname('example.org'))"
    assert inside(box, python, code).split() == ["NO", "gaierror"] * 2


def test_no_server_of_names_is_known(box: Sandbox) -> None:
    assert text(box, "grep -h nameserver /etc/resolv.conf || true") == ""


@pytest.mark.parametrize("address", ["127.0.0.53", "127.0.0.11", "8.8.8.8"], ids=["resolved", "docker", "public"])
def test_a_question_to_a_server_of_names_is_not_answered(box: Sandbox, python: str, address: str) -> None:
    question = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x07example\x03org\x00\x00\x01\x00\x01"
    code = (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
        f"def ask(): s.connect(({address!r}, 53)); s.send({question!r}); return s.recv(99)\n"
        "say(ask)"
    )
    assert refusal(box, python, code) in ({_NOBODY} if address.startswith("127.") else _REFUSED)


def test_icmp_does_not_leave(box: Sandbox, python: str) -> None:
    code = (
        "def ping():\n"
        "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(1)\n"
        "    s.sendto(b'\\x08\\0\\0\\0\\0\\1\\0\\1', ('192.0.2.1', 0)); return s.recv(99)\n"
        "say(ping)"
    )
    assert refusal(box, python, code) in _REFUSED


@pytest.mark.parametrize(
    "arguments",
    [
        "socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP",
        "socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW",
        "socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6",
        "socket.AF_PACKET, socket.SOCK_RAW, 768",
        "socket.AF_PACKET, socket.SOCK_DGRAM, 768",
    ],
    ids=["icmp", "ip", "icmp6", "packet", "packet-datagram"],
)
def test_a_raw_socket_is_refused(box: Sandbox, python: str, arguments: str) -> None:
    code = f"say(lambda: socket.socket({arguments}) and 1)"
    assert refusal(box, python, code, opens=os.geteuid() == 0) in _REFUSED


def test_a_vsock_cannot_be_made(box: Sandbox, python: str) -> None:
    # No namespace holds it back: one that is made reaches the host of this virtual machine, if that listens.
    code = "say(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) and 1)"
    assert refusal(box, python, code) in _REFUSED


def test_netlink_adds_no_address(box: Sandbox, python: str) -> None:
    code = (
        "import struct\n"
        "def add():\n"
        "    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); s.settimeout(2)\n"
        "    body = struct.pack('=BBBBi', 2, 24, 0, 0, 1) + struct.pack('=HH4s', 8, 2, bytes([10, 9, 9, 9]))\n"
        "    s.send(struct.pack('=IHHII', 16 + len(body), 20, 5, 1, 0) + body)\n"
        "    number = struct.unpack_from('=i', s.recv(999), 16)[0]\n"
        "    if number: raise OSError(-number, 'refused')\n"
        "    return 1\n"
        "say(add)"
    )
    assert refusal(box, python, code) in _REFUSED


def test_a_namespace_of_the_host_cannot_be_entered(box: Sandbox) -> None:
    before = text(box, "readlink /proc/self/ns/net").strip()
    assert before != str(Path("/proc/self/ns/net").readlink())
    assert box.run("nsenter --net=/proc/1/ns/net true", timeout=5).exit_code != 0


def test_no_proxy_is_named(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "PIP_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    box.reset()
    assert text(box, "env | grep -iE 'proxy|index|registry|mirror' || true") == ""


def test_no_registry_is_configured(box: Sandbox) -> None:
    places = "/etc/pip.conf ~/.pip ~/.config/pip ~/.config/uv ~/.pypirc ~/.npmrc ~/.netrc ~/.cargo ~/.condarc"
    assert text(box, f"ls -d {places} 2>/dev/null || true") == ""


def test_no_socket_of_a_daemon_is_there(box: Sandbox) -> None:
    shown = text(box, "find / -xdev -type s 2>/dev/null; find /run /var/run /tmp /dev -type s 2>/dev/null; true")
    assert shown == ""


def test_two_sandboxes_do_not_reach_each_other(box: Sandbox, fresh: Sandbox, python: str) -> None:
    code = (
        "s = socket.create_server(('0.0.0.0', 4321))\n"
        "a = socket.socket(socket.AF_UNIX); a.bind('\\0meet'); a.listen()\n"
        "print('ready', flush=True)\nimport time; time.sleep(60)"
    )
    fresh.write("/tmp/serve.py", (_PREAMBLE + code).encode())
    text(fresh, f"{python} /tmp/serve.py > /tmp/out 2>&1 & until grep -q ready /tmp/out; do sleep 0.05; done")
    probe = "say(lambda: tcp(('127.0.0.1', 4321))); say(lambda: tcp('\\0meet', socket.AF_UNIX))"
    assert inside(box, python, probe).split() == ["NO", _NOBODY] * 2
