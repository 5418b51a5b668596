"""How remote episodes and their server end: no client, silence, age, a stop, a signal."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from agent_env.env import SWEEnv
from agent_env.episode import Turn
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.errors import RemoteError
from agent_env.sandbox.residence import residence_base
from tasks.pool import Pool
from tests.agent_env.remote.serving import KEY, ask, is_running, raw, sandboxes, serving, until
from tests.agent_env.turns import bash

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

pytestmark = pytest.mark.slow  # OpenEnv alone takes seconds to import


def timers() -> int:
    """How many timers wait in this process."""
    return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())


class TestEnds:
    def test_a_client_that_vanishes(self, server: "EnvServer") -> None:
        until(lambda: sandboxes() == 0)
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            assert sandboxes() == 1
            socket.socket.close()
        until(lambda: sandboxes() == 0)

    def test_a_client_that_vanishes_in_a_turn(self, server: "EnvServer", caplog: pytest.LogCaptureFixture) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            socket.send(json.dumps({"type": "step", "data": {"text": bash("sleep 0.3")}}))
            socket.socket.close()
        until(lambda: sandboxes() == 0)
        assert not caplog.records

    def test_a_client_that_vanishes_behind_what_it_sent_ahead(
        self, server: "EnvServer", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment

        begun, ended = [], threading.Event()
        reset, close = SWEEnvironment.reset, SWEEnvironment.close

        def counted(session: SWEEnvironment, **options: Any) -> Any:
            begun.append(options)
            return reset(session, **options)

        def told(session: SWEEnvironment) -> None:
            close(session)
            ended.set()

        monkeypatch.setattr(SWEEnvironment, "reset", counted)
        monkeypatch.setattr(SWEEnvironment, "close", told)
        with raw(server) as socket:
            for seed in range(50):
                socket.protocol.send_text(json.dumps({"type": "reset", "data": {"seed": seed}}).encode())
            socket.socket.sendall(b"".join(socket.protocol.data_to_send()))  # in one piece, read as one
            until(lambda: bool(begun))
            socket.socket.close()
        assert ended.wait(60)
        assert len(begun) < 25
        assert sandboxes() == 0

    def test_silence(self, env: SWEEnv) -> None:
        with serving(env, idle_seconds=0.2) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            with raw(server) as socket:
                ask(socket, {"type": "reset", "data": {}})
                with pytest.raises(ConnectionClosed, match=r"4008.*silent for 0.2 s"):
                    socket.recv(30)
            remote.reset(seed=0)
            until(lambda: sandboxes() == 0)
            observation, reward, terminated, truncated, info = remote.step(bash("true"))
            assert (observation, reward) == ("[the connection to the server failed]", 0.0)
            assert (terminated, truncated, info["outcome"], info["masked"]) == (False, True, "InfraFailed", True)
            assert remote.reset(seed=0)[1]["step"] == 0

    def test_a_reset_after_silence_connects_again(self, env: SWEEnv) -> None:
        with serving(env, idle_seconds=0.2) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            for _ in range(2):
                assert remote.reset(seed=0)[1]["step"] == 0
                socket = remote._socket
                assert socket is not None
                until(lambda: socket.state is State.CLOSED)  # noqa: B023 - called within the round

    def test_an_interrupt_leaves_no_answer_for_the_next_message(
        self, server: "EnvServer", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        until(lambda: sandboxes() == 0)
        with RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            with monkeypatch.context() as patched:
                patched.setattr(remote._socket, "recv", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    remote.step(bash("echo one"))
            observation, _, _, truncated, info = remote.step(bash("echo two"))
            assert (observation, truncated) == ("[the connection to the server failed]", True)
            assert (info["outcome"], info["masked"]) == ("InfraFailed", True)
            until(lambda: sandboxes() == 0)
            remote.reset(seed=0)
            assert remote.step(bash("echo three"))[0] == "three"

    def test_a_close_while_a_step_waits(self, server: "EnvServer") -> None:
        answers: list[Any] = []
        with RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            busy = threading.Thread(target=lambda: answers.append(remote.step(bash("exec sleep 3.125"))))
            busy.start()
            until(lambda: is_running("sleep 3.125"))
            remote.close()
            busy.join(30)
        [(observation, reward, terminated, truncated, info)] = answers
        assert (observation, reward) == ("[the connection to the server failed]", 0.0)
        assert (terminated, truncated, info["outcome"], info["masked"]) == (False, True, "InfraFailed", True)
        until(lambda: sandboxes() == 0)

    def test_a_long_command_is_no_silence(self, env: SWEEnv) -> None:
        with serving(env, idle_seconds=0.2) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            assert remote.step(bash("sleep 0.5; echo awake"))[0] == "awake"

    def test_an_old_episode(self, env: SWEEnv) -> None:
        with serving(env, episode_seconds=1e-6) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            observation, reward, terminated, truncated, info = remote.step(bash("true"))
            assert observation.startswith("[the episode ends here: it began over 1e-06 s ago")
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["detail"], info["masked"]) == ("LimitStopped", "abandoned", False)
            assert sandboxes() == 0
            with raw(server) as socket:
                ask(socket, {"type": "reset", "data": {}})
                until(lambda: ask(socket, {"type": "state"})["data"]["outcome"] == "LimitStopped")

    @pytest.mark.parametrize(
        "message",
        [{"type": "step", "data": {"txt": 1}}, {"type": "reset", "data": {"seed": "x"}}, None],
        ids=["no action", "bad seed", "pings alone"],
    )
    def test_an_old_episode_whose_client_is_only_refused(self, env: SWEEnv, message: dict[str, Any] | None) -> None:
        def is_gone() -> bool:
            if message is None:
                assert socket.ping().wait(30)
            else:
                assert ask(socket, message)["type"] == "error"
            return sandboxes() == 0

        until(lambda: sandboxes() == 0)
        with serving(env, episode_seconds=1.0) as server, raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            assert sandboxes() == 1
            until(is_gone)
            step = {"type": "step", "data": {"text": bash("true")}}
            told = ask(socket, step)["data"]
            assert (told["done"], told["observation"]["outcome"]) == (True, "LimitStopped")
            assert told["observation"]["text"] == "[the episode ends here: it began over 1 s ago]"
            assert "has ended (LimitStopped)" in ask(socket, step)["data"]["message"]
            assert ask(socket, {"type": "reset", "data": {}})["type"] == "observation"
            assert ask(socket, {"type": "state"})["data"]["outcome"] is None

    def test_a_command_that_runs_beyond_the_age_is_cut_off(self, env: SWEEnv) -> None:
        with serving(env, episode_seconds=1.0) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            observation, reward, terminated, truncated, info = remote.step(bash("exec sleep 60.5"))
            assert observation.endswith("[the episode ends here: limit of abandoned]")
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["detail"], info["masked"]) == ("LimitStopped", "abandoned", False)
            assert not is_running("sleep 60.5")
            assert sandboxes() == 0

    def test_an_age_that_comes_just_before_a_turn(self, env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment
        from agent_env.adapters.openenv_types import SWEAction

        session = SWEEnvironment(env)
        session.reset(seed=0)
        assert session._env.episode is not None
        session._env.episode.interrupt()
        overdue = iter([False, True])
        monkeypatch.setattr(session, "_is_overdue", lambda: next(overdue))
        told = session.step(SWEAction(text=bash("true")))
        assert (told.done, told.truncated, told.outcome, told.detail) == (True, True, "LimitStopped", "abandoned")
        session.close()

    def test_an_age_that_comes_just_after_a_turn(self, env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment
        from agent_env.adapters.openenv_types import SWEAction

        session = SWEEnvironment(env)
        session.reset(seed=0)
        episode = session._env.episode
        assert episode is not None
        turn = episode.turn

        def ended_after(action: str) -> Turn:
            given = turn(action)
            episode.interrupt()
            return given

        monkeypatch.setattr(episode, "turn", ended_after)
        told = session.step(SWEAction(text=bash("echo hi")))
        assert (told.text, told.reward) == ("hi", 0.0)
        assert (told.done, told.truncated, told.outcome, told.detail) == (True, True, "LimitStopped", "abandoned")
        session.close()

    def test_no_timer_is_left(self, env: SWEEnv) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment
        from agent_env.adapters.openenv_types import SWEAction

        until(lambda: timers() == 0)
        session = SWEEnvironment(env, episode_seconds=float("inf"))
        for _ in range(2):
            session.reset(seed=0)
            until(lambda: timers() == 1)
        while not session.step(SWEAction(text=bash("true"))).done:
            assert timers() == 1
        until(lambda: timers() == 0)
        session.reset(seed=0)
        session.close()
        until(lambda: timers() == 0)

    def test_an_environment_that_is_closed_while_it_resets(self, env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        from agent_env.adapters.openenv_server import SWEEnvironment

        session = SWEEnvironment(env)
        reset = session._env.reset

        def closed_meanwhile(**options: Any) -> tuple[str, dict[str, Any]]:
            session.close()
            return reset(**options)

        monkeypatch.setattr(session._env, "reset", closed_meanwhile)
        session.reset(seed=0)
        assert sandboxes() == 0
        until(lambda: timers() == 0)

    def test_a_server_that_stops_closes_every_sandbox(self, env: SWEEnv) -> None:
        with RemoteSWEEnv("http://127.0.0.1:9", api_key=KEY) as nowhere, pytest.raises(RemoteError, match="no server"):
            nowhere.reset()
        with serving(env) as server:
            remote = RemoteSWEEnv(server.url, api_key=KEY)
            remote.reset(seed=0)
            busy = threading.Thread(target=remote.step, args=(bash("exec sleep 60.25"),))
            busy.start()
            until(lambda: is_running("sleep 60.25"))
        busy.join(30)
        assert not busy.is_alive()
        assert not is_running("sleep 60.25")
        assert sandboxes() == 0
        remote.close()


def test_a_signal_before_it_listens(env: SWEEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent_env.remote.server import EnvServer, ServeOptions

    server = EnvServer(env, ServeOptions(port=0))
    run = server._server.run

    def run_late(**options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert server._server.should_exit
        run(**options)

    monkeypatch.setattr(server._server, "run", run_late)
    server.serve()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_clean(bare_pool: Pool, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    command = [sys.executable, "-m", "repodojo", "serve", str(bare_pool.path), "--port", "0", "--sandbox", "bubblewrap"]
    with subprocess.Popen(
        [*command, "--api-key-file", str(tmp_path / "key"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REPODOJO_HOME": str(tmp_path / "home")},
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        said = next(line for line in process.stderr if "tasks at" in line)
        with RemoteSWEEnv(said.split()[3].rstrip(","), api_key=KEY) as remote:
            remote.reset(seed=0)
            busy = threading.Thread(target=remote.step, args=(bash("exec sleep 60.75"),))
            busy.start()
            until(lambda: is_running("sleep 60.75"))
            process.send_signal(number)
            result = json.loads(process.stdout.read())
            assert process.wait(60) == 0, process.stderr.read()
            busy.join(30)
        assert result["tasks"] == 2
        assert not is_running("sleep 60.75")
        assert not list(residence_base().glob(f"{process.pid}-*"))
