"""The places of one test function whose expected side can be dropped, and what becomes useless with it.

A slot is taken only where every passing run of the test comes by, the same number of times: straight in the function's
body or in loops that no code under test can lengthen, before the first ``return``. Its expected side must be pinned
(``fixed.py``), or made of names that nothing but expected sides and each other use, or of the test's own data: then it
is recorded with what the test wrote there, and the place is of no use where the solution changes it. All other
assertions stay as they are: a probe that one of them ends does not come to its end.
"""

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

from blockers.oracle.bindings import FUNCTIONS, loaded_names
from blockers.oracle.claims import MIRRORED, Claim, claim_of, raised_names, truth_of
from blockers.oracle.fixed import Scope, as_written, fixed_rounds, is_pinned, rows_of
from tasks.oracle import SlotKind

_MAKES_PLAIN = frozenset({"dict", "frozenset", "list", "repr", "set", "sorted", "str", "tuple"})

Place = tuple[int, int]
"""Line and column of a statement in the test file: its name, as long as the file is the same."""


class Found(NamedTuple):
    """One place that can report instead of asserting."""

    kind: SlotKind
    value: ast.expr | None
    """What is reported; None for a block that must raise."""
    expected: ast.expr | None
    raised: tuple[str, ...] = ()
    written: ast.expr | None = None
    """The expected side with its names replaced by what they were bound to, where it may change on the way."""


class Taken(NamedTuple):
    """What can be taken out of one function."""

    slots: dict[Place, Found]
    names: frozenset[str]
    """Names that only expected sides use."""


def place_of(node: ast.stmt) -> Place:
    """Where a statement begins."""
    return node.lineno, node.col_offset


def find_slots(
    function: ast.FunctionDef, scope: Scope, parameters: dict[str, list[ast.expr]], refused: Collection[Place]
) -> Taken:
    """Find the slots of a test function.

    Args:
        parameters: the values of each parameter that ``parametrize`` gives, one expression a case.
        refused: places that turned out to be of no use.
    """
    steady = [statement for statement in _steady(function.body, scope) if place_of(statement) not in refused]
    names = {name for name in [*scope.local, *parameters] if _values(name, scope, parameters) is not None}
    while True:
        names = _settle(names, scope, parameters)
        slots = {place_of(one): found for one in steady if (found := _slot(one, scope, names)) is not None}
        used = _used_elsewhere(function, slots, names, scope)
        if not used:
            return Taken(slots, frozenset(names))
        names -= used


def _steady(body: list[ast.stmt], scope: Scope) -> Iterator[ast.stmt]:
    """Statements that every passing run reaches, the same number of times."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.For) and not statement.orelse and fixed_rounds(statement.iter, scope):
            leaves = (ast.Break, ast.Continue, ast.Return)
            if not any(isinstance(inner, leaves) for inner in ast.walk(statement)):
                yield from _steady(statement.body, scope)
        if _may_return(statement):
            return


def _may_return(node: ast.AST) -> bool:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return False
    return isinstance(node, ast.Return) or any(_may_return(inner) for inner in ast.iter_child_nodes(node))


def _slot(statement: ast.stmt, scope: Scope, names: Collection[str]) -> Found | None:
    if isinstance(statement, ast.With):
        raised = raised_names(statement)
        ours = all(scope.is_builtin(name) for name in raised)
        return Found("raises", None, None, raised) if raised and ours else None
    for claim in (claim_of(statement), truth_of(statement)):
        found = _taken_apart(claim, scope, names) if claim else None
        if found:
            return found
    return None


def _taken_apart(claim: Claim, scope: Scope, names: Collection[str]) -> Found | None:
    """The claim with one side as the expected one; None where both are pinned, or neither."""
    left, right = is_pinned(claim.left, scope, names), is_pinned(claim.right, scope, names)
    if left == right:
        return None if left else _of_data(claim, scope, names)
    if claim.kind == "in" and left:
        # Many things can hold a value; what these builtins make is plain data in every solution.
        plain = isinstance(claim.right, ast.Call) and isinstance(claim.right.func, ast.Name)
        name = claim.right.func.id if plain else ""  # type: ignore[attr-defined]
        return Found("holds", claim.right, claim.left) if name in _MAKES_PLAIN and scope.is_builtin(name) else None
    if left:
        return Found(MIRRORED.get(claim.kind, claim.kind), claim.right, claim.left)
    return Found(claim.kind, claim.left, claim.right)


def _of_data(claim: Claim, scope: Scope, names: Collection[str]) -> Found | None:
    """A claim whose expected side is data of the test that the code under test gets hold of, and must not change."""
    if claim.kind != "eq":
        return None
    left, right = (as_written(side, scope) for side in (claim.left, claim.right))
    pinned = [is_pinned(side, scope, names) for side in (left, right)]
    match pinned:
        case [False, True]:
            return Found("eq", claim.left, claim.right, written=right)
        case [True, False]:
            return Found("eq", claim.right, claim.left, written=left)
    return None


def _values(name: str, scope: Scope, parameters: dict[str, list[ast.expr]]) -> list[ast.expr] | None:
    """Every expression that a name of the function may stand for, where all of them are written out."""
    if name in parameters:
        return None if name in scope.local else parameters[name]
    found: list[ast.expr] = []
    for node in scope.local[name]:
        match node:
            case ast.Assign(value=value):
                found.append(value)
            case ast.For(target=ast.Tuple(elts=[_, _, *_]) as target, iter=iterable):
                rows = rows_of(target, iterable)
                if rows is None:
                    return None
                found += rows[name]
            case _:
                return None
    return found


def _settle(names: set[str], scope: Scope, parameters: dict[str, list[ast.expr]]) -> set[str]:
    """Those names whose values are pinned, given that the others' are."""
    while True:
        kept = {
            name
            for name in names
            if all(is_pinned(value, scope, names) for value in _values(name, scope, parameters) or [])
        }
        if kept == names:
            return kept
        names = kept


def _used_elsewhere(
    function: ast.FunctionDef, slots: dict[Place, Found], names: Collection[str], scope: Scope
) -> set[str]:
    """The names that are read where nothing is dropped."""
    dropped = [found.expected for found in slots.values() if found.expected is not None]
    for name in names:
        for node in scope.local.get(name, []):
            match node:
                case ast.Assign(value=value):
                    dropped.append(value)
                case ast.For(target=target, iter=iterable):
                    dropped += (rows_of(target, iterable) or {}).get(name, [])
    free = {id(read) for node in dropped for read in loaded_names(node)}
    return {read.id for read in loaded_names(function) if read.id in names and id(read) not in free}
