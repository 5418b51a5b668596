"""The forms of assertions that can be taken apart into a value and what it must be."""

import ast
import builtins
from typing import NamedTuple

from tasks.oracle import SlotKind

_EQUAL = frozenset({"assertEqual", "assertEquals"})


class Claim(NamedTuple):
    """An assertion that two expressions agree; either may be the expected one."""

    kind: SlotKind
    left: ast.expr
    right: ast.expr


def claim_of(statement: ast.stmt) -> Claim | None:
    """What a statement claims: ``assert X == Y``, ``assert X is None``, ``assert X in Y`` or one of their kin."""
    match statement:
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return Claim("eq", left, right)
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant() as right])):
            return _identity(left, right)
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.In()], comparators=[right])):
            return Claim("in", left, right)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name), args=args, keywords=[])):
            return _method_claim(name, args)
    return None


def _method_claim(name: str, args: list[ast.expr]) -> Claim | None:
    if any(isinstance(argument, ast.Starred) for argument in args):
        return None
    match args:
        case [left, right, *message] if name in _EQUAL and len(message) <= 1:
            return Claim("eq", left, right)
        case [left, ast.Constant() as right, *message] if name == "assertIs" and len(message) <= 1:
            return _identity(left, right)
        case [left, *message] if name == "assertIsNone" and len(message) <= 1:
            return Claim("is", left, ast.Constant(None))
    return None


def _identity(left: ast.expr, right: ast.Constant) -> Claim | None:
    return Claim("is", left, right) if right.value is None or isinstance(right.value, bool) else None


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
