"""Proves that a git directory holds one root commit and nothing else: by allow-list, over all objects.

Three passes: every file of the directory must be one that the shape in ``git_layout`` knows; every ref must be the one
branch; every object, reachable or not, must belong to the one commit's tree. Whatever else there is becomes a finding,
named by its vector where the vector is known. The audited directory's own configuration is never read by git.

Not proven: that packs and loose objects carry no bytes beyond their objects (``git fsck`` sees those).
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from blockers.errors import GitError, GitUnavailableError
from blockers.findings import Finding
from blockers.git_layout import ATTRIBUTES, BRANCH, CONFIG, HEAD, IDENTITY, MESSAGE, run_git, write_skeleton
from tasks.scratch import scratch

_HEX = "[0-9a-f]"

_ALLOWED_FILES = (
    "HEAD",
    "config",
    "index",
    "info/attributes",
    "info/exclude",
    BRANCH,
    "objects/info/packs",
    "objects/pack/pack-*.pack",
    "objects/pack/pack-*.idx",
    "objects/pack/pack-*.rev",
    f"objects/{_HEX * 2}/{_HEX * 38}",
)

_KNOWN_VECTORS = (
    ("refs/tags/*", "tag"),
    ("refs/remotes/*", "remote-ref"),
    ("refs/stash", "stash"),
    ("refs/notes/*", "notes"),
    ("refs/replace/*", "replace"),
    ("refs/heads/*", "branch"),
    ("refs/*", "ref"),
    ("reftable/*", "ref"),
    ("packed-refs", "packed-refs"),
    ("logs/*", "reflog"),
    ("ORIG_HEAD", "orig-head"),
    ("FETCH_HEAD", "fetch-head"),
    ("*_HEAD", "pseudo-ref"),
    ("objects/info/alternates", "alternates"),
    ("objects/info/http-alternates", "alternates"),
    ("objects/info/commit-graph*", "commit-graph"),
    ("objects/pack/tmp_*", "loose-ends"),
    ("objects/*/tmp_*", "loose-ends"),
    ("objects/*", "pack-extra"),
    ("info/grafts", "grafts"),
    ("shallow", "shallow"),
    ("hooks/*", "hook"),
    ("worktrees/*", "worktree"),
    ("gitdir", "worktree"),
    ("commondir", "worktree"),
    ("modules/*", "submodule"),
    ("lfs/*", "lfs"),
    ("lost-found/*", "lost-found"),
    ("rebase-*", "operation"),
    ("sequencer/*", "operation"),
    ("branches/*", "remote"),
    ("remotes/*", "remote"),
    ("description", "origin"),
)
"""Pattern over paths in the git directory (``*`` crosses folders), and the vector; the first match names a finding."""


def audit_git_dir(git_dir: Path, commit: str) -> list[Finding]:
    """Everything in ``git_dir`` that is not the one root ``commit``: empty for what ``make_git_dir`` made.

    Raises:
        GitUnavailableError: git is missing, could not be started, or was killed.
    """
    if git_dir.is_symlink() or not git_dir.is_dir():
        return [Finding("worktree", git_dir.name, None, "a file or link that points to a git directory elsewhere")]
    return [*_file_findings(git_dir), *_ref_findings(git_dir, commit), *_object_findings(git_dir, commit)]


def _file_findings(git_dir: Path) -> Iterator[Finding]:
    exact = {"HEAD": HEAD, "config": CONFIG, "info/attributes": ATTRIBUTES}
    for path in sorted(git_dir.rglob("*")):
        name = path.relative_to(git_dir).as_posix()
        if path.is_symlink():
            yield Finding("symlink", name, None, f"a symlink to {path.readlink()}")
        elif path.is_dir():
            continue
        elif not any(fnmatchcase(name, allowed) for allowed in _ALLOWED_FILES):
            vector = next((vector for pattern, vector in _KNOWN_VECTORS if fnmatchcase(name, pattern)), "unknown-file")
            yield Finding(vector, name, None, f"{path.stat().st_size} bytes that an agent's repository does not have")
        elif name in exact and path.read_bytes() != exact[name].encode():
            yield from _text_findings(name, path.read_text(errors="replace"), exact[name])
        elif name.endswith(".pack") and not path.with_suffix(".idx").is_file():
            yield Finding("pack-extra", name, None, "a pack without an index: its objects are not listed by git")


def _text_findings(name: str, text: str, expected: str) -> Iterator[Finding]:
    known = set(expected.splitlines())
    section = ""
    found = False
    for number, line in enumerate(text.splitlines(), 1):
        section = line.strip() if line.startswith("[") else section
        if line not in known:
            found = True
            vector = "remote" if section.startswith(("[remote", "[branch", "[url")) else name.rpartition("/")[2].lower()
            yield Finding(vector, name, number, line.strip()[:200])
    if not found:
        yield Finding(name.rpartition("/")[2].lower(), name, None, "lines are missing, moved or repeated")


def _ref_findings(git_dir: Path, commit: str) -> Iterator[Finding]:
    branch = git_dir / BRANCH
    points_to = branch.read_text(errors="replace").strip() if branch.is_file() else "nothing"
    if points_to != commit:
        yield Finding("branch", BRANCH, None, f"points to {points_to[:60]}, not to {commit}")
    packed = git_dir / "packed-refs"
    if not packed.is_file():
        return
    for number, line in enumerate(packed.read_text(errors="replace").splitlines(), 1):
        ref = line.partition(" ")[2]
        vector = next((vector for pattern, vector in _KNOWN_VECTORS if fnmatchcase(ref, pattern)), None)
        if vector and not line.startswith("#") and ref != BRANCH:
            yield Finding(vector, "packed-refs", number, line)


def _object_findings(git_dir: Path, commit: str) -> Iterator[Finding]:
    """Findings over all objects, read through a scratch repository that borrows only the object store."""
    with scratch("audit") as borrower:
        write_skeleton(borrower)
        variables = {"GIT_DIR": str(borrower), "GIT_OBJECT_DIRECTORY": str((git_dir / "objects").absolute())}
        try:
            listed = run_git("cat-file", "--batch-all-objects", "--batch-check", variables=variables).decode()
            raw = run_git("cat-file", "commit", commit, variables=variables)
            closure = run_git("ls-tree", "-rtz", "--full-tree", commit, variables=variables)
        except GitUnavailableError:
            raise
        except GitError as error:
            yield Finding("damaged", "objects", None, str(error))
            return
        root = raw.partition(b"\n")[0].decode(errors="replace").removeprefix("tree ")
        kinds = {line.split()[0]: line.split()[1] for line in listed.splitlines()}
        own = {commit, root} | {entry.split()[2].decode() for entry in closure.split(b"\0") if entry}
        yield from _commit_findings(commit, root, raw)
        yield from _foreign(kinds, own, _ancestors(raw, kinds, variables))
        yield from _index_findings(git_dir, closure, variables)


def _commit_findings(commit: str, root: str, raw: bytes) -> Iterator[Finding]:
    expected = f"tree {root}\nauthor {IDENTITY}\ncommitter {IDENTITY}\n\n{MESSAGE}".encode()
    if raw == expected:
        return
    parents = [line for line in raw.partition(b"\n\n")[0].splitlines() if line.startswith(b"parent ")]
    for parent in parents:
        yield Finding("past-history", commit, None, f"the commit has the {parent.decode(errors='replace')}")
    if not parents:
        yield Finding("commit-metadata", commit, None, "author, date, message or headers are not the fixed ones")


def _ancestors(raw: bytes, kinds: dict[str, str], variables: dict[str, str]) -> set[str]:
    """Commits before the one commit, as far as they are there."""
    parents = [line.split()[1].decode() for line in raw.partition(b"\n\n")[0].splitlines() if line[:7] == b"parent "]
    present = [parent for parent in parents if parent in kinds]
    try:
        return set(run_git("rev-list", *present, variables=variables).decode().split()) if present else set()
    except GitUnavailableError:
        raise
    except GitError:
        return set(present)  # the history is cut short somewhere; its commits are findings either way


def _foreign(kinds: dict[str, str], own: set[str], ancestors: set[str]) -> Iterator[Finding]:
    for name in sorted(kinds.keys() - own):
        vector = "past-history" if name in ancestors else "foreign-object"
        yield Finding(vector, name, None, f"a {kinds[name]} that is not part of the commit")
    for name in sorted(own - kinds.keys()):
        yield Finding("submodule", name, None, "the commit's tree names an object that is not there")


def _index_findings(git_dir: Path, closure: bytes, variables: dict[str, str]) -> Iterator[Finding]:
    """The index must list the commit's files and no others: a staged file is an answer too."""
    if not (git_dir / "index").is_file():
        return
    try:
        staged = run_git(
            "ls-files", "-sz", variables={**variables, "GIT_INDEX_FILE": str((git_dir / "index").absolute())}
        )
    except GitUnavailableError:
        raise
    except GitError as error:
        yield Finding("damaged", "index", None, str(error))
        return
    wanted = set()
    for entry in closure.split(b"\0"):
        head, _, path = entry.partition(b"\t")
        if head and head.split()[1] != b"tree":
            wanted.add((head.split()[0], head.split()[2], path))
    for entry in staged.split(b"\0"):
        head, _, path = entry.partition(b"\t")
        if head and (head.split()[0], head.split()[1], path) not in wanted:
            shown = PurePosixPath(path.decode(errors="replace"))
            yield Finding("index", "index", None, f"the index holds {shown}, which the commit does not have so")
