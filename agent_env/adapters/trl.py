"""TRL's ``environment_factory`` over ``SWEEnv``: a class whose public methods become the tools of a GRPO rollout.

    env = SWEEnv(pool="pool/")
    GRPOTrainer(..., train_dataset=Dataset.from_list(dataset_rows(env)), environment_factory=environment_class(env))

TRL makes instances without arguments, calls ``reset`` with the columns of a row, appends the text that it returns to
the row's prompt, and asks ``get_reward`` when a rollout is over. The module imports nothing of TRL.
"""

from contextlib import suppress
from typing import Any, ClassVar

from agent_env.env import SWEEnv
from agent_env.sandbox.base import WORK_DIR
from agent_env.tools.calls import ToolCall
from tasks.errors import InfraError
from tasks.task import Task


def dataset_rows(env: SWEEnv) -> list[dict[str, Any]]:
    """A row of a TRL data set for each task: an empty prompt, which ``reset`` fills, and the task's id."""
    return [{"prompt": [{"role": "user", "content": ""}], "task_id": task.id} for task in env.tasks]


def environment_class(env: SWEEnv) -> type["TRLEnvironment"]:
    """The class to give to ``environment_factory``; its instances share the tasks, rules and backend of ``env``."""
    return type("SWE", (TRLEnvironment,), {"_template": env})


class TRLEnvironment:
    """One rollout's environment; use a class that ``environment_class`` made."""

    _template: ClassVar[SWEEnv]

    def __init__(self) -> None:
        self._env = self._template.twin()

    def reset(self, *, task_id: str, **columns: Any) -> str:
        """Start an episode on a task; what the policy reads first comes back.

        Raises:
            BadInputError: there is no such task.
            InfraError: the machine failed.
        """
        del columns
        self._env.reset(options={"task_id": task_id})
        assert self._env.episode is not None
        return _prompt(self._env.episode.task, self._env.rules.max_steps)

    def get_reward(self) -> float | None:
        """The reward of the episode, 0 where the work was not submitted; None, which TRL leaves out, where the machine
        failed. Ends the episode."""
        with suppress(InfraError, OSError):  # the outcome is InfraFailed then
            self._env.close()
        outcome = self._env.episode.outcome if self._env.episode else None
        return None if outcome is None or outcome.masked else outcome.reward

    def bash(self, command: str, timeout: float = 0.0) -> str:
        """
        Run a command in a persistent shell, at first in the repository; no network.

        Args:
            command: Shell command.
            timeout: Seconds; 0 means the longest allowed.

        Returns:
            What it printed, and its exit code where that is not 0.
        """
        return self._call("bash", command=command, timeout=timeout or None)

    def edit(
        self,
        command: str,
        path: str,
        file_text: str | None = None,
        view_range: list[int] | None = None,
        old_str: str | None = None,
        new_str: str | None = None,
        insert_line: int | None = None,
    ) -> str:
        """
        Look at or change a text file.

        Args:
            command: view, create, str_replace, insert or undo_edit.
            path: Relative to the repository, or absolute.
            file_text: For create: the whole content.
            view_range: For view: first and last line, counted from 1.
            old_str: For str_replace: text that occurs exactly once in the file.
            new_str: For str_replace: what to put in its place. For insert: the new lines.
            insert_line: For insert: the line after which the new ones go; 0 for the top.

        Returns:
            The lines, or what was done.
        """
        return self._call(
            "edit",
            command=command,
            path=path,
            file_text=file_text,
            view_range=view_range,
            old_str=old_str,
            new_str=new_str,
            insert_line=insert_line,
        )

    def search(self, pattern: str | None = None, glob: str | None = None, path: str | None = None) -> str:
        """
        Find lines that match a regular expression, or files by name.

        Args:
            pattern: Regular expression; absent: list the files.
            glob: Pattern of file names, such as *.py.
            path: File or folder to search.

        Returns:
            The lines or names.
        """
        return self._call("search", pattern=pattern, glob=glob, path=path)

    def submit(self) -> str:
        """
        End the work; hidden tests then judge the source files.

        Returns:
            That it is submitted.
        """
        return self._call("submit")

    def _call(self, tool: str, **arguments: Any) -> str:
        episode = self._env.episode
        if episode is None or episode.outcome:
            return "[the episode has ended: nothing was run]"
        given = {name: value for name, value in arguments.items() if value is not None}
        return episode.call([ToolCall(tool, given)]).observation


def _prompt(task: Task, max_steps: int) -> str:
    """The task without the text form of tool calls: TRL's chat template has one of its own."""
    return (
        f"Change the source code of the Python repository at {WORK_DIR} to solve this:\n\n"
        f"{task.statement.text.strip()}\n\n"
        f"`{task.test_command}` runs the visible tests. You have {max_steps} tool calls. When done, call submit."
    )
