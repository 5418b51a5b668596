"""The forms of assertions that can be taken apart into a value and what it must be."""

import ast
import builtins
from typing import NamedTuple

from tasks.oracle import SlotKind

_METHODS: dict[str, type[ast.cmpop]] = {
    **dict.fromkeys(("assertEqual", "assertEquals", "assertListEqual", "assertTupleEqual", "assertSetEqual"), ast.Eq),
    **dict.fromkeys(("assertDictEqual", "assertSequenceEqual", "assertMultiLineEqual"), ast.Eq),
    **{"assertNotEqual": ast.NotEq, "assertIs": ast.Is, "assertIsNot": ast.IsNot},
    **{"assertIn": ast.In, "assertNotIn": ast.NotIn},
    **{"assertLess": ast.Lt, "assertLessEqual": ast.LtE, "assertGreater": ast.Gt, "assertGreaterEqual": ast.GtE},
}
"""Methods of unittest that compare two things, and how."""

_KINDS: dict[type[ast.cmpop], SlotKind] = {ast.Eq: "eq", ast.NotEq: "ne", ast.In: "in"}
_ORDERS: dict[type[ast.cmpop], SlotKind] = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
MIRRORED: dict[SlotKind, SlotKind] = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
"""What an order is called from the other side."""


class Claim(NamedTuple):
    """An assertion that two expressions agree; either may be the expected one."""

    kind: SlotKind
    left: ast.expr
    right: ast.expr


def claim_of(statement: ast.stmt) -> Claim | None:
    """What a statement claims: ``assert X == Y``, ``assert X is None``, ``assert X in Y`` or one of their kin."""
    match asserted(statement):
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None | True | False) as right]):
            return Claim("is", left, right)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            kind = {**_KINDS, **_ORDERS}.get(type(operator))
            return Claim(kind, left, right) if kind else None
    return None


def truth_of(statement: ast.stmt) -> Claim | None:
    """What a statement claims that asks for a truth alone: ``assert X``, ``assert not X``, ``assert X not in Y``.

    What is reported is ``not X`` for a claim and for its contrary, so that the program does not show which is due.
    """
    test, wanted = asserted(statement), True
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, wanted = test.operand, not wanted
    match test:
        case None | ast.Constant() | ast.BoolOp():
            return None
        case ast.Compare(left=left, ops=[ast.NotIn() | ast.IsNot() as operator], comparators=[right]):
            positive = ast.In() if isinstance(operator, ast.NotIn) else ast.Is()
            test, wanted = ast.Compare(left, [positive], [right]), not wanted
        case ast.Compare(ops=[ast.In() | ast.Is()]):
            pass
        case ast.Compare():
            return None
    return Claim("is", ast.UnaryOp(ast.Not(), test), ast.Constant(not wanted))


def asserted(statement: ast.stmt) -> ast.expr | None:
    """The condition that a statement asserts, be it written as a method of unittest."""
    match statement:
        case ast.Assert(test=test):
            return test
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name), args=args, keywords=[])):
            return _condition(name, args)
    return None


def _condition(name: str, args: list[ast.expr]) -> ast.expr | None:
    if any(isinstance(argument, ast.Starred) for argument in args):
        return None
    match args:
        case [left, right] | [left, right, _] if name in _METHODS:
            return ast.Compare(left, [_METHODS[name]()], [right])
        case [value] | [value, _] if name == "assertTrue":
            return value
        case [value] | [value, _] if name == "assertFalse":
            return ast.UnaryOp(ast.Not(), value)
        case [value] | [value, _] if name in ("assertIsNone", "assertIsNotNone"):
            operator = ast.Is() if name == "assertIsNone" else ast.IsNot()
            return ast.Compare(value, [operator], [ast.Constant(None)])
    return None


def conjuncts(statement: ast.stmt) -> list[ast.stmt]:
    """``assert A and B`` as ``assert A`` and ``assert B``, which mean the same; any other statement as it is."""
    match statement:
        case ast.Assert(test=ast.BoolOp(op=ast.And(), values=values)):
            parts: list[ast.stmt] = [ast.copy_location(ast.Assert(test=value), value) for value in values]
            return [single for part in parts for single in conjuncts(part)]
    return [statement]


def raised_names(statement: ast.With) -> tuple[str, ...]:
    """The exceptions of ``with pytest.raises(E):`` or ``with self.assertRaises(E):``, where that is all it asks."""
    match statement.items:
        case [ast.withitem(context_expr=ast.Call(func=func, args=[expected], keywords=[]), optional_vars=None)]:
            names = [expected] if isinstance(expected, ast.Name) else _elements(expected)
            found = tuple(name.id for name in names if isinstance(name, ast.Name) and is_exception(name.id))
            if _is_raises(func) and names and len(found) == len(names):
                return found
    return ()


def is_exception(name: str) -> bool:
    """Whether Python has an exception of that name."""
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException) and found.__name__ == name


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else []


def _is_raises(func: ast.expr) -> bool:
    match func:
        case ast.Attribute(value=ast.Name(id="pytest"), attr="raises"):
            return True
        case ast.Attribute(value=ast.Name(id="self"), attr="assertRaises"):
            return True
    return False
