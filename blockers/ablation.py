"""The blocker that an ablation takes away: the agent's repository keeps the future, as a careless image does.

For a test bench alone: to measure what a policy does with the hole, and that the blocker is what stops it. Nothing here
is called for a pool that is not marked as unblocked (``tasks/pool.py``).
"""

from pathlib import Path

from blockers.clean_repo import commit_stream
from blockers.git_layout import BRANCH, run_git
from tasks.tree import Edits

FUTURE = "refs/heads/upstream"
"""The branch that holds the solution, one commit after the start."""


def leave_future(git_dir: Path, tree: Path, solution: Edits) -> str:
    """Add the solution's commit to a repository that ``make_git_dir`` made, and return its id.

    Args:
        tree: the clean export that the repository was made from.
        solution: changed files over it, the solution's included.
    """
    variables = {"GIT_DIR": str(git_dir.absolute())}
    parent = (git_dir / BRANCH).read_text().strip()
    stream = b"".join(commit_stream(tree, solution, branch=FUTURE, message="Fix\n", parent=parent))
    run_git("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--depth=0", variables=variables, stdin=stream)
    return (git_dir / FUTURE).read_text().strip()
