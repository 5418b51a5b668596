"""Ways to install a repository with what its tests need, the most complete first."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from agent_env.store import InstallRecipe
from env_builder.errors import UnusableRepoError
from env_builder.project import Project, read_project
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.test_layout import TestLayout

_TEST_SETS = ("test", "tests", "testing", "unittest", "pytest")
_DEVELOPMENT_SETS = ("dev", "develop", "development")
"""Names of extras and groups that hold what tests need; the second kind is asked where there is none of the first."""

_INTERPRETER_RELEASED = {
    "3.9": datetime(2020, 10, 5, tzinfo=UTC),
    "3.10": datetime(2021, 10, 4, tzinfo=UTC),
    "3.11": datetime(2022, 10, 24, tzinfo=UTC),
    "3.12": datetime(2023, 10, 2, tzinfo=UTC),
    "3.13": datetime(2024, 10, 7, tzinfo=UTC),
    "3.14": datetime(2025, 10, 7, tzinfo=UTC),
}
"""Packages from before an interpreter's release know nothing of it; for an older commit, that day is the earliest."""


def make_recipes(snapshot: RepoSnapshot, request: RepoRequest, layout: TestLayout) -> list[InstallRecipe]:
    """The ways to try, in order, each once.

    Raises:
        UnusableRepoError: the project does not run on the interpreter that was asked for.
    """
    project = read_project(snapshot.tree)
    python = _pick_python(snapshot, request, project)
    moment = max(snapshot.committed_at, _INTERPRETER_RELEASED.get(python, snapshot.committed_at))
    commands = dict.fromkeys(_commands(project, layout, request))
    return [
        InstallRecipe(
            python=python,
            exclude_newer=moment,
            commands=(command,),
            variables={},
            version=snapshot.version,
        )
        for command in commands
    ]


def _commands(project: Project, layout: TestLayout, request: RepoRequest) -> Iterator[str]:
    extras, groups = _pick_sets(project.extras, layout.extras), _pick_sets(project.groups, layout.groups)
    needed = [*layout.packages, *request.packages]
    full = [*(f"--group={name}" for name in groups), *(f"--requirement={name}" for name in layout.requirement_files)]
    itself = f".[{','.join(extras)}]" if extras else "."
    if project.installable:
        yield _install("-e", itself, *full, *needed, *project.development)
        yield _install("-e", itself, *(f"--group={name}" for name in groups), *needed)
        yield _install("-e", ".", *needed)
    yield _install(*full, *needed, *project.dependencies)
    yield _install(*needed, *project.dependencies)


def _install(*arguments: str) -> str:
    return shlex.join(["uv", "pip", "install", *dict.fromkeys((*arguments, "pytest"))])


def _pick_sets(offered: Iterable[str], asked: Iterable[str]) -> list[str]:
    by_name = {name.lower(): name for name in offered}
    named = [by_name[name.lower()] for name in asked if name.lower() in by_name]
    for usual in (_TEST_SETS, _DEVELOPMENT_SETS):
        named = named or [by_name[name] for name in usual if name in by_name]
    return list(dict.fromkeys(named))


def _pick_python(snapshot: RepoSnapshot, request: RepoRequest, project: Project) -> str:
    python = request.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        fits = SpecifierSet(project.requires_python).contains(f"{python}.99", prereleases=True)
    except InvalidSpecifier:
        fits = True
    if not fits:
        raise UnusableRepoError(
            f"{snapshot.repo} at {snapshot.commit[:8]} needs Python {project.requires_python}, and would be built with "
            f"{python}; set `python` for it in the repo list",
            "python_unsupported",
        )
    return python
