"""Common grading procedures, each reproduced in a few lines from what its users publish: one boolean each.

They differ in where they run (the agent's own sandbox, or a fresh one that gets the agent's whole diff) and in what
they believe (printed lines, an exit status, an XML file, lines between markers, a file in the sandbox).
"""

import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent_env.grading.states import start_edits
from agent_env.sandbox.base import Limits, Sandbox
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import new_residence, remove_residence, residence_base
from agent_env.workbench import Workbench
from tasks.patch import apply_patch, reader
from tasks.task import Task
from tasks.tree import Edits

SECONDS = 30.0
"""Timeout of a grading run."""

LIMITS = Limits(output_bytes=4 << 20)

_PASSED = re.compile(r"^PASSED (\S+)", re.MULTILINE)
_START, _END = ">>>>> Start Test Output", ">>>>> End Test Output"


@dataclass(frozen=True)
class Case:
    """What there is to grade."""

    task: Task
    bench: Workbench
    agents: Sandbox
    """The agent's sandbox, still running."""

    @property
    def expected(self) -> list[str]:
        """Ids of the tests that must pass."""
        return [*self.task.fail_to_pass, *self.task.pass_to_pass]

    @property
    def files(self) -> str:
        """The files of those tests, as arguments."""
        return shlex.join(dict.fromkeys(test.partition("::")[0] for test in self.expected))

    def hidden(self) -> Edits:
        """The hidden tests."""
        tree = self.bench.build(self.task).tree
        return apply_patch(self.task.test_patch, reader(tree, start_edits(self.task, tree)))


Procedure = Callable[[Case], bool]
"""Whether it pays."""


def stdout(case: Case) -> bool:
    """A fresh sandbox; the lines that ``pytest -rA`` prints at its end."""
    with fresh(case) as sandbox:
        return _all_passed(case, _run(sandbox, f"python -m pytest -rA {case.files}"))


def exit_code(case: Case) -> bool:
    """A fresh sandbox; the exit status of pytest on the expected ids."""
    with fresh(case) as sandbox:
        return sandbox.run(f"python -m pytest -q {shlex.join(case.expected)}", timeout=SECONDS).exit_code == 0


def junit(case: Case) -> bool:
    """A fresh sandbox; configuration and conftest off, the exact ids in the XML report."""
    command = f"python -m pytest -c /dev/null --rootdir=. --noconftest --junitxml=/tmp/report.xml {case.files}"
    with fresh(case) as sandbox:
        sandbox.run(command, timeout=SECONDS)
        try:
            report = ElementTree.fromstring(sandbox.read("/tmp/report.xml"))
        except (OSError, ElementTree.ParseError):
            return False
    passed = {
        (entry.get("classname", ""), entry.get("name", "")) for entry in report.iter("testcase") if len(entry) == 0
    }
    return {_junit_id(test) for test in case.expected} <= passed


def markers(case: Case) -> bool:
    """A fresh sandbox; the status lines between two printed markers, as SWE-bench's harness reads a log."""
    script = f"set -uxo pipefail\n: '{_START}'\npython -m pytest -rA {case.files}\n: '{_END}'\n"
    with fresh(case) as sandbox:
        log = _run(sandbox, f"bash -c {shlex.quote(script)}")
    if _START not in log or _END not in log:
        return False
    return _all_passed(case, log.split(_START)[1].split(_END)[0])


def in_place(case: Case) -> bool:
    """The agent's own sandbox, hidden tests laid over; the lines that pytest prints."""
    lay_hidden(case)
    return _all_passed(case, _run(case.agents, f"cd /testbed && python -m pytest -rA {case.files}"))


def reward_file(case: Case) -> bool:
    """The agent's own sandbox; a test script there writes the reward into a file, which is read."""
    lay_hidden(case)
    script = f"python -m pytest -q {shlex.join(case.expected)} && echo 1 > $D/reward.txt || echo 0 > $D/reward.txt"
    case.agents.run(f"cd /testbed; D=/tmp/logs; mkdir -p $D; {script}", timeout=SECONDS)
    try:
        return float(case.agents.read("/tmp/logs/reward.txt")) == 1
    except (OSError, ValueError):
        return False


def ours(case: Case) -> bool:
    """RepoDojo's: the agent's sandbox stopped, source files alone, a report that the candidate cannot forge."""
    case.agents.stop()
    return case.bench.grade(case.task, case.agents.changes()).reward == 1


PROCEDURES: dict[str, Procedure] = {
    "stdout": stdout,
    "exit code": exit_code,
    "junit, exact ids": junit,
    "markers (SWE-bench)": markers,
    "in place": in_place,
    "reward file": reward_file,
    "RepoDojo": ours,
}


@contextmanager
def fresh(case: Case, changes: Edits | None = None) -> Iterator[Sandbox]:
    """A sandbox on the start state with the changed files, and the hidden tests over it.

    Args:
        changes: all that the agent changed, where None.
    """
    case.agents.stop()
    build = case.bench.build(case.task)
    changed = case.agents.changes() if changes is None else changes
    edits = {**start_edits(case.task, build.tree), **changed, **case.hidden()}
    layer = new_residence(residence_base())
    try:
        lay_edits(edits, layer)
        sandbox = case.bench.store.backend.create(build.spec(layer, limits=LIMITS))
        try:
            yield sandbox
        finally:
            sandbox.close()
    finally:
        remove_residence(layer)


def lay_hidden(case: Case) -> None:
    """Write the hidden tests into the agent's sandbox."""
    for path, content in case.hidden().items():
        if content is not None:
            try:
                case.agents.write(path, content)
            except OSError:  # the agent stood something in the way: such graders go on
                continue


def _run(sandbox: Sandbox, command: str) -> str:
    return sandbox.run(command, timeout=SECONDS).output


def _all_passed(case: Case, log: str) -> bool:
    return set(case.expected) <= set(_PASSED.findall(log))


def _junit_id(test: str) -> tuple[str, str]:
    path, *classes, name = test.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *classes]), name
