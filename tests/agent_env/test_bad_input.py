"""What callers and policies give that cannot be: an error that names what was got and what was expected, or an
observation that does; and the environment can still be used."""

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from agent_env.async_env import AsyncSWEEnv
from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.remote.client import RemoteSWEEnv
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.tools import FORMATS, ToolCall
from agent_env.vector import SWEVectorEnv
from agent_env.wrappers import HistoryWindow, WallClockLimit
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.turns import bash, turn_elsewhere

NO_PATHS: list[Any] = [5, True, 1.5, b"x", ["a"], {"a": 1}, object(), "a\0b", "\ud800"]
NO_NUMBERS: list[Any] = [0, -1, True, math.nan, "3", b"3", [3], {"n": 3}, object()]
NO_TEXTS: list[Any] = [5, True, 1.5, b"x", ["a"], {"a": 1}, object()]

ARGUMENTS: dict[str, list[Any]] = {
    "pool": [None, *NO_PATHS],
    "split": [None, "dev", *NO_TEXTS],
    "max_steps": [None, 1.5, math.inf, *NO_NUMBERS],
    "time_limit": [None, *NO_NUMBERS],
    "command_timeout": [None, math.inf, 1e300, *NO_NUMBERS],
    "silence_timeout": [math.inf, *NO_NUMBERS],
    "observation_chars": [None, 1.5, math.inf, *NO_NUMBERS],
    "call_format": [None, "yaml", *NO_TEXTS],
    "feedback": [None, 1, "yes", [True]],
    "tripwires": [None, 1, "yes", [True]],
    "packages": ["all", *NO_TEXTS],
    "render_mode": ["human", *NO_TEXTS],
    "tasks": ["tiny-total", 5, b"x", {"a": 1}, [5], [None], ["tiny-total", 5], object()],
    "store": [5, "cache", [], object()],
    "trajectories": NO_PATHS,
    "agent": [None, *NO_TEXTS],
}


@pytest.fixture
def options(bare_pool: Pool, store: EnvironmentStore) -> dict[str, Any]:
    return {"pool": bare_pool, "store": store}


@pytest.fixture(scope="module")
def env(bare_pool: Pool, store: EnvironmentStore) -> Iterator[SWEEnv]:
    with SWEEnv(pool=bare_pool, store=store) as made:
        yield made


@pytest.fixture(scope="module")
def envs(bare_pool: Pool, store: EnvironmentStore) -> Iterator[SWEVectorEnv]:
    made = SWEVectorEnv(2, pool=bare_pool, store=store)
    yield made
    made.close()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ARGUMENTS.items() for value in values])
def test_arguments(options: dict[str, Any], name: str, value: object) -> None:
    with pytest.raises(BadInputError, match=rf"(?s){'one of tasks|tasks' if name == 'tasks' else name} .*expected"):
        SWEEnv(**{**options, name: value})


@pytest.mark.parametrize("value", [None, *NO_TEXTS, "podman", "docker:", "bubblewrap:x", ""])
def test_sandboxes(value: Any) -> None:
    with pytest.raises(BadInputError, match=r"unknown sandbox backend.*expected one of auto, bubblewrap, docker"):
        select_backend(value)


def test_every_argument_is_tried() -> None:
    assert set(inspect.signature(SWEEnv).parameters) == {*ARGUMENTS, "sandbox"}


