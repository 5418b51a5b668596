"""``repodojo play``: solve a task by hand in the terminal."""

import sys
from contextlib import ExitStack, closing
from typing import Annotated

import typer
from rich.markup import escape

from agent_env.sandbox.base import Sandbox
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from repodojo.console import Console
from repodojo.options import AsJson, Packages, PoolPath, SandboxName
from tasks.pool import Pool

HELP = "Type shell commands. :diff shows your change, :task the statement, :submit grades it, :quit gives up."

COMMAND_SECONDS = 120.0


def play(
    path: PoolPath,
    task_id: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="A task's id; the first one if absent.")
    ] = None,
    packages: Packages = None,
    sandbox: SandboxName = "auto",
    as_json: AsJson = False,
) -> int:
    """Solve a task by hand: a shell in its sandbox, then the same grading that an agent gets."""
    console = Console(as_json=as_json)
    pool = Pool(path)
    tasks = pool.tasks()
    if not tasks:
        raise typer.BadParameter(f"{path} holds no tasks yet", param_hint="POOL")
    task = pool.task(task_id) if task_id else tasks[0]
    bench = Workbench(pool, EnvironmentStore(select_backend(sandbox)))
    console.say(f"[bold]{task.id}[/]\n\n{escape(task.statement.text)}\n\n[dim]{HELP}[/]")
    with ExitStack() as stack:
        access = stack.enter_context(closing(bench.packages(task))) if packages else None
        opened = stack.enter_context(closing(bench.open(task, packages=access)))
        submitted = _shell(opened, console, task.statement.text)
        opened.stop()
        changes = opened.changes()
    if not submitted:
        console.say("given up; nothing was graded")
        console.result({"task": task.id, "reward": None, "reason": "given up"})
        return 0
    grade = bench.grade(task, changes)
    for left in grade.left_out:
        console.say(f"[yellow]left out:[/] {escape(left.path)} ({left.reason})")
    console.say(f"reward [bold]{grade.reward}[/]: {grade.reason}")
    console.result({"task": task.id, "reward": grade.reward, "reason": grade.reason})
    return 0


def _shell(opened: Sandbox, console: Console, statement: str) -> bool:
    """Read commands until ``:submit`` (True), ``:quit`` or the end of the input (False)."""
    while True:
        console.say("[bold green]testbed$[/] ")
        line = sys.stdin.readline()
        word = line.strip()
        if not line or word == ":quit":
            return False
        if word == ":submit":
            return True
        if word == ":diff":
            console.say(escape(opened.diff()))
        elif word == ":task":
            console.say(escape(statement))
        elif word.startswith(":"):
            console.say(f"[dim]{HELP}[/]")
        elif word:
            done = opened.run(line, timeout=COMMAND_SECONDS)
            console.say(escape(done.output.rstrip("\n")))
            if done.stopped:
                console.say(f"[yellow]\\[{done.stopped.value}][/]")
