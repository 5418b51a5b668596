"""Time of one grading run over the time of running the same tests once by hand in the same sandbox.

python bench/grading.py POOL [--tasks 10]
"""

import argparse
import os
import statistics
import time

from agent_env.grading.states import gold_edits, graded_edits
from agent_env.sandbox.base import VENV_DIR
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import new_residence, remove_residence, residence_base
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from tasks.pool import Pool
from tasks.task import Task


def by_hand(bench: Workbench, task: Task) -> float:
    """Seconds of plain pytest on the hidden tests' files, in a sandbox that is there already."""
    build = bench.build(task)
    layer = new_residence(residence_base())
    lay_edits(graded_edits(task, build.tree, gold_edits(task, build.tree)), layer)
    sandbox = bench.store.backend.create(build.spec(layer))
    files = sorted({test.partition("::")[0] for test in (*task.fail_to_pass, *task.pass_to_pass)})
    try:
        command = f"{VENV_DIR}/bin/python -m pytest -q -p no:cacheprovider -o addopts= {' '.join(files)}"
        return sandbox.run(command, timeout=300).seconds
    finally:
        sandbox.close()
        remove_residence(layer)


def by_grader(bench: Workbench, task: Task) -> float:
    """Seconds of a whole grading: fresh sandbox, crossing, sentinels, verdict."""
    build = bench.build(task)
    begun = time.monotonic()
    grade = bench.grade(task, gold_edits(task, build.tree))
    assert grade.reward == 1, grade.reason
    return time.monotonic() - begun


def main() -> None:
    """Print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--tasks", type=int, default=10)
    options = parser.parse_args()
    pool = Pool(options.pool)
    bench = Workbench(pool, EnvironmentStore(select_backend("bubblewrap")))
    tasks = [task for task in pool.tasks() if task.repo == "toolz"][: options.tasks]
    by_grader(bench, tasks[0])
    pairs = [(by_grader(bench, task), by_hand(bench, task)) for task in tasks]
    ours, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"grading {ours:.2f} s, the tests by hand {plain:.2f} s, ratio {ratio:.2f} (medians of {len(tasks)} tasks)")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
