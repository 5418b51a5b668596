"""Each way in which a git directory can hold more than its one commit is planted and found, named by its vector."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from blockers.clean_repo import audit_git_dir, make_git_dir

Vectors = set[str]


class Repo:
    """A clean repository with its work tree, and git as its owner runs it."""

    def __init__(self, folder: Path) -> None:
        self.work = folder
        self.git_dir = folder / ".git"
        self.commit = ""

    def git(self, *arguments: str, stdin: str = "") -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_COMMITTER_DATE": "1999-01-01T00:00:00+0000",
        }
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        done = subprocess.run(
            command, cwd=self.work, env=environment, input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str = "planted\n") -> None:
        path = self.git_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fix(self, *more: str) -> str:
        """A commit that holds the answer, on no branch."""
        blob = self.git("hash-object", "-w", "--stdin", stdin="answer = 42\n")
        tree = self.git("mktree", stdin=f"100644 blob {blob}\tcore.py\n")
        return self.git("commit-tree", tree, "-m", "the fix", *more)

    def vectors(self) -> Vectors:
        return {finding.vector for finding in audit_git_dir(self.git_dir, self.commit)}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = Repo(tmp_path_factory.mktemp("template"))
    (repo.work / "pkg").mkdir()
    (repo.work / "core.py").write_text("answer = 0\n")
    (repo.work / "pkg/data.txt").write_text("data\n")
    repo.commit = make_git_dir(repo.work, {}, repo.git_dir)
    return repo


@pytest.fixture
def repo(template: Repo, tmp_path: Path) -> Repo:
    copied = Repo(tmp_path / "copy")
    shutil.copytree(template.work, copied.work)
    copied.commit = template.commit
    return copied


def test_a_clean_repository_has_no_findings(repo: Repo) -> None:
    assert audit_git_dir(repo.git_dir, repo.commit) == []


def test_reading_it_leaves_it_clean(repo: Repo) -> None:
    for command in ("status", "diff", "log", "fsck"):
        repo.git(command)
    assert audit_git_dir(repo.git_dir, repo.commit) == []


def stash(repo: Repo) -> None:
    (repo.work / "core.py").write_text("answer = 42\n")
    repo.git("stash")


def packed(repo: Repo) -> None:
    repo.git("branch", "future", repo.fix())
    repo.git("pack-refs", "--all")


def alternate(repo: Repo) -> None:
    other = repo.work.parent / "other.git"
    repo.git("init", "-q", "--bare", str(other))
    repo.git("--git-dir", str(other), "hash-object", "-w", "--stdin", stdin="answer = 42\n")
    repo.write("objects/info/alternates", f"{other}/objects\n")


def replaced(repo: Repo) -> None:
    repo.git("replace", repo.commit, repo.fix())


def staged(repo: Repo) -> None:
    (repo.work / "core.py").write_text("answer = 42\n")
    repo.git("add", "core.py")


def staged_known_blob(repo: Repo) -> None:
    (repo.work / "copy.py").write_text("data\n")
    repo.git("add", "copy.py")


def worktree(repo: Repo) -> None:
    repo.git("worktree", "add", "-q", "--detach", str(repo.work.parent / "second"))


def submodule(repo: Repo) -> None:
    repo.git("clone", "-q", "--bare", ".", ".git/modules/sub")


def lost(repo: Repo) -> None:
    repo.fix()
    repo.git("fsck", "--lost-found")


def fetched(repo: Repo) -> None:
    other = repo.work.parent / "upstream"
    repo.git("clone", "-q", ".", str(other))
    repo.git("-C", str(other), "tag", "v2")
    repo.git("fetch", "-q", "--tags", str(other))


def tag_object(repo: Repo) -> None:
    repo.git("tag", "-a", "-m", "next", "v2", repo.fix())
    repo.git("tag", "-d", "v2")


def reset(repo: Repo) -> None:
    repo.git("reset", "-q", "--hard", repo.fix())
    repo.git("update-ref", "refs/heads/main", repo.commit)


def tmp_pack(repo: Repo) -> None:
    pack = next(repo.git_dir.glob("objects/pack/*.pack"))
    shutil.copy(pack, repo.git_dir / "objects/pack/tmp_pack_a1b2c3")


def pack_without_index(repo: Repo) -> None:
    pack = next(repo.git_dir.glob("objects/pack/*.pack"))
    shutil.copy(pack, repo.git_dir / f"objects/pack/pack-{'0' * 40}.pack")


def kept_in_a_pack(repo: Repo) -> None:
    repo.git("branch", "future", repo.fix())
    repo.git("repack", "-adq")
    repo.git("branch", "-D", "future")


def symlinked_objects(repo: Repo) -> None:
    shutil.move(repo.git_dir / "objects", repo.work.parent / "objects")
    (repo.git_dir / "objects").symlink_to(repo.work.parent / "objects")


PLANTED: dict[str, tuple[Vectors, Callable[[Repo], object]]] = {
    "a branch": ({"branch", "foreign-object"}, lambda r: r.git("branch", "future", r.fix())),
    "a back-dated tag": ({"tag", "foreign-object"}, lambda r: r.git("tag", "v2", r.fix())),
    "a tag object without its ref": ({"foreign-object"}, tag_object),
    "a dangling commit": ({"foreign-object"}, Repo.fix),
    "a dangling object in a pack": ({"foreign-object"}, kept_in_a_pack),
    "lost and found": ({"lost-found", "foreign-object"}, lost),
    "a remote's branch": ({"remote-ref"}, lambda r: r.git("update-ref", "refs/remotes/origin/main", r.commit)),
    "a remote's address": ({"remote"}, lambda r: r.git("remote", "add", "origin", "https://example.org/widgets")),
    "a rewritten address": ({"remote"}, lambda r: r.git("config", "url.https://a.example/.insteadOf", "b:")),
    "an old-style remote": ({"remote"}, lambda r: r.write("remotes/origin", "URL: https://example.org\n")),
    "a fetch": ({"fetch-head", "tag"}, fetched),
    "a stash": ({"stash", "reflog", "foreign-object"}, stash),
    "a note": ({"notes", "foreign-object"}, lambda r: r.git("-c", "user.name=x", "notes", "add", "-m", "see 42")),
    "a replacement": ({"replace", "foreign-object"}, replaced),
    "packed refs": ({"packed-refs", "branch", "foreign-object"}, packed),
    "another ref": ({"ref"}, lambda r: r.git("update-ref", "refs/pull/7/head", r.commit)),
    "bisection": ({"ref"}, lambda r: r.git("update-ref", "refs/bisect/bad", r.commit)),
    "a reset": ({"orig-head", "reflog", "foreign-object", "index"}, reset),
    "a reflog": ({"reflog"}, lambda r: r.write("logs/HEAD", "0 1 a 0 +0000\tcommit\n")),
    "a merge under way": ({"pseudo-ref"}, lambda r: r.write("MERGE_HEAD", r.commit)),
    "a rebase under way": ({"operation"}, lambda r: r.write("rebase-merge/done", "pick 123 fix\n")),
    "a commit message": ({"unknown-file"}, lambda r: r.write("COMMIT_EDITMSG", "fix it by 42\n")),
    "an alternate": ({"alternates", "foreign-object"}, alternate),
    "an alternate over HTTP": ({"alternates"}, lambda r: r.write("objects/info/http-alternates")),
    "a graft": ({"grafts"}, lambda r: r.write("info/grafts", f"{r.commit} {'1' * 40}\n")),
    "a shallow border": ({"shallow"}, lambda r: r.write("shallow", f"{'1' * 40}\n")),
    "a hook": ({"hook"}, lambda r: r.write("hooks/post-checkout", "#!/bin/sh\n")),
    "a hook elsewhere": ({"config"}, lambda r: r.git("config", "core.hooksPath", "/tmp/hooks")),
    "a command in the configuration": ({"config"}, lambda r: r.git("config", "core.fsmonitor", "/tmp/run")),
    "an included file": ({"config"}, lambda r: r.git("config", "include.path", "/tmp/config")),
    "a filter": ({"config"}, lambda r: r.git("config", "filter.lfs.smudge", "git-lfs smudge")),
    "attributes": ({"attributes"}, lambda r: r.write("info/attributes", "* filter=lfs\n")),
    "a head elsewhere": ({"head"}, lambda r: r.write("HEAD", "ref: refs/heads/other\n")),
    "a detached head": ({"head"}, lambda r: r.write("HEAD", f"{'1' * 40}\n")),
    "a worktree": ({"worktree"}, worktree),
    "a submodule's repository": ({"submodule"}, submodule),
    "large files": ({"lfs"}, lambda r: r.write("lfs/objects/ab/cd/abcd")),
    "a description": ({"origin"}, lambda r: r.write("description", "widgets, from example.org\n")),
    "a commit graph": ({"commit-graph"}, lambda r: r.git("commit-graph", "write", "--reachable")),
    "a staged file": ({"index", "foreign-object"}, staged),
    "a staged copy": ({"index"}, staged_known_blob),
    "an unfinished pack": ({"loose-ends"}, tmp_pack),
    "a pack without index": ({"pack-extra"}, pack_without_index),
    "a promise": ({"pack-extra"}, lambda r: r.write("objects/pack/pack-1.promisor")),
    "objects elsewhere": ({"symlink"}, symlinked_objects),
    "anything else": ({"unknown-file"}, lambda r: r.write("solution.txt", "answer = 42\n")),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_leak_is_found_and_named(repo: Repo, kind: str) -> None:
    vectors, plant = PLANTED[kind]
    plant(repo)
    assert vectors <= repo.vectors()


def test_past_history_is_found(repo: Repo) -> None:
    before = repo.fix()
    tree = repo.git("rev-parse", "HEAD^{tree}")
    repo.commit = repo.git("commit-tree", tree, "-p", repo.fix("-p", before), "-m", "Start")
    repo.git("update-ref", "refs/heads/main", repo.commit)
    found = [finding for finding in audit_git_dir(repo.git_dir, repo.commit) if finding.vector == "past-history"]
    assert {finding.where for finding in found} >= {before, repo.commit}


def test_a_message_or_header_of_the_commit_is_found(repo: Repo) -> None:
    repo.commit = repo.git("commit-tree", repo.git("rev-parse", "HEAD^{tree}"), "-m", "set the answer to 42")
    repo.git("update-ref", "refs/heads/main", repo.commit)
    assert "commit-metadata" in repo.vectors()


def test_a_submodule_entry_in_the_tree_is_found(repo: Repo) -> None:
    tree = repo.git("mktree", "--missing", stdin=f"160000 commit {'1' * 40}\tsub\n")
    repo.commit = repo.git("commit-tree", tree, "-m", "Start")
    repo.git("update-ref", "refs/heads/main", repo.commit)
    assert "submodule" in repo.vectors()


def test_a_branch_that_points_elsewhere_is_found(repo: Repo) -> None:
    repo.git("update-ref", "refs/heads/main", repo.fix())
    assert {"branch", "foreign-object"} <= repo.vectors()


def test_a_git_file_that_points_elsewhere_is_found(repo: Repo, tmp_path: Path) -> None:
    pointer = tmp_path / "pointer"
    pointer.write_text(f"gitdir: {repo.git_dir}\n")
    assert [finding.vector for finding in audit_git_dir(pointer, repo.commit)] == ["worktree"]
    link = tmp_path / "link"
    link.symlink_to(repo.git_dir)
    assert [finding.vector for finding in audit_git_dir(link, repo.commit)] == ["worktree"]


@pytest.mark.parametrize("name", ["objects", "index", "config", "HEAD", "refs/heads/main"])
def test_damage_is_a_finding_and_no_crash(repo: Repo, name: str) -> None:
    target = next((repo.git_dir / name).rglob("*.idx")) if name == "objects" else repo.git_dir / name
    target.chmod(0o644)
    target.write_bytes(b"\xff\0damaged")
    assert repo.vectors()


def test_the_audited_configuration_is_not_obeyed(repo: Repo, tmp_path: Path) -> None:
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "alias.cat-file"):
        repo.git("config", key, f"!touch {tmp_path}/ran")
    assert repo.vectors() == {"config"}
    assert not (tmp_path / "ran").exists()


def test_a_finding_says_where(repo: Repo) -> None:
    repo.git("remote", "add", "origin", "https://example.org/widgets")
    lines = (repo.git_dir / "config").read_text().splitlines()
    found = {(finding.where, finding.line, finding.what) for finding in audit_git_dir(repo.git_dir, repo.commit)}
    number = next(number for number, line in enumerate(lines, 1) if "example.org" in line)
    assert ("config", number, "url = https://example.org/widgets") in found
