"""Tests in plain Python: ``self.assertEqual(a, b)`` becomes ``assert a == b``, a sub-test becomes its body."""

import ast
from typing import TypeVar

from env_builder.behaviour.check import called_name, read_check
from tasks.syntax import parse_python

StatementType = TypeVar("StatementType", bound=ast.stmt)


def plain(statement: StatementType) -> StatementType:
    """A copy of a compound statement without unittest's methods, where they have a plain form."""
    copied: StatementType = _Plain().visit(parse_python(ast.unparse(statement)).body[0])
    ast.copy_location(copied, statement)
    return ast.fix_missing_locations(copied)


class _Plain(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Assertions by method."""
        check = read_check(node)
        if check.left is None or not isinstance(node.value, ast.Call) or called_name(node.value) == "raises":
            return node
        test: ast.expr = check.left
        if check.kind == "compare" and check.right is not None:
            sides = (check.right, check.left) if check.swapped else (check.left, check.right)
            test = parse_python(f"{_operand(sides[0])} {check.operator} {_operand(sides[1])}", mode="eval").body
        elif not check.wanted:
            test = ast.UnaryOp(op=ast.Not(), operand=test)
        return ast.Assert(test=test)

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
        """Sub-tests."""
        self.generic_visit(node)
        first = node.items[0].context_expr
        return node.body if isinstance(first, ast.Call) and called_name(first) == "subTest" else node


def _operand(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, ast.Compare | ast.BoolOp | ast.Lambda | ast.IfExp | ast.NamedExpr) else text