def test_folders_that_are_not_there_or_are_files(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("absent", "file", "file/below"):
        with pytest.raises(BadInputError, match=r"is not a pool: it has no pool.json"):
            SWEEnv(**{**options, "pool": tmp_path / name})
    for name in ("file", "file/below"):
        with pytest.raises(BadInputError, match="file is not a folder"):
            SWEEnv(**options, trajectories=tmp_path / name)
        with SWEEnv(**options) as env, pytest.raises(BadInputError, match="file is not a folder"):
            env.trajectories = tmp_path / name
    with SWEEnv(**options, trajectories=tmp_path / "made" / "below") as env:
        env.reset()
        assert len(list((tmp_path / "made" / "below").iterdir())) == 1


Reset = tuple[dict[str, Any], str]
SEEDS: list[Reset] = [
    ({"seed": value}, "seed is .*expected a whole number") for value in (-1, 1.5, True, "7", [1], np.float64(2))
]
OPTIONS: list[Reset] = [
    ({"options": value}, "options is .*expected a dict") for value in (5, 1.5, "task_id", ["task_id"], {5: 1})
]
TASK_IDS: list[Reset] = [
    *(
        ({"options": {"task_id": value}}, "no task .* among the 2 .*expected one of their ids")
        for value in ("tiny-9", "", 5, ["tiny-total"], {"a": 1}, b"tiny-total", "x" * 10_000)
    ),
    ({"options": {"task": "tiny-total"}}, r"unknown reset options \['task'\]; expected"),
]


@pytest.mark.parametrize(("given", "says"), [*SEEDS, *OPTIONS, *TASK_IDS])
def test_resets(env: SWEEnv, given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInputError, match=says) as caught:
        env.reset(**given)
    assert len(str(caught.value)) < 500
    assert env.reset()[1]["step"] == 0


def test_a_refused_reset_leaves_the_running_episode(env: SWEEnv) -> None:
    env.reset()
    with pytest.raises(BadInputError):
        env.reset(options={"task_id": "tiny-9"})
    assert env.step(bash("echo on"))[0] == "on"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *(({"num_envs": value}, "num_envs is .*whole number") for value in (None, 0, -1, 1.5, True, "2", [2])),
        *(({"threads": value}, "threads is .*whole number") for value in (0, -1, 1.5, True, "2", [2])),
        *(({"wrap": value}, "wrap is .*expected a function") for value in (5, True, "HistoryWindow", [1], {"a": 1})),
        ({"wrap": lambda env: 5}, "expected a RepoDojo/SWE-v0 environment"),
        ({"max_steps": "3"}, "max_steps is '3'; expected"),
    ],
)
def test_vectors(options: dict[str, Any], given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        SWEVectorEnv(**options, **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *OPTIONS,
        *(({"seed": value}, "seed .*expected") for value in (-1, 1.5, True, "ab", [1, True], [1, "a"])),
        ({"seed": [1]}, "1 seeds were given for 2 sub-environments: expected one for each"),
        *(({"options": {"reset_mask": value}}, "reset_mask is") for value in (5, [True, True], np.ones(2), "yy")),
        *(({"options": {"task_ids": value}}, "task_ids is|no task") for value in (5, "ab", ["tiny-9", None], [5, 5])),
    ],
)
def test_vector_resets(envs: SWEVectorEnv, given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        envs.reset(**given)
    assert len(envs.reset()[0]) == 2


@pytest.mark.parametrize("actions", [None, 5, "ab", b"ab", ["x"], ["x"] * 3, [5, "x"], [b"x", "x"], {"a": 1, "b": 2}])
def test_vector_steps(envs: SWEVectorEnv, actions: Any) -> None:
    envs.reset()
    with pytest.raises(BadInputError, match="action"):
        envs.step(actions)
    assert envs.step(["x", None])[0][0].startswith("Error")


@pytest.mark.parametrize("value", [None, 5, "env", [], object(), gymnasium.Env])
def test_what_is_no_environment(value: Any) -> None:
    with pytest.raises(BadInputError, match="expected a RepoDojo/SWE-v0 environment"):
        AsyncSWEEnv(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 1.5])
def test_wrappers(env: SWEEnv, value: Any) -> None:
    with pytest.raises(BadInputError, match=r"turns is .*expected a whole number"):
        HistoryWindow(env, turns=value)
    if value != 1.5:
        with pytest.raises(BadInputError, match=r"seconds is .*expected a number"):
            WallClockLimit(env, value)


REMOTE: dict[str, list[Any]] = {
    "url": [None, "", "localhost:1", "ftp://x", "http://", *NO_TEXTS],
    "api_key": [5, b"x", ["a"], "line\r\nX-Other: header", "ключ", "a\0b", "\ud800"],
    "tls_ca": ["/absent", *NO_PATHS],
    "reply_seconds": [None, math.inf, 1e300, *NO_NUMBERS],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REMOTE.items() for value in values])
def test_remote_arguments(name: str, value: object) -> None:
    with pytest.raises(BadInputError, match=r"(?s)expected") as caught:
        RemoteSWEEnv(**{"url": "https://127.0.0.1:1", name: value})
    assert name != "api_key" or not isinstance(value, str) or value not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *SEEDS,
        *OPTIONS,
        *(({"options": {"task_id": value}}, "task_id is .*expected") for value in NO_TEXTS),
    ],
)
def test_remote_resets(given: dict[str, Any], says: str) -> None:
    remote = RemoteSWEEnv("http://127.0.0.1:1")  # refused before anything is connected
    with pytest.raises(BadInputError, match=says):
        remote.reset(**given)


