"""A behaviour that is wrong, as its user sees it: a call, what comes out, what should."""

import ast
import textwrap
from typing import Literal, NamedTuple

from env_builder.behaviour.check import Check, is_constant
from env_builder.behaviour.excerpt import Excerpt
from env_builder.behaviour.inline import inlined
from env_builder.behaviour.report import Report, split_comparison, unittest_comparison
from env_builder.behaviour.subject import find_subject
from tasks.syntax import parse_python

Fault = Literal["value", "exception", "no_exception", "condition", "absent"]

LONGEST_VALUE = 400
"""Characters of a value that is shown; the rest is cut from its middle."""


class Behaviour(NamedTuple):
    """One thing that goes wrong."""

    fault: Fault
    subject: str
    """What is called, as its user writes it (``partition``, ``Cache.get``); empty where it cannot be told."""
    module: str
    """Where the subject is imported from; empty where that is not known."""
    example: str
    """Statements to run, as a doctest without outputs, imports first."""
    got: str
    """What comes out: a value, or ``TypeError: ...``; empty where it is not known."""
    expected: str
    """What should come out, in code or in words; empty where only the absence of an error is asked for."""
    explained: tuple[str, ...] = ()
    """How the values of a condition come about: ``False = f(1)``."""
    unknown: tuple[str, ...] = ()
    """Names in the example that nothing explains (fixtures); empty where it runs by itself."""
    refuses: bool = False
    """Whether what is expected is an exception."""


def describe(
    excerpt: Excerpt, report: Report, packages: frozenset[str], target_modules: frozenset[str] = frozenset()
) -> Behaviour:
    """The behaviour that a failure shows.

    Args:
        excerpt: the demand that failed and what it needs.
        report: what pytest said.
        packages: top-level packages of the project.
        target_modules: modules that the solution changes; of all that a check calls, what is imported from one of
            them counts first.
    """
    excerpt = inlined(excerpt)
    check = excerpt.check
    subject, module = find_subject(excerpt, packages, target_modules)
    fault, got, expected = _fault(check, report)
    last = _shown_statement(check, fault)
    known = f"{got} = {ast.unparse(last[-1])}" if last else ""
    return Behaviour(
        fault=fault,
        subject=subject,
        module=module,
        example=_doctest([*excerpt.imports, *excerpt.setup, *last]),
        got=shorten(got),
        expected=shorten(expected),
        explained=tuple(shorten(line) for line in report.where[:3] if line != known) if fault == "condition" else (),
        unknown=tuple(sorted(excerpt.missing)),
        refuses=check.kind == "raises",
    )


def demand(excerpt: Excerpt, packages: frozenset[str]) -> Behaviour:
    """What a check demands, where no failure shows what comes out instead."""
    excerpt = inlined(excerpt)
    check = excerpt.check
    subject, module = find_subject(excerpt, packages)
    return Behaviour(
        fault="absent",
        subject=subject,
        module=module,
        example=_doctest([*excerpt.imports, *excerpt.setup, *_shown_statement(check, "absent")]),
        got="",
        expected=shorten(check.exception if check.kind == "raises" else _wanted(check)),
        unknown=tuple(sorted(excerpt.missing)),
        refuses=check.kind == "raises",
    )


def shorten(text: str) -> str:
    """A text that is not longer than ``LONGEST_VALUE``."""
    if len(text) <= LONGEST_VALUE:
        return text
    half = LONGEST_VALUE // 2
    return f"{text[:half]} [...] {text[-half:]}"


def _fault(check: Check, report: Report) -> tuple[Fault, str, str]:
    """What kind of fault it is, what came out, and what was expected."""
    raised = ": ".join(part for part in (report.error, report.message.strip()) if part)
    if check.kind == "raises":
        missing = (
            report.error == "Failed"
            or "DID NOT RAISE" in report.message
            or report.compared
            or (report.error == "AssertionError" and "not raised" in report.message)
        )
        wanted = check.exception
        return ("no_exception", "", wanted) if missing else ("exception", raised, wanted)
    if report.error not in ("AssertionError", "Failed"):
        return "exception", raised, _wanted(check)
    if check.kind == "compare":
        return _compared(check, report)
    if check.kind == "truth" and check.left is not None:
        return "condition", str(not check.wanted), str(check.wanted)
    said = f"assert {report.compared}" if report.compared else report.message.strip()
    return "condition", f"AssertionError: {said}".removesuffix(": "), ""


def _compared(check: Check, report: Report) -> tuple[Fault, str, str]:
    values = split_comparison(report.compared, check.operator) if report.compared else None
    if values is None and check.operator == "==":
        values = unittest_comparison(report.message)
    if check.operator not in ("==", "is") or check.right is None:
        return "condition", "False", "True"
    if values is None:
        return "value", "", _wanted(check)
    got, other = reversed(values) if check.swapped else values
    known = is_constant(check.right)
    return "value", got, _wanted(check) if known or "..." in other else other


def _wanted(check: Check) -> str:
    """What the test demands, in code."""
    if check.kind == "compare" and check.operator in ("==", "is") and check.right is not None:
        return ast.unparse(check.right)
    if check.kind == "truth":
        return str(check.wanted)
    return "True" if check.kind == "compare" else ""


def _shown_statement(check: Check, fault: Fault) -> list[ast.stmt]:
    if check.left is None:
        return list(check.body)
    if (
        check.kind == "compare"
        and check.right is not None
        and (fault == "condition" or check.operator not in ("==", "is"))
    ):
        return [parse_python(f"{ast.unparse(check.left)} {check.operator} {ast.unparse(check.right)}").body[0]]
    return [ast.Expr(check.left)]


def _doctest(statements: list[ast.stmt]) -> str:
    lines = []
    for statement in statements:
        first, *more = ast.unparse(ast.fix_missing_locations(statement)).splitlines()
        lines += [f">>> {first}", *(f"... {line}".rstrip() for line in more)]
    return textwrap.dedent("\n".join(lines))
