"""Sessions of the remote mode with the real OpenEnv package: they are the same environment, whatever a client sends."""

import contextlib
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.errors import RemoteError
from agent_env.tools.calls import MAX_TURN_CHARS
from tasks.errors import BadInputError
from tests.agent_env.remote.serving import (
    KEY,
    SESSIONS,
    ask,
    is_running,
    raw,
    sandboxes,
    until,
)
from tests.agent_env.turns import bash

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

pytestmark = pytest.mark.slow  # OpenEnv alone takes seconds to import

NESTED = functools.reduce(lambda inner, _: [inner], range(400), [0])
"""Lists in lists, more than OpenEnv can write back."""

PUBLIC = ("task_id", "step", "outcome", "masked", "detail")
"""What a client may know of an episode; how many hidden tests passed, and what the monitor saw, stay on the server."""


def public(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What ``SWEEnv`` gave, as a client is to get it."""
    *rest, info = answer
    return (*rest, {key: info[key] for key in PUBLIC})


class TestSession:
    def test_gymnasiums_checker(self, server: "EnvServer") -> None:
        made = gymnasium.make("RepoDojo/RemoteSWE-v0", url=server.url, api_key=KEY).unwrapped
        check_env(made)
        made.close()

    def test_it_is_the_same_environment(self, remote: RemoteSWEEnv, env: SWEEnv) -> None:
        for seed in (0, 1, 7, None, None):
            assert public(env.reset(seed=seed)) == remote.reset(seed=seed)
            for action in (bash("cat tiny/words.py; false"), "garbage", bash("echo a") + bash("exit 3"), bash("pwd")):
                assert public(env.step(action)) == remote.step(action)
        env.close()

    def test_a_task_by_its_id(self, remote: RemoteSWEEnv) -> None:
        prompt, info = remote.reset(options={"task_id": "tiny-longest"})
        assert "longest" in prompt
        assert info == {"task_id": "tiny-longest", "step": 0, "outcome": None, "masked": False, "detail": ""}

    @pytest.mark.parametrize(
        ("given", "says"),
        [({"task_id": "tiny-9"}, "no task 'tiny-9' among the 2"), ({"task": "x"}, "unknown reset options")],
    )
    def test_bad_options(self, remote: RemoteSWEEnv, given: dict[str, Any], says: str) -> None:
        with pytest.raises(BadInputError, match=says):
            remote.reset(options=given)
        assert remote.reset(seed=0)[1]["step"] == 0

    def test_a_reset_that_is_refused_leaves_the_episode(self, remote: RemoteSWEEnv) -> None:
        remote.reset(seed=0)
        with pytest.raises(BadInputError, match="no task 'tiny-9'"):
            remote.reset(options={"task_id": "tiny-9"})
        assert remote.step(bash("echo goes on"))[0] == "goes on"

    def test_two_at_once(self, remote: RemoteSWEEnv) -> None:
        remote.reset(seed=0)
        answers: list[Any] = []
        busy = threading.Thread(target=lambda: answers.append(remote.step(bash("sleep 1.625; echo first"))))
        busy.start()
        until(lambda: is_running("sleep 1.625"))
        for second in (lambda: remote.step(bash("echo second")), remote.reset):
            with pytest.raises(EpisodeError, match="one at a time"):
                second()
        busy.join(30)
        [(observation, _, _, truncated, info)] = answers
        assert (observation, truncated, info["step"]) == ("first", False, 1)
        assert remote.step(bash("echo second"))[0] == "second"

    @pytest.mark.parametrize(
        "data",
        [{"seed": "x"}, {"seed": -1}, {"seed": 1 << 70}, {"task_id": ["tiny-total"]}, {"split": "all"}, {"self": 1}],
    )
    def test_bad_requests_leave_the_session_usable(self, server: "EnvServer", data: dict[str, Any]) -> None:
        with raw(server) as socket:
            assert ask(socket, {"type": "reset", "data": data})["type"] == "error"
            assert ask(socket, {"type": "step", "data": {"txt": 1}})["type"] == "error"
            assert ask(socket, {"type": "reset", "data": {}})["type"] == "observation"

    @pytest.mark.parametrize(
        "message",
        [
            {"type": "step", "data": {"txt": "\ud800"}},
            {"type": "step", "data": {"text": NESTED}},
            {"type": "reset", "data": {"\ud800": 1}},
            {"type": "reset", "data": NESTED},
            {"type": "state", "data": {"\ud800": 1}},
            {"type": "reset", "\ud800": 1},
            {"type": "step", "data": {"text": "x", **{str(number): number for number in range(1000)}}},
        ],
        ids=["half", "nested", "half key", "no data", "data too many", "unknown field", "many fields"],
    )
    def test_nor_does_what_an_error_could_not_hold(self, server: "EnvServer", message: dict[str, Any]) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            reply = ask(socket, message)
            assert reply["type"] == "error"
            assert reply["data"]["message"].startswith("bad request: ")
            assert len(str(reply)) < 500
            assert ask(socket, {"type": "state"})["data"]["step_count"] == 0

    @pytest.mark.parametrize("text", ["", "\0", "\ud800", "😀" * (MAX_TURN_CHARS + 7)], ids=["", "nul", "half", "long"])
    def test_what_a_policy_writes_never_ends_the_session(self, remote: RemoteSWEEnv, text: str) -> None:
        remote.reset(seed=0)
        observation, _, terminated, truncated, info = remote.step(text)
        assert observation.startswith("Error: ")
        assert (terminated, truncated, info["masked"]) == (False, False, False)
        assert remote.step(bash("echo fine"))[0] == "fine"

    def test_nor_through_openenvs_client(self, server: "EnvServer") -> None:
        from agent_env.adapters.openenv_client import SWEClient
        from agent_env.adapters.openenv_types import SWEAction, SWEState

        with SWEClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}).sync() as client:
            assert client.state() == SWEState()
            first = client.reset(seed=1, episode_id="mine")
            assert "/testbed" in first.observation.text
            assert (first.reward, first.done) == (None, False)
            assert client.step(SWEAction(text="\ud800 is no text")).observation.text.startswith("Error")
            assert client.step(SWEAction(text=bash("echo hi"))).observation.text == "hi"
            state = client.state()
            assert (state.episode_id, state.step_count, state.outcome) == ("mine", 2, None)
            assert state.task_id == first.observation.task_id
            for _ in range(3):
                last = client.step(SWEAction(text=bash("true")))
            assert (last.reward, last.done) == (0.0, True)
            assert (last.observation.outcome, last.observation.detail) == ("LimitStopped", "steps")
            with pytest.raises(RuntimeError, match="has ended"):
                client.step(SWEAction(text=bash("true")))

    def test_openenvs_client_waits_as_long_as_ours(self) -> None:
        from agent_env.adapters.openenv_client import SWEClient

        url = "http://127.0.0.1:9"
        assert SWEClient(url)._message_timeout == RemoteSWEEnv(url)._reply_seconds
        assert SWEClient(base_url=url, message_timeout_s=5.0, headers={"a": "b"})._message_timeout == 5.0

    def test_order(self, remote: RemoteSWEEnv) -> None:
        with pytest.raises(EpisodeError, match="call reset"):
            remote.step("x")
        remote.reset(seed=0)
        with pytest.raises(BadInputError, match="got bytes"):
            remote.step(b"x")  # type: ignore[arg-type]
        for _ in range(5):
            *_, truncated, info = remote.step(bash("true"))
        assert truncated
        assert (info["outcome"], info["detail"]) == ("LimitStopped", "steps")
        with pytest.raises(EpisodeError, match="call reset"):
            remote.step("x")

    def test_as_many_as_are_allowed_at_once(self, server: "EnvServer") -> None:
        until(lambda: sandboxes() == 0)
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(RemoteSWEEnv(server.url, api_key=KEY)) for _ in range(SESSIONS)]
            with ThreadPoolExecutor(SESSIONS) as pool:
                prompts = list(pool.map(lambda pair: pair[1].reset(seed=pair[0])[0], enumerate(opened)))
                said = list(pool.map(lambda pair: pair[1].step(bash(f"echo {pair[0]}"))[0], enumerate(opened)))
            assert len(set(prompts)) == 2
            assert said == [str(number) for number in range(SESSIONS)]
            assert sandboxes() == SESSIONS
            over = stack.enter_context(RemoteSWEEnv(server.url, api_key=KEY))
            with pytest.raises(RemoteError, match="at capacity: 16/16"):
                over.reset()
            opened[0].close()
            until(lambda: sandboxes() < SESSIONS)
            assert "/testbed" in over.reset()[0]
        until(lambda: sandboxes() == 0)
