"""A task and an environment that are whole, for tests of what holds them."""

from datetime import UTC, datetime

import pytest

from tasks import Certificate, Environment, RunEvidence, Statement, Task


@pytest.fixture
def environment() -> Environment:
    return Environment(
        repo="toy",
        source="pypi:toy",
        commit="a" * 40,
        committed_at=datetime(2024, 1, 1, tzinfo=UTC),
        packages_until=datetime(2024, 1, 1, tzinfo=UTC),
        python="3.11",
        tree_digest="d" * 64,
        requirements=("pytest==8.0.0",),
    )


@pytest.fixture
def task(environment: Environment) -> Task:
    def runs(reward: int) -> tuple[RunEvidence, ...]:
        return tuple(RunEvidence(order_seed=n, reward=reward, passed=2 * reward, seconds=0.5 + n) for n in range(3))

    return Task(
        id="toy-procedural.invert_condition-0123456789",
        repo="toy",
        commit="a" * 40,
        licence="MIT",
        environment_id=environment.id,
        strategy="procedural.invert_condition",
        setup_patch="s",
        gold_patch="g",
        test_patch="t",
        fail_to_pass=("tests/test_a.py::test_x[1-é]",),
        pass_to_pass=("tests/test_a.py::test_y",),
        test_command="python -m pytest -q",
        statement=Statement(text="It is broken.", method="template"),
        certificate=Certificate(start_runs=runs(0), gold_runs=runs(1), sandbox="bubblewrap", digests={"runner": "r"}),
        difficulty=0.25,
    )
