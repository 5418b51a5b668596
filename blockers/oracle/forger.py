"""What an oracle holds back from whoever forges every process of grading, measured on the start state.

A forger has the probe programs and may run them as it likes: leave out what they assert by themselves, go on where a
statement fails, and guess. What it cannot have is a value that the start state does not compute. ``forced`` makes such
a run of a program; ``tells`` says whether, after it, a value is left that is more than a guess.
"""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence

from blockers.oracle.rewrite import SLOT
from blockers.oracle.verdict import Report, is_met
from tasks.oracle import Oracle, Probe
from tasks.syntax import parse_python

GUESSES = (
    *("null", "true", "false", '["int", "0"]', '["int", "1"]', '["int", "-1"]', '["float", "0x0.0p+0"]'),
    *('""', '["bytes", ""]', '["list", []]', '["tuple", []]', '["dict", []]', '["set", []]'),
)
"""What is tried where the true value is not known. A class of exception always counts as known: there are few, and the
program shows where one is due."""


def forced(source: str) -> str:
    """A probe program that asserts nothing by itself and goes on after each statement that fails."""
    module = parse_python(source)
    made = _Forced().visit(module)
    return ast.unparse(ast.fix_missing_locations(made)) + "\n"


def tells(oracle: Oracle, tests: Collection[str], runs: Sequence[Mapping[int, Report]]) -> bool:
    """Whether no single guess, given wherever no run reports the value that is due, meets every slot of some tests.

    Args:
        tests: those that fail at the start, by id without the part in brackets; the others' values are known there.
        runs: what the programs, forced and as they are, reported on the start state, by number of the probe.
    """
    unknown = [
        met
        for number, probe in enumerate(oracle.probes)
        if probe.test in tests
        for met in _unknown(probe, [reports[number] for reports in runs if number in reports])
    ]
    return not any(all(guess in met for met in unknown) for guess in GUESSES)


def _unknown(probe: Probe, reports: Sequence[Report]) -> Iterator[frozenset[str]]:
    """For each value that no run computed, the guesses that meet it."""
    for slot in probe.slots:
        if slot.kind == "raises":
            continue
        for place, expected in enumerate(slot.expected):
            shown = [report.values.get(slot.number, [])[place : place + 1] for report in reports]
            if not any(is_met(slot, value[0], expected) for values in shown for value in values):
                yield frozenset(guess for guess in GUESSES if is_met(slot, guess, expected))


class _Forced(ast.NodeTransformer):
    """Drops assertions and guards every other statement by itself."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """One name at a time: those that are there are had."""
        if node.module == "__future__":
            return node
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        """Always met."""
        return ast.copy_location(ast.Pass(), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Guard the statements of each body below."""
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [_guarded(one) for one in statements])
        return node


def _guarded(statement: ast.stmt) -> ast.stmt:
    instead: ast.stmt = ast.Pass()
    match statement:
        case ast.Break() | ast.Continue() | ast.Pass() | ast.FunctionDef() | ast.ImportFrom(module="__future__"):
            return statement
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[number, *_])) if name == SLOT:
            # A value that is none keeps later ones of the same place in their order.
            instead = ast.Expr(ast.Call(ast.Name(SLOT, ast.Load()), [number, ast.Constant(...)], []))
    handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [instead])
    return ast.Try([statement], [handler], [], [])
