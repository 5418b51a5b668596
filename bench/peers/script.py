"""The twenty calls of a scripted episode, as shell commands that every subject runs alike, and what grades them."""

import base64
import io
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from agent_env.grading.states import start_edits
from agent_env.sandbox.base import VENV_DIR, WORK_DIR
from agent_env.workbench import Workbench
from tasks.patch import apply_patch, reader
from tasks.task import Task
from tasks.tree import Edits, list_files

CALLS = 20
"""Of which the last is the submit."""

LONGEST_PATCH = 2000
"""Bytes of a gold patch that fits into one line of a terminal, as one of the peers has it."""

_PYTHON = f"{VENV_DIR}/bin/python"


@dataclass(frozen=True, kw_only=True)
class Script:
    """One task's episode."""

    task: Task
    commands: tuple[str, ...]
    """All calls but the submit."""
    tests: bytes
    """The hidden tests, as an archive to unpack over the tree."""
    grade: str
    """Unpacks them at /tmp/tests.tar, and runs the files of the expected tests."""

    @property
    def expected(self) -> list[str]:
        """The tests that must pass."""
        return [*self.task.fail_to_pass, *self.task.pass_to_pass]


def make_script(bench: Workbench, task: Task) -> Script:
    """Look, search, edit, run a test, look again."""
    tree = bench.build(task).tree
    start = start_edits(task, tree)
    hidden = apply_patch(task.test_patch, reader(tree, start))
    patch = base64.b64encode(task.gold_patch.encode()).decode()
    changed = task.gold_patch.split("+++ b/", 1)[1].split("\n", 1)[0].split("\t")[0]
    gone = {path for path, new in start.items() if new is None}
    tests = sorted(
        path for path in list_files(tree) if PurePosixPath(path).name.startswith("test_") and path not in gone
    )
    visible = min(tests, key=lambda path: (tree / path).stat().st_size)
    folder = shlex.quote(str(PurePosixPath(changed).parent))
    file = shlex.quote(changed)
    commands = (
        "ls -la",
        "git log --oneline | head -n 5",
        "git status --short",
        f"ls {folder}",
        "find . -name '*.py' -not -path './.git/*' | sort | head -n 50",
        "head -n 30 README* | cut -c 1-200",
        f"wc -l {file}",
        f"grep -n '^def ' {file} | head -n 60",
        f"grep -rn 'import' {folder} --include='*.py' | head -n 40",
        f"sed -n 1,60p {file}",
        f"sed -n 60,160p {file}",
        f"grep -rln $(basename {file} .py) --include='*.py' . | sort | head -n 20",
        f"cp {file} /tmp/before.py",
        f"echo {patch} | base64 -d | git apply",
        "git diff --stat",
        f"diff /tmp/before.py {file} | head -n 40",
        f"{_PYTHON} -m py_compile {file} && echo compiles",
        f"{_PYTHON} -m pytest -q -p no:cacheprovider {shlex.quote(visible)} 2>&1 | tail -n 3",
        "git diff | head -n 80",
    )
    assert len(commands) == CALLS - 1
    expected = [*task.fail_to_pass, *task.pass_to_pass]
    files = " ".join(shlex.quote(path) for path in dict.fromkeys(test.partition("::")[0] for test in expected))
    grade = f"cd {WORK_DIR} && tar -xf /tmp/tests.tar && {_PYTHON} -m pytest -q -rA -p no:cacheprovider {files}"
    return Script(task=task, commands=commands, tests=_archive(hidden), grade=grade)


def start_tree(bench: Workbench, task: Task) -> bytes:
    """The task's start state, its repository too, as an archive."""
    sandbox = bench.open(task)
    try:
        done = sandbox.run(f"tar -C {WORK_DIR} --owner=0 --group=0 -cf /tmp/start.tar .", timeout=60)
        assert done.exit_code == 0, done.output
        return sandbox.read("/tmp/start.tar")
    finally:
        sandbox.close()


def _archive(files: Edits) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            if content is not None:
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
