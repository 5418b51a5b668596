"""A task's solution as the makers of attempts see it: the files that the gold patch changes, before and after."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent_env.grading.states import gold_edits, start_edits
from env_builder.strategies.meaning import meaning
from env_builder.strategies.procedural.function import Function, functions
from env_builder.strategies.procedural.strategy import is_beside_the_code
from tasks.patch import reader
from tasks.task import Task
from tasks.tree import Edits


class Solution(NamedTuple):
    """Two states of the files that the gold patch changes."""

    patch: str
    """The gold patch."""
    start: Edits
    gold: Edits

    def code(self) -> list[str]:
        """The Python files that the gold patch changes, less those that no test is there for: documents, what a build
        generates, what another project wrote."""
        return [path for path in sorted(self.gold) if path.endswith(".py") and not is_beside_the_code(path)]

    def python(self) -> Iterator[tuple[str, bytes]]:
        """Those of them that the solved state has, with their content."""
        return ((path, content) for path in self.code() if (content := self.gold[path]) is not None)

    def touched(self) -> list[Function]:
        """The functions of the solved state that the start state lacks, or has with another meaning."""
        found = []
        for path, content in self.python():
            old = {(function.qualname, _meaning(function)) for function in functions(path, self.start[path] or b"")}
            found += [one for one in functions(path, content) if (one.qualname, _meaning(one)) not in old]
        return found

    def with_file(self, path: str, content: bytes | None) -> Edits:
        """The solved state with another content of one file."""
        return {**self.gold, path: content}


def read_solution(task: Task, tree: Path) -> Solution:
    """A task's solution over the clean tree of its environment."""
    gold = gold_edits(task, tree)
    read = reader(tree, start_edits(task, tree))
    return Solution(task.gold_patch, {path: read(path) for path in gold}, gold)


class Known:
    """The states of a task that were seen, by what their Python files mean. It begins with start and solution."""

    def __init__(self, solution: Solution) -> None:
        self._seen = {_meanings(solution.start), _meanings(solution.gold)}

    def is_new(self, state: Edits) -> bool:
        """Whether a state compiles and means something that was not seen yet; from now on it was."""
        now = _meanings(state)
        if now in self._seen or any(found is None for _, found in now):
            return False
        self._seen.add(now)
        return True


def _meanings(state: Edits) -> frozenset[tuple[str, object]]:
    files = ((path, content) for path, content in state.items() if path.endswith(".py"))
    return frozenset((path, "gone" if content is None else meaning(content)) for path, content in files)


def _meaning(function: Function) -> object:
    """What a function with its decorators means; its text where that cannot be compiled by itself."""
    node = function.node.parent
    if node is None or node.type != "decorated_definition":
        node = function.node
    line = function.source.rfind(b"\n", 0, node.start_byte) + 1
    text = function.source[line : node.end_byte]
    return meaning(b"if True:\n" + text if text[:1].isspace() else text) or text
