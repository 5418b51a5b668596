"""Grading: gold 1, nothing 0, and none of these ways to fake it. Real runs on the small project."""

from collections.abc import Callable

import pytest

from agent_env.grading import Grade, TestStatus, grade, run_suite
from agent_env.grading.bytecode import bytecode_mounts, ensure_bytecode
from agent_env.grading.states import gold_edits, start_edits
from agent_env.sandbox.base import Limits, StopCause
from agent_env.sandbox.cgroup import make_group
from agent_env.store import Build, EnvironmentStore
from agent_env.workbench import Workbench
from blockers.attacks.programs import KNOWN
from blockers.attacks.rewriting import RETURN_AT_ONCE
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import Edits

pytestmark = pytest.mark.network

Attempt = Callable[[Edits], Grade]


@pytest.fixture
def task(graded_pool: Pool) -> Task:
    return graded_pool.task("tiny-total")


@pytest.fixture
def build(graded_pool: Pool, store: EnvironmentStore, task: Task) -> Build:
    return Workbench(graded_pool, store).build(task)


@pytest.fixture
def attempt(task: Task, build: Build, store: EnvironmentStore) -> Attempt:
    return lambda changes: grade(task, changes, build, store.backend)


def test_gold_earns_1_each_time(task: Task, build: Build, attempt: Attempt) -> None:
    for _ in range(3):
        assert attempt(gold_edits(task, build.tree)).reward == 1


def test_nothing_earns_0(attempt: Attempt) -> None:
    grading = attempt({})
    assert (grading.reward, grading.reason) == (0, "tests_failed")


def test_tests_and_configuration_do_not_cross(task: Task, build: Build, attempt: Attempt) -> None:
    grading = attempt(
        {
            "tests/test_hidden.py": b"def test_total(): pass\ndef test_mean(): pass\ndef test_longest(): pass\n",
            "conftest.py": b"def pytest_runtest_makereport(item, call): ...\n",
            "pytest.ini": b"[pytest]\naddopts = --co\n",
        }
    )
    assert grading.reward == 0
    assert {left.path for left in grading.left_out} == {"tests/test_hidden.py", "conftest.py", "pytest.ini"}


