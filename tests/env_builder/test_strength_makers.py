"""The makers of wrong fixes, without a sandbox."""

import ast
import textwrap
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from env_builder.strategies.meaning import meaning
from env_builder.strength.attempt import Attempt, Kind
from env_builder.strength.attempts import make_attempts
from env_builder.strength.mutants import mutants
from env_builder.strength.partial import partial_fixes
from env_builder.strength.solution import Known, Solution, read_solution
from env_builder.strength.trivial import trivial_fixes
from tasks.environment import Environment
from tasks.patch import make_patch
from tasks.tree import Edits
from tests.conftest import COUNTING, make_environment, make_tasks, write_project


def code(text: str) -> bytes:
    return textwrap.dedent(text).lstrip("\n").encode()


def solution_of(start: Edits, gold: Edits) -> Solution:
    return Solution(make_patch(start, gold), {path: start.get(path) for path in gold}, gold)


def new_file(text: str) -> Solution:
    return solution_of({}, {"lib/a.py": code(text)})


def sources(attempts: list[Attempt]) -> dict[tuple[str, str], str]:
    return {(one.how, one.target): (one.files["lib/a.py"] or b"").decode() for one in attempts}


BEFORE = code('''
    def same(a):
        """Says one thing."""
        return a

    def changed(a):
        return a

    class Box:
        def get(self):
            return 1

        def put(self):
            return 2
''')

AFTER = code('''
    def same(a):
        """Says another."""
        return a  # and why

    def changed(a):
        return a + 1

    class Box:
        @property
        def get(self):
            return 1

        def put(self):
            return 2

    def added():
        return 3
''')


def test_functions_are_touched_where_they_mean_something_else() -> None:
    solution = solution_of({"lib/a.py": BEFORE}, {"lib/a.py": AFTER})
    assert [one.target for one in solution.touched()] == ["lib/a.py:changed", "lib/a.py:Box.get", "lib/a.py:added"]
    created = solution_of({}, {"lib/a.py": BEFORE, "data.txt": b"1", "versioneer.py": BEFORE, "docs/conf.py": BEFORE})
    assert len(created.touched()) == 4
    assert solution_of({"lib/a.py": BEFORE}, {"lib/a.py": None}).touched() == []


BUGGY = COUNTING.replace(b"result += number", b"result -= number")


def test_no_mutant_is_the_bug_the_solution_or_another() -> None:
    solution = solution_of({"tiny/counting.py": BUGGY}, {"tiny/counting.py": COUNTING})
    assert [one.qualname for one in solution.touched()] == ["total"]
    made = list(mutants(solution, solution.touched(), Random(0)))
    known = Known(solution)
    kept = [one for one in made if known.is_new(one.files)]
    bug = [one for one in made if one not in kept]
    assert [(one.how, one.files) for one in bug] == [("change_operator", {"tiny/counting.py": BUGGY})]
    meanings = {meaning(one.files["tiny/counting.py"] or b"") for one in kept}
    assert len(meanings | {meaning(BUGGY), meaning(COUNTING)}) == len(kept) + 2
    assert all(
        b"def mean(numbers):\n    numbers = list(numbers)" in (one.files["tiny/counting.py"] or b"") for one in kept
    )


MANY_SITES = """
def first(a, b):
    if a < b:
        a = max(a, b)
    return [x for x in a[1:] if x]

def second(a, b=1):
    if a > b:
        b = min(a, b)
    return [x for x in a[:b] if x]
"""


def test_mutants_spread_over_kinds_and_functions_in_an_order_of_the_seed() -> None:
    solution = new_file(MANY_SITES)

    def some(seed: int) -> list[tuple[str, str]]:
        return [(one.how, one.target) for one in islice(mutants(solution, solution.touched(), Random(seed)), 6)]

    assert some(0) == some(0) != some(1)
    for seed in range(5):
        assert len({how for how, _ in some(seed)}) == 6
        assert {target for _, target in some(seed)} == {"lib/a.py:first", "lib/a.py:second"}
    fitting = {one.how for one in mutants(solution, solution.touched(), Random(0))}
    assert {how for seed in range(40) for how, _ in some(seed)} == fitting


def lines(*changed: int, count: int = 30) -> bytes:
    """Lines that repeat, so that the context of a hunk stands in several places."""
    return b"".join(b"x%d = %d\n" % (number % 10, 2 if number in changed else 1) for number in range(count))


