"""The command line: exit codes, one JSON object last on standard output, errors that name what was got."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_env.env import SWEEnv
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from repodojo.cli import main
from tasks.pool import Pool


@pytest.fixture(autouse=True)
def _home(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(store.root.parent))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON object, and standard error of a command with ``--json``."""
    code = main([*arguments, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out.splitlines()[-1]), said.err


def test_doctor_finds_a_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    code, result, _ = run(capsys, "doctor")
    assert code == 0
    assert result["usable"] is True
    assert {check["what"] for check in result["checks"]} >= {"python", "git", "cache", "sandbox bubblewrap"}


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("repodojo.commands.doctor._basics", interrupt)
    code, result, said = run(capsys, "doctor")
    assert code == 130
    assert "interrupted" in result["error"]
    assert "interrupted" in said


@pytest.mark.docker
def test_doctor_tells_what_is_weaker_on_docker(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPODOJO_SANDBOX_FILES", "disk")
    _, result, _ = run(capsys, "doctor")
    states = [(check["what"], check["state"]) for check in result["checks"]]
    if ("sandbox docker", "ok") not in states:
        pytest.skip("no Docker Engine answers")
    assert [state for what, state in states[states.index(("sandbox docker", "ok")) + 1 :] if what[0] == " "] == ["weak"]


def test_pool_ls_lists_tasks(capsys: pytest.CaptureFixture[str], bare_pool: Pool) -> None:
    code, result, _ = run(capsys, "pool", "ls", str(bare_pool.path))
    assert code == 0
    assert [task["id"] for task in result["tasks"]] == ["tiny-longest", "tiny-total"]
    assert result["hash"] == bare_pool.hash


def test_pool_show_takes_the_beginning_of_an_id(capsys: pytest.CaptureFixture[str], bare_pool: Pool) -> None:
    code, result, _ = run(capsys, "pool", "show", str(bare_pool.path), "tiny-lo")
    assert code == 0
    assert result["id"] == "tiny-longest"


def test_people_do_not_see_the_solution_unless_they_ask(capsys: pytest.CaptureFixture[str], bare_pool: Pool) -> None:
    assert main(["pool", "show", str(bare_pool.path), "tiny-longest"]) == 0
    plain = capsys.readouterr().out
    assert main(["pool", "show", str(bare_pool.path), "tiny-longest", "--gold"]) == 0
    assert "max(words" not in plain
    assert "max(words" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nosuch"], "nosuch"),
        (["pool", "ls", "/nonexistent"], "is not a pool"),
        (["pool", "ls", "POOL", "--split", "dev"], "expected all, train or test"),
        (["pool", "show", "POOL", "nosuch"], "holds no task 'nosuch'"),
        (["build", "nosuch.toml", "--out", "OUT"], "nosuch.toml"),
        (["build", "pypi:toolz", "--out", "OUT", "--strategy", "histroy"], "did you mean 'history'"),
        (["build", "pypi:toolz", "--out", "OUT", "--sandbox", "podman"], "unknown sandbox backend 'podman'"),
        (["build", "pypi:toolz", "--out", "OUT", "--llm", "nowhere", "m"], "no address of a model server"),
        (["rollout", "POOL", "--policy", "/nonexistent/model"], "/nonexistent/model"),
        (["rollout", "POOL", "--episodes", "0"], "--episodes"),
        (["attack", "POOL", "--tasks", "0"], "--tasks"),
        (["attack", "POOL", "--task", "nonsense"], "holds no task 'nonsense'"),
        (["attack", "POOL", "--attacks", "git,nonsense"], "no attack's id begins with 'nonsense'"),
        (["attack", "/nonexistent"], "is not a pool"),
        (["pool", "strength", "/nonexistent"], "is not a pool"),
        (["pool", "strength", "POOL", "--task", "nosuch"], "holds no task 'nosuch'"),
        (["pool", "strength", "POOL", "--mutants", "0"], "--mutants"),
        (["pool", "strength", "POOL", "--out", "/nonexistent/x.json"], "expected a file, in a folder that exists"),
        (["pool", "strength", "POOL", "--sandbox", "podman"], "unknown sandbox backend 'podman'"),
        (["train", "/nonexistent.toml"], "/nonexistent.toml"),
    ],
)
def test_bad_input_exits_with_2_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], bare_pool: Pool, tmp_path: Path, arguments: list[str], named: str
) -> None:
    out = tmp_path / "out"
    filled = [{"POOL": str(bare_pool.path), "OUT": str(out)}.get(word, word) for word in arguments]
    code, result, errors = run(capsys, *filled)
    assert code == result["exit_code"] == 2
    assert named in result["error"]
    assert named in " ".join(errors.split())
    assert not out.exists()


