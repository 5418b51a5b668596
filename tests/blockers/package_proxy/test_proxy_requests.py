"""The frozen index as a hostile client meets it: requests that are none, slow, endless or too many."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from blockers.package_proxy import message
from blockers.package_proxy.door import Door, DoorLimits
from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.upstream import Upstream
from tests.blockers.package_proxy.asking import POLICY, exchange, get
from tests.blockers.toy_index import ToyIndex


@pytest.mark.parametrize(
    "request_",
    [
        b"GET http://192.0.2.1/simple/six/ HTTP/1.1\r\n\r\n",
        b"GET //192.0.2.1/simple/six/ HTTP/1.1\r\n\r\n",
        b"GET /simple/http://192.0.2.1/ HTTP/1.1\r\n\r\n",
        b"CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n",
        b"POST /simple/six/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"HEAD /simple/six/ HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /simple/six/ HTTP/0.9\r\n\r\n",
        b"GET /simple/six/\r\n\r\n",
        b"get /simple/six/ HTTP/1.1\r\n\r\n",
        b"GET  /simple/six/ HTTP/1.1\r\n\r\n",
        b"GET\t/simple/six/\tHTTP/1.1\r\n\r\n",
        b"\r\nGET /simple/six/ HTTP/1.1\r\n\r\n",
        b"GET /simple/six/\0 HTTP/1.1\r\n\r\n",
        b"GET /simple/s\xc3\xadx/ HTTP/1.1\r\n\r\n",
        b"GET /simple/six/\nHost: x HTTP/1.1\r\n\r\n",
        b"GET /simple/ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /simple/../simple/six/ HTTP/1.1\r\n\r\n",
        b"GET /simple/six/.. HTTP/1.1\r\n\r\n",
        b"GET /simple/../../etc/passwd HTTP/1.1\r\n\r\n",
        b"GET /simple/%73ix/ HTTP/1.1\r\n\r\n",
        b"GET /simple/six%2f..%2ftiny/ HTTP/1.1\r\n\r\n",
        b"GET /simple/six/?format=json HTTP/1.1\r\n\r\n",
        b"GET /simple/six/#x HTTP/1.1\r\n\r\n",
        b"GET /simple/six//tiny/ HTTP/1.1\r\n\r\n",
        b"GET /simple/-six/ HTTP/1.1\r\n\r\n",
        b"GET /files/six/../tiny/six-1.0-py3-none-any.whl HTTP/1.1\r\n\r\n",
        b"GET /files/six/six-1.0-py3-none-any.whl/../x.whl HTTP/1.1\r\n\r\n",
        b"GET /files/six/..%2fsix-1.0-py3-none-any.whl HTTP/1.1\r\n\r\n",
        b"GET /files/six/six-1.0.tar.gz HTTP/1.1\r\n\r\n",
        b"GET /files/six/six-1.0-py3-none-any.whl.metadata.metadata HTTP/1.1\r\n\r\n",
        b"GET /packages/six-1.0-py3-none-any.whl HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_whatever_is_no_plain_request_is_refused(toy: ToyIndex, door: Door, tmp_path: Path, request_: bytes) -> None:
    toy.add_wheel("six", "1.0", {"six.py": ""})
    status, _ = exchange(tmp_path, request_)
    assert status in (400, 404, 405)
    assert toy.asked == []
    assert [request.status for request in door.new_requests()] == [status]


def test_a_second_request_on_a_connection_is_not_read(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add_wheel("six", "1.0", {"six.py": ""})
    toy.add_wheel("attrs", "1.0", {"attr.py": ""})
    one = b"GET /simple/six/ HTTP/1.1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"
    two = b"0\r\n\r\nGET /simple/attrs/ HTTP/1.1\r\n\r\n"
    status, body = exchange(tmp_path, one + two)
    assert (status, json.loads(body)["name"]) == (200, "six")
    assert [path for path, _ in toy.asked] == ["/simple/six/"]
    assert len(door.new_requests()) == 1


def test_a_head_without_end_is_cut(door: Door, tmp_path: Path) -> None:
    assert exchange(tmp_path, b"GET /simple/six/ HTTP/1.1\r\nX: " + b"y" * 20_000)[0] in (431, 0)
    assert exchange(tmp_path, b"GET /simple/six/ HT", finish=True)[0] == 400
    until = time.monotonic() + 5
    while not (seen := door.new_requests()) and time.monotonic() < until:
        time.sleep(0.01)
    assert {request.status for request in seen} <= {431, 400, 0}


def test_a_slow_client_is_given_up(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "HEAD_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
        client.sendall(b"GET /simple")
        client.settimeout(20)
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_more_connections_than_allowed_are_closed(upstream: Upstream, tmp_path: Path) -> None:
    door = Door(FrozenIndex(upstream, POLICY), tmp_path, "door", limits=DoorLimits(connections=2))
    held = []
    for _ in range(2):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "door"))
        held.append(client)
    assert get(tmp_path, "/simple/six/") == (0, b"")
    for client in held:
        client.close()
    until = time.monotonic() + 5
    while get(tmp_path, "/simple/six/")[0] == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert get(tmp_path, "/simple/six/")[0] == 404
    door.close()


def test_requests_and_bytes_are_limited(toy: ToyIndex, upstream: Upstream, tmp_path: Path) -> None:
    content = toy.add_wheel("six", "1.0", {"six.py": "x = 1\n" * 500})
    path = "/files/six/six-1.0-py3-none-any.whl"
    limits = DoorLimits(requests=4, per_minute=3, bytes_sent=len(content) + 10)
    door = Door(FrozenIndex(upstream, POLICY), tmp_path, "door", limits=limits)
    assert [get(tmp_path, path)[0] for _ in range(5)] == [200, 429, 429, 429, 0]
    assert [request.reason for request in door.new_requests()][1:] == [
        f"more than {limits.bytes_sent} bytes in one episode",
        f"more than {limits.bytes_sent} bytes in one episode",
        "more than 3 requests in a minute",
    ]
    door.close()


def test_a_closed_door_is_gone_with_what_it_was_sending(toy: ToyIndex, upstream: Upstream, tmp_path: Path) -> None:
    toy.add_wheel("six", "1.0", {"big.bin": "".join(chr(33 + n * n % 90) for n in range(2_000_000))})
    before = threading.active_count()
    door = Door(FrozenIndex(upstream, POLICY), tmp_path, "door")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
        client.sendall(b"GET /files/six/six-1.0-py3-none-any.whl HTTP/1.1\r\n\r\n")
        assert client.recv(10)
        door.close()
        door.close()
    assert not (tmp_path / "door").exists()
    until = time.monotonic() + 5
    while threading.active_count() > before + 2 and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(FileNotFoundError):
        get(tmp_path, "/simple/six/")
