"""Which interpreter of the machine environments are built on."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent_env import interpreter_speed
from agent_env.errors import EnvironmentBuildError
from agent_env.interpreter import Interpreter, choose, find_interpreter

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def named(name: str, *, compiles: bool = True) -> Interpreter:
    return Interpreter(Path(name), Path("/"), "3.11.7", (), (), compiles)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [((1.0, 1.1), "a"), ((1.0, 0.9), "a"), ((1.0, 0.7), "b"), ((0.7, 1.0), "a"), ((1.0, 0.75, 0.7), "b")],
)
def test_the_first_that_none_is_clearly_faster_than(seconds: tuple[float, ...], chosen: str) -> None:
    found = [named(name) for name in "abc"[: len(seconds)]]
    taken = dict(zip((interpreter.executable for interpreter in found), seconds, strict=True))
    assert choose(found, taken.__getitem__).executable == Path(chosen)


def test_headers_come_before_speed() -> None:
    found = [named("a"), named("b", compiles=False)]
    assert choose(found, {}.__getitem__) == found[0]
    assert choose(found[::-1], {}.__getitem__) == found[0]
    assert choose([named("a", compiles=False)], {}.__getitem__).executable == Path("a")


def test_one_is_found_and_runs_that_version() -> None:
    found = find_interpreter(HERE)
    assert found.version.startswith(f"{HERE}.")
    ask = [found.executable, "-c", "import sys; print(sys.base_prefix)"]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(found.prefix)


def test_there_is_none() -> None:
    with pytest.raises(EnvironmentBuildError, match=r"no Python 2\.1 on this machine: install it"):
        find_interpreter("2.1")


def test_speed_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path))
    executable = Path(sys.executable)
    interpreter_speed.seconds_of.cache_clear()
    seconds = interpreter_speed.seconds_of(executable)
    assert 0 < seconds < 10
    [kept] = (tmp_path / "interpreters").iterdir()
    assert float(kept.read_text()) == seconds
    kept.write_text("123.5\n")
    interpreter_speed.seconds_of.cache_clear()
    assert interpreter_speed.seconds_of(executable) == 123.5
    kept.write_text("torn")
    interpreter_speed.seconds_of.cache_clear()
    assert interpreter_speed.seconds_of(executable) < 10
    interpreter_speed.seconds_of.cache_clear()
