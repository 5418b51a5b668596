"""One server for the tests of a module, and a client of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from agent_env.env import SWEEnv
from agent_env.remote.client import RemoteSWEEnv
from agent_env.store import EnvironmentStore
from tasks.pool import Pool
from tests.agent_env.remote.serving import KEY, SESSIONS, leave_out_others, serving

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer


@pytest.fixture(scope="module", autouse=True)
def _know_others() -> None:
    leave_out_others()


@pytest.fixture(scope="module")
def env(bare_pool: Pool, store: EnvironmentStore) -> SWEEnv:
    made = SWEEnv(pool=bare_pool, store=store, max_steps=5)
    made.bench.build(made.tasks[0])
    return made


@pytest.fixture(scope="module")
def server(env: SWEEnv) -> "Iterator[EnvServer]":
    with serving(env, max_sessions=SESSIONS) as running:
        yield running


@pytest.fixture
def remote(server: "EnvServer") -> Iterator[RemoteSWEEnv]:
    with RemoteSWEEnv(server.url, api_key=KEY) as opened:
        yield opened
