"""Statements without a model: written from real pytest reports of a small broken library."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent_env.grading import TestOutcome, TestStatus
from env_builder.errors import StatementRefusedError
from env_builder.statement import write_statement
from env_builder.statement_leaks import distinctive_lines, hidden_ids, hidden_names, statement_leaks
from tasks.tree import Edits
from tests.env_builder.odd_library import FEATURE_TESTS, LIBRARY, PLUGIN, TESTS


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestOutcome]:
    """What pytest says of the failing tests, by the test's last name."""
    root = tmp_path_factory.mktemp("repository")
    for path, text in {
        "lib.py": LIBRARY,
        "tests/test_hidden_lib.py": TESTS,
        "tests/test_feature.py": FEATURE_TESTS,
        "reporter.py": PLUGIN,
    }.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "reporter", "-p", "no:cacheprovider", "--rootdir", str(root)]
    subprocess.run(
        [*command, "--tb=long", "--continue-on-collection-errors", "-c", os.devnull, "tests"],
        cwd=root,
        env={
            "PYTHONPATH": str(root),
            "REPORTS": str(root / "reports"),
            "PATH": os.defpath,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        check=False,
    )
    lines = [json.loads(line) for line in (root / "reports").read_text().splitlines()]
    return {name.rpartition("::")[2]: TestOutcome(name, TestStatus.FAILED, 0.1, text) for name, text in lines} | {
        name: TestOutcome(name, TestStatus.FAILED, 0.1, text) for name, text in lines
    }


HIDDEN = {"tests/test_hidden_lib.py": TESTS.encode(), "tests/test_feature.py": FEATURE_TESTS.encode()}


def written(outcomes: dict[str, TestOutcome], *names: str, gold_patch: str = "") -> str:
    found = write_statement(
        [outcomes[name] for name in names], target_paths=["lib.py"], hidden_files=HIDDEN, gold_patch=gold_patch
    )
    assert found.method == "template"
    assert statement_leaks(found.text, hidden_ids(HIDDEN), gold_patch) == []
    assert "secret" not in found.text.lower()
    return found.text


def test_a_wrong_value(outcomes: dict[str, TestOutcome]) -> None:
    assert written(outcomes, "test_double") == (
        "# `double` gives a wrong result\n"
        "\n"
        "`double` (from `lib`) gives a wrong result:\n"
        "\n"
        "```python\n"
        ">>> from lib import double\n"
        ">>> def helper_sum(values):\n"
        "...     return sum(values)\n"
        ">>> value = helper_sum([1, 2])\n"
        ">>> double(value)\n"
        "7\n"
        "```\n"
        "\n"
        "Expected: `6`\n"
        "\n"
        "Find the cause in the library's source and mend it. Other behaviour should stay as it is.\n"
    )


def test_a_value_on_the_right(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_swapped_sides")
    assert ">>> double(4)\n9\n" in text
    assert "Expected: `8`" in text


def test_an_exception_that_should_not_be(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_ratio_raises")
    assert text.startswith("# `ratio` raises `ZeroDivisionError`\n")
    assert ">>> ratio(1, 2)\nTraceback (most recent call last):\n  ...\nZeroDivisionError: division by zero\n" in text
    assert "Expected: `0.5`" in text


def test_an_exception_that_is_missing(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_strict_refuses")
    assert text.startswith("# `strict` does not raise `ValueError`\n")
    assert ">>> strict(-1)\n" in text
    assert "`ValueError` is expected" in text
    assert "`TypeError` is expected" in written(outcomes, "test_case_refuses")


def test_a_truth(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_near_truth")
    assert ">>> import lib\n>>> lib.near(3)\nFalse\n" in text
    assert "Expected: `True`" in text


def test_objects_are_made_and_changed_first(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_largest")
    assert text.startswith("# `Box.largest` gives a wrong result\n")
    assert ">>> box = Box()\n>>> box.add(3)\n>>> box.add(5)\n>>> box.largest()\n3\n" in text


def test_a_loop_is_shown_whole(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_in_loop")
    assert ">>> for given, wanted in CASES:\n...     assert double(given) == wanted\n" in text
    assert ">>> CASES = [(1, 2), (2, 4)]\n" in text
    assert "  ...\nAssertionError: assert 3 == 2\n" in text


def test_arguments_of_a_parametrised_test_are_known(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "tests/test_hidden_lib.py::test_parametrised[abc-6]")
    assert ">>> given = 'abc'\n>>> double(len(given))\n7\n" in text
    assert "Expected: `6`" in text


def test_what_a_fixture_gives_is_named_as_missing(outcomes: dict[str, TestOutcome]) -> None:
    assert "`stored` must be supplied" in written(outcomes, "test_fixture")


def test_steps_before_are_taken(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_steps")
    assert ">>> numbers = count()\n>>> next(numbers)\n>>> next(numbers)\n4\n" in text


def test_helpers_that_look_like_tests_get_another_name(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_named_function")
    assert ">>> def inner(x):\n...     return double(x)\n>>> inner(1)\n3\n" in text


def test_subtests_in_loops(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_sub")
    assert ">>> for given, wanted in CASES:\n...     assert double(given) == wanted\n" in text


def test_helpers_that_check_are_shown(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_calls_another")
    assert "...     assert double(value) == 6 * extra\n>>> check_double(3)\n" in text


def test_unittest_cases(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "test_case_largest")
    assert ">>> box = Box([4, 9])\n>>> box.largest()\n4\n" in text
    assert "Expected: `9`" in text


def test_attributes_come_from_the_class_that_ran(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "tests/test_hidden_lib.py::TestTuple::test_kind")
    assert ">>> kind = tuple\n" in text
    assert ">>> kind = list\n" in written(outcomes, "tests/test_hidden_lib.py::TestBase::test_kind")


def test_several_failures_show_distinct_behaviours(outcomes: dict[str, TestOutcome]) -> None:
    text = written(
        outcomes, "test_double", "test_swapped_sides", "test_ratio_raises", "test_strict_refuses", "test_fixture"
    )
    assert text.splitlines()[0] == "# `double`, `ratio` and `strict` do not behave as expected"
    assert text.count("```python") == 3
    assert written(outcomes, "test_double", "test_double").count("```python") == 1


def test_an_absent_function_is_shown_by_its_uses(outcomes: dict[str, TestOutcome]) -> None:
    text = written(outcomes, "tests/test_feature.py")
    assert text.startswith("# `triple` is missing from `lib`\n")
    assert ">>> from lib import triple\n>>> value = 2\n>>> triple(value)\n6\n" in text
    assert ">>> triple(None)\nTraceback (most recent call last):\n  ...\nTypeError\n" in text


def test_examples_that_the_solution_quotes_are_left_out(outcomes: dict[str, TestOutcome]) -> None:
    gold = "--- a/lib.py\n+++ b/lib.py\n@@ -1 +1,2 @@\n+    >>> ratio(1,   2)  # half\n+    >>> ratio(1, 2) == 0.5\n"
    assert "ratio(1, 2)" in written(outcomes, "test_ratio_raises", gold_patch=gold)
    quoting = "--- a/lib.py\n+++ b/lib.py\n@@ -1 +1,2 @@\n+    >>> double(value)\n"
    text = written(outcomes, "test_double", "test_ratio_raises", gold_patch=quoting)
    assert "double(value)" not in text
    assert "ratio(1, 2)" in text


ODD_HIDDEN_FILES: list[Edits] = [
    HIDDEN,
    {},
    {"tests/test_hidden_lib.py": b"def broken(:"},
    {"tests/test_hidden_lib.py": None},
]


@pytest.mark.parametrize("hidden", ODD_HIDDEN_FILES)
def test_an_error_without_a_call_is_said(hidden: Edits) -> None:
    detail = "E   KeyError: 'x'\n\nlib.py:3: KeyError"
    failure = TestOutcome("tests/test_hidden_lib.py::test_unknown", TestStatus.FAILED, 0.1, detail)
    text = write_statement([failure], target_paths=[], hidden_files=hidden).text
    assert "KeyError: 'x'" in text
    assert statement_leaks(text, [failure.id, *hidden_ids(hidden)], "") == []


@pytest.mark.parametrize("hidden", ODD_HIDDEN_FILES)
@pytest.mark.parametrize(
    "detail",
    ["", "no report at all", "E   AssertionError: test_double failed\n", "E   ValueError: in test_unknown\n"],
)
def test_a_statement_that_would_say_nothing_is_refused(detail: str, hidden: Edits) -> None:
    failure = TestOutcome("tests/test_hidden_lib.py::test_unknown", TestStatus.FAILED, 0.1, detail)
    with pytest.raises(StatementRefusedError) as refused:
        write_statement([failure], target_paths=[], hidden_files=hidden)
    assert refused.value.reason == "statement_empty"


def test_every_example_is_python(outcomes: dict[str, TestOutcome]) -> None:
    for name in outcomes:
        text = written(outcomes, name)
        for example in _examples(text):
            ast.parse(example)


def _examples(text: str) -> Iterator[str]:
    for block in text.split("```python\n")[1:]:
        lines = [line[4:] for line in block.split("```")[0].splitlines() if line.startswith((">>> ", "... "))]
        yield "\n".join(lines)


def test_leaks_of_test_names_are_found() -> None:
    ids = ["tests/test_lib.py::TestBox::test_add[1]", "tests/test_lib.py"]
    assert hidden_names(ids) == {"tests/test_lib.py", "test_lib.py", "TestBox", "test_add"}
    for text in ("see tests/test_lib.py", "in test_lib.py:3", "TestBox fails", "test_add", "/tmp/test_add0/x"):
        assert statement_leaks(text, ids, ""), text
    for text in ("tests", "attest_add", "TestBoxes", "add"):
        assert statement_leaks(text, ids, "") == [], text


def test_leaks_of_the_solution_are_found() -> None:
    lines = [
        " same = 1 + 2 + 3",
        "-old = compute(1)",
        "+new = compute(2)",
        "+x = 1",
        "+same = 1 + 2 + 3",
        "+    'a_public_name',",
    ]
    patch = "\n".join(["--- a/x.py", "+++ b/x.py", "@@ -1,3 +1,4 @@", *lines, ""])
    assert distinctive_lines(patch) == ["new = compute(2)"]
    assert statement_leaks("write `new  =  compute(2)`", [], patch)
    assert statement_leaks("write\n>>> new =\n    compute(2)", [], patch)
    assert statement_leaks("x = 1, same = 1 + 2 + 3, old = compute(1)", [], patch) == []