def test_each_hunk_and_each_file_is_left_out_once() -> None:
    start = {"lib/a.py": lines(), "lib/b.py": b"y = 1", "notes.txt": b"1\n", "docs/conf.py": b"z = 1\n"}
    gold = {"lib/a.py": lines(5, 15, 25), "lib/b.py": b"y = 2\n", "lib/c.py": b"z = 1\n", "notes.txt": b"2\n"}
    gold["docs/conf.py"] = b"z = 2\n"
    solution = solution_of(start, gold)
    made = {(one.how, one.target): one.files for one in partial_fixes(solution)}
    assert made == {
        ("without this file", "lib/a.py"): {**gold, "lib/a.py": lines()},
        ("without hunk 1 of 3", "lib/a.py"): {**gold, "lib/a.py": lines(15, 25)},
        ("without hunk 2 of 3", "lib/a.py"): {**gold, "lib/a.py": lines(5, 25)},
        ("without hunk 3 of 3", "lib/a.py"): {**gold, "lib/a.py": lines(5, 15)},
        ("without this file", "lib/b.py"): {**gold, "lib/b.py": b"y = 1"},
        ("without hunk 1 of 1", "lib/b.py"): {**gold, "lib/b.py": b"y = 1"},
        ("without this file", "lib/c.py"): {**gold, "lib/c.py": None},
    }
    known = Known(solution)
    assert [known.is_new(files) for files in made.values()].count(True) == 6  # a hunk that is all of its file: once


def test_hunks_that_add_or_take_lines_are_left_out_in_their_place() -> None:
    solution = solution_of({"lib/a.py": lines()}, {"lib/a.py": b"new = 1\n" + lines(count=20) + b"end"})
    made = [one.files["lib/a.py"] for one in partial_fixes(solution) if "hunk" in one.how]
    assert made == [lines(count=20) + b"end", b"new = 1\n" + lines()]


def test_a_patch_of_one_hunk_has_no_partial_fix() -> None:
    solution = solution_of({"lib/a.py": lines()}, {"lib/a.py": lines(3)})
    known = Known(solution)
    assert not any(known.is_new(one.files) for one in partial_fixes(solution))


def test_what_does_not_compile_or_only_looks_different_is_no_wrong_fix() -> None:
    known = Known(new_file("def f(a):\n    return a\n"))
    assert not known.is_new({"lib/a.py": b"def f(a):\n    return (\n"})
    assert not known.is_new({"lib/a.py": b'def f(a):\n    """Words."""\n    return (a)\n'})
    assert known.is_new({"lib/a.py": b"def f(a):\n    return 1\n"})
    assert not known.is_new({"lib/a.py": b"def f(a):\n    return 1  # again\n"})


def test_trivial_bodies() -> None:
    solution = new_file('''
        class Box:
            def get(self, key, default=None):
                """Gives a value."""
                # how
                found = self.items.get(key)
                return found or default

            def all(self): return list(self.items)

            def later(self, *args):
                """Not written yet."""
    ''')
    made = sources(list(trivial_fixes(solution, solution.touched())))
    get, whole = "lib/a.py:Box.get", "lib/a.py:Box.all"
    assert {key: returned(text, key[1]) for key, text in made.items()} == {
        ("returns None", get): "return None",
        ("returns its first argument", get): "return key",
        ("raises", get): "raise NotImplementedError",
        ("returns None", whole): "return None",
        ("raises", whole): "raise NotImplementedError",
    }
    assert all('"""Gives a value."""' in text for text in made.values())


def returned(source: str, target: str) -> str:
    """The last statement of a function."""
    name = target.rpartition(".")[2]
    (found,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.unparse(found.body[-1])


@pytest.fixture
def attempts(tmp_path: Path) -> Callable[[int, int], list[Attempt]]:
    tree = write_project(tmp_path / "tree")
    environment: Environment = make_environment(tree, ())
    (task,) = (task for task in make_tasks(environment) if task.id == "tiny-total")
    solution = read_solution(task, tree)

    def make(most: int, seed: int) -> list[Attempt]:
        return list(make_attempts(task, tree, solution, solution.touched(), most=most, seed=seed))

    return make


def test_attempts_of_a_task(attempts: Callable[[int, int], list[Attempt]]) -> None:
    made = attempts(3, 0)
    kinds = [one.kind for one in made]
    assert kinds == [Kind.MUTANT] * 3 + [Kind.TRIVIAL] * 3 + [Kind.REWRITTEN] * 2
    assert made == attempts(3, 0) != attempts(3, 1)
    assert [one.how for one in attempts(1, 0)] == [made[0].how, made[3].how, "printed anew", "local names changed"]
    assert all(set(one.files) == {"tiny/counting.py"} for one in made)
    assert b'"""Counting."""' not in (made[-2].files["tiny/counting.py"] or b"")
