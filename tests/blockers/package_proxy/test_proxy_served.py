"""What the frozen index serves: no project but others, nothing younger than the task, no copy of its solution."""

import hashlib
import json
from pathlib import Path

import pytest

from blockers.package_proxy.door import Door
from tests.blockers.package_proxy.asking import SOURCE, get, names, page
from tests.blockers.toy_index import NEW, ToyIndex, wheel


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
