"""Defences of the grader taken away one by one, as it was before it had them. One test at a time: they are patched."""

import functools
import importlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from agent_env.episode import Episode, Turn
from agent_env.grading import suite, supervised
from agent_env.grading.supervised import RUNNER_DIR, Said
from agent_env.sandbox.base import CommandResult
from bench.graders.ablations import without_oracle, without_sentinels
from bench.graders.procedures import Case

_REPORT = re.compile(r"^[0-9a-f]{32}\n(\d+) (\d+)\n", re.MULTILINE)


def unsigned(case: Case) -> bool:
    """Without sentinels, and the first thing in the sandbox's output that looks like a report is one."""
    with mock.patch.object(supervised, "_read", _read_unsigned):
        return without_sentinels(case)


def unwatched(case: Case) -> bool:
    """Without the oracle, and nobody looks whether tests were written while they were in use."""
    with mock.patch.object(supervised, "trusted_files", return_value=[]):
        return without_oracle(case)


def _read_unsigned(done: CommandResult, key: str, label: str, seconds: float) -> Said:
    found = _REPORT.search(done.output)
    if not found:
        return Said(None, None, "", done.stopped, seconds)
    status, length = map(int, found.groups())
    return Said(done.output[found.end() :][:length].split("\n"), status, "", done.stopped, seconds)


@contextmanager
def trusting_reader() -> Iterator[None]:
    """Each line of results is taken for what the runner writes, as at 926e6a5."""
    with mock.patch.object(suite, "_entries", _trusted):
        yield


def _trusted(lines: Iterable[str]) -> Iterator[tuple[str, str, float, str]]:
    known = {status.value for status in suite.TestStatus} | {"collect_error"}
    for line in filter(None, lines):
        test_id, status, seconds, detail = json.loads(line)
        if status in known:
            yield test_id, status, float(seconds), detail


@contextmanager
def readable_supervisor(folder: Path) -> Iterator[None]:
    """The supervisor's process may be looked into by others of its user.

    Args:
        folder: for a copy of the runner; made here.
    """
    shutil.copytree(RUNNER_DIR, folder)
    program = folder / "supervisor.py"
    wall = "    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)\n"
    assert wall in program.read_text()
    program.write_text(program.read_text().replace(wall, ""))
    with mock.patch.object(supervised, "RUNNER_DIR", folder):
        yield


@contextmanager
def telling_submit() -> Iterator[None]:
    """The grading explains its failures, and a submit answers with what it said."""
    turn = Episode.turn

    def told(episode: Episode, action: str) -> Turn:
        took = turn(episode, action)
        if not took.outcome:
            return took
        said = episode._bench.last.run.collect_errors.values()  # type: ignore[attr-defined]
        return took._replace(observation="\n".join([took.observation, *said]))

    grading = importlib.import_module("agent_env.grading.grade")  # the package has a function of that name
    explained = functools.partial(suite.run_suite, explain=True)
    with mock.patch.object(grading, "run_suite", explained), mock.patch.object(Episode, "turn", told):
        yield
