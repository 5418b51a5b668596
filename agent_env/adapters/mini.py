"""A mini-swe-agent ``Environment`` over ``SWEEnv``: its agents run their bash commands in a task's sandbox.

    with MiniEnvironment(SWEEnv(pool="pool/"), task_id="...") as environment:
        DefaultAgent(model, environment, ...).run(environment.statement)
    environment.outcome

Unlike mini-swe-agent's own environments the shell persists between commands, and what is submitted is the state of the
sandbox, not a printed patch: the line that ends the work has it graded.
"""

import platform
import shlex
from dataclasses import replace
from types import TracebackType
from typing import Any

from minisweagent.exceptions import LimitsExceeded, Submitted
from pydantic import BaseModel, ConfigDict

from agent_env.env import SWEEnv
from agent_env.episode import Episode
from agent_env.outcome import InfraFailed, Outcome, Scored
from agent_env.sandbox.base import WORK_DIR, CommandResult, StopCause
from agent_env.tools.calls import ToolCall
from tasks.errors import InfraError


class MiniConfig(BaseModel):
    """What mini-swe-agent's templates and trajectories are told of the environment."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    cwd: str = WORK_DIR
    timeout: float
    """Seconds that one command may run."""


class MiniEnvironment:
    """One episode.

    Args:
        env: whose tasks, rules and backend are used; its own episode is left alone.
        task_id: the task; None means one that ``seed`` picks.

    Raises:
        BadInputError: there is no such task.
        InfraError: the machine failed.
    """

    def __init__(self, env: SWEEnv, *, task_id: str | None = None, seed: int | None = None) -> None:
        self._env = env.twin()
        self._env.rules = replace(env.rules, call_format="bash")  # the shell alone, submitted by output
        self._env.reset(seed=seed, options=None if task_id is None else {"task_id": task_id})
        self.config = MiniConfig(task_id=self._episode.task.id, timeout=env.rules.command_timeout)

    def __enter__(self) -> "MiniEnvironment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def statement(self) -> str:
        """The problem, for ``agent.run``."""
        return self._episode.task.statement.text

    @property
    def outcome(self) -> Outcome | None:
        """How the episode ended, or None while it goes on."""
        return self._episode.outcome

    def execute(self, action: dict[str, Any], cwd: str = "") -> dict[str, Any]:
        """Run a command, as mini-swe-agent calls it; ``cwd`` is for this command alone, empty: where the shell is.

        Raises:
            Submitted: the command submitted the work, which has been graded.
            LimitsExceeded: a limit of the episode is reached, or the policy broke its sandbox.
            InfraError: the machine failed.
            EpisodeError: the episode has ended.
        """
        command = str(action.get("command", ""))
        if cwd:
            command = _within(cwd, command)
        turn = self._episode.call([ToolCall("bash", {"command": command})])
        result = next((shown.result for shown in self._episode.observations), None)
        if isinstance(turn.outcome, InfraFailed):
            raise InfraError(turn.outcome.why)
        if isinstance(turn.outcome, Scored):
            submission = result.output.lstrip().partition("\n")[2] if result else ""
            raise Submitted(_exit("Submitted", submission))
        if turn.outcome:
            raise LimitsExceeded(_exit(f"{turn.outcome.name}: {turn.outcome.detail}", ""))
        return _answer(result) if result else {"output": turn.observation, "returncode": -1, "exception_info": ""}

    def get_template_vars(self, **kwargs: Any) -> dict[str, Any]:
        """The configuration and the kind of system; no variables and no name of this machine."""
        system = {key: value for key, value in platform.uname()._asdict().items() if key != "node"}
        return {**self.config.model_dump(), **system, **kwargs}

    def serialize(self) -> dict[str, Any]:
        """What mini-swe-agent's trajectory says of the environment."""
        kind = f"{type(self).__module__}.{type(self).__name__}"
        return {"info": {"config": {"environment": self.config.model_dump(mode="json"), "environment_type": kind}}}

    def close(self) -> None:
        """End the episode and close its sandbox. Safe to call twice."""
        self._env.close()

    @property
    def _episode(self) -> Episode:
        assert self._env.episode is not None
        return self._env.episode


def _within(folder: str, command: str) -> str:
    """The command run in a folder, and the shell back where it was; all else that the command does to the shell stays.

    In words of the shell, as the trajectory's calls are all that a replay runs.
    """
    there = f"cd -- {shlex.quote(folder)} && eval {shlex.quote(command)}"
    return f'cwd_before=$PWD; {there}; cwd_status=$?; cd -- "$cwd_before" 2>/dev/null; (exit $cwd_status)'


def _answer(result: CommandResult) -> dict[str, Any]:
    """A command's result in mini-swe-agent's words: -1 where it was ended, and why."""
    if result.stopped is None or result.exit_code is not None:
        return {"output": result.output, "returncode": result.exit_code, "exception_info": ""}
    why = f"the command was ended ({result.stopped.value}) after {result.seconds:.1f} s"
    kind = "TimeoutExpired" if result.stopped is StopCause.TIMEOUT else result.stopped.name
    extra = {"exception_type": kind, "exception": why}
    return {"output": result.output, "returncode": -1, "exception_info": why, "extra": extra}


def _exit(status: str, submission: str) -> dict[str, Any]:
    return {"role": "exit", "content": submission, "extra": {"exit_status": status, "submission": submission}}
