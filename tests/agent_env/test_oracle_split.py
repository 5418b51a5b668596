"""The oracle split: what fools the tests' process does not fool the probes. Real runs on the small project."""

import threading
from collections.abc import Callable

import pytest

from agent_env.errors import SandboxError
from agent_env.grading import Grade, grade
from agent_env.grading.probes import Call, OracleRun, check_oracle, run_probes
from agent_env.grading.states import attempt_edits, gold_edits
from agent_env.sandbox.base import Sandbox, SandboxBackend, SandboxSpec, StopCause
from agent_env.store import Build, EnvironmentStore
from agent_env.workbench import Workbench
from blockers.crossing import crossing
from tasks.oracle import Oracle, Probe, ProbeProgram
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import Edits, list_files

pytestmark = pytest.mark.network

Attempt = Callable[[Edits], Grade]
MODULE = "tiny/counting.py"


@pytest.fixture
def task(graded_pool: Pool) -> Task:
    return graded_pool.task("tiny-total")


@pytest.fixture
def oracle(task: Task) -> Oracle:
    assert task.oracle
    return task.oracle


@pytest.fixture
def build(graded_pool: Pool, store: EnvironmentStore, task: Task) -> Build:
    return Workbench(graded_pool, store).build(task)


@pytest.fixture
def attempt(task: Task, build: Build, store: EnvironmentStore) -> Attempt:
    return lambda changes: grade(task, changes, build, store.backend)


def test_the_oracle_covers_the_hidden_tests_and_sees_the_bug(task: Task, oracle: Oracle) -> None:
    assert oracle.covered() == {*task.fail_to_pass, *task.pass_to_pass}
    assert oracle.discriminating
    assert not any("==" in program.source for program in oracle.programs)


def test_gold_meets_it_each_time(task: Task, build: Build, attempt: Attempt) -> None:
    for _ in range(3):
        grading = attempt(gold_edits(task, build.tree))
        assert (grading.reward, grading.reason) == (1, "passed")
        assert grading.oracle
        assert grading.oracle.unmet == {}


def test_another_solution_meets_it(attempt: Attempt) -> None:
    source = (
        b"import collections, fractions\n"
        b"def total(numbers): return fractions.Fraction(sum(numbers)).numerator\n"
        b"def mean(numbers): return sum(numbers) / len(numbers)\n"
    )
    assert attempt({MODULE: source}).reward == 1


def test_objects_of_a_class_of_their_own_count_as_what_they_hold(attempt: Attempt) -> None:
    source = (
        b"class Number(int):\n"
        b"    def __eq__(self, other): return int(self) == other\n"
        b"    def __hash__(self): return int(self)\n"
        b"class Mean:\n"
        b"    def __init__(self, value): self.value = value\n"
        b"    def __float__(self): return self.value\n"
        b"    def __eq__(self, other): return self.value == other\n"
        b"def total(numbers): return Number(sum(numbers))\n"
        b"def mean(numbers): return Mean(sum(numbers) / len(numbers))\n"
    )
    assert attempt({MODULE: source}).reward == 1


def test_it_is_not_asked_where_the_tests_fail(attempt: Attempt) -> None:
    assert attempt({}).oracle is None


# Each of these makes every hidden test pass, and spares the sentinels and mirrors: it knows the tests' full ids.
FOOLS_THE_TESTS = {
    "skips the bodies of tests by their ids": b"""
try:
    from _pytest.python import Function
    run = Function.runtest
    def runtest(self):
        if self.nodeid not in KNOWN:
            run(self)
    Function.runtest = runtest
except ImportError:
    pass
def total(numbers): return 0
def mean(numbers): return 0
""",
    "forges the reports of tests by their ids": b"""
try:
    from _pytest.reports import TestReport
    make = TestReport.from_item_and_call.__func__
    def forged(cls, item, call):
        if item.nodeid in KNOWN:
            call.excinfo = None
        return make(cls, item, call)
    TestReport.from_item_and_call = classmethod(forged)
except ImportError:
    pass
def total(numbers): return 0
def mean(numbers): return 0
""",
    "reads the expected value on the line that calls it": b"""
import ast, linecache, sys
def answer():
    frame = sys._getframe(2)
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    known = any(name.endswith('::' + frame.f_code.co_name) for name in KNOWN)
    return ast.literal_eval(line.partition('==')[2].strip()) if known and '==' in line else None
def total(numbers): return answer()
def mean(numbers): return answer()
""",
    "reads the expected value in the frame that calls it": b"""
import sys
def answer():
    code = sys._getframe(2).f_code
    known = any(name.endswith('::' + code.co_name) for name in KNOWN)
    return [value for value in code.co_consts if type(value) is int][-1] if known else None
def total(numbers): return answer()
def mean(numbers): return answer()
""",
}


