"""Searches what an agent can reach for a task's answer: gold lines and names, copies of changed modules, hidden tests.

Rules, each chosen to find every planted copy and to stay silent on real, clean trees:

- *Copy of a changed module* (same import path, compiled or not, archives included): a leak if it holds a pair of lines
  that the solution has and the start has not. Compiled: a leak unless it comes from a clean source beside it.
- *Copy of a changed file as a later release has it*: a leak where three runs of lines stand in it that the newest
  release has and neither start nor solution; under another name, where most of them do.
- *Run of three gold lines*: a leak in any text but Python source. In Python source, where a project and its kin repeat
  themselves by right, a leak only if the file is a copy: most of its runs, or of the changed file's, are the other's.
- *One gold line* of 20 characters or more, *one gold name*: a leak in a text that is not Python source, if no Python
  source has it by right. In the statement a name that the start and the hidden tests lack is a leak, too.
- *Hidden test file*: a leak where most runs of lines (compiled: most names) that it has, and the versions of hidden
  files that the agent may see have not, stand in one file. Tests of the start state repeat and split one another by
  right: one of them is a leak only if it holds most of what is new in the tests that fail.

The start state's own version of the files that the setup patch changes is what is read, not the tree's.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from blockers.findings import Finding
from blockers.leaks.index import LeakIndex
from blockers.leaks.marks import gold_marks
from blockers.leaks.newer import newer_marks
from blockers.leaks.places import structural_findings
from blockers.leaks.search import TREE, LeakSearch, names_in
from blockers.leaks.statement import statement_findings
from tasks.errors import BadInputError
from tasks.patch import apply_patch, reader
from tasks.tree import Edits

__all__ = ["LeakIndex", "audit_leaks"]


def audit_leaks(
    *,
    gold_patch: str,
    setup_patch: str,
    statement: str,
    hidden_files: Edits,
    failing: Collection[str],
    roots: Mapping[str, Path | LeakIndex],
    newest: Path | None = None,
) -> list[Finding]:
    """Everything within an agent's reach that holds a task's answer; empty for a task that may enter a pool.

    Args:
        gold_patch: from the start state to the solution.
        setup_patch: from the root ``tree`` to the start state.
        statement: what the agent is told.
        hidden_files: the hidden tests, path to content.
        failing: ids of the fail-to-pass tests.
        roots: directories to search by name, or their indexes, which tasks with equal roots should share. The root
            ``tree`` must be there: the environment's tree, before the setup patch.
        newest: tree of the project's newest release; None where there is none beside the task's own.

    Raises:
        BadInputError: there is no root ``tree``.
        PatchError: a patch does not parse or does not apply.
    """
    indexes = {name: root if isinstance(root, LeakIndex) else LeakIndex.build(root) for name, root in roots.items()}
    tree = indexes.get(TREE)
    if tree is None or tree.root is None:
        raise BadInputError(f"the leak audit needs the environment's tree as root {TREE!r}, got {sorted(roots)}")
    start = apply_patch(setup_patch, reader(tree.root))
    read = reader(tree.root, start)
    solution = apply_patch(gold_patch, read)
    before = {path: read(path) for path in solution}
    marks = gold_marks(gold_patch, before)
    search = LeakSearch(indexes, start, before, solution, marks)
    foreign_names = search.new_names() - names_in(hidden_files)
    return [
        *search.copies(),
        *search.newer(newer_marks(_files(newest, solution), before, solution)),
        *search.windows(),
        *search.lines(),
        *search.names(hidden_files),
        *search.hidden(hidden_files, {path: read(path) for path in hidden_files}, failing),
        *structural_findings(marks, indexes),
        *statement_findings(statement, marks, hidden_files, foreign_names),
    ]


def _files(tree: Path | None, paths: Collection[str]) -> Edits:
    return {path: reader(tree)(path) for path in paths} if tree else {}
