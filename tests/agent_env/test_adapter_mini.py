"""mini-swe-agent's own ``DefaultAgent`` and its deterministic model, in our sandboxes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from minisweagent.agents.default import DefaultAgent
from minisweagent.exceptions import LimitsExceeded
from minisweagent.models.test_models import DeterministicModel, make_output

from agent_env.adapters.mini import MiniEnvironment
from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError
from agent_env.outcome import LimitStopped, Scored
from agent_env.store import EnvironmentStore
from agent_env.tools.bash import SUBMIT_LINE
from tasks.errors import BadInputError, InfraError
from tasks.pool import Pool

FIX = "sed -i 's/result -= number/result += number/' tiny/counting.py"
TEMPLATES = {"system_template": "You run on {{system}} {{machine}}.", "instance_template": "{{task}} in {{cwd}}"}


@pytest.fixture
def environment(bare_pool: Pool, store: EnvironmentStore) -> Iterator[MiniEnvironment]:
    env = SWEEnv(pool=bare_pool, store=store, max_steps=6, command_timeout=2)
    with MiniEnvironment(env, task_id="tiny-total") as made:
        yield made


def run_agent(environment: MiniEnvironment, commands: list[str], **options: Any) -> tuple[DefaultAgent, dict[str, Any]]:
    model = DeterministicModel(outputs=[make_output("words", [{"command": command}]) for command in commands])
    agent = DefaultAgent(model, environment, **TEMPLATES, cost_limit=0.0, **options)
    return agent, agent.run(environment.statement)


def test_a_command(environment: MiniEnvironment) -> None:
    assert environment.execute({"command": "echo hi; (exit 3)"}) == {
        "output": "hi\n",
        "returncode": 3,
        "exception_info": "",
    }
    assert environment.execute({"command": "pwd"}, cwd="/testbed/tests")["output"] == "/testbed/tests\n"
    assert environment.execute({"command": "pwd"}, cwd="/nowhere")["returncode"] != 0


def test_a_folder_is_for_one_command(environment: MiniEnvironment) -> None:
    def pwd(command: str, cwd: str = "") -> str:
        return str(environment.execute({"command": f"{command}; pwd"}, cwd=cwd)["output"])

    assert pwd("cd tiny") == "/testbed/tiny\n"
    assert pwd("X='a  b'; f() { echo \"$X\"; }; false", "/testbed") == "/testbed\n"
    assert pwd("cd /tmp", "/testbed/tests") == "/tmp\n"
    missing = environment.execute({"command": "echo not run"}, cwd="/no where")
    assert (missing["returncode"], "not run" in missing["output"]) == (1, False)
    assert environment.execute({"command": "f; pwd; (exit 3)"}) == {
        "output": "a  b\n/testbed/tiny\n",
        "returncode": 3,
        "exception_info": "",
    }


def test_the_status_of_a_command_in_a_folder(environment: MiniEnvironment) -> None:
    assert environment.execute({"command": "cat <<'E'\nit's\nE\n(exit 3) # end"}, cwd="/tmp") == {
        "output": "it's\n",
        "returncode": 3,
        "exception_info": "",
    }


def test_a_timeout_is_told_and_not_raised(environment: MiniEnvironment) -> None:
    answer = environment.execute({"command": "echo begun; sleep 60"})
    assert (answer["output"].splitlines()[0], answer["returncode"]) == ("begun", -1)
    assert "timeout" in answer["exception_info"]
    assert answer["extra"]["exception_type"] == "TimeoutExpired"


def test_a_limit_ends_the_agent(environment: MiniEnvironment) -> None:
    agent, result = run_agent(environment, ["true"] * 9)
    assert result["exit_status"] == "LimitStopped: steps"
    assert agent.n_calls == 6
    assert environment.outcome == LimitStopped("steps")
    with pytest.raises(EpisodeError, match="has ended"):
        environment.execute({"command": "true"})


def test_a_machine_that_fails_is_no_result(environment: MiniEnvironment) -> None:
    assert environment._episode._sandbox is not None
    environment._episode._sandbox.close()
    with pytest.raises(InfraError):
        run_agent(environment, ["true"])
    assert environment.outcome is not None
    assert environment.outcome.masked


def test_nothing_of_this_machine_is_told(environment: MiniEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hunter2")
    told = {**environment.get_template_vars(extra=1), **environment.serialize()}
    assert (told["cwd"], told["task_id"], told["extra"]) == ("/testbed", "tiny-total", 1)
    assert "hunter2" not in str(told)
    assert os.uname().nodename not in told.values()


def test_no_such_task(bare_pool: Pool, store: EnvironmentStore) -> None:
    with pytest.raises(BadInputError, match="no task 'x'"):
        MiniEnvironment(SWEEnv(pool=bare_pool, store=store), task_id="x")


def test_the_sentinel_must_be_first_and_succeed(environment: MiniEnvironment) -> None:
    for command in (f"echo x; echo {SUBMIT_LINE}", f"echo {SUBMIT_LINE}; false"):
        assert SUBMIT_LINE in environment.execute({"command": command})["output"]
    assert environment.outcome is None


@pytest.mark.network
@pytest.mark.parametrize(("commands", "reward"), [([FIX], 1.0), ([], 0.0)])
def test_an_agent_is_graded(
    graded_pool: Pool, store: EnvironmentStore, tmp_path: Path, commands: list[str], reward: float
) -> None:
    with MiniEnvironment(SWEEnv(pool=graded_pool, store=store), task_id="tiny-total") as environment:
        submit = f"echo {SUBMIT_LINE}; echo done"
        agent, result = run_agent(environment, ["ls", *commands, submit], output_path=tmp_path / "run.traj.json")
        assert result == {"exit_status": "Submitted", "submission": "done\n"}
        assert isinstance(environment.outcome, Scored)
        assert environment.outcome.reward == reward
        assert "counting" not in agent.messages[1]["content"]
        assert (
            '"environment_type": "agent_env.adapters.mini.MiniEnvironment"' in (tmp_path / "run.traj.json").read_text()
        )


def test_limits_are_mini_swe_agents(environment: MiniEnvironment) -> None:
    for _ in range(5):
        environment.execute({"command": "true"})
    with pytest.raises(LimitsExceeded):
        environment.execute({"command": "true"})