def test_a_configuration_with_a_typo_names_the_field(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "grpo.toml"
    config.write_text('pool = "p"\nout = "o"\nsede = 1\n')
    code, result, _ = run(capsys, "train", str(config))
    assert code == 2
    assert "sede" in result["error"]


def test_play_runs_what_is_typed_and_gives_up_at_the_end_of_input(
    capsys: pytest.CaptureFixture[str], bare_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("echo typed $((6 * 7))\ntouch new.txt\n:diff\n:help\n:quit\n"))
    code = main(["play", str(bare_pool.path), "tiny-total"])
    said = capsys.readouterr().out
    assert code == 0
    assert "typed 42" in said
    assert "new.txt" in said
    assert "given up" in said


def test_noop_earns_nothing_and_writes_trajectories(
    capsys: pytest.CaptureFixture[str], bare_pool: Pool, tmp_path: Path
) -> None:
    arguments = ["rollout", str(bare_pool.path), "--policy", "noop", "--trajectories", str(tmp_path / "t")]
    code, result, _ = run(capsys, *arguments)
    assert code == 0
    assert {key: result[key] for key in ("episodes", "tasks", "mean_reward", "outcomes")} == {
        "episodes": 2,
        "tasks": 2,
        "mean_reward": 0.0,
        "outcomes": {"Scored": 2},
    }
    assert len(list((tmp_path / "t").rglob("*.json"))) == 2


@pytest.mark.network
def test_oracle_earns_everything(capsys: pytest.CaptureFixture[str], graded_pool: Pool) -> None:
    code, result, _ = run(capsys, "rollout", str(graded_pool.path), "--policy", "oracle")
    assert code == 0
    assert result["mean_reward"] == 1.0


def test_twins_that_cannot_be_made_are_bad_input(
    capsys: pytest.CaptureFixture[str], bare_pool: Pool, tmp_path: Path
) -> None:
    command = ["pool", "twins", str(bare_pool.path), "--out"]
    code, result, _ = run(capsys, *command, str(tmp_path / "out"), "--share", "2")
    assert (code, "share is 2.0; expected" in result["error"]) == (2, True)
    code, result, _ = run(capsys, *command, str(bare_pool.path))
    assert (code, "nothing is yet" in result["error"]) == (2, True)


def test_twins_are_listed_apart_and_count_in_no_reward(
    capsys: pytest.CaptureFixture[str], bare_pool: Pool, tmp_path: Path
) -> None:
    pool = bare_pool.copy(tmp_path / "pool")
    original = pool.task("tiny-total")
    certificate = original.certificate.model_copy(update={"contradicted": "t::a"})
    twin = original.model_copy(update={"id": "tiny-total-twin", "twin_of": original.id, "certificate": certificate})
    pool.write_tasks([*pool.tasks(), twin])
    _, listed, _ = run(capsys, "pool", "ls", str(pool.path))
    assert [one["id"] for one in listed["tasks"]] == ["tiny-longest", "tiny-total"]
    assert [one["twin_of"] for one in listed["twins"]] == ["tiny-total"]
    assert main(["pool", "show", str(pool.path), "tiny-total-twin"]) == 0
    assert "t::a contradicts the statement, so gold earns 0 by design" in " ".join(capsys.readouterr().out.split())
    _, result, _ = run(capsys, "rollout", str(pool.path), "--policy", "noop")
    assert (result["episodes"], result["outcomes"], result["hack_rate"]) == (2, {"Scored": 2}, 0.0)
    assert result["twins"] == {"episodes": 1, "passed": 0, "masked": 0}


@pytest.mark.network
def test_play_grades_what_was_submitted(
    capsys: pytest.CaptureFixture[str], graded_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sed -i 's/min(words/max(words/' tiny/words.py\n:submit\n"))
    code, result, _ = run(capsys, "play", str(graded_pool.path), "tiny-longest")
    assert (code, result["reward"], result["reason"]) == (0, 1, "passed")


@pytest.mark.slow
def test_the_example_steps_a_task(bare_pool: Pool, store: Any) -> None:
    example = Path(__file__).parents[2] / "examples/step.py"
    done = subprocess.run(
        [sys.executable, str(example), str(bare_pool.path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "REPODOJO_HOME": str(store.root.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "reward 0.0, outcome Scored" in done.stdout


def test_the_example_repo_list_and_configuration_are_valid() -> None:
    from env_builder.repo_list import load_repo_list
    from rl_trainer.config import load_config

    examples = Path(__file__).parents[2] / "examples"
    assert [request.name for request in load_repo_list(examples / "repos.toml")] == ["toolz", "boltons"]
    assert load_config(examples / "grpo.toml").grpo.steps == 10


class TestTrajectories:
    @pytest.fixture
    def recorded(self, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> Path:
        with SWEEnv(pool=bare_pool, store=store, trajectories=tmp_path) as env:
            env.reset(options={"task_id": "tiny-total"})
            env.step(format_call(ToolCall("bash", {"command": "echo $RANDOM-$(ls) > n; ls"})))
            env.step(format_call(ToolCall("bash", {"command": "cat n"})))
        (path,) = tmp_path.glob("*.json")
        return path

    def test_replay_shows_the_first_difference(
        self, capsys: pytest.CaptureFixture[str], bare_pool: Pool, recorded: Path
    ) -> None:
        code, result, _ = run(capsys, "replay", str(recorded), "--pool", str(bare_pool.path))
        assert (code, result["same"], result["difference"]["step"]) == (1, False, 3)
        assert result["diff"].startswith("--- recorded\n+++ replayed")
        assert main(["replay", str(recorded), "--pool", str(bare_pool.path)]) == 1
        assert "different at step 3, call 1 (observation)" in capsys.readouterr().out

    def test_replay_of_the_same(self, capsys: pytest.CaptureFixture[str], bare_pool: Pool, recorded: Path) -> None:
        shown = json.loads(recorded.read_text())
        shown["steps"].pop()
        recorded.write_text(json.dumps(shown))
        code, result, _ = run(capsys, "replay", str(recorded), "--pool", str(bare_pool.path))
        assert (code, result["same"], result["difference"], result["steps"]) == (0, True, None, 1)

    @pytest.mark.parametrize("content", ["", "{}", '{"agent": {"name": "a", "version": "1"}, "steps": []}', None])
    def test_replay_of_what_is_none(
        self, capsys: pytest.CaptureFixture[str], bare_pool: Pool, tmp_path: Path, content: str | None
    ) -> None:
        path = tmp_path / "x.json"
        if content is not None:
            path.write_text(content)
        code, result, _ = run(capsys, "replay", str(path), "--pool", str(bare_pool.path))
        assert code == 2
        assert str(path) in result["error"]

    @pytest.mark.parametrize(("name", "suffix"), [("swe-agent", ".traj"), ("mini-swe-agent", ".traj.json")])
    def test_convert(self, capsys: pytest.CaptureFixture[str], recorded: Path, name: str, suffix: str) -> None:
        code, result, _ = run(capsys, "convert", str(recorded), "--to", name)
        assert code == 0
        assert result["written"] == str(recorded.with_suffix(suffix))
        assert json.loads(recorded.with_suffix(suffix).read_text())["info"]["repodojo"]["task_id"] == "tiny-total"

    def test_convert_what_cannot_be(self, capsys: pytest.CaptureFixture[str], recorded: Path, tmp_path: Path) -> None:
        before = recorded.read_text()
        code, result, _ = run(capsys, "convert", str(recorded), "--to", "csv")
        assert (code, "expected one of swe-agent, mini-swe-agent" in result["error"]) == (2, True)
        code, result, _ = run(capsys, "convert", str(recorded), "--to", "swe-agent", "--out", str(recorded))
        assert (code, "name another file" in result["error"]) == (2, True)
        assert recorded.read_text() == before
        assert run(capsys, "convert", str(recorded), "--to", "swe-agent", "--out", str(tmp_path / "no" / "x"))[0] == 1


@pytest.mark.network
def test_attack_says_what_it_tried(capsys: pytest.CaptureFixture[str], graded_pool: Pool) -> None:
    chosen = "git-future,runner-every"
    code, result, errors = run(
        capsys, "attack", str(graded_pool.path), "--sandbox", "bubblewrap", "--task", "tiny-total", "--attacks", chosen
    )
    assert code == 0
    assert {name: result[name] for name in ("attacks", "tasks", "fooled", "undetected", "gold_pass", "noop_pass")} == {
        "attacks": 2,
        "tasks": 1,
        "fooled": 0,
        "undetected": 0,
        "gold_pass": 1.0,
        "noop_pass": 0.0,
    }
    assert result["seconds"] > 0
    assert "attack: 4 done" in errors
