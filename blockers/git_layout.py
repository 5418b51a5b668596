"""The one shape of a git directory that an agent gets: made by ``clean_repo``, demanded by ``git_audit``."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from blockers.errors import GitError, GitUnavailableError

BRANCH = "refs/heads/main"

IDENTITY = "RepoDojo <repodojo@localhost> 946684800 +0000"
"""Author and committer of the one commit. The date is fixed: a real one would tell which future release to recall."""

MESSAGE = "Start\n"

HEAD = f"ref: {BRANCH}\n"

CONFIG = """\
[core]
	repositoryformatversion = 0
	filemode = false
	bare = false
	logallrefupdates = true
	checkstat = minimal
	trustctime = false
	protectNTFS = false
	pager = cat
[user]
	name = agent
	email = agent@localhost
[gc]
	auto = 0
[maintenance]
	auto = false
"""
"""``filemode``: modes do not cross, so git shows none. ``checkstat``, ``trustctime``: the files reach a sandbox through
an overlay, with other inodes, owners and change times than the index knows; size and modification time suffice.
``gc``: no process of git's own may outlive a command."""

ATTRIBUTES = "* -text -ident -filter -working-tree-encoding\n"
"""Overrides what the tree's own .gitattributes would convert: the commit holds the bytes of the files as they are."""

_SETTINGS = ("core.protectNTFS=false", "core.logAllRefUpdates=false", "core.fsync=none", "core.compression=0")


def run_git(*arguments: str, variables: Mapping[str, str], stdin: bytes = b"") -> bytes:
    """Run git apart from the user's settings and return its standard output.

    Raises:
        GitError: git failed.
        GitUnavailableError: it is missing, could not be started, or was killed.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    command = ["git", *(word for setting in _SETTINGS for word in ("-c", setting)), *arguments]
    try:
        done = subprocess.run(command, env=environment | dict(variables), input=stdin, capture_output=True, check=False)
    except OSError as error:
        message = f"the git program could not be run ({error}); where it is missing, install git 2.38 or newer"
        raise GitUnavailableError(message) from error
    if done.returncode < 0:
        raise GitUnavailableError(f"git {arguments[0]} was killed by signal {-done.returncode}")
    if done.returncode:
        shown = done.stderr.decode(errors="replace").strip()
        raise GitError(f"git {arguments[0]} failed with {done.returncode}: {shown[:2000]}")
    return done.stdout


def write_skeleton(git_dir: Path, *, excluded: str = "") -> None:
    """Make an empty repository of the one shape: no hooks, no remotes, no logs, no description."""
    for folder in ("info", "objects/info", "objects/pack", "refs/heads"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    for name, text in (("HEAD", HEAD), ("config", CONFIG), ("info/attributes", ATTRIBUTES), ("info/exclude", excluded)):
        (git_dir / name).write_text(text, encoding="utf-8", errors="surrogateescape")
