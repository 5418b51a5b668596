"""Hidden tests contradicted: what is changed is one expected literal, and nothing else."""

import ast
from random import Random

import pytest

from blockers.contradiction import Contradiction, contradictions

HEAD = "from tiny import f\n\n\n"


def contradict(body: str, test: str = "test_f", *, stated: str = "", seed: int = 0) -> list[Contradiction]:
    return contradictions((HEAD + body).encode(), {test}, stated, Random(seed))


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("def test_f():\n    assert f(1) == 6\n", "6"),
        ("def test_f():\n    assert 6 == f(1)\n", "6"),
        ("def test_f():\n    assert f(1) == -6\n", "6"),
        ("def test_f():\n    assert f('ä') == 'ö'; x = 1\n", "'ö'"),
        ("def test_f():\n    expected = [6]\n    assert f(1) == expected\n", "6"),
        ("def test_f():\n    assert f(1) == b'x', 'why'\n", "b'x'"),
        ("def test_f():\n    assert f(1) and f(2) == {'a': True}\n", "'a'"),
        ("def test_f():\n    for x in (1, 2):\n        assert f(x) == 2.5\n", "2.5"),
        ("def test_f():\n    assert f(1) == ('a\\n'\n        'b')\n", "'a\\nb'"),
    ],
)
def test_one_literal_of_its_own_type_is_changed(body: str, right: str) -> None:
    [found] = contradict(body)
    assert found.right == right
    assert type(ast.literal_eval(found.wrong)) is type(ast.literal_eval(right))
    assert ast.literal_eval(found.wrong) != ast.literal_eval(right)
    before, after = ast.dump(ast.parse(HEAD + body)), ast.dump(ast.parse(found.content))
    assert after == before.replace(repr(ast.literal_eval(right)), repr(ast.literal_eval(found.wrong)))
    assert found.place in {
        (node.lineno, node.col_offset) for node in ast.walk(ast.parse(found.content)) if hasattr(node, "lineno")
    }


@pytest.mark.parametrize(
    "body",
    [
        "def test_f():\n    assert f(1)\n",
        "def test_f():\n    assert f(1) == f(2)\n",
        "def test_f():\n    assert f(1) is None\n",
        "def test_f():\n    assert f(1) == True\n",
        "def test_f():\n    assert f(1) == []\n",
        "def test_f():\n    assert f(1) != 6\n",
        "def test_f():\n    assert 5 == 6\n",
        "def test_f():\n    x = 6\n    assert f(x) == x\n",
        "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test_f(x):\n    assert f(x) == 6\n",
        "def test_g():\n    assert f(1) == 6\n",
        "def test_f(:\n",
    ],
)
def test_what_cannot_be_contradicted_for_sure_is_left_alone(body: str) -> None:
    assert contradict(body) == []


def test_a_method_is_found_in_its_class() -> None:
    body = "class TestA:\n    def test_f(self):\n        self.assertEqual(f(1), 6)\n"
    body += "def test_f():\n    assert f(1) == 7\n"
    assert [found.right for found in contradict(body, "TestA::test_f")] == ["6"]
    assert [found.right for found in contradict(body)] == ["7"]


def test_the_same_seed_gives_the_same_and_plain_statements_come_first() -> None:
    body = "def test_f():\n    if f(0):\n        assert f(1) == 6\n    assert f(2) == 7\n    assert f(3) == 'x'\n"
    assert contradict(body) == contradict(body)
    assert len({contradict(body, seed=seed)[0].wrong for seed in range(5)}) == 5
    assert all(contradict(body, seed=seed)[-1].right == "6" for seed in range(5))


def test_no_wrong_value_is_one_that_is_told() -> None:
    [first] = contradict("def test_f():\n    assert f(1) == 6\n")
    [second] = contradict("def test_f():\n    assert f(1) == 6\n", stated=f"It gives {first.wrong}.")
    assert second.wrong != first.wrong
