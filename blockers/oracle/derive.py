"""A hidden test file taken apart: a program that computes what the tests compare, less what it must be.

Two programs come out of it. The *recording* one reports each value and the expected one beside it, and runs on the
solution alone, when a task is validated. The *probe* program does not hold the expected values any more, nor names that
only they used; it runs in a sandbox of its own when an attempt is graded.

What is taken apart has the meaning of the assertion that it stands for, or is not taken apart: an assertion of another
form stays in the program and ends the probe early where it fails. Left out altogether are tests that need pytest: most
fixtures, marks, asynchronous tests, class and module hooks.
"""

import ast
import copy
from collections.abc import Collection, Mapping
from typing import NamedTuple

from blockers.oracle.bindings import Bindings, bindings_of, loaded_names
from blockers.oracle.cases import Row, Runnable, find_runnable, is_plain_module
from blockers.oracle.fixed import Scope, is_fixed, own_attributes
from blockers.oracle.inline import MARK, inlined
from blockers.oracle.normal import normalised
from blockers.oracle.rewrite import FIXTURE, Cut, Reporting, sliced, without_parameters, without_text
from blockers.oracle.slots import Place, Taken, find_slots, place_of
from tasks.oracle import SlotKind
from tasks.syntax import parse_python


class Entry(NamedTuple):
    """One case of one test."""

    test: str
    """pytest's id, less the part in brackets."""
    name: str
    """The function of both programs that runs it."""


class SlotInfo(NamedTuple):
    """One slot of the programs."""

    kind: SlotKind
    place: Place
    """In the test file; to name it in ``refused``."""
    raised: tuple[str, ...]
    """The exceptions that are expected, for a slot of the kind ``raises``."""


class Derived(NamedTuple):
    """What was made of one test file."""

    path: str
    recording: str
    program: str
    entries: tuple[Entry, ...]
    slots: dict[int, SlotInfo]


def derive_probes(
    path: str, content: bytes, tests: Mapping[str, int], refused: Collection[Place] = ()
) -> Derived | None:
    """Take a hidden test file apart; None where none of its tests can be run so.

    Args:
        path: of the file, relative to the tree.
        content: its Python source.
        tests: the tests that count, by id less the file and the part in brackets, and how many ids each has: one whose
            cases do not all count is left out.
        refused: places of assertions to leave as they are.
    """
    try:
        module = parse_python(content)
    except (SyntaxError, ValueError):
        return None
    if MARK in content.decode(errors="replace") or not is_plain_module(module):
        return None
    module = normalised(inlined(module))
    bound = bindings_of(module.body, inner=False)
    found = (find_runnable(module, bound, test) for test in sorted(tests))
    runnable = [one for one in found if one is not None and len(one.rows) == tests[one.test]]
    if not runnable:
        return None
    takings = _take(module, bound, runnable, refused)
    slots = {place: found for taken in takings.values() for place, found in taken.slots.items()}
    numbers = {place: number for number, place in enumerate(sorted(slots))}
    return Derived(
        path,
        _render(module, runnable, takings, numbers, recording=True),
        _render(module, runnable, takings, numbers, recording=False),
        tuple(Entry(f"{path}::{test.test}", name) for test, _, name in _cases(runnable)),
        {numbers[place]: SlotInfo(found.kind, place, found.raised) for place, found in slots.items()},
    )


def _take(
    module: ast.Module, bound: Bindings, runnable: list[Runnable], refused: Collection[Place]
) -> dict[Place, Taken]:
    """What can be taken out of each test function, by the place of the function."""
    called = {name.id for name in loaded_names(module)} | {
        node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)
    }
    takings: dict[Place, Taken] = {}
    attributes = own_attributes(module, Scope(bound, {}, {}))
    for test in runnable:
        function = test.function
        # A test that another one calls is a helper too: it stays whole.
        if function.name in called:
            takings[place_of(function)] = Taken({}, frozenset())
            continue
        columns = {name: [row.values[name] for row in test.rows] for name in test.rows[0].values}
        local = bindings_of(function.body, inner=True)
        scope = Scope(bound, {}, {})
        fixed = {name: all(is_fixed(value, scope) for value in values) for name, values in columns.items()}
        own = {argument.arg: [argument] for argument in function.args.args if argument.arg not in columns}
        for name, nodes in own.items():
            local.setdefault(name, []).extend(nodes)
        takings[place_of(function)] = find_slots(function, Scope(bound, local, fixed, attributes), columns, refused)
    return takings


def _cases(runnable: list[Runnable]) -> list[tuple[Runnable, Row, str]]:
    """Every case of every test, with the name of its entry."""
    pairs = [(test, row) for test in runnable for row in test.rows]
    return [(test, row, f"__probe_{number}{MARK}") for number, (test, row) in enumerate(pairs)]


def _render(
    module: ast.Module,
    runnable: list[Runnable],
    takings: Mapping[Place, Taken],
    numbers: Mapping[Place, int],
    *,
    recording: bool,
) -> str:
    body = copy.deepcopy(module.body)
    dropped: dict[Place, frozenset[str]] = {}
    for function in (node for statement in body for node in ast.walk(statement)):
        if isinstance(function, ast.FunctionDef) and place_of(function) in takings:
            taken = takings[place_of(function)]
            names: frozenset[str] = frozenset() if recording else taken.names
            dropped[place_of(function)] = names
            rewriter = Reporting(Cut(taken.slots, names), numbers, recording=recording)
            function.body = [rewriter.visit(statement) for statement in function.body]
            function.body = without_text(function.body)
            function.decorator_list = []
            without_parameters(function, names)
    entries: list[ast.stmt] = [
        _entry(test, row, name, dropped[place_of(test.function)]) for test, row, name in _cases(runnable)
    ]
    wanted = {test.function.name for test in runnable}
    made = ast.Module([*sliced(body, entries, wanted), *entries], [])
    return ast.unparse(ast.fix_missing_locations(made)) + "\n"


def _entry(test: Runnable, row: Row, name: str, dropped: Collection[str]) -> ast.stmt:
    """``def NAME(): TEST(arguments)``, on a fresh instance where the test is a method."""
    arguments = [f"{key}={ast.unparse(value)}" for key, value in row.values.items() if key not in dropped]
    arguments += [f"{name}={FIXTURE}({name!r})" for name in test.fixtures]
    lines = [f"{test.function.name}({', '.join(arguments)})"]
    if test.owner:
        made = f"{test.owner}({test.function.name!r})" if test.is_unittest else f"{test.owner}()"
        calls = [*(f"{hook}()" for hook in test.before), *lines, *(f"{hook}()" for hook in test.after)]
        lines = [f"one = {made}", *(f"one.{call}" for call in calls)]
    return parse_python("\n".join([f"def {name}():", *(f"    {line}" for line in lines)])).body[0]