LONG = "x" * 1_000_001
BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("python", {"code": "1"}, "there is no tool 'python'. The tools are: bash, edit, search, submit"),
    ("", {}, "there is no tool ''"),
    ("x" * 10_000, {}, "there is no tool"),
    ("bash", {}, "argument 'command' is missing. Expected: command (string), timeout"),
    ("bash", {"command": None}, "argument 'command' is missing"),
    ("bash", {"command": "ls", "shell": "zsh"}, "unknown argument 'shell'. Expected: command"),
    ("bash", {"command": 5}, "argument 'command': Input should be a valid string, got 5"),
    ("bash", {"command": ["ls"]}, "argument 'command'"),
    ("bash", {"command": "ls", "timeout": "soon"}, "argument 'timeout'"),
    ("bash", {"command": "ls", "timeout": -1}, "argument 'timeout'"),
    ("bash", {"command": LONG}, "is 1000001 characters; at most 1000000"),
    ("bash", {"command": "echo \0"}, "holds a NUL byte; expected text"),
    ("bash", {"command": "echo \ud800"}, "is not valid Unicode text"),
    ("bash", {"command": {"deep": [[[]]] * 1000}}, "argument 'command'"),
    ("edit", {"command": "move", "path": "a"}, "argument 'command'"),
    ("edit", {"command": "create", "path": "a"}, "create needs file_text. It takes:"),
    ("edit", {"command": "create", "path": "a", "file_text": LONG}, "at most 1000000"),
    ("edit", {"command": "view", "path": "x/" * 5000}, "Error: cannot view"),
    ("edit", {"command": "view", "path": "a", "view_range": "all"}, "argument 'view_range'"),
    ("search", {"pattern": ["a"]}, "argument 'pattern'"),
    ("submit", {"force": True}, "unknown argument 'force'. Expected: no arguments"),
]


@pytest.mark.parametrize(("name", "arguments", "says"), BAD_CALLS)
def test_calls(env: SWEEnv, name: str, arguments: dict[str, Any], says: str) -> None:
    env.reset()
    assert env.episode
    observation, outcome = env.episode.call([ToolCall(name, arguments)])
    assert outcome is None
    assert says in observation
    assert observation.startswith("Error: ")
    assert len(observation) < 10_100
    assert env.step(bash("echo on"))[0] == "on"


@pytest.mark.parametrize(
    "calls",
    [
        ["ls"],
        [ToolCall(5)],  # type: ignore[arg-type]
        [ToolCall("bash", "ls")],  # type: ignore[arg-type]
        [ToolCall("bash", {"command": b"ls"})],
        [ToolCall("bash", {"timeout": math.nan})],
        [ToolCall("bash", {"command": object()})],
    ],
)
def test_calls_that_no_client_can_send(env: SWEEnv, calls: Any) -> None:
    env.reset()
    assert env.episode
    with pytest.raises(BadInputError, match=r"a call is a ToolCall|no JSON object"):
        env.episode.call(calls)
    assert env.episode.turn("x").outcome is None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["", "\0", "\ud800", "x" * 2_100_000, "<tool_call>" * 10_000, "[" * 100_000])
def test_turns(options: dict[str, Any], name: str, text: str) -> None:
    with SWEEnv(**options, call_format=name) as env:
        env.reset()
        observation, _, terminated, truncated, _ = env.step(text)
        assert observation.startswith("Error: ")
        assert (terminated, truncated, len(observation) < 2000) == (False, False, True)


def test_enormous_turns_are_not_kept_whole(options: dict[str, Any], tmp_path: Path) -> None:
    with SWEEnv(**options, trajectories=tmp_path / "kept") as env:
        env.reset()
        env.step("x" * 30_000_000)
        assert env.episode is not None
        said = env.episode.call([ToolCall("bash", {"command": ": " + "x" * 30_000_000})], "y" * 30_000_000).observation
        assert "at most 16000000 are read" in said
    [file] = (tmp_path / "kept").rglob("*.json")
    assert 3_000_000 < file.stat().st_size < 5_000_000


@pytest.mark.parametrize("action", [None, 5, b"x", ["x"], {"text": "x"}])
def test_actions(env: SWEEnv, action: Any) -> None:
    env.reset()
    with pytest.raises(BadInputError, match="an action is the policy's text"):
        env.step(action)
    assert env.step("x")[0].startswith("Error")


@pytest.mark.parametrize("given", [None, 5, {"completion_tokens": 5}])
def test_metrics(env: SWEEnv, given: Any) -> None:
    env.reset()
    with pytest.raises(BadInputError, match=r"expected an agent_env\.atif\.Metrics"):
        env.measure(given)


@pytest.mark.parametrize("given", [5, b"x", ["x"]])
def test_turns_that_were_not_played(env: SWEEnv, given: Any) -> None:
    env.reset()
    with pytest.raises(BadInputError, match=r"unplayed is .*expected what the policy wrote last"):
        env.context_full(given)
    assert env.info()["outcome"] is None


def test_output_that_is_no_text(env: SWEEnv) -> None:
    env.reset()
    shown = env.step(bash(r"printf 'a\377\000b\n'; head -c 300000 /dev/urandom"))[0]
    assert shown.startswith("a\ufffd\ufffdb")
    assert shown.encode()


def test_after_the_end_and_two_at_once(env: SWEEnv) -> None:
    env.reset()
    assert env.episode
    other, began = turn_elsewhere(env.episode, bash("sleep 30"))
    began.wait(30)
    with pytest.raises(EpisodeError, match="still running: one episode takes one turn at a time"):
        env.step("x")
    env.close()
    other.join()
    with pytest.raises(EpisodeError, match=r"has ended \(LimitStopped\): reset"):
        env.step("x")
    env.reset()
    assert not env.step("x")[3]
