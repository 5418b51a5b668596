"""A small project made here, as pools that the tests of episodes and of the Gymnasium environment step.

``bare_pool`` needs no network: its environment holds no package, so nothing can be graded in it. ``graded_pool`` holds
pytest, and its tasks are certified by real runs.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from agent_env.grading import grade
from agent_env.grading.states import gold_edits
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.store import Build, EnvironmentStore, InstallRecipe
from env_builder.oracle import OracleMaker
from tasks.certificate import Certificate, RunEvidence
from tasks.environment import Environment
from tasks.patch import make_patch
from tasks.pool import Pool
from tasks.task import Statement, Task
from tasks.tree import Edits, pack_tree, tree_digest

settings.register_profile("repodojo", deadline=None)  # no test asserts on time
settings.load_profile("repodojo")

COUNTING = b'''"""Counting."""


def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def mean(numbers):
    numbers = list(numbers)
    return total(numbers) / len(numbers)
'''

WORDS = b'''"""Words."""


def shout(text):
    return text.upper() + "!"


def longest(words):
    return max(words, key=len)
'''

PROJECT: Mapping[str, bytes] = {
    "tiny/__init__.py": b"",
    "tiny/counting.py": COUNTING,
    "tiny/words.py": WORDS,
    "tests/test_words.py": b"from tiny.words import shout\n\n\ndef test_shout():\n    assert shout('a') == 'A!'\n",
}

HIDDEN = b"""from tiny.counting import mean, total
from tiny.words import longest


def test_total():
    assert total([1, 2, 3]) == 6


def test_mean():
    assert mean([1, 3]) == 2


def test_longest():
    assert longest(["a", "abc", "ab"]) == "abc"
"""

WHEN = datetime(2026, 6, 1, tzinfo=UTC)
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HIDDEN_PATH = "tests/test_hidden.py"


def make_task(environment: Environment, name: str, start: Edits, gold: Edits, fails: str) -> Task:
    """A task that breaks the project by ``start`` and mends it by ``gold``; its certificate is still empty."""
    others = {"test_total", "test_mean", "test_longest"} - {fails}
    before = {**PROJECT, **start}
    return Task(
        id=name,
        repo="tiny",
        commit="0" * 40,
        licence="MIT",
        environment_id=environment.id,
        strategy="procedural.test",
        setup_patch=make_patch(PROJECT, before),
        gold_patch=make_patch(before, {**before, **gold}),
        test_patch=make_patch({}, {HIDDEN_PATH: HIDDEN}),
        fail_to_pass=(f"{HIDDEN_PATH}::{fails}",),
        pass_to_pass=tuple(sorted(f"{HIDDEN_PATH}::{other}" for other in others)),
        test_command="python -m pytest -q tests",
        statement=Statement(text=f"What {fails.removeprefix('test_')} in tiny gives is wrong.", method="template"),
        certificate=Certificate(start_runs=(), gold_runs=(), sandbox="bubblewrap", digests={}),
    )


def make_tasks(environment: Environment) -> list[Task]:
    broken_total = {"tiny/counting.py": COUNTING.replace(b"result += number", b"result -= number")}
    broken_longest = {"tiny/words.py": WORDS.replace(b"max(words", b"min(words")}
    return [
        make_task(environment, "tiny-longest", broken_longest, {"tiny/words.py": WORDS}, "test_longest"),
        make_task(environment, "tiny-total", broken_total, {"tiny/counting.py": COUNTING}, "test_total"),
    ]


def make_environment(tree: Path, requirements: tuple[str, ...], plugins: tuple[str, ...] = ()) -> Environment:
    return Environment(
        repo="tiny",
        source=str(tree),
        commit="0" * 40,
        committed_at=WHEN,
        packages_until=WHEN,
        python=PYTHON,
        tree_digest=tree_digest(tree),
        requirements=requirements,
        plugins=plugins,
        editable=False,
    )


def write_project(folder: Path) -> Path:
    for path, content in PROJECT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def store() -> Iterator[EnvironmentStore]:
    with tempfile.TemporaryDirectory(prefix="repodojo-test-") as folder:
        yield EnvironmentStore(BubblewrapBackend(), Path(folder) / "builds")


@pytest.fixture(scope="session")
def bare_pool(store: EnvironmentStore, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    tree = write_project(tmp_path_factory.mktemp("tree"))
    environment = make_environment(tree, ())
    pool = Pool.create(tmp_path_factory.mktemp("pool"))
    pool.add_environment(environment, pack_tree(tree))
    pool.write_tasks(make_tasks(environment))
    return pool


@pytest.fixture(scope="session")
def graded_pool(store: EnvironmentStore, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    tree = write_project(tmp_path_factory.mktemp("tree"))
    recipe = InstallRecipe(
        python=PYTHON, exclude_newer=WHEN, commands=("uv pip install pytest",), variables={}, version="0"
    )
    installed = store.install(recipe, tree, repo="tiny")
    environment = make_environment(tree, installed.requirements, installed.plugins)
    build = store.adopt(installed, environment)
    pool = Pool.create(tmp_path_factory.mktemp("pool"))
    pool.add_environment(environment, pack_tree(tree))
    pool.write_tasks(certify(task, build, store) for task in make_tasks(environment))
    return pool


def certify(task: Task, build: Build, store: EnvironmentStore) -> Task:
    """The task with its oracle and the evidence of one run of each state; another reward than due fails validation."""
    task = task.model_copy(update={"oracle": OracleMaker(build, store.backend, 60).make(task)})
    assert task.oracle
    assert task.oracle.discriminating
    runs = []
    for changes in ({}, gold_edits(task, build.tree)):
        grading = grade(task, changes, build, store.backend)
        runs.append(
            RunEvidence(order_seed=0, reward=grading.reward, passed=grading.passed, seconds=grading.run.seconds)
        )
    start, gold = runs
    assert (start.reward, gold.reward) == (0, 1)
    certificate = Certificate(
        start_runs=(start,), gold_runs=(gold,), sandbox="bubblewrap", digests={"environment": build.environment.id}
    )
    return task.model_copy(update={"certificate": certificate})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start sandboxes by what they ask for, so that `make unit` can leave them out."""
    for item in items:
        if {"store", "backend", "sandbox"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("sandbox")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where every real part is said to be there (``REPODOJO_NO_SKIP``), a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REPODOJO_NO_SKIP") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("tests were skipped although REPODOJO_NO_SKIP is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
