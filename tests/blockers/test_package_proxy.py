"""The frozen index as a hostile client meets it: over its unix socket, byte by byte, before a real upstream."""

import hashlib
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blockers.package_proxy import message
from blockers.package_proxy.cache import ContentError, FileCache
from blockers.package_proxy.door import Door, DoorLimits
from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.policy import make_policy
from blockers.package_proxy.upstream import Upstream
from tasks.errors import BadInputError
from tests.blockers.toy_index import JSON_PAGE, NEW, ToyIndex, serve_toy_index, wheel

SOURCE = "def solve():\n    return 'the answer'\n" * 20
POLICY = make_policy(
    until=datetime(2025, 1, 1, tzinfo=UTC),
    projects={"Py_Tiny"},
    modules={"tiny"},
    files={(zlib.crc32(SOURCE.encode()), len(SOURCE)), (zlib.crc32(b""), 0)},
)


@pytest.fixture
def toy() -> Iterator[ToyIndex]:
    with serve_toy_index() as index:
        yield index


@pytest.fixture
def upstream(toy: ToyIndex, tmp_path: Path) -> Upstream:
    return Upstream(f"{toy.url}/simple", FileCache(tmp_path / "cache"))


@pytest.fixture
def door(upstream: Upstream, tmp_path: Path) -> Iterator[Door]:
    opened = Door(FrozenIndex(upstream, POLICY), tmp_path, "door")
    yield opened
    opened.close()


def exchange(folder: Path, request: bytes, *, finish: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes; (0, what came) where it is no answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(folder / "door"))
        try:
            client.sendall(request)
            if finish:
                client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head[9:12]), body) if head.startswith(b"HTTP/1.1 ") else (0, answer)


