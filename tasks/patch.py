"""Unified diffs of text files: made and applied by git itself, on a scratch copy of the files they name."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tasks.errors import InfraError, PatchError
from tasks.scratch import scratch
from tasks.tree import Edits

Reader = Callable[[str], bytes | None]
"""Content of a file by its relative POSIX path, or None where there is no such file."""

_HEADER = re.compile(r"^diff --git a/(.+) b/\1$", re.MULTILINE)
"""A file of a diff; both names are the same, since renames are never made nor taken."""

_ANY_HEADER = re.compile(r"^diff --git ", re.MULTILINE)

_ONE_SIDED = re.compile(r"^diff --git [ab]/(.+) [ab]/\1$", re.MULTILINE)
"""A header of ``git diff --no-index a b``, which names one side twice for a new or deleted file."""

_GIT_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CEILING_DIRECTORIES": "/",
    "LC_ALL": "C.UTF-8",
}


def make_patch(before: Edits, after: Edits) -> str:
    """The git-style diff from ``before`` to ``after`` (no renames, no binary hunks); empty where they are equal.

    Raises:
        PatchError: a changed file is not text.
        InfraError: git was killed.
    """
    changed = sorted(path for path in set(before) | set(after) if before.get(path) != after.get(path))
    if not changed:
        return ""
    with scratch("diff") as root:
        for side, files in (("a", before), ("b", after)):
            (root / side).mkdir()
            _lay(root / side, {path: files.get(path) for path in changed})
        command = [
            "git",
            "-c",
            "core.quotepath=off",
            "diff",
            "--no-index",
            "--no-renames",
            "--no-color",
            "--no-ext-diff",
            "--src-prefix=",
            "--dst-prefix=",
            "a",
            "b",
        ]
        done = subprocess.run(command, cwd=root, env=_GIT_ENVIRONMENT, capture_output=True, check=False)
    _require_alive(done)
    if done.returncode not in (0, 1):
        raise PatchError(f"git could not compare {len(changed)} files: {done.stderr.decode(errors='replace').strip()}")
    try:
        text = done.stdout.decode()
    except UnicodeDecodeError as error:
        raise PatchError(f"a changed file is not UTF-8 text, among {changed}") from error
    if re.search(r"^Binary files .* differ$", text, re.MULTILINE):
        raise PatchError(f"a changed file is not text, among {changed}")
    return _ONE_SIDED.sub(r"diff --git a/\1 b/\1", text)


def patched_paths(patch: str) -> list[str]:
    """The paths that a git-style diff names, in its order."""
    return list(dict.fromkeys(match[1] for match in _HEADER.finditer(patch)))


def apply_patch(patch: str, read: Reader) -> dict[str, bytes | None]:
    """The files that ``patch`` changes, after it: new content, or None where it deletes.

    Args:
        patch: a git-style unified diff; an empty one changes nothing.
        read: gives the content before the patch.

    Raises:
        PatchError: the diff does not parse, leaves the tree, or does not apply exactly.
        InfraError: git was killed.
    """
    if not patch.strip():
        return {}
    paths = patched_paths(patch)
    if not paths or len(_ANY_HEADER.findall(patch)) != len(_HEADER.findall(patch)):
        raise PatchError("expected a git-style diff whose headers are all 'diff --git a/PATH b/PATH', one path twice")
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise PatchError(f"the diff names {path!r}, which is outside the tree")
    with scratch("apply") as root:
        _lay(root, {path: read(path) for path in paths})
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"],
            input=patch.encode(),
            cwd=root,
            env=_GIT_ENVIRONMENT,
            capture_output=True,
            check=False,
        )
        _require_alive(done)
        if done.returncode:
            raise PatchError(f"the diff does not apply: {done.stderr.decode(errors='replace').strip()}")
        return {path: (root / path).read_bytes() if (root / path).is_file() else None for path in paths}


def reader(root: Path, *layers: Edits) -> Reader:
    """Reads files of ``root`` with ``layers`` of edits over it, the last on top."""

    def read(path: str) -> bytes | None:
        for layer in reversed(layers):
            if path in layer:
                return layer[path]
        return (root / path).read_bytes() if (root / path).is_file() else None

    return read


def _require_alive(done: "subprocess.CompletedProcess[bytes]") -> None:
    """That a signal ended git says nothing about the diff: the machine ran out of memory, or somebody meant it."""
    if done.returncode < 0:
        raise InfraError(f"git was killed by signal {-done.returncode} at a diff")


def _lay(root: Path, files: Edits) -> None:
    for path, content in files.items():
        if content is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
