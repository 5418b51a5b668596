"""Which assertions are taken apart, which stay as they are, and what a probe program still holds."""

import ast
from textwrap import dedent

import pytest

from blockers.oracle import Derived, derive_probes

HEAD = """
import math
import os
import string
import pytest
from project import f, table
"""


def derive(body: str, head: str = HEAD, name: str = "test_it", cases: int = 1) -> Derived | None:
    return derive_probes("tests/test_x.py", (head + dedent(body)).encode(), {name: cases})


def slots(body: str, **options: int) -> list[str]:
    """The reports in the probe program, less their numbers."""
    derived = derive(body, **options)  # type: ignore[arg-type]
    assert derived is not None
    found = []
    for node in ast.walk(ast.parse(derived.program)):
        match node:
            case ast.Call(func=ast.Name(id="__slot_7f__"), args=[_, value]):
                found.append(ast.unparse(value))
            case ast.Call(func=ast.Name(id="__raises_7f__")):
                found.append("raises")
    return found


TAKEN = {
    "a literal on the right": ("assert f(1) == [2, {'a': (3,)}]", ["f(1)"]),
    "a literal on the left": ("assert -1.5 == f(1)", ["f(1)"]),
    "identity with a constant": ("assert f(1) is None\nassert f(2) is False", ["f(1)", "f(2)"]),
    "a message": ("assert f(1) == 2, 'no'", ["f(1)"]),
    "two in one": ("assert f(1) == 2 and f(3) == 4", ["f(1)", "f(3)"]),
    "an expression of builtins": ("assert f(1) == sorted(set(range(3)))", ["f(1)"]),
    "a comprehension": ("assert f(1) == [n * n for n in range(3) if n]", ["f(1)"]),
    "the standard library": ("assert f(1) == math.pi * len(string.digits)", ["f(1)"]),
    "a name for it alone": ("expected = [1]\nassert f(1) == expected", ["f(1)"]),
    "a name of a name": ("one = [1]\nboth = one + [2]\nassert f(1) == both", ["f(1)"]),
    "a name that is given anew": ("x = 1\nassert f(1) == x\nx = 2\nassert f(2) == x", ["f(1)", "f(2)"]),
    "a fixed name that is used elsewhere": ("n = 3\nassert f(n) == n + 1", ["f(n)"]),
    "a loop over numbers": ("for n in range(3):\n    assert f(n) == n * 2", ["f(n)"]),
    "a loop over letters": ("for n, c in enumerate('abc'):\n    assert f(n) == c.upper()", ["f(n)"]),
    "a table in a loop": ("for a, b in [(1, [2]), (3, [4])]:\n    assert f(a) == b", ["f(a)"]),
    "a block that raises": ("with pytest.raises(ValueError):\n    f(1)", ["raises"]),
    "a block that raises one of two": ("with pytest.raises((ValueError, KeyError)):\n    f(1)", ["raises"]),
    "a value beside an assertion that stays": ("assert f(0) == f(3)\nassert f(1) == 2", ["f(1)"]),
    "a truth": ("assert f(1)", ["not f(1)"]),
    "its contrary": ("assert not f(1)", ["not f(1)"]),
    "an inequality": ("assert f(1) != 2", ["f(1)"]),
    "an order": ("assert f(1) < 2", ["f(1)"]),
    "an order from the other side": ("assert 2 < f(1)", ["f(1)"]),
    "what some container holds": ("assert 2 in f(1)", ["not 2 in f(1)"]),
    "what it does not hold": ("assert 2 not in f(1)", ["not 2 in f(1)"]),
    "identity with an object": ("x = f(1)\nassert x is f(1)", ["not x is f(1)"]),
    "another object": ("x = f(1)\nassert x is not f(1)", ["not x is f(1)"]),
    "data that the project gets hold of": ("data = [1, 2]\nassert f(data) == data", ["f(data)"]),
    "several names at once": ("x, y = 1, [2]\nassert f(1) == x\nassert f(2) == y", ["f(1)", "f(2)"]),
    "a table of another name": (
        "rows = [(1, [2]), (3, [4])]\nfor a, b in rows:\n    assert f(a) == b",
        ["f(a)"],
    ),
    "a numbered table": ("for n, (a, b) in enumerate([(1, [2]), (3, [4])]):\n    assert f(a, n) == b", ["f(a, n)"]),
    "the items of a dict": ("for a, b in {'x': [1], 'y': [2]}.items():\n    assert f(a) == b", ["f(a)"]),
    "one of several": ("assert f(1) in (2, 3)", ["f(1)"]),
    "text in a text": ("with pytest.raises(ValueError) as e:\n    f(1)\nassert 'no' in str(e.value)", ["str(e.value)"]),
    "several in one function": ("x = f(1)\nassert x == 1\nassert len(x) == 2", ["x", "len(x)"]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_apart(name: str) -> None:
    body, expected = TAKEN[name]
    assert slots("def test_it():\n" + indented(body)) == expected


STAYS = {
    "both sides are the project's": "assert f(1) == table[1]",
    "no side is": "assert [1, 2] == sorted([2, 1])",
    "a negation": "assert not f(1) == 2",
    "a chain": "assert 1 == f(1) == 1",
    "an alternative": "assert f(1) == 1 or f(1) == 2",
    "an approximation": "assert f(1) == pytest.approx(0.3)",
    "a name from the project": "x = f(1)\nassert f(2) == x",
    "what the clock says": "import time\nassert f(1) == time.time()",
    "what the machine says": "assert f(1) == os.getcwd()",
    "what a file says": "assert f(1) == open('x').read()",
    "under a condition": "if f(0):\n    assert f(1) == 2",
    "in a loop over the project's values": "for x in f(0):\n    assert x == 2",
    "in a loop that may be left": "for n in range(3):\n    if f(n): break\n    assert f(n) == 2",
    "in a while loop": "while f(0):\n    assert f(1) == 2",
    "under try": "try:\n    assert f(1) == 2\nexcept ValueError:\n    pass",
    "in a context of unknown kind": "with f(0):\n    assert f(1) == 2",
    "in a function inside": "def inner(x):\n    assert x == 2\nf(inner)",
    "after a return": "if f(0):\n    return\nassert f(1) == 2",
    "a name that a loop gives twice": "for c in 'ab':\n    for c in f(c):\n        pass\n    assert f(1) == c",
    "a name that is deleted": "x = 1\ndel x\nassert f(1) == x",
    "a name that is counted up": "x = 1\nx += 1\nassert f(1) == x",
    "a builtin that is none": "len = f\nassert f(1) == len([1])",
    "a call of the object": "assert f(1) == id(1)",
    "raises with a pattern": "with pytest.raises(ValueError, match='x'):\n    f(1)",
    "raises an exception of the project": "with pytest.raises(table):\n    f(1)",
}


@pytest.mark.parametrize("name", STAYS)
def test_what_stays_an_assertion(name: str) -> None:
    derived = derive("def test_it():\n" + indented(STAYS[name]))
    assert derived is not None
    assert not derived.slots
    for line in STAYS[name].splitlines():
        if line.strip().startswith(("assert", "with pytest")):
            assert ast.unparse(ast.parse(indented_block(line)).body[0]).splitlines()[0] in derived.program


def test_a_claim_and_its_contrary_leave_the_same_program() -> None:
    programs = {
        derived.program
        for body in ("assert f(1)", "assert not f(1)", "assert not not f(1)")
        if (derived := derive("def test_it():\n" + indented(body)))
    }
    assert len(programs) == 1


def test_data_of_the_test_is_recorded_as_it_was_written() -> None:
    derived = derive("def test_it():\n    data = [1]\n    more = data + [2]\n    assert f(data, more) == more")
    assert derived is not None
    assert "__slot_7f__(0, f(data, more), more, [1] + [2])" in derived.recording


def test_methods_of_unittest_are_assertions_like_others() -> None:
    body = """
    import unittest
    class TestA(unittest.TestCase):
        def test_it(self):
            self.assertTrue(f(1))
            self.assertFalse(f(2), 'no')
            self.assertIn(f(3), [991])
            self.assertNotIn(f(4), f(5))
            self.assertIsNotNone(f(6))
            self.assertNotEqual(f(7), 992)
            self.assertGreater(993, f(8))
            self.assertListEqual([994], f(9))
            self.assertIs(f(10), None)
            self.assertAlmostEqual(f(11), 995)
    """
    derived = derive(body, name="TestA::test_it")
    assert derived is not None
    assert [info.kind for info in derived.slots.values()] == ["is", "is", "in", "is", "is", "ne", "lt", "eq", "is"]
    assert all(str(value) not in derived.program for value in (991, 992, 993, 994))
    assert "self.assertAlmostEqual(f(11), 995)" in derived.program


OWN = """
from collections import defaultdict

class Mapping(dict):
    def __getattr__(self, name):
        return self[name]

class Stranger:
    def __init__(self, data):
        self.data = f(data)

class Base:
    make = dict
    strange = Stranger

    def test_it(self):
        make, more = self.make, 1
        assert f(1, make({})) == make({991: 1})
        assert f(2) == self.make({992: 1})
        assert f(3) == Mapping(a=993)
        assert f(4) == Stranger(994)
        assert f(5) == self.strange(995)

class TestA(Base):
    @staticmethod
    def make(pairs):
        return defaultdict(int, pairs)
"""


def test_what_the_tests_define_by_themselves_may_be_expected() -> None:
    derived = derive(OWN, name="TestA::test_it")
    assert derived is not None
    assert len(derived.slots) == 3
    assert all(str(value) not in derived.program for value in (991, 992, 993))
    assert all(str(value) in derived.program for value in (994, 995))


def test_helpers_are_written_out_where_they_are_called() -> None:
    body = """
    def check(value, expected, more=()):
        seen = list(value)
        for one in more:
            pass
        assert seen == expected
        return

    def test_it():
        check(f(1), [991])
        check(f(2), expected=[992], more=(3,))
        return check(f(3), [993])
    """
    derived = derive(body)
    assert derived is not None
    assert len(derived.slots) == 3
    assert len({info.place for info in derived.slots.values()}) == 3
    assert "99" not in derived.program
    assert "check(" not in derived.program


def test_a_test_that_another_one_calls_is_written_out_there() -> None:
    body = """
    def test_first(call=f):
        assert call(1) == 991

    def test_it():
        test_first(call=table)
    """
    derived = derive_probes("tests/test_x.py", (HEAD + dedent(body)).encode(), {"test_first": 1, "test_it": 1})
    assert derived is not None
    assert len(derived.slots) == 2
    assert "99" not in derived.program


NOT_WRITTEN_OUT = {
    "returns early": "    if x: return\n    assert x == y",
    "returns something": "    assert x == y\n    return x",
    "is a generator": "    assert x == y\n    yield x",
    "changes a name of the module": "    global table\n    table = x\n    assert x == y",
    "binds a name twice": "    g = lambda x: x\n    assert g(x) == y",
    "reads a name that the test binds": "    assert x == y + z",
    "looks at its frame": "    assert locals()['x'] == y",
}


@pytest.mark.parametrize("name", NOT_WRITTEN_OUT)
def test_what_helper_stays_a_call(name: str) -> None:
    derived = derive(f"def check(x, y):\n{NOT_WRITTEN_OUT[name]}\ndef test_it():\n    z = 1\n    check(f(z), 2)\n")
    assert derived is not None
    assert not derived.slots
    assert "check(f(z), 2)" in derived.program


def test_named_tuples_of_a_table_are_taken_apart() -> None:
    body = """
    from collections import namedtuple
    Case = namedtuple("Case", "given expected")
    CASES = [Case({1: 2}, 991), Case({}, 992)]

    def test_it():
        for number, (given, expected) in enumerate(CASES):
            assert f(given) == expected
    """
    derived = derive(body)
    assert derived is not None
    assert [info.kind for info in derived.slots.values()] == ["eq"]
    assert "99" not in derived.program


def test_a_table_that_is_used_otherwise_stays() -> None:
    body = "CASES = [(1, 991)]\ndef test_it():\n    f(CASES)\n    for a, b in CASES:\n        assert f(a) == b\n"
    derived = derive(body)
    assert derived is not None
    assert not derived.slots


def test_a_fixture_that_gives_its_parameters_is_a_table() -> None:
    body = """
    @pytest.fixture(scope="module", params=["x", "y"])
    def letter(request):
        param = request.param
        return param

    def test_it(letter):
        assert f(letter) == letter + "!"
    """
    derived = derive(body, cases=2)
    assert derived is not None
    assert len(derived.slots) == 1
    assert "test_it(letter='y')" in derived.program


LEFT_OUT = {
    "a fixture": "def test_it(capsys): assert f(1) == 2",
    "a fixture that makes something": (
        "@pytest.fixture(params=[1])\ndef a(request): return f(request.param)\ndef test_it(a): assert f(a) == 2"
    ),
    "a fixture of its own": "@pytest.fixture\ndef tmp_path(): pass\ndef test_it(tmp_path): assert f(1) == 2",
    "a mark": "@pytest.mark.xfail\ndef test_it(): assert f(1) == 2",
    "another decorator": "@f\ndef test_it(): assert f(1) == 2",
    "an asynchronous test": "async def test_it(): assert f(1) == 2",
    "a generator": "def test_it():\n    yield f(1)",
    "parameters that are computed": "@pytest.mark.parametrize('x', f(0))\ndef test_it(x): assert f(x) == 2",
    "marked parameters": (
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.skip)])\ndef test_it(x): assert f(x) == 2"
    ),
    "a test that is defined twice": "def test_it(): assert f(1) == 1\ndef test_it(): assert f(1) == 2",
    "fixtures that are used anyway": (
        "@pytest.fixture(autouse=True)\ndef fix(): pass\ndef test_it(): assert f(1) == 2"
    ),
    "a hook of the module": "def setup_module(): pass\ndef test_it(): assert f(1) == 2",
    "text that is no Python": "def test_it(: pass",
    "the names that programs add": "def test_it(): assert f('_7f__') == 2",
    "a test that is not there": "def test_other(): assert f(1) == 2",
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_altogether(name: str) -> None:
    assert derive(LEFT_OUT[name]) is None