def get(folder: Path, path: str) -> tuple[int, bytes]:
    return exchange(folder, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def page(folder: Path, name: str) -> dict[str, Any]:
    status, body = get(folder, f"/simple/{name}/")
    assert status == 200, body
    return dict(json.loads(body))


def names(folder: Path, name: str) -> list[str]:
    return [entry["filename"] for entry in page(folder, name)["files"]]


def test_a_wheel_is_listed_and_served_by_the_host_itself(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    content = toy.add_wheel("six", "1.0", {"six.py": "x = 1\n"})
    shown = page(tmp_path, "Six")
    (entry,) = shown["files"]
    assert entry["hashes"] == {"sha256": hashlib.sha256(content).hexdigest()}
    assert entry["url"] == "../../files/six/six-1.0-py3-none-any.whl"
    assert shown["versions"] == ["1.0"]
    assert toy.url not in json.dumps(shown)
    assert get(tmp_path, "/files/six/six-1.0-py3-none-any.whl") == (200, content)
    assert [(request.line, request.status) for request in door.new_requests()] == [
        ("GET /simple/Six/ HTTP/1.1", 200),
        ("GET /files/six/six-1.0-py3-none-any.whl HTTP/1.1", 200),
    ]
    assert door.new_requests() == []


@pytest.mark.parametrize(
    "spelling",
    ["py-tiny", "Py.Tiny", "PY_TINY", "py--tiny", "py-_.tiny", "tiny", "TINY"],
)
def test_the_target_is_refused_in_every_spelling(toy: ToyIndex, door: Door, tmp_path: Path, spelling: str) -> None:
    for name in ("py-tiny", "tiny"):
        toy.add_wheel(name, "1.0", {"other.py": ""})
    status, said = get(tmp_path, f"/simple/{spelling}/")
    assert (status, b"is the project of this task" in said) == (404, True)
    assert get(tmp_path, f"/files/{spelling}/tiny-1.0-py3-none-any.whl")[0] == 404
    assert get(tmp_path, f"/files/{spelling}/tiny-1.0-py3-none-any.whl.metadata")[0] == 404
    assert toy.asked == []


def test_names_that_only_look_like_the_target_are_other_projects(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    for name in ("pytiny", "ti-ny", "tiny2"):
        toy.add(name, f"{name.replace('-', '_')}-1.0-py3-none-any.whl", wheel(name, "1.0", {"other.py": ""}))
        assert len(names(tmp_path, name)) == 1


@pytest.mark.parametrize(
    "path",
    [
        "tiny/__init__.py", "Tiny/core.py", "other/_vendor/tiny/core.py", "tiny.py", "other-1.0.data/purelib/tiny/a.py",
        "tiny/fast.cpython-311-x86_64-linux-gnu.so", "other/bundled/tiny-2.0-py3-none-any.whl", "tiny.pyi",
        "other/Py_Tiny-1.0.tar.gz",
    ],
)  # fmt: skip
def test_another_project_that_holds_a_copy_is_not_served(toy: ToyIndex, door: Door, tmp_path: Path, path: str) -> None:
    toy.add_wheel("other", "1.0", {path: "x = 1\n"})
    status, said = get(tmp_path, "/files/other/other-1.0-py3-none-any.whl")
    assert (status, b"copy of the project" in said) == (403, True)


def test_a_fork_with_a_copied_file_is_not_served_whatever_its_names(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add_wheel("fork", "1.0", {"renamed/module.py": SOURCE, "renamed/__init__.py": ""})
    assert get(tmp_path, "/files/fork/fork-1.0-py3-none-any.whl")[0] == 403


def test_what_only_sounds_like_a_copy_is_served(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    files = {"other/tinyish.py": "", "other/tiny.txt": "", "other/about/__init__.py": "", "tinyer/a.py": ""}
    toy.add_wheel("other", "1.0", files)
    assert get(tmp_path, "/files/other/other-1.0-py3-none-any.whl")[0] == 200


def test_nothing_is_unpacked(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    content = toy.add_wheel("bomb", "1.0", {"zeros.txt": "\0" * (8 << 20)})
    assert len(content) < 1 << 16
    assert get(tmp_path, "/files/bomb/bomb-1.0-py3-none-any.whl") == (200, content)


def test_a_file_that_is_no_archive_is_not_served(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add("other", "other-1.0-py3-none-any.whl", b"PK\x03\x04 but no archive")
    assert get(tmp_path, "/files/other/other-1.0-py3-none-any.whl")[0] == 403


def test_only_dated_wheels_of_the_project_from_before_the_day_are_seen(
    toy: ToyIndex, door: Door, tmp_path: Path
) -> None:
    toy.add_wheel("six", "1.0", {"six.py": ""})
    toy.add_wheel("six", "2.0", {"six.py": ""}, NEW)
    toy.add_wheel("six", "2.1", {"six.py": ""}, "2025-01-01T00:00:00Z")
    toy.add_wheel("six", "1.1", {"six.py": ""}, "2024-12-31T23:59:59Z")
    toy.add_wheel("six", "1.2", {"six.py": ""}, "2024-12-31T23:59:59-05:00")
    for number, when in enumerate((None, "soon", "2020-01-01T00:00:00", 5)):
        toy.add("six", f"six-3.{number}-py3-none-any.whl", b"", when)  # type: ignore[arg-type]
    toy.add("six", "six-4.0-py3-none-any.whl", b"", hashes={})
    toy.add("six", "six-4.1-py3-none-any.whl", b"", hashes={"md5": "0" * 32})
    toy.add("six", "six-4.2-py3-none-any.whl", b"", size=1 << 40)
    toy.add("six", "six-0.9.tar.gz", b"")
    toy.add("six", "six-0.9.zip", b"")
    toy.add("six", "tiny-1.0-py3-none-any.whl", wheel("tiny", "1.0", {"tiny.py": ""}))
    toy.add("six", "../six-5.0-py3-none-any.whl", b"")
    toy.add("six", "six.whl", b"")
    assert names(tmp_path, "six") == ["six-1.0-py3-none-any.whl", "six-1.1-py3-none-any.whl"]
    assert page(tmp_path, "six")["versions"] == ["1.0", "1.1"]
    for hidden in ("six-2.0", "six-3.0", "six-4.0", "six-4.2", "tiny-1.0"):
        assert get(tmp_path, f"/files/six/{hidden}-py3-none-any.whl")[0] == 404
    assert get(tmp_path, "/files/six/six-0.9.tar.gz")[0] == 404


def test_a_project_with_nothing_old_enough_is_not_there(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add_wheel("six", "2.0", {"six.py": ""}, NEW)
    assert get(tmp_path, "/simple/six/")[0] == 404


def test_free_text_of_upstream_does_not_pass(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    said = "the fix is in line 7"
    toy.add_wheel("six", "1.0", {"six.py": ""}, **{"yanked": said, "requires-python": f"{said}:", "provenance": said})
    (entry,) = page(tmp_path, "six")["files"]
    assert entry["yanked"] is True
    assert entry["requires-python"] is None
    assert said not in json.dumps(entry)
    assert "2020" not in json.dumps(entry)


def test_metadata_is_served_by_its_hash(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    text = b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n"
    sha256 = hashlib.sha256(text).hexdigest()
    toy.add_wheel("six", "1.0", {"six.py": ""}, **{"core-metadata": {"sha256": sha256}})
    toy.add_wheel("six", "1.1", {"six.py": ""}, **{"core-metadata": {"sha256": "0" * 64}})
    toy.add_wheel("six", "1.2", {"six.py": ""}, **{"core-metadata": True})
    for version in ("1.0", "1.1", "1.2"):
        toy.put(f"/packages/six-{version}-py3-none-any.whl.metadata", text)
    assert [entry.get("core-metadata") for entry in page(tmp_path, "six")["files"]] == [
        {"sha256": sha256}, {"sha256": "0" * 64}, None,
    ]  # fmt: skip
    assert get(tmp_path, "/files/six/six-1.0-py3-none-any.whl.metadata") == (200, text)
    assert get(tmp_path, "/files/six/six-1.1-py3-none-any.whl.metadata")[0] == 502
    assert get(tmp_path, "/files/six/six-1.2-py3-none-any.whl.metadata")[0] == 404


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


def test_a_file_with_another_content_than_its_hash_is_not_served(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    content = toy.add_wheel("six", "1.0", {"six.py": ""})
    path = "six-1.0-py3-none-any.whl"
    for wrong in (wheel("six", "1.0", {"six.py": "evil"}), content[:-1], content + b"\0", b""):
        toy.put(f"/packages/{path}", wrong)
        assert get(tmp_path, f"/files/six/{path}")[0] == 502
    toy.put(f"/packages/{path}", content)
    assert get(tmp_path, f"/files/six/{path}") == (200, content)


def test_a_changed_file_of_the_cache_is_not_served(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    content = toy.add_wheel("six", "1.0", {"six.py": ""})
    for _ in range(2):
        assert get(tmp_path, "/files/six/six-1.0-py3-none-any.whl") == (200, content)
    assert [path for path, _ in toy.asked] == ["/simple/six/", "/packages/six-1.0-py3-none-any.whl"]
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(wheel("six", "1.0", {"six.py": "evil"}))
    assert get(tmp_path, "/files/six/six-1.0-py3-none-any.whl") == (200, content)


def test_the_cache_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, limit=25)
    hashes = []
    for number in range(3):
        content = bytes([number]) * 10
        hashes.append(hashlib.sha256(content).hexdigest())
        cache.add(hashes[-1], iter([content]), limit=10).close()
        time.sleep(0.02)
    assert [cache.open(found) is not None for found in hashes[:1]] == [False]
    with pytest.raises(ContentError, match="larger than 9"):
        cache.add(hashes[0], iter([b"\0" * 10]), limit=9)
    assert {path.name for path in tmp_path.iterdir()} == set(hashes[1:])


def test_redirects_are_followed_by_the_host_and_not_told(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    content = toy.add_wheel("six", "1.0", {"six.py": ""})
    toy.put("/elsewhere", content)
    toy.put("/packages/six-1.0-py3-none-any.whl", b"", status=302, Location="/elsewhere")
    assert get(tmp_path, "/files/six/six-1.0-py3-none-any.whl") == (200, content)
    toy.put("/simple/loop/", b"", status=302, Location="/simple/loop/")
    status, said = get(tmp_path, "/simple/loop/")
    assert (status, b"127.0.0.1" in said) == (502, False)
    toy.put("/simple/file/", b"", status=302, Location="file:///etc/passwd")
    assert get(tmp_path, "/simple/file/")[0] == 502


def test_a_page_that_leads_to_the_target_is_no_page_of_another(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add_wheel("tiny", "1.0", {"tiny.py": ""})
    toy.put("/simple/six/", b"", status=302, Location="/simple/tiny/")
    assert get(tmp_path, "/simple/six/")[0] == 502


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><html><body><a href='x.whl'>x</a></body></html>", "text/html"),
        (b"", JSON_PAGE),
        (b"[]", JSON_PAGE),
        (b'{"name": 5, "files": []}', JSON_PAGE),
        (b'{"name": "six", "files": null}', JSON_PAGE),
        (b'{"name": "six"}', JSON_PAGE),
        (b"[" * 200_000, JSON_PAGE),
        (b'{"name": "\xff"}', JSON_PAGE),
    ],
)
def test_what_is_no_page_is_an_error_of_upstream(
    toy: ToyIndex, door: Door, tmp_path: Path, body: bytes, kind: str
) -> None:
    toy.put("/simple/six/", body, kind)
    assert get(tmp_path, "/simple/six/")[0] == 502


def test_entries_of_any_form_are_left_out(toy: ToyIndex, door: Door, tmp_path: Path) -> None:
    toy.add_wheel("six", "1.0", {"six.py": ""})
    entries = json.loads(toy.bodies["/simple/six/"][2])["files"]
    broken: list[Any] = [None, 5, [], {}, {"filename": 5}]
    broken += [
        {**entries[0], key: wrong} for key in ("filename", "url", "hashes", "size", "upload-time") for wrong in ([], {})
    ]
    toy.put("/simple/six/", json.dumps({"name": "six", "files": [*broken, *entries]}).encode(), JSON_PAGE)
    assert len(names(tmp_path, "six")) == 1


def test_the_password_of_the_index_goes_to_the_index_alone(toy: ToyIndex, tmp_path: Path) -> None:
    with serve_toy_index() as other:
        content = other.add_wheel("six", "1.0", {"six.py": ""})
        toy.add("six", "six-1.0-py3-none-any.whl", content, url=f"{other.url}/packages/six-1.0-py3-none-any.whl")
        url = toy.url.replace("//", "//me:secret@") + "/simple/"
        index = FrozenIndex(Upstream(url, FileCache(tmp_path / "cache")), POLICY)
        index.wheel("six", "six-1.0-py3-none-any.whl").close()
        assert [path for path, authorization in toy.asked if authorization] == ["/simple/six/"]
        assert other.asked == [("/packages/six-1.0-py3-none-any.whl", None)]


def test_an_index_out_of_reach_is_told_without_its_address(door: Door, toy: ToyIndex, tmp_path: Path) -> None:
    toy.put("/simple/six/", b"", status=500)
    status, said = get(tmp_path, "/simple/six/")
    assert (status, b"cannot be reached" in said, b"127.0.0.1" in said) == (502, True, False)


def test_a_safe_index_never_leads_to_an_unsafe_address(toy: ToyIndex, tmp_path: Path) -> None:
    upstream = Upstream(toy.url.replace("http:", "https:"), FileCache(tmp_path / "cache"))
    with pytest.raises(Exception, match="InvalidSchema"), upstream._get(f"{toy.url}/simple/six/", accept="*/*"):
        pass
    assert toy.asked == []


@pytest.mark.parametrize("url", ["file:///opt/simple", "/opt/simple", "ftp://example.org/simple", ""])
def test_an_index_that_cannot_be_asked_is_bad_input(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInputError, match="expected http or https"):
        Upstream(url, FileCache(tmp_path))


def test_a_policy_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_policy(until=datetime(2025, 1, 1), projects=(), modules=(), files=())  # noqa: DTZ001