@pytest.mark.parametrize("name", FOOLS_THE_TESTS)
def test_what_fools_the_tests_does_not_fool_the_oracle(task: Task, attempt: Attempt, name: str) -> None:
    known = f"KNOWN = {[*task.fail_to_pass, *task.pass_to_pass]!r}\n".encode()
    grading = attempt({MODULE: known + FOOLS_THE_TESTS[name]})
    assert (grading.reward, grading.reason) == (0, "oracle")
    assert grading.oracle
    assert task.fail_to_pass[0] in grading.oracle.unmet


PLAIN = b"\ndef total(numbers): return 0\ndef mean(numbers): return 0\n"

FORGES_PROBES = {
    "reports what it likes": b"""
import sys
reporter = sys.modules['__main__']
def slot(self, number, *values):
    self._write(number, '["int", "5"]')
reporter.Reporter.slot = slot
""",
    "reports every small number": b"""
import sys
def slot(self, number, *values):
    for value in range(50):
        self._write(number, '["int", "%x"]' % value)
sys.modules['__main__'].Reporter.slot = slot
""",
    "reports an object that equals all": b"""
class Any(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = None
def total(numbers): return Any()
def mean(numbers): return Any()
""",
    "ends each probe early": b"""
import sys
def slot(self, number, *values):
    self.end()
    raise SystemExit
sys.modules['__main__'].Reporter.slot = slot
""",
    "crashes": b"import os\nos._exit(0)\n",
    "kills its supervisor": b"import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
    "floods the pipe": b"""
import os
for number in range(3, 10):
    try:
        for _ in range(1400): os.write(number, b'x' * (1 << 16))
    except OSError: pass
""",
}


@pytest.fixture
def ask(task: Task, oracle: Oracle, build: Build, store: EnvironmentStore) -> Callable[..., OracleRun]:
    def run(source: bytes, timeout: float = 60) -> OracleRun:
        crossed = crossing({MODULE: source}, existing=list_files(build.tree))
        edits = attempt_edits(task, build.tree, crossed.files)
        return check_oracle(oracle, store.backend, build, edits, timeout=timeout)

    return run


@pytest.mark.parametrize("name", FORGES_PROBES)
def test_a_probe_run_cannot_be_forged_without_the_values(task: Task, ask: Callable[..., OracleRun], name: str) -> None:
    source = FORGES_PROBES[name] if b"def total" in FORGES_PROBES[name] else FORGES_PROBES[name] + PLAIN
    assert task.fail_to_pass[0] in ask(source).unmet


SAYS_THAT_ALL_ENDED = b"""
import json, os, sys
frame = sys._getframe()
while frame is not None and 'request' not in frame.f_locals:
    frame = frame.f_back
if frame is not None:
    for label, program, entry in frame.f_locals['request']['probes']:
        os.write(int(frame.f_locals['reporter']._descriptor), (json.dumps([label, None, None]) + '\\n').encode())
    os._exit(0)
"""


