"""What one statement of a test demands: a comparison, a truth, an exception, or just to run."""

import ast
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["compare", "truth", "raises", "runs"]

_COMPARISONS = {
    "assertEqual": "==",
    "assertEquals": "==",
    "assertListEqual": "==",
    "assertDictEqual": "==",
    "assertSetEqual": "==",
    "assertTupleEqual": "==",
    "assertSequenceEqual": "==",
    "assertMultiLineEqual": "==",
    "assertCountEqual": "==",
    "assertNotEqual": "!=",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertGreater": ">",
    "assertGreaterEqual": ">=",
    "assertLess": "<",
    "assertLessEqual": "<=",
    "assert_equal": "==",
    "eq_": "==",
}
"""Functions of two values that compare them."""

_TRUTHS = {"assertTrue": True, "assertFalse": False, "assert_": True, "ok_": True}

_SYMBOLS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


class Check(NamedTuple):
    """A demand; which fields are set depends on ``kind``."""

    kind: Kind
    body: tuple[ast.stmt, ...] = ()
    """Statements that must run (``runs``) or raise (``raises``)."""
    left: ast.expr | None = None
    """The value that is looked at (``compare``, ``truth``)."""
    operator: str = ""
    right: ast.expr | None = None
    """What it is compared with."""
    swapped: bool = False
    """Whether the test has ``right`` on the left."""
    wanted: bool = True
    """Which truth is demanded."""
    exception: str = ""
    """Source of the exception type that must be raised."""

    def nodes(self) -> list[ast.AST]:
        """Everything that the demand is written with."""
        return [*self.body, *(node for node in (self.left, self.right) if node is not None)]


def read_check(statement: ast.stmt, *, literal: bool = False) -> Check:
    """The demand of a statement of a test; ``literal`` looks through no helper function."""
    if literal:
        wanted = statement.test if isinstance(statement, ast.Assert) else None
        return Check("truth", left=wanted) if wanted is not None else Check("runs", body=(statement,))
    if isinstance(statement, ast.Assert):
        return _of_condition(statement.test, wanted=True)
    if isinstance(statement, ast.With):
        for item in statement.items:
            exception = _raises_argument(item.context_expr)
            if exception is not None:
                return Check("raises", body=tuple(statement.body), exception=exception)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        found = _of_call(statement.value)
        if found is not None:
            return found
    return Check("runs", body=(statement,))


def _of_condition(condition: ast.expr, *, wanted: bool) -> Check:
    if isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
        return _of_condition(condition.operand, wanted=not wanted)
    if wanted and isinstance(condition, ast.Call):
        found = _of_raises_call(condition)
        if found is not None:
            return found
    if wanted and isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        symbol = _SYMBOLS[type(condition.ops[0])]
        return _compared(condition.left, symbol, condition.comparators[0])
    return Check("truth", left=condition, wanted=wanted)


def _of_call(call: ast.Call) -> Check | None:
    name = called_name(call)
    if name in _COMPARISONS and len(call.args) >= 2:
        return _compared(call.args[0], _COMPARISONS[name], call.args[1])
    if name in _TRUTHS and call.args:
        return _of_condition(call.args[0], wanted=_TRUTHS[name])
    return _of_raises_call(call)


def _of_raises_call(call: ast.Call) -> Check | None:
    """``raises(E, lambda: f())``, ``pytest.raises(E, f, 1)``, ``self.assertRaises(E, f, 1)``."""
    exception = _raises_argument(call)
    if exception is None or len(call.args) < 2:
        return None
    target = call.args[1]
    body: ast.expr = ast.Call(func=target, args=call.args[2:], keywords=call.keywords)
    if isinstance(target, ast.Lambda) and len(call.args) == 2:
        body = target.body
    return Check("raises", body=(ast.Expr(body),), exception=exception)


def _raises_argument(node: ast.expr) -> str | None:
    if (
        isinstance(node, ast.Call)
        and called_name(node) in ("raises", "assertRaises", "assertRaisesRegex")
        and node.args
    ):
        return ast.unparse(node.args[0])
    return None


def _compared(left: ast.expr, symbol: str, right: ast.expr) -> Check:
    """A comparison with the value that is looked at on the left, where ``3 == f(x)`` has it on the right."""
    if symbol in ("==", "!=", "is", "is not") and is_constant(left) and not is_constant(right):
        return Check("compare", left=right, operator=symbol, right=left, swapped=True)
    return Check("compare", left=left, operator=symbol, right=right)


def called_name(call: ast.Call) -> str:
    """Last part of the name of what is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_constant(node: ast.expr) -> bool:
    """Whether an expression is a literal value."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def statement_at(tree: Sequence[ast.stmt], line: int) -> list[ast.stmt]:
    """The statements around a line, outermost first, innermost last; empty where there is none."""
    for statement in tree:
        start = min([statement.lineno, *(item.lineno for item in getattr(statement, "decorator_list", []))])
        if start <= line <= (statement.end_lineno or statement.lineno):
            inner = [part for block in blocks_of(statement) for part in statement_at(block, line)]
            return [statement, *inner]
    return []


def blocks_of(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of statements in a statement."""
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    return [block for block in blocks if block and isinstance(block, list)]
