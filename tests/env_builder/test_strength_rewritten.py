"""Rewritten solutions, without a sandbox: the same program in other words."""

import ast
import textwrap
from typing import Any

from env_builder.strength.rewritten import rewritten
from env_builder.strength.solution import Solution
from tasks.patch import make_patch


def new_file(text: str) -> Solution:
    gold = {"lib/a.py": textwrap.dedent(text).lstrip().encode()}
    return Solution(make_patch({}, gold), {"lib/a.py": None}, gold)


PROGRAM = '''
"""A module."""
import os as system

counted = 5


def run(values, scale=counted, *, offset=1):
    """Says what it does."""
    # why
    counted = 0
    best: int = 0
    import json as coder
    for value in values:
        counted += value * scale
        if (double := value * 2) > best:
            best = double
    try:
        values[100]
    except IndexError as problem:
        text = str(problem)
    match values:
        case [head, *rest]:
            text += f"{head}{rest} {best=}"
        case {"a": held, **more}:
            text += f"{held}{more}"

    def inner(best=best):
        nonlocal offset
        offset += counted
        return [text for text in (best, offset)]

    shown = [shadow for shadow in values]
    shadow = len(shown)
    with open(system.devnull) as stream:
        read = stream.read()
    return counted, best, text, inner(), shadow, coder.dumps(shown), read, offset


def by_name(a):
    b = a
    return sorted(locals())
'''


def namespace(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(source, "<rewritten>", "exec"), found)  # the test's own program
    return found


def test_rewritten_solutions_are_the_same_program_in_other_words() -> None:
    solution = new_file(PROGRAM)
    made = {
        one.how: (one.files["lib/a.py"] or b"").decode()
        for one in rewritten(solution, solution.touched(), keep_docstrings=False)
    }
    assert set(made) == {"printed anew", "local names changed"}
    plain, renamed = made["printed anew"], made["local names changed"]
    original = namespace(PROGRAM)
    for text in (plain, renamed):
        assert "# why" not in text
        for values in ([1, 2, 3], [0], [5, 4]):
            assert namespace(text)["run"](values) == original["run"](values)
        assert namespace(text)["by_name"](1) == ["a", "b"]
    assert '"""' not in plain
    assert '"""Says what it does."""' in renamed
    names = {node.id for node in ast.walk(ast.parse(renamed)) if isinstance(node, ast.Name)}
    moved = {"counted", "double", "problem", "head", "rest", "held", "more", "value", "shown", "stream", "read"}
    assert {f"{name}_renamed" for name in moved} <= names | {"more_renamed", "rest_renamed"}
    assert "except IndexError as problem_renamed" in renamed
    assert "*rest_renamed" in renamed
    assert "**more_renamed" in renamed
    assert "scale=counted," in renamed
    for kept in ("values", "scale", "offset", "coder", "inner", "shadow", "best", "b"):
        assert f"{kept}_renamed" not in renamed


def test_docstrings_that_somebody_reads_stay() -> None:
    solution = new_file(PROGRAM)
    kept = next(rewritten(solution, [], keep_docstrings=True)).files["lib/a.py"]
    assert kept is not None
    assert b'"""Says what it does."""' in kept


def test_a_file_that_is_no_program_here_is_not_rewritten() -> None:
    assert list(rewritten(new_file("print 'a'\n"), [], keep_docstrings=False)) == []
    assert [one.how for one in rewritten(new_file("def f(a):\n    return (a)\n"), [], keep_docstrings=True)] == [
        "printed anew"
    ]


def test_a_file_that_the_solution_deletes_stays_deleted() -> None:
    start = {"lib/a.py": b"A = 1\n", "lib/b.py": b"B = 1\n"}
    gold = {"lib/a.py": None, "lib/b.py": b"B = (2)\n"}
    solution = Solution(make_patch(start, gold), start, gold)
    assert [one.files for one in rewritten(solution, [], keep_docstrings=False)] == [{**gold, "lib/b.py": b"B = 2\n"}]