HOSTILE = {
    "ends the process with success": b"import os\nos._exit(0)\n",
    "leaves at once": b"import sys\nsys.exit(0)\n",
    "skips all": b"import pytest\npytest.skip('all', allow_module_level=True)\n",
    "prints verdicts": b"print('tests/test_hidden.py::test_total PASSED\\n3 passed')\nraise SystemExit(0)\n",
    "patches the runner": (
        b"import _pytest.runner as r\n"
        b"import _pytest.reports as p\n"
        b"make = p.TestReport.from_item_and_call.__func__\n"
        b"def forged(cls, item, call):\n"
        b"    call.excinfo = None\n"
        b"    return make(cls, item, call)\n"
        b"p.TestReport.from_item_and_call = classmethod(forged)\n"
        b"def total(numbers): return 0\n"
        b"def mean(numbers): return 0\n"
    ),
    "compares equal to everything": (
        b"class Any:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
        b"def total(numbers): return Any()\n"
        b"def mean(numbers): return Any()\n"
    ),
    "writes forged results to every descriptor": (
        b"import json, os\n"
        b"lines = ''.join(json.dumps([f'tests/test_hidden.py::{n}', 'passed', 0.0, '']) + '\\n'\n"
        b"    for n in ('test_total', 'test_mean', 'test_longest'))\n"
        b"for number in range(3, 64):\n"
        b"    try: os.write(number, lines.encode())\n"
        b"    except OSError: pass\n"
        b"os._exit(0)\n"
    ),
    "kills its supervisor": b"import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=[name.replace(" ", "-") for name in HOSTILE])
def test_faked_results_earn_0(attempt: Attempt, source: bytes) -> None:
    assert attempt({"tiny/counting.py": source}).reward == 0


def test_an_honest_fix_beside_odd_output_earns_1(task: Task, build: Build, attempt: Attempt) -> None:
    (path, content), *_ = gold_edits(task, build.tree).items()
    assert content is not None
    assert attempt({path: content + b"\nprint('x' * 100_000)\n"}).reward == 1


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_run_that_came_to_no_orderly_end_earns_0(task: Task, build: Build, attempt: Attempt, ending: str) -> None:
    (path, content), *_ = gold_edits(task, build.tree).items()
    assert content is not None
    grade = attempt({path: content + f"\nimport atexit, os\natexit.register(lambda: {ending})\n".encode()})
    assert (grade.reward, grade.reason) == (0, "no_result")


def test_tests_that_were_written_in_use_earn_0_though_they_pass_and_were_put_back(
    task: Task, build: Build, attempt: Attempt
) -> None:
    (path, content), *_ = gold_edits(task, build.tree).items()
    assert content is not None
    touch = b"\nimport os\nopen('tests/test_hidden.py', 'a').close()\n"
    grade = attempt({path: content + touch})
    assert (grade.reward, grade.reason) == (0, "tampered")
    assert grade.run.rewritten == ("tests/test_hidden.py",)


def test_a_package_that_rewrites_its_tests_before_they_are_read_is_seen(build: Build, store: EnvironmentStore) -> None:
    known = KNOWN.format(failing='["tiny/tests/test_inner.py::test_inner"]', passing=[], sources={})
    edits = {
        "tiny/__init__.py": (known + RETURN_AT_ONCE).encode(),
        "tiny/tests/__init__.py": b"",
        "tiny/tests/test_inner.py": b"def test_inner():\n    assert False\n",
    }
    ids = ["tiny/tests/test_inner.py::test_inner"]
    run = run_suite(store.backend, build, edits, ids=ids, order_seed=None, timeout=60)
    assert run.passed() == set(ids)  # the attack works
    assert run.rewritten == ("tiny/tests/test_inner.py",)


def test_expected_values_that_lie_in_a_file_are_watched_too(build: Build, store: EnvironmentStore) -> None:
    edits = {
        "tests/test_told.py": b"import pathlib\nimport told\n"
        b"def test_told(): assert pathlib.Path('tests/data/told.txt').read_text() == told.VALUE\n",
        "tests/data/told.txt": b"right",
        "told.py": b"import pathlib\nVALUE = 'wrong'\npathlib.Path('tests/data/told.txt').write_text(VALUE)\n",
    }
    run = run_suite(store.backend, build, edits, ids=["tests/test_told.py::test_told"], order_seed=None, timeout=60)
    assert [outcome.status for outcome in run.outcomes.values()] == [TestStatus.PASSED]
    assert run.rewritten == ("tests/data/told.txt",)


@pytest.mark.parametrize("explain", [True, False])
def test_a_suite_run_tells_statuses_and_on_demand_what_failed(
    build: Build, store: EnvironmentStore, explain: bool
) -> None:
    tests = (
        b"import pytest\n"
        b"def test_ok(): pass\n"
        b"def test_bad(): assert 1 == 2\n"
        b"@pytest.mark.skip\ndef test_skipped(): pass\n"
        b"@pytest.mark.xfail\ndef test_xfailed(): assert False\n"
        b"@pytest.mark.xfail\ndef test_xpassed(): pass\n"
        b"@pytest.fixture\ndef broken(): raise OSError('no')\n"
        b"def test_error(broken): pass\n"
    )
    edits = {"tests/test_kinds.py": tests, "tests/test_unreadable.py": b"import nosuchmodule\n"}
    run = run_suite(store.backend, build, edits, ids=None, order_seed=3, timeout=60, explain=explain)
    statuses = {name.partition("::")[2]: outcome.status for name, outcome in run.outcomes.items()}
    assert {name: statuses[name] for name in statuses if name != "test_shout"} == {
        "test_ok": TestStatus.PASSED,
        "test_bad": TestStatus.FAILED,
        "test_skipped": TestStatus.SKIPPED,
        "test_xfailed": TestStatus.XFAILED,
        "test_xpassed": TestStatus.XPASSED,
        "test_error": TestStatus.ERROR,
    }
    assert ("assert 1 == 2" in run.outcomes["tests/test_kinds.py::test_bad"].detail) is explain
    assert "nosuchmodule" in run.collect_errors["tests/test_unreadable.py"]


def test_the_order_follows_the_seed(build: Build, store: EnvironmentStore) -> None:
    tests = b"".join(b"def test_%d(): pass\n" % number for number in range(12))

    def order(seed: int | None) -> list[str]:
        run = run_suite(store.backend, build, {"tests/test_many.py": tests}, ids=None, order_seed=seed, timeout=60)
        return [test for test in run.outcomes if "test_many" in test]

    plain = order(None)
    assert order(1) == order(1) != plain
    assert sorted(order(2)) == sorted(plain)


def test_a_hanging_suite_is_stopped(build: Build, store: EnvironmentStore) -> None:
    edits = {"tests/test_hang.py": b"while True: pass\n"}
    run = run_suite(store.backend, build, edits, ids=None, order_seed=None, timeout=2)
    assert run.stopped is StopCause.TIMEOUT
    assert not run.outcomes


def test_memory_that_runs_out_is_told(build: Build, store: EnvironmentStore) -> None:
    if not make_group_here():
        return  # the limit then holds for one process, which sees a MemoryError: the test fails, the run goes on
    edits = {"tests/test_greedy.py": b"def test_greedy():\n    kept = [bytearray(1 << 28) for _ in range(64)]\n"}
    run = run_suite(store.backend, build, edits, ids=None, order_seed=None, timeout=60)
    assert run.stopped is StopCause.OUT_OF_MEMORY


def make_group_here() -> bool:
    """Whether this machine lets control groups be made."""
    group = make_group("test-probe", Limits())
    if group:
        group.remove()
    return group is not None


@pytest.mark.parametrize(
    ("changed", "tests", "seen"),
    [
        (None, True, {"test_words"}),
        (None, False, set()),
        ({"tiny/counting.py": b""}, True, {"__init__", "test_words", "words"}),
        ({"tiny/counting.py": b"", "tiny/__init__.py": None}, False, {"words"}),
    ],
)
def test_no_sandbox_gets_bytecode_of_source_that_the_start_state_changes(
    build: Build, store: EnvironmentStore, changed: Edits | None, tests: bool, seen: set[str]
) -> None:
    ensure_bytecode(store.backend, build)
    mounts = bytecode_mounts(build, changed, tests=tests)
    found = [mount.source for mount in mounts if mount.target.endswith("/testbed")]
    assert {path.name.partition(".")[0] for folder in found for path in folder.rglob("*.pyc")} == seen
    assert not list((mounts[0].source / "testbed").iterdir())


def test_bytecode_of_a_file_that_an_attempt_changes_is_not_used(
    task: Task, build: Build, store: EnvironmentStore
) -> None:
    ensure_bytecode(store.backend, build)
    start = start_edits(task, build.tree)
    (broken,) = start
    tests = b"from tiny.counting import total\nfrom tiny.words import longest\n"
    tests += b"def test_new(): assert (total, longest) == (1, 1)\n"
    edits: dict[str, bytes | None] = {"tests/test_new.py": tests}
    for path, name in (("tiny/counting.py", b"total"), ("tiny/words.py", b"longest")):
        size = (build.tree / path).stat().st_size
        edits[path] = (name + b" = 1\n").ljust(size, b"#")
    run = run_suite(store.backend, build, edits, ids=None, order_seed=None, timeout=60, changed={broken})
    assert "tests/test_new.py::test_new" in run.passed()


def test_the_tests_process_inherits_its_streams_alone(build: Build, store: EnvironmentStore) -> None:
    tests = (
        b"import os\n"
        b"def is_inherited(descriptor):\n"
        b"    try: return os.get_inheritable(descriptor)\n"
        b"    except OSError: return False\n"
        b"def test_new(): assert not [one for one in range(3, 300) if is_inherited(one)]\n"
    )
    run = run_suite(store.backend, build, {"tests/test_new.py": tests}, ids=None, order_seed=None, timeout=60)
    assert "tests/test_new.py::test_new" in run.passed()
