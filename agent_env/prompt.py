"""The first thing a policy reads: the task, the tools, the form of a call. Short, since small policies have short
contexts."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from agent_env.sandbox.base import WORK_DIR
from agent_env.tools.calls import ToolCall
from agent_env.tools.formats import CallFormat
from agent_env.tools.toolbox import Toolbox
from tasks.task import Task


def render_prompt(task: Task, toolbox: Toolbox, form: CallFormat, *, max_steps: int, packages: bool = False) -> str:
    """The prompt of an episode; a function of its arguments alone.

    Args:
        packages: whether the sandbox has a package index.
    """
    return _template().render(
        work_dir=WORK_DIR,
        statement=task.statement.text.strip(),
        tools=list(toolbox.tools.values()),
        rule=form.rule,
        example=form.write([ToolCall("bash", {"command": task.test_command})]),
        ending=form.ending,
        max_steps=max_steps,
        packages=packages,
    )


@cache
def _template() -> Template:
    source = files("agent_env").joinpath("prompt.j2").read_text()
    return Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False).from_string(source)
