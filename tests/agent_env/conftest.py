"""What tests of episodes start from: the pool that needs no network, and one of its tasks."""

import pytest

from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from tasks.pool import Pool
from tasks.task import Task


@pytest.fixture
def bench(bare_pool: Pool, store: EnvironmentStore) -> Workbench:
    return Workbench(bare_pool, store)


@pytest.fixture
def task(bare_pool: Pool) -> Task:
    return bare_pool.task("tiny-total")
