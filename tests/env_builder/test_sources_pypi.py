"""Release histories: from an index served on this machine, without running what is in the archives."""

import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from env_builder.errors import SourceError
from env_builder.history import commit_pairs
from env_builder.progress import Silent
from env_builder.repo_list import load_repo_list
from env_builder.sources.git import GitSource
from env_builder.sources.open import open_source
from env_builder.sources.pypi import NEWEST, index_url


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served as the package index that pip is told to use."""
    folder = tmp_path / "simple"
    folder.mkdir()
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))
        yield folder
        server.shutdown()
        thread.join()


def publish(index: Path, name: str, version: str, files: dict[str, str], *, root: str | None = None) -> None:
    folder = index / name
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path if root == "" else f"{name}-{version}/{path}")
            info.size, info.mtime = len(text.encode()), 1_700_000_000 + len(version)
            tar.addfile(info, io.BytesIO(text.encode()))
    links = [f'<a href="{path.name}">{path.name}</a>' for path in sorted(folder.glob("*.tar.gz"))]
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")


def release(number: int) -> dict[str, str]:
    return {
        "setup.py": "raise SystemExit('this must never run')\n",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: thing\nVersion: 1.{number}\nLicense: MIT\n",
        "thing.py": f"x = {number}\n",
        "tests/test_thing.py": f"# {number}\n",
        "thing.egg-info/SOURCES.txt": "made",
    }


def opened(source: str) -> GitSource:
    (request,) = load_repo_list(source)
    return open_source(request, progress=Silent())


def test_each_release_is_a_commit(index: Path) -> None:
    for number in range(3):
        publish(index, "thing", f"1.{number}", release(number))
    publish(index, "thing", "2.0rc1", release(9))
    source = opened("pypi:thing")
    snapshot = source.snapshot()
    assert (snapshot.version, snapshot.licence, snapshot.repo) == ("1.2", "MIT", "thing")
    assert sorted(path.name for path in snapshot.tree.iterdir()) == ["PKG-INFO", "setup.py", "tests", "thing.py"]
    assert [change.subject for change in source.changes()] == ["Release 1.2 of thing", "Release 1.1 of thing"]
    newest = next(commit_pairs(source, limit=1))
    assert newest.kind == "release"
    assert newest.before.version == "1.1"
    assert newest.changed == {"thing.py": b"x = 2\n", "tests/test_thing.py": b"# 2\n"}
    assert source.snapshot("1.0").version == "1.0"
    source.close()


def test_a_range_and_the_newest_dozen(index: Path) -> None:
    for number in range(NEWEST + 3):
        publish(index, "thing", f"1.{number}", release(number))
    source = opened("pypi:thing<1.14")
    assert len(list(source.changes())) == NEWEST - 1
    assert source.snapshot().version == "1.13"
    source.close()


def test_the_same_releases_give_the_same_ids(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, "thing", "1.0", release(0))
    first = opened("pypi:thing").snapshot()
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "other"))
    second = opened("pypi:thing").snapshot()
    assert first.commit == second.commit
    assert first.tree != second.tree


@pytest.mark.parametrize("path", ["../../evil.py", "/tmp/repodojo-evil.py"])
def test_an_archive_that_leaves_its_folder_is_refused(index: Path, tmp_path: Path, path: str) -> None:
    publish(index, "thing", "1.0", {"thing-1.0/a.py": "", path: "evil"}, root="")
    with pytest.raises(SourceError, match="is refused"):
        opened("pypi:thing")
    assert not list(tmp_path.glob("evil.py"))
    assert not Path("/tmp/repodojo-evil.py").exists()


def test_a_damaged_archive_is_refused(index: Path) -> None:
    publish(index, "thing", "1.0", release(0))
    (index / "thing" / "thing-1.0.tar.gz").write_bytes(b"no archive")
    with pytest.raises(SourceError, match=r"thing-1\.0\.tar\.gz"):
        opened("pypi:thing")


def test_no_such_project(index: Path) -> None:
    with pytest.raises(SourceError, match=r"no source release of 'nothing'.*404"):
        opened("pypi:nothing")


def test_no_release_in_the_range(index: Path) -> None:
    publish(index, "thing", "1.0", release(0))
    with pytest.raises(SourceError, match=r"in the range '>=2'; the newest are 1\.0"):
        opened("pypi:thing>=2")


def test_an_index_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(SourceError, match="cannot be reached"):
        opened("pypi:thing")


def test_the_index_is_the_one_that_pip_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = http://127.0.0.1:1/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert index_url() == "http://127.0.0.1:1/simple"


def test_the_synthetic_repository_is_sound(index: Path, tmp_path: Path) -> None:
    publish(index, "thing", "1.0", release(0))
    opened("pypi:thing").close()
    (git_dir,) = (tmp_path / "home" / "sources").glob("*.git")
    subprocess.run(["git", "--git-dir", str(git_dir), "fsck", "--strict"], check=True, capture_output=True)
