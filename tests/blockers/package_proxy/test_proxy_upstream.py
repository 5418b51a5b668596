"""The frozen index and the index behind it: hashes, the cache, redirects, pages that are none, passwords."""

import hashlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from blockers.package_proxy.cache import ContentError, FileCache
from blockers.package_proxy.door import Door
from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.policy import make_policy
from blockers.package_proxy.upstream import Upstream
from tasks.errors import BadInputError
from tests.blockers.package_proxy.asking import POLICY, get, names
from tests.blockers.toy_index import JSON_PAGE, ToyIndex, serve_toy_index, wheel


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
