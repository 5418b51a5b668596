"""The agent's repository: one root commit, the same each time, and ordinary git works on it as another user."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blockers.clean_repo import audit_git_dir, make_git_dir
from blockers.errors import GitError, GitUnavailableError

FILES = {
    "pkg/core.py": b"x = 1\n",
    "pkg/crlf.txt": b"one\r\ntwo\r\n",
    "pkg/binary.dat": bytes(range(256)),
    'pkg/caf\u00e9 "quoted" \\ back\n.txt': b"odd name\n",
    "ignored.log": b"tracked though ignored\n",
    ".gitignore": b"*.log\n__pycache__/\n",
    ".gitattributes": b"* text=auto eol=crlf\n*.txt text\n*.dat filter=lfs diff=lfs merge=lfs -text\n*.py ident\n",
    "ident.py": b"# $Id$\n",
    "gone.py": b"removed by the edits\n",
}

EDITS = {"gone.py": None, "pkg/core.py": b"x = 2\n", "pkg/sub/new.py": b"new = True\n", "never.py": None}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, content in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    (tree / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("pkg/core.py")
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").write_text("ref: refs/heads/secret\n")
    return tree


@pytest.fixture
def work(tree: Path, tmp_path: Path) -> Iterator[Path]:
    """A work tree with the edits laid over, as a sandbox shows it."""
    work = tmp_path / "testbed"
    shutil.copytree(tree, work, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    for name, content in EDITS.items():
        (work / name).unlink(missing_ok=True)
        if content is not None:
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_bytes(content)
    make_git_dir(tree, EDITS, work / ".git", untracked=["pkg/_version.py", "odd [name]*!#.txt", "#hash", "!bang"])
    yield work
    # Files that another user made are removed by the owner of the folder above.
    shutil.rmtree(work)


def git(work: Path, *arguments: str, fails: bool = False, **options: object) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_SYSTEM": str(work.parent / "etc-gitconfig"),
    }
    (work.parent / "etc-gitconfig").write_text("[safe]\n\tdirectory = *\n")
    done = subprocess.run(
        ["git", *arguments],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert (done.returncode != 0) is fails, done.stderr
    return str(done.stdout)


def test_the_status_is_clean_at_the_start(work: Path) -> None:
    assert git(work, "status", "--porcelain", "--ignored") == ""
    assert git(work, "diff") == ""
    assert git(work, "log", "--oneline", "--all").count("\n") == 1
    assert git(work, "branch", "--show-current") == "main\n"
    assert git(work, "remote") == git(work, "tag") == git(work, "stash", "list") == git(work, "reflog") == ""
    assert git(work, "fsck", "--full", "--strict", "--lost-found") == ""


def test_the_commit_holds_the_files_as_they_are(work: Path) -> None:
    for name in ("pkg/crlf.txt", "pkg/binary.dat", "ident.py", "pkg/core.py"):
        shown = subprocess.run(["git", "cat-file", "blob", f"HEAD:{name}"], cwd=work, capture_output=True, check=True)
        assert shown.stdout == (work / name).read_bytes()
    listed = set(git(work, "ls-files", "-z").split("\0")) - {""}
    assert listed == (FILES.keys() - {"gone.py"}) | {"pkg/sub/new.py", "run.sh", "link"}
    assert git(work, "ls-files", "-s", "run.sh", "link").split()[::4] == ["120000", "100755"]


def test_what_the_installation_generated_is_ignored(work: Path) -> None:
    for name in ("pkg/_version.py", "odd [name]*!#.txt", "#hash", "!bang"):
        (work / name).write_text("generated\n")
    assert git(work, "status", "--porcelain") == ""
    (work / "odd n!#.txt").write_text("not the ignored file\n")
    assert "odd n" in git(work, "status", "--porcelain")


def test_ordinary_work_goes_on(work: Path) -> None:
    (work / "pkg/core.py").write_text("x = 3\n")
    assert "+x = 3" in git(work, "diff")
    assert git(work, "status", "--porcelain") == " M pkg/core.py\n"
    git(work, "stash")
    assert (work / "pkg/core.py").read_text() == "x = 2\n"
    git(work, "stash", "pop")
    git(work, "switch", "-c", "mine")
    git(work, "commit", "-am", "my own")
    assert git(work, "log", "--format=%s") == "my own\nStart\n"
    assert "x = 3" in git(work, "blame", "pkg/core.py")
    git(work, "checkout", "main", "--", "pkg/core.py")
    assert (work / "pkg/core.py").read_text() == "x = 2\n"
    (work / "gone.py").write_text("back\n")
    git(work, "clean", "-fd")
    assert not (work / "gone.py").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can take on another user's id")
def test_another_user_than_the_owner_may_use_it(work: Path) -> None:
    for folder in (work, *work.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest", "test_")):
            folder.chmod(0o755)
    assert git(work, "status", "--porcelain", user=65534, group=65534, extra_groups=[]) == ""
    assert "Start" in git(work, "log", user=65534, group=65534, extra_groups=[])


def test_equal_files_give_an_equal_commit(tree: Path, tmp_path: Path) -> None:
    first = make_git_dir(tree, EDITS, tmp_path / "one")
    os.utime(tree / "pkg/core.py", (1, 1))
    (tmp_path / "two").mkdir()
    assert make_git_dir(tree, EDITS, tmp_path / "two") == first
    assert make_git_dir(tree, {}, tmp_path / "three") != first
    assert len(first) == 40


def test_the_users_own_settings_change_nothing(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = make_git_dir(tree, EDITS, tmp_path / "plain")
    hook = tmp_path / "hooks/reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    settings = f"[core]\n autocrlf = true\n hooksPath = {hook.parent}\n[user]\n name = Somebody\n"
    (tmp_path / "gitconfig").write_text(settings)
    for name, value in (
        ("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig")),
        ("GIT_AUTHOR_NAME", "Somebody"),
        ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00"),
        ("GIT_INDEX_FILE", str(tmp_path / "elsewhere")),
        ("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects")),
    ):
        monkeypatch.setenv(name, value)
    assert make_git_dir(tree, EDITS, tmp_path / "set") == plain
    assert audit_git_dir(tmp_path / "set", plain) == []
    assert not (tmp_path / "ran").exists()
    assert b"Somebody" not in b"".join(path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file())


def test_an_empty_tree_has_a_commit_too(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    commit = make_git_dir(tmp_path / "tree", {}, tmp_path / "git")
    assert audit_git_dir(tmp_path / "git", commit) == []


def test_a_folder_that_is_not_empty_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    with pytest.raises(GitError, match="not empty"):
        make_git_dir(tree, {}, tmp_path / "full")


def test_a_git_that_cannot_be_run_says_nothing_of_a_repository(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = make_git_dir(tree, {}, tmp_path / "git")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(GitUnavailableError, match="could not be run"):
        audit_git_dir(tmp_path / "git", commit)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "bin/git").chmod(0o755)
    with pytest.raises(GitUnavailableError, match="killed by signal 9"):
        audit_git_dir(tmp_path / "git", commit)


def test_a_machine_without_git_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(GitError, match="install git"):
        make_git_dir(tree, {}, tmp_path / "git")
