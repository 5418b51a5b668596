"""What a client of the remote mode never learns."""

import json
import logging
from typing import TYPE_CHECKING

import pytest

from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError, SandboxError
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.errors import RemoteError
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.residence import residence_base
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from tasks.pool import Pool
from tests.agent_env.remote.serving import KEY, ask, get, raw, sandboxes, serving, until
from tests.agent_env.turns import bash

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

pytestmark = pytest.mark.slow  # OpenEnv alone takes seconds to import


def close_badly(env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sandbox of the running episode close, and say that it did not."""
    assert env.episode is not None
    sandbox = env.episode._sandbox
    assert sandbox is not None
    close = sandbox.close

    def closing() -> None:
        close()
        raise SandboxError("/srv/secret is on fire")

    monkeypatch.setattr(sandbox, "close", closing)


class TestSecrets:
    @pytest.mark.network
    def test_nothing_of_the_answer_is_on_the_wire(self, graded_pool: Pool, store: EnvironmentStore) -> None:
        task = graded_pool.task("tiny-total")
        env = SWEEnv(pool=graded_pool, store=store)
        heard = []
        with serving(env) as server:
            for path in ("/health", "/metadata", "/schema", "/docs", "/openapi.json", "/repodojo/tasks"):
                heard.append(get(server, path)[1])
            for actions in (
                [bash("cat tiny/counting.py"), *noop_actions(task)],
                oracle_actions(task, env.bench.build(task).tree),
            ):
                with raw(server) as socket:
                    heard.append(ask(socket, {"type": "reset", "data": {"task_id": task.id}}))
                    for action in actions:
                        heard.append(ask(socket, {"type": "state"}))
                        heard.append(ask(socket, {"type": "step", "data": {"text": action}}))
                    heard.append(ask(socket, {"type": "state"}))
                    heard.append(ask(socket, {"type": "step", "data": {"text": "x"}}))
        finals = [one["data"] for one in heard if isinstance(one, dict) and one["data"].get("done")]
        assert [(one["reward"], one["observation"]["text"]) for one in finals] == [
            (0.0, "Submitted."),
            (1.0, "Submitted."),
        ]
        wire = json.dumps(heard)
        for secret in (
            "result += number",
            "test_hidden",
            "test_total",
            "tests_failed",
            "passed",
            "certificate",
            "gold",
        ):
            assert secret not in wire.replace("1 passed", ""), secret  # the oracle's own test run
        for place in (str(graded_pool.path), str(store.root), str(residence_base())):
            assert place not in wire

    def test_nor_are_the_words_of_a_failing_machine(
        self, bare_pool: Pool, store: EnvironmentStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(BubblewrapBackend):
            def create(self, spec: SandboxSpec) -> Sandbox:  # type: ignore[override]
                raise SandboxError("/srv/secret is on fire")

        broken = SWEEnv(pool=bare_pool, store=EnvironmentStore(Broken(), store.root))
        with (
            serving(broken) as server,
            RemoteSWEEnv(server.url, api_key=KEY) as remote,
            pytest.raises(RemoteError, match="its log says how") as told,
        ):
            remote.reset()
        assert "fire" not in str(told.value)
        assert "/srv/secret is on fire" in caplog.text

    def test_nor_where_it_fails_in_an_episode(self, env: SWEEnv, caplog: pytest.LogCaptureFixture) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment
        from agent_env.adapters.openenv_types import SWEAction

        session = SWEEnvironment(env)
        session.reset(seed=0)
        assert session._env.episode is not None
        assert session._env.episode._sandbox is not None
        session._env.episode._sandbox.close()
        observation = session.step(SWEAction(text=bash("true")))
        assert (observation.outcome, observation.masked, observation.detail) == ("InfraFailed", True, "")
        assert (observation.done, observation.reward) == (True, None)  # a client that knows no mask has no reward
        assert "SandboxError" in caplog.text

    def test_nor_where_an_old_episode_cannot_be_cleared_away(
        self, env: SWEEnv, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment
        from agent_env.adapters.openenv_types import SWEAction

        session = SWEEnvironment(env)
        session.reset(seed=0)
        close_badly(session._env, monkeypatch)
        monkeypatch.setattr(session, "_is_overdue", lambda: True)
        assert session.state.outcome is None
        with pytest.raises(RuntimeError, match="its log says how") as told:
            session.step(SWEAction(text=bash("true")))
        assert "fire" not in str(told.value)
        assert session.state.outcome == "InfraFailed"
        assert "/srv/secret is on fire" in caplog.text
        session.close()

    def test_one_that_cannot_be_closed_keeps_no_other_open(
        self, env: SWEEnv, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment, close_all

        sessions = [SWEEnvironment(env) for _ in range(2)]
        for session in sessions:
            session.reset(seed=0)
            close_badly(session._env, monkeypatch)
        close_all()
        assert sandboxes() == 0
        assert caplog.text.count("/srv/secret is on fire") == 2

    def test_the_key_is_in_no_log(self, server: "EnvServer", caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("somebody").debug("listens")
        with RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
        assert "listens" in caplog.text
        assert KEY not in caplog.text
        until(lambda: sandboxes() == 0)

    def test_a_closed_environment_stays_closed(self, env: SWEEnv) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment

        session = SWEEnvironment(env)
        session.close()
        with pytest.raises(EpisodeError, match="connect again"):
            session.reset()
        assert sandboxes() == 0
