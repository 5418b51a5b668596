"""A test module in simpler words of the same meaning, so that fewer forms need to be known.

``assert A and B`` become two assertions, ``a, b = X, Y`` two assignments. A loop over a table that is written out
elsewhere, and used for nothing but loops, gets the table itself.
"""

import ast
import copy

from blockers.oracle.bindings import Bindings, bindings_of, loaded_names
from blockers.oracle.claims import conjuncts


def normalised(module: ast.Module) -> ast.Module:
    """The module in simpler words; statements keep their places."""
    module = _Simple().visit(module)
    every = bindings_of(module.body, inner=True)
    if "enumerate" not in every:
        records = frozenset(name for name, nodes in every.items() if all(map(_is_record, nodes)))
        tables = _Tables(every, records)
        tables.write_out(module, {name: nodes for name, nodes in every.items() if len(nodes) == 1})
        for function in [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]:
            tables.write_out(function, bindings_of(function.body, inner=True))
    return module


class _Simple(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        return conjuncts(node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ) and _are_apart(targets, values):
                pairs = zip(targets, values, strict=True)
                return [ast.copy_location(ast.Assign([target], value), target) for target, value in pairs]
        return node


def _is_record(node: ast.AST) -> bool:
    match node:
        case ast.Assign(value=ast.Call(func=ast.Name(id="namedtuple") | ast.Attribute(attr="namedtuple"))):
            return True
    return False


def _are_apart(targets: list[ast.expr], values: list[ast.expr]) -> bool:
    """Whether assignments may come one by one: no value is read after its name was given anew."""
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    read = {name.id for value in values for name in loaded_names(value)}
    return len(names) == len(targets) == len(set(names)) and not read & set(names)


class _Tables:
    """Writes tables out in the loops over them.

    Args:
        every: what binds names anywhere in the module.
        records: names of its named tuples.
    """

    def __init__(self, every: Bindings, records: frozenset[str]) -> None:
        self._every = every
        self._records = records

    def write_out(self, within: ast.Module | ast.FunctionDef, bound: Bindings) -> None:
        """Do so in one scope, with what binds its names."""
        loops = [node for node in ast.walk(within) if isinstance(node, ast.For)]
        for name, nodes in bound.items():
            match nodes:
                case [ast.Assign(value=ast.List() | ast.Tuple() | ast.Dict() as table) as assignment] if (
                    assignment in within.body and self._stays(table)
                ):
                    ours = [(loop, rows) for loop in loops if (rows := self._rows(loop, name, table))]
                    reads = [read for read in loaded_names(within) if read.id == name]
                    if len(ours) == len(reads) == 1 or (ours and len(ours) == len(reads) and not self._calls(table)):
                        for loop, rows in ours:
                            loop.target, loop.iter = rows
                        within.body.remove(assignment)
        for loop in loops:
            found = self._rows(loop, "", None)
            if found:
                loop.target, loop.iter = found

    def _calls(self, table: ast.expr) -> bool:
        calls = (node for node in ast.walk(table) if isinstance(node, ast.Call))
        return not all(isinstance(call.func, ast.Name) and call.func.id in self._records for call in calls)

    def _stays(self, table: ast.expr) -> bool:
        """Whether a table means the same where it is read: what it is made of is bound once."""
        return all(len(self._every.get(name.id, [])) <= 1 for name in loaded_names(table))

    def _rows(self, loop: ast.For, name: str, table: ast.expr | None) -> tuple[ast.expr, ast.expr] | None:
        """Target and table of a loop over a name, its items or an enumeration of it, in which the table is written
        out; of a loop over any table that is written out, where no name is given."""
        target, iterable = loop.target, loop.iter
        match target, iterable:
            case ast.Tuple(elts=[_, one]), ast.Call(func=ast.Name(id="enumerate"), args=[inner], keywords=[]):
                rows = self._elements(inner, one, name, table)
                return _numbered(target, rows) if rows is not None else None
        rows = self._elements(iterable, target, name, table)
        return (target, ast.List(rows, ast.Load())) if rows is not None else None

    def _elements(
        self, iterable: ast.expr, target: ast.expr, name: str, table: ast.expr | None
    ) -> list[ast.expr] | None:
        match iterable:
            case ast.Call(func=ast.Attribute(value=holder, attr="items"), args=[], keywords=[]):
                return _items(_written(holder, name, table))
        written = _written(iterable, name, table)
        if not isinstance(written, ast.List | ast.Tuple):
            return None
        return [self._taken_apart(row) for row in written.elts] if isinstance(target, ast.Tuple) else written.elts

    def _taken_apart(self, row: ast.expr) -> ast.expr:
        match row:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in self._records:
                return ast.Tuple(args, ast.Load())
        return row


def _items(table: ast.expr | None) -> list[ast.expr] | None:
    """The items of a dict whose keys are written out and differ."""
    if not isinstance(table, ast.Dict):
        return None
    keys = [key for key in table.keys if isinstance(key, ast.Constant)]
    if len({key.value for key in keys}) != len(table.keys):
        return None
    return [ast.Tuple([key, value], ast.Load()) for key, value in zip(keys, table.values, strict=True)]


def _written(node: ast.expr, name: str, table: ast.expr | None) -> ast.expr | None:
    if table is None:
        return node
    return copy.deepcopy(table) if isinstance(node, ast.Name) and node.id == name else None


def _numbered(target: ast.Tuple, rows: list[ast.expr]) -> tuple[ast.expr, ast.expr] | None:
    """The target and rows of an enumeration, as one table."""
    numbers = [ast.Constant(number) for number in range(len(rows))]
    match target.elts:
        case [ast.Name() as count, ast.Name() as one]:
            names, cells = [one], [[row] for row in rows]
        case [ast.Name() as count, ast.Tuple(elts=names)]:
            cells = [row.elts for row in rows if isinstance(row, ast.Tuple | ast.List) and len(row.elts) == len(names)]
        case _:
            return None
    if len(cells) != len(rows):
        return None
    table: list[ast.expr] = [ast.Tuple([number, *row], ast.Load()) for number, row in zip(numbers, cells, strict=True)]
    return ast.Tuple([count, *names], ast.Store()), ast.List(table, ast.Load())