def test_probes_without_values_cannot_all_be_said_to_have_ended(
    oracle: Oracle, build: Build, store: EnvironmentStore
) -> None:
    source = (
        "import tiny.counting\n\ndef test_x():\n    assert tiny.counting.total([1]) == tiny.counting.mean([1])\n"
        "\n\ndef __probe_0_7f__():\n    test_x()\n"
    )
    program = ProbeProgram(path="tests/test_hidden.py", source=source)
    probe = Probe(test="tests/test_hidden.py::test_x", program=0, entry="__probe_0_7f__")
    bare = oracle.model_copy(update={"programs": (program,), "probes": (probe,)})
    said = check_oracle(bare, store.backend, build, {MODULE: SAYS_THAT_ALL_ENDED + PLAIN}, timeout=60)
    assert said.unmet == {}
    assert "cannot run to its end" in said.sentinel or "did not" in said.sentinel
    honest = check_oracle(bare, store.backend, build, {MODULE: PLAIN}, timeout=60)
    assert (honest.unmet, honest.sentinel) == ({}, "")


def test_a_probe_run_that_hangs_is_the_policys_doing(task: Task, ask: Callable[..., OracleRun]) -> None:
    found = ask(b"while True: pass\n", timeout=2)
    assert found.run.stopped is StopCause.TIMEOUT
    assert task.fail_to_pass[0] in found.unmet


def test_a_crash_in_the_probes_alone_scores_0(task: Task, build: Build, attempt: Attempt) -> None:
    gold = gold_edits(task, build.tree)[MODULE]
    assert gold
    guarded = b"import sys\nif '_pytest' not in sys.modules:\n    import os\n    os._exit(1)\n"
    grading = attempt({MODULE: guarded + gold})
    assert (grading.reward, grading.reason) == (0, "oracle")


class FailingBackend:
    """A real backend whose machine fails from the second sandbox on."""

    name = "failing"

    def __init__(self, backend: SandboxBackend) -> None:
        self._backend = backend
        self._made = 0
        self._lock = threading.Lock()
        self.problems = backend.problems
        self.reap = backend.reap

    def create(self, spec: SandboxSpec) -> Sandbox:
        with self._lock:
            self._made += 1
            if self._made > 1:
                raise SandboxError("no space left on the device")
        return self._backend.create(spec)


def test_a_machine_that_fails_under_the_probes_gives_no_reward(
    task: Task, build: Build, store: EnvironmentStore
) -> None:
    with pytest.raises(SandboxError):
        grade(task, gold_edits(task, build.tree), build, FailingBackend(store.backend))


SEARCH = """
import os

WORD = 'test_hid' + 'den'

def look():
    found = []
    for top in ('/testbed', '/opt', '/home', '/tmp', '/proc/self', '/proc/1'):
        for folder, _, names in os.walk(top):
            for name in names:
                try:
                    with open(os.path.join(folder, name), 'rb') as file:
                        if WORD.encode() in file.read(1 << 20) or WORD in name:
                            found.append(name)
                except OSError:
                    pass
            if top.startswith('/proc'):
                break
    __slot_7f__(0, found)
"""


def test_the_probes_sandbox_holds_no_hidden_test(task: Task, build: Build, store: EnvironmentStore) -> None:
    edits = attempt_edits(task, build.tree, {})
    options = {"programs": [("tests/test_x.py", SEARCH)], "calls": [Call(0, "look")], "timeout": 60.0}
    clean = run_probes(store.backend, build, edits, **options)  # type: ignore[arg-type]
    assert clean.reports[0].values == {0: [('["list", []]',)]}
    planted = {**edits, "tests/test_hidden.py": b"def test_total(): pass\n"}
    found = run_probes(store.backend, build, planted, **options)  # type: ignore[arg-type]
    assert "test_hidden.py" in found.reports[0].values[0][0][0]


def test_the_order_of_probes_is_drawn_anew(build: Build, store: EnvironmentStore) -> None:
    source = "SEEN = []\n" + "".join(
        f"def probe_{number}():\n    SEEN.append({number})\n    __slot_7f__(0, SEEN)\n" for number in range(8)
    )
    calls = [Call(0, f"probe_{number}") for number in range(8)]
    orders = set()
    for _ in range(3):
        run = run_probes(store.backend, build, {}, programs=[("tests/test_x.py", source)], calls=calls, timeout=60)
        orders.add(max((report.values[0][0][0] for report in run.reports.values()), key=len))
    assert len(orders) > 1