CLASSES = {
    "__init__": "def __init__(self): pass",
    "a class hook": "@classmethod\n    def setup_class(cls): pass",
    "setUp with a fixture": "def setup_method(self, method): pass",
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_with_hooks_are_left_out(name: str) -> None:
    body = f"class TestA:\n    {CLASSES[name]}\n    def test_it(self): assert f(1) == 2\n"
    assert derive(body, name="TestA::test_it") is None


def test_foreign_bases_are_left_out() -> None:
    assert derive("class TestA(table):\n    def test_it(self): assert f(1) == 2", name="TestA::test_it") is None


def test_cases_that_do_not_all_count_are_left_out() -> None:
    body = "@pytest.mark.parametrize('x', [1, 2])\ndef test_it(x):\n    assert f(x) == 2"
    assert derive(body, cases=1) is None
    assert derive(body, cases=2) is not None


def test_a_column_of_expected_values_goes() -> None:
    body = """
    TABLE = [(1, [991]), (2, [992])]

    @pytest.mark.parametrize("a, expected", TABLE)
    @pytest.mark.parametrize("b", ["x"])
    def test_it(a, expected, b):
        assert f(a, b) == expected
    """
    derived = derive(body, cases=2)
    assert derived is not None
    assert "99" not in derived.program
    assert "test_it(a=2, b='x')" in derived.program
    assert "test_it(a=2, expected=[992], b='x')" in derived.recording
    assert len(derived.entries) == 2


def test_methods_run_on_a_fresh_instance_between_their_hooks() -> None:
    body = """
    import unittest

    class Base(unittest.TestCase):
        def setUp(self):
            self.x = 1

        def tearDown(self):
            pass

        def test_it(self):
            self.assertEqual(f(self.x), 991)
            self.assertIsNone(f(2))
            with self.assertRaises(ValueError):
                f(3)

    class TestA(Base):
        def test_other(self):
            assert f(1) == 992
    """
    derived = derive(body, name="TestA::test_it")
    assert derived is not None
    assert [info.kind for info in derived.slots.values()] == ["eq", "is", "raises"]
    assert "one = TestA('test_it')\n    one.setUp()\n    one.test_it()\n    one.tearDown()" in derived.program
    assert "99" not in derived.program


def test_a_program_holds_no_other_test_and_no_expected_value() -> None:
    body = '''
    """It gives 991."""
    SEEN = 5
    EXPECTED = [992]
    LOOK_UP = {"a": 993}

    def helper(x):
        return f(x, SEEN)

    def double(x):
        return 2 * x

    def test_other():
        assert f(1) == 994

    class TestMore:
        def test_more(self):
            assert f(1) == 995

    def test_it():
        """It gives 990."""
        expected = 996  # 997
        assert helper(1) == expected
        assert f(2) == double(998)

    if __name__ == "__main__":
        print(999)
    '''
    derived = derive(body)
    assert derived is not None
    assert "99" not in derived.program
    assert "SEEN = 5" in derived.program
    assert derived.recording.count("__slot_7f__") == 2
    assert "__slot_7f__(0, helper(1), expected)" in derived.recording


def test_refused_places_stay_assertions() -> None:
    content = b"from p import f\ndef test_it():\n    assert f(1) == 2\n    assert f(3) == 4\n"
    whole = derive_probes("test_x.py", content, {"test_it": 1})
    assert whole is not None
    less = derive_probes("test_x.py", content, {"test_it": 1}, [whole.slots[0].place])
    assert less is not None
    assert len(less.slots) == 1
    assert "assert f(1) == 2" in less.program


def test_fixtures_that_the_runner_makes_are_asked_for() -> None:
    derived = derive("def test_it(tmp_path, monkeypatch):\n    assert f(tmp_path) == 2")
    assert derived is not None
    assert "test_it(tmp_path=__fixture_7f__('tmp_path'), monkeypatch=__fixture_7f__('monkeypatch'))" in derived.program


def test_a_test_that_is_a_helper_too_stays_whole() -> None:
    derived = derive("def test_it():\n    x = 1\n    assert f(1) == x\ndef run():\n    f(test_it)")
    assert derived is not None
    assert not derived.slots


def indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in body.splitlines())


def indented_block(line: str) -> str:
    return line.strip() + ("\n    pass" if line.rstrip().endswith(":") else "")
