"""Each modifier: what it makes of a piece of code, and what it leaves alone."""

import ast
import textwrap

import pytest

from env_builder.strategies.procedural.function import functions
from env_builder.strategies.procedural.modifiers import MODIFIERS


def results(modifier: str, code: str) -> list[str]:
    """Every file that a modifier makes of the functions in ``code``."""
    source = textwrap.dedent(code).strip("\n").encode()
    found = functions("lib/a.py", source)
    return [edit.apply(source).decode() for function in found for edit in MODIFIERS[modifier](function)]


def in_function(*lines: str, parameters: str = "a, b") -> str:
    return "\n".join([f"def f({parameters}):", *(f"    {line}" for line in lines)])


# modifier, body of a function, body after (one of the results)
EXAMPLES = [
    ("invert_condition", ["if a == b:", "    return 1"], ["if a != b:", "    return 1"]),
    ("invert_condition", ["if a:", "    return 1"], ["if not a:", "    return 1"]),
    ("invert_condition", ["if not a:", "    return 1"], ["if a:", "    return 1"]),
    ("invert_condition", ["if a and b:", "    return 1"], ["if not (a and b):", "    return 1"]),
    ("invert_condition", ["if a < b:", "    a()", "elif a in b:", "    b()"],
     ["if a < b:", "    a()", "elif a not in b:", "    b()"]),
    ("invert_condition", ["return a if b is None else b"], ["return a if b is not None else b"]),
    ("invert_condition", ["return [x for x in a if x]"], ["return [x for x in a if not x]"]),
    ("change_operator", ["return a + b"], ["return a - b"]),
    ("change_operator", ["return a < b"], ["return a <= b"]),
    ("change_operator", ["return a and b"], ["return a or b"]),
    ("change_operator", ["return a not   in b"], ["return a in b"]),
    ("change_operator", ["a += b", "return a"], ["a -= b", "return a"]),
    ("swap_operands", ["return a - b"], ["return b - a"]),
    ("swap_operands", ["return a - (b + 1)"], ["return (b + 1) - a"]),
    ("swap_operands", ["return a or b"], ["return b or a"]),
    ("swap_operands", ["return a + 1 < b"], ["return b < a + 1"]),
    ("swap_operands", ["return a ** b - a"], ["return a - (a ** b)"]),
    ("swap_operands", ["return [a] + b"], ["return b + [a]"]),
    ("change_constant", ["return a * 2"], ["return a * 3"]),
    ("change_constant", ["return a * 2"], ["return a * 1"]),
    ("change_constant", ["return True"], ["return False"]),
    ("change_constant", ["return a('x')"], ["return a('')"]),
    ("change_constant", ["return a.join('')"], ["return a.join(' ')"]),
    ("remove_assignment", ["a = b", "return a"], ["return a"]),
    ("remove_assignment", ["if a:", "    a.x = b", "return a"], ["if a:", "    pass", "return a"]),
    ("remove_assignment", ["a += 1  # why", "return a"], ["return a"]),
    ("remove_branch", ["if a:", "    b = 1", "else:", "    b = 2", "return b"], ["if a:", "    b = 1", "return b"]),
    ("remove_branch", ["if a:", "    b = 1", "else:", "    b = 2", "return b"], ["b = 1", "return b"]),
    ("remove_branch", ["if a:", "    b = 1", "else:", "    b = 2", "return b"], ["b = 2", "return b"]),
    ("remove_branch", ["if a:", "    b = 1", "elif b:", "    b = 2", "return b"], ["if a:", "    b = 1", "return b"]),
    ("remove_branch", ["if a:", "    b = 1", "return b"], ["return b"]),
    ("remove_branch", ["return a if b else 0"], ["return 0"]),
    ("shuffle_statements", ["a.append(b)", "b = len(a)", "return b"], ["b = len(a)", "a.append(b)", "return b"]),
    ("shuffle_statements", ["for x in a:", "    b.add(x)", "b = sorted(b)", "return b"],
     ["b = sorted(b)", "for x in a:", "    b.add(x)", "return b"]),
    ("remove_loop", ["for x in a:", "    b += x", "return b"], ["for x in a:", "    b += x", "    break", "return b"]),
    ("remove_loop", ["for x in a:", "    b += x", "return b"], ["return b"]),
    ("remove_loop", ["while a < b:", "    a += 1", "return a"], ["if a < b:", "    a += 1", "return a"]),
    ("remove_wrapper", ["try:", "    return a[b]", "except KeyError:", "    return None"], ["return a[b]"]),
    ("remove_wrapper", ["with suppress(OSError):", "    a()", "    b()"], ["a()", "b()"]),
    ("break_chain", ["return 0 < a < b"], ["return 0 < a"]),
    ("break_chain", ["return 0 < a < b"], ["return a < b"]),
    ("break_chain", ["return a and b"], ["return b"]),
    ("break_chain", ["return a + b + 1"], ["return a + b"]),
    ("flip_return", ["return a == b"], ["return a != b"]),
    ("flip_return", ["return a, b"], ["return b, a"]),
    ("flip_return", ["return a + b"], ["return None"]),
    ("flip_return", ["return True"], ["return False"]),
    ("drop_argument", ["return sorted(a, key=b)"], ["return sorted(a)"]),
    ("drop_argument", ["return a(key=b, x=1)"], ["return a(x=1)"]),
    ("drop_argument", ["return a.get(b, 0)"], ["return a.get(b)"]),
    ("remove_guard", ["if a < 0:", "    raise ValueError(a)", "return a"], ["return a"]),
    ("remove_guard", ["if a is None:", "    return b", "return a"], ["return a"]),
    ("remove_guard", ["assert a", "return a"], ["return a"]),
    ("off_by_one", ["return a[1:b]"], ["return a[2:b]"]),
    ("off_by_one", ["return a[1:b]"], ["return a[1:b - 1]"]),
    ("off_by_one", ["return a[0]"], ["return a[1]"]),
    ("off_by_one", ["return list(range(a))"], ["return list(range(a - 1))"]),
    ("change_jump", ["for x in a:", "    if x:", "        continue", "    b(x)"],
     ["for x in a:", "    if x:", "        break", "    b(x)"]),
    ("remove_call", ["a.clear()", "return a"], ["return a"]),
    ("swap_arguments", ["return g(a, b, 1)"], ["return g(b, a, 1)"]),
    ("change_call", ["return max(a, b)"], ["return min(a, b)"]),
    ("change_call", ["return a.lstrip()"], ["return a.rstrip()"]),
    ("remove_conversion", ["return sorted(a)"], ["return a"]),
    ("change_exception", ["raise ValueError(a)"], ["raise TypeError(a)"]),
    ("change_exception", ["try:", "    return a[b]", "except KeyError as e:", "    return e"],
     ["try:", "    return a[b]", "except IndexError as e:", "    return e"]),
    ("swap_variables", ["return g(a)"], ["return g(b)"]),
]  # fmt: skip


