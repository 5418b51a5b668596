"""Problem statements without a model: written from what the failing tests show when they are run.

A statement shows calls, what comes out and what should; it never names hidden tests or their files and never sees the
solution. It says no more about where the fault is than the failing calls do.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from agent_env.grading import TestOutcome
from env_builder.behaviour.absent import Absent, absent_thing, import_lines, uses_of
from env_builder.behaviour.behaviour import Behaviour, describe, shorten
from env_builder.behaviour.excerpt import SourceModule
from env_builder.behaviour.origin import module_name, project_packages
from env_builder.behaviour.report import Report, read_report
from env_builder.behaviour.wording import Item, absent_item, errors_item, item_of, title_of
from env_builder.errors import StatementRefusedError
from env_builder.statement_leaks import hidden_ids, hidden_names, statement_leaks
from tasks.task import Statement
from tasks.tree import Edits

MOST_BEHAVIOURS = 3
"""Distinct behaviours that one statement shows."""

MOST_ABSENT = 12
"""Absent things that one statement names: each must be written, so all that fit are named."""

MOST_FAILURES = 60
"""Failures that are looked at; the rest of a long list says the same again."""

LONGEST_EXAMPLE = 1600
"""Characters of an example; a longer one is set-up that hides the point."""

LONG_EXAMPLE = 700
"""Characters from which on an example is shown only where there is no shorter one."""


class _Scene(NamedTuple):
    """What all failures of one task share."""

    packages: frozenset[str]
    """Top-level packages of the project."""
    targets: frozenset[str]
    """Modules that the solution changes."""
    modules: dict[str, SourceModule]
    """Hidden test modules by path."""
    secret: list[str]
    """Test ids that must not be named."""

    gold_patch: str

    def gives_away(self, *texts: str) -> bool:
        """Whether texts name a hidden test or quote the solution."""
        return bool(statement_leaks("\n".join(texts), self.secret, self.gold_patch))


def write_statement(
    failures: Sequence[TestOutcome], *, target_paths: Sequence[str], hidden_files: Edits, gold_patch: str = ""
) -> Statement:
    """A statement from what the failing tests showed.

    Args:
        failures: the fail-to-pass tests' outcomes in the start state, pytest's long text as ``detail``.
        target_paths: the files that the solution changes; used to tell the project's functions from others, and
            which of several functions in a failing call is meant.
        hidden_files: the test files, path to content.
        gold_patch: the solution: only looked at to leave out examples that it quotes (in a docstring, say).

    Raises:
        StatementRefusedError: nothing can be said that would help, or not without naming a hidden test.
    """
    scene = _Scene(
        project_packages(target_paths),
        frozenset(module_name(path) for path in target_paths),
        dict(_parsed(hidden_files)),
        [*(failure.id for failure in failures), *hidden_ids(hidden_files)],
        gold_patch,
    )
    reports = [(failure, read_report(failure.detail)) for failure in failures[:MOST_FAILURES]]
    items = [*_absent_items(reports, scene), *_failing_items(reports, scene)]
    clean = [item for item in items if not scene.gives_away(_render([item]))]
    clean = clean or _bare_items([report for _, report in reports], scene)
    if not clean:
        raise StatementRefusedError("what the failing tests show names no call and no error", "statement_empty")
    return Statement(text=_render(clean), method="template")


def _failing_items(reports: Iterable[tuple[TestOutcome, Report]], scene: _Scene) -> list[Item]:
    found: list[Behaviour] = []
    for failure, report in reports:
        behaviour = None if _lacks(report, scene) else _behaviour(failure.id, report, scene)
        if behaviour is not None and all(behaviour.example != other.example for other in found):
            found.append(behaviour)
    return [item_of(behaviour) for behaviour in _chosen(found)]


def _behaviour(failure_id: str, report: Report, scene: _Scene) -> Behaviour | None:
    """The behaviour that one failure shows, where it can be shown without naming a test."""
    path, *names = failure_id.partition("[")[0].split("::")
    module = scene.modules.get(path)
    if module is None:
        return None
    frames = report.frames_in([path])
    if not frames:
        excerpt = module.whole(names[-1], report.arguments) if names else None
        return None if excerpt is None else _presentable(describe(excerpt, report, scene.packages), scene)
    cls = names[0] if len(names) > 1 else ""
    found = _presentable(_at_line(module, frames[0].line, report.arguments, cls, report, scene), scene)
    if found is None and len(frames) > 1:  # a test that calls another: the other one's statement, with what was passed
        passed = module.passed(frames[0].line)
        found = _presentable(_at_line(module, frames[1].line, passed, "", report, scene), scene) if passed else None
    return found


def _at_line(
    module: SourceModule, line: int, arguments: Mapping[str, str], cls: str, report: Report, scene: _Scene
) -> Behaviour | None:
    excerpt = module.excerpt(line, arguments, cls=cls)
    if excerpt is None:
        return None
    found = describe(excerpt, report, scene.packages, scene.targets)
    if found.refuses and found.fault == "exception" and report.error == found.expected.rpartition(".")[2]:
        # The right exception was raised and the check did not see it: what checks is the thing that is broken.
        excerpt = module.excerpt(line, arguments, cls=cls, literal=True) or excerpt
    elif not found.subject:
        # What matters is among the statements that seemed not to.
        excerpt = module.excerpt(line, arguments, cls=cls, sliced=False) or excerpt
    return describe(excerpt, report, scene.packages, scene.targets)


def _presentable(behaviour: Behaviour | None, scene: _Scene) -> Behaviour | None:
    """The behaviour without names of tests; None where they cannot be taken out, or the example is too long."""
    if behaviour is None or len(behaviour.example) > LONGEST_EXAMPLE:
        return None
    names = sorted(hidden_names(scene.secret), key=len, reverse=True)
    defined = [name for name in names if re.search(rf"^\W*(class|def) {re.escape(name)}\b", behaviour.example, re.M)]

    def scrub(text: str) -> str:
        for name in names:
            text = text.replace(f"{name}.<locals>.", "")
        for name in defined:  # a class or helper that only looks like a test
            text = re.sub(rf"\b{re.escape(name)}\b", re.sub(r"^[Tt]est_?", "", name) or "Sample", text)
        return text

    clean = behaviour._replace(
        example=scrub(behaviour.example),
        got=scrub(behaviour.got),
        expected=scrub(behaviour.expected),
        explained=tuple(scrub(line) for line in behaviour.explained),
    )
    return None if scene.gives_away(clean.example, clean.got, clean.expected, *clean.explained) else clean


def _chosen(found: list[Behaviour]) -> list[Behaviour]:
    """The most telling behaviours: those that run by themselves and show a value first, of different subjects."""
    ranked = sorted(
        found,
        key=lambda item: (
            len(item.unknown),
            not item.subject,
            len(item.example) > LONG_EXAMPLE,
            not item.got and item.fault != "no_exception",
            item.fault == "condition",
            len(item.example) + len(item.expected) // 4,
        ),
    )
    telling = [item for item in ranked if not item.unknown and len(item.example) <= LONG_EXAMPLE] or ranked[:1]
    first: list[Behaviour] = []
    for item in telling:
        if all((item.subject, item.fault) != (other.subject, other.fault) for other in first):
            first.append(item)
    rest = [item for item in telling if item not in first]
    return (first + rest)[:MOST_BEHAVIOURS]


def _absent_items(reports: Iterable[tuple[TestOutcome, Report]], scene: _Scene) -> list[Item]:
    """Items for things that the project lacks and the tests need."""
    items: dict[tuple[str, str], Item] = {}
    for failure, report in reports:
        absent = _lacks(report, scene)
        module = scene.modules.get(failure.id.partition("::")[0])
        if absent is None or module is None or absent in items:
            continue
        uses = [_presentable(use, scene) for use in uses_of(absent, module, scene.packages)]
        if uses or absent.name:
            shown = [use for use in uses if use is not None]
            items[absent] = absent_item(absent, import_lines(absent, module), shown)
    return list(items.values())[:MOST_ABSENT]


def _lacks(report: Report, scene: _Scene) -> Absent | None:
    """What of the project a failure shows to be absent."""
    absent = absent_thing(report)
    outside = absent is not None and scene.packages and absent.module.partition(".")[0] not in scene.packages
    return None if outside else absent


def _bare_items(reports: Sequence[Report], scene: _Scene) -> list[Item]:
    """What can be said where no call could be extracted: which errors appear."""
    errors = []
    for report in reports:
        said = shorten(": ".join(part for part in (report.error, report.message.strip()) if part))
        if report.error not in ("", "AssertionError", "Failed") and not scene.gives_away(said):
            errors.append(said)
    found = [errors_item(list(dict.fromkeys(errors))[:MOST_BEHAVIOURS])] if errors else []
    return [item for item in found if not scene.gives_away(_render([item]))]


def _render(items: list[Item]) -> str:
    text = _template().render(title=title_of(items), items=items)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@lru_cache(maxsize=1)
def _template() -> Template:
    loader = PackageLoader("env_builder", ".")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("statement.md.j2")  # Markdown: nothing is escaped


def _parsed(hidden_files: Edits) -> Iterable[tuple[str, SourceModule]]:
    for path, content in hidden_files.items():
        if content is not None and path.endswith(".py"):
            try:
                yield path, SourceModule(path, content)
            except (SyntaxError, ValueError):
                continue
