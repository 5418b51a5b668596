"""Sources in git and plain directories: clean trees, histories, refs, and clear errors."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from env_builder.errors import SourceError
from env_builder.history import commit_pairs
from env_builder.repo_list import load_repo_list
from env_builder.snapshot import SYMLINK_MODE, TreeFile, lay_files, stays_inside
from env_builder.sources.git import GitSource
from env_builder.sources.open import open_source
from env_builder.sources.synthesis import Step, write_history


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "proj"
    (folder / "tests").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "mod.py").write_text("x = 1\n")
    (folder / "tests" / "test_mod.py").write_text("def test(): pass\n")
    (folder / "run.sh").write_text("true\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "inside").symlink_to("mod.py")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / ".gitattributes").write_text("tests export-ignore\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1.5")
    (folder / "mod.py").write_text("x = 2\n")
    git(folder, "commit", "-qam", "source alone")
    (folder / "mod.py").write_text("x = 3\n")
    (folder / "tests" / "test_mod.py").unlink()
    (folder / "tests" / "test_new.py").write_text("def test(): assert 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "source and tests")
    return folder


@pytest.fixture
def source(repo: Path) -> Iterator[GitSource]:
    (request,) = load_repo_list(repo)
    opened = open_source(request)
    yield opened
    opened.close()


def test_snapshot_is_a_clean_tree(source: GitSource, repo: Path) -> None:
    snapshot = source.snapshot("v1.5")
    assert snapshot.commit == git(repo, "rev-parse", "v1.5")
    assert snapshot.version == "1.5"
    assert snapshot.committed_at.tzinfo is UTC
    names = sorted(path.relative_to(snapshot.tree).as_posix() for path in snapshot.tree.rglob("*"))
    assert names == [".gitattributes", "inside", "mod.py", "run.sh", "tests", "tests/test_mod.py"]
    assert os.access(snapshot.tree / "run.sh", os.X_OK)
    assert not os.access(snapshot.tree / "mod.py", os.X_OK)
    assert (snapshot.tree / "inside").is_symlink()


def test_a_snapshot_is_found_again(source: GitSource) -> None:
    assert source.snapshot("1.5") == source.snapshot("v1.5")


def test_changes_are_newest_first_and_leave_the_root_out(source: GitSource) -> None:
    found = list(source.changes())
    assert [change.subject for change in found] == ["source and tests", "source alone"]
    assert set(found[0].paths) == {"mod.py", "tests/test_mod.py", "tests/test_new.py"}


def test_commit_pairs_change_source_and_tests(source: GitSource) -> None:
    (pair,) = commit_pairs(source, limit=5)
    assert pair.subject == "source and tests"
    assert (pair.before.tree / "mod.py").read_text() == "x = 2\n"
    assert pair.changed == {
        "mod.py": b"x = 3\n",
        "tests/test_mod.py": None,
        "tests/test_new.py": b"def test(): assert 1\n",
    }
    assert not list(commit_pairs(source, limit=0))


def test_merge_commits_are_skipped(repo: Path) -> None:
    git(repo, "checkout", "-qb", "side", "HEAD~1")
    (repo / "other.py").write_text("")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "aside")
    git(repo, "merge", "-q", "-m", "merge", "main")
    (request,) = load_repo_list(repo)
    subjects = [change.subject for change in open_source(request).changes()]
    assert "merge" not in subjects
    assert {"aside", "source and tests", "source alone"} == set(subjects)


def test_a_url_is_cloned_and_followed(repo: Path) -> None:
    (request,) = load_repo_list(f"file://{repo}")
    first = open_source(request).snapshot()
    git(repo, "checkout", "-qb", "next")
    (repo / "mod.py").write_text("x = 4\n")
    git(repo, "commit", "-qam", "more")
    second = open_source(request).snapshot()
    assert first.commit != second.commit == git(repo, "rev-parse", "HEAD")
    assert request.name == "proj"


@pytest.mark.parametrize("ref", ["nope", "0" * 40])
def test_a_ref_that_is_not_there(source: GitSource, ref: str) -> None:
    with pytest.raises(SourceError, match="has no ref"):
        source.snapshot(ref)


def test_a_url_that_is_not_there(tmp_path: Path, cache: Path) -> None:
    (request,) = load_repo_list(f"file://{tmp_path}/nothing/here")
    with pytest.raises(SourceError, match="cannot be had: git said"):
        open_source(request)
    assert not [path for path in (cache / "sources").iterdir() if path.is_dir()]


def test_an_empty_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    (request,) = load_repo_list(tmp_path / "empty")
    with pytest.raises(SourceError, match="has no commit"):
        open_source(request).snapshot()


def test_a_plain_directory_is_one_commit(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    (folder / "own env").mkdir()
    (folder / "own env" / "pyvenv.cfg").write_text("")
    (folder / 'odd "name\\.py').write_bytes(b"a\r\nb\n")
    os.utime(folder / 'odd "name\\.py', (1_700_000_000, 1_700_000_000))
    (request,) = load_repo_list(folder)
    snapshot = open_source(request).snapshot()
    assert [path.name for path in snapshot.tree.iterdir()] == ['odd "name\\.py']
    assert (snapshot.tree / 'odd "name\\.py').read_bytes() == b"a\r\nb\n"
    assert snapshot.committed_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert snapshot.commit == open_source(request).snapshot().commit
    assert not list(open_source(request).changes())


def test_a_plain_directory_has_no_refs_and_must_hold_files(tmp_path: Path) -> None:
    (request,) = load_repo_list(tmp_path)
    with pytest.raises(SourceError, match="holds no files"):
        open_source(request)
    with pytest.raises(SourceError, match="not a git repository"):
        open_source(request.model_copy(update={"ref": "main"}))


def test_synthetic_history_has_the_same_ids_everywhere(tmp_path: Path) -> None:
    files = [TreeFile("a.py", 0o100644, b"1\n"), TreeFile("b", SYMLINK_MODE, b"a.py")]
    when = datetime(2024, 5, 1, tzinfo=UTC)
    steps = [
        Step(version="1.0", subject="Release 1.0", when=when, files=files),
        Step(version="1.1", subject="Release 1.1", when=when, files=files[:1]),
    ]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_history(tmp_path / name, steps)
    heads = {git(tmp_path / name, "rev-parse", "1.1") for name in ("one", "two")}
    assert heads == {"9ba3f88e70c6cc798ceef4e1a1cc2020f001294e"}
    assert git(tmp_path / "one", "ls-tree", "--name-only", "1.1") == "a.py"
    assert git(tmp_path / "one", "rev-parse", "1.1~1") == git(tmp_path / "one", "rev-parse", "1.0")


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", ".git/config", "a/.GIT/hooks/x"])
def test_a_path_that_leaves_the_tree_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceError, match="refused"):
        lay_files(tmp_path, [TreeFile(path, 0o100644, b"")])


def test_no_file_is_written_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    files = [TreeFile("d", SYMLINK_MODE, b"../out"), TreeFile("d/x", 0o100644, b"evil")]
    lay_files(tmp_path / "tree", files)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "tree" / "d" / "x").read_bytes() == b"evil"


@pytest.mark.parametrize(
    ("path", "target", "inside"),
    [
        ("a", "b", True),
        ("d/a", "../b", True),
        ("a", "../b", False),
        ("d/a", "../../b", False),
        ("d/a", "x/../../../b", False),
        ("a", "/b", False),
    ],
)
def test_where_a_symlink_leads(path: str, target: str, inside: bool) -> None:
    assert stays_inside(path, target) is inside