@pytest.mark.parametrize(("modifier", "before", "after"), EXAMPLES)
def test_example(modifier: str, before: list[str], after: list[str]) -> None:
    found = results(modifier, in_function(*before))
    assert in_function(*after) in found
    for text in found:
        ast.parse(text)


# modifier, body of a function that it must leave as it is
LEFT_ALONE = [
    ("invert_condition", ["while True:", "    a()"]),
    ("invert_condition", ["if TYPE_CHECKING:", "    if a:", "        b()"]),
    ("change_operator", ["return 'x' + a"]),
    ("change_operator", ["return '%s' % a"]),
    ("change_operator", ["logger.info(a + b)"]),
    ("change_operator", ["raise ValueError(a + b)"]),
    ("change_operator", ["x: int | None = g()", "return x"]),
    ("swap_operands", ["return a + b"]),
    ("swap_operands", ["return a == b"]),
    ("swap_operands", ["return '%s' % a"]),
    ("swap_operands", ["return a == 1 and b == 2"]),
    ("change_constant", ['"""Gives 1."""', "return a"]),
    ("change_constant", ["return f'{a} is'"]),
    ("change_constant", ["x: Literal['r'] = a", "return x"]),
    ("change_constant", ["if False:", "    return 1"]),
    ("change_constant", ["__version__ = '1.2'", "return a"]),
    ("change_constant", ["__all__ = ['a']", "return a"]),
    ("change_constant", ["return a[1]"]),
    ("change_constant", ["return a[1:2]"]),
    ("change_constant", ["import b", "from a import b"]),
    ("remove_assignment", ["a = 1; b = 2", "return a"]),
    ("remove_branch", ["if a:", "    return 1", "return 2"]),
    ("shuffle_statements", ["x = g(a)", "y = g(b)", "return x, y"]),
    ("shuffle_statements", ["x = g(a)", "y = g(x)", "return y"]),
    ("remove_wrapper", ["with open(a) as f:", "    return f.read()"]),
    ("break_chain", ["return a < b"]),
    ("flip_return", ["return None"]),
    ("flip_return", ["return"]),
    ("drop_argument", ["return a.get(b, None)"]),
    ("drop_argument", ["return g(a, b)"]),
    ("remove_guard", ["if a:", "    b()", "return b"]),
    ("off_by_one", ["return a['x']"]),
    ("change_jump", ["while a():", "    break"]),
    ("remove_call", ["logging.warning('x')", "warnings.warn('x')", "print(a)"]),
    ("remove_call", ["x = a()", "return x"]),
    ("swap_arguments", ["return g(a, key=b)"]),
    ("change_call", ["return g(a)"]),
    ("remove_conversion", ["return list()"]),
    ("change_exception", ["raise"]),
]


@pytest.mark.parametrize(("modifier", "body"), LEFT_ALONE)
def test_left_alone(modifier: str, body: list[str]) -> None:
    assert results(modifier, in_function(*body)) == []


def test_change_default_changes_values_and_no_hints() -> None:
    code = in_function("return a", parameters="a, b=1, *, c: bool = True, d: int, e=None")
    assert results("change_default", code) == [
        in_function("return a", parameters="a, b=2, *, c: bool = True, d: int, e=None"),
        in_function("return a", parameters="a, b=1, *, c: bool = False, d: int, e=None"),
    ]


def test_match_loses_a_case() -> None:
    body = ["match a:", "    case 1:", "        return b", "    case _:", "        return a"]
    assert in_function("match a:", "    case _:", "        return a") in results("remove_branch", in_function(*body))


def test_text_inside_a_dedented_block_keeps_its_blanks() -> None:
    body = ["try:", "    a = '''x", "        y'''", "    return a", "except KeyError:", "    return b"]
    (found,) = results("remove_wrapper", in_function(*body))
    assert "a = '''x\n            y'''" in found
    assert "\n    return a" in found


def test_there_are_enough_kinds() -> None:
    assert len(MODIFIERS) >= 12
    assert {modifier for modifier, _, _ in EXAMPLES} | {"change_default"} == set(MODIFIERS)


def test_functions_are_found_with_their_names() -> None:
    code = b"""
def a(): return 1
class B:
    @property
    def c(self): return 1
    class D:
        async def e(self): return 1
if x:
    def f():
        def inner(): return 1
        return inner
if __name__ == "__main__":
    def g(): return 1
if TYPE_CHECKING:
    def h(): return 1
def i():  # pragma: no cover
    return 1
"""
    assert [function.qualname for function in functions("a.py", code)] == ["a", "B.c", "B.D.e", "f"]
