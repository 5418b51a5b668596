"""A machine that fails while an episode is graded or ended: never a reward, and never a wrong one."""

import shutil
from pathlib import Path

import pytest

from agent_env import layers
from agent_env.episode import Episode, InfraFailed, Scored
from agent_env.grading import grade
from agent_env.grading.states import gold_edits
from agent_env.outcome import LimitStopped, Outcome
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import Build, EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.trajectory import Agent, TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from bench.chaos.strikes import StruckBackend
from tasks.errors import InfraError
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import Edits
from tests.agent_env.failing import Killer, disk_failure, fails_at
from tests.agent_env.turns import bash, play


class LosingBench(Workbench):
    """A workbench that loses the folder of the trajectories while it grades."""

    lost: Path

    def grade(self, task: Task, changes: Edits) -> object:  # type: ignore[override]
        found = super().grade(task, changes)
        lose(self.lost)
        return found


def lose(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("in the way")


@pytest.fixture
def solved(graded_pool: Pool) -> Task:
    return graded_pool.task("tiny-total")


@pytest.fixture
def build(graded_pool: Pool, store: EnvironmentStore, solved: Task) -> Build:
    return Workbench(graded_pool, store).build(solved)


@pytest.fixture
def recorder(tmp_path: Path, task: Task) -> TrajectoryRecorder:
    folder = tmp_path / "trajectories"
    return TrajectoryRecorder(folder, Agent(name="a", version="1"), task_id=task.id)


@pytest.mark.network
class TestGrading:
    """The first sandbox is the agent's, the second the suite's, the third the probes'."""

    @pytest.mark.parametrize("call", ["create", "write", "run"])
    @pytest.mark.parametrize(("number", "solves"), [(1, True), (1, False), (2, True)])
    def test_an_error_of_the_disk_is_masked(
        self, graded_pool: Pool, store: EnvironmentStore, solved: Task, call: str, number: int, *, solves: bool
    ) -> None:
        backend = StruckBackend(store.backend, fails_at(number, call))
        bench = Workbench(graded_pool, EnvironmentStore(backend, store.root))
        tree = bench.build(solved).tree
        outcome = play(Episode(solved, bench), oracle_actions(solved, tree) if solves else noop_actions(solved))
        assert backend.made == number + 1
        assert outcome == InfraFailed("OSError: [Errno 5] Input/output error")
        assert (outcome.masked, outcome.reward) == (True, 0.0)

    @pytest.mark.parametrize(
        "word", [b"", b"supervisor.py", b"python\0/opt/repodojo/child.py"], ids=["all", "supervisor", "tests"]
    )
    def test_processes_that_the_host_kills_once_change_no_grade(
        self, store: EnvironmentStore, solved: Task, build: Build, word: bytes
    ) -> None:
        killer = Killer(word, times=1)
        grading = grade(solved, gold_edits(solved, build.tree), build, StruckBackend(store.backend, killer))
        killer.join()
        assert killer.killed == 1
        assert (grading.reward, grading.reason) == (1, "passed")
        assert grade(solved, {}, build, store.backend).reward == 0

    def test_but_twice_they_do(self, store: EnvironmentStore, solved: Task, build: Build) -> None:
        killer = Killer(b"supervisor.py", times=3)
        backend = StruckBackend(store.backend, killer)
        grading = grade(solved, gold_edits(solved, build.tree), build, backend)
        killer.join()
        assert (grading.reward, grading.reason) == (0, "no_result")
        assert (killer.killed, backend.made) == (2, 2)

    @pytest.mark.parametrize("ends", ["os.kill(os.getpid(), 9)", "os.kill(os.getppid(), 9)", "os.kill(-1, 9)"])
    def test_code_that_kills_them_does_so_again_and_earns_nothing(
        self, store: EnvironmentStore, solved: Task, build: Build, ends: str
    ) -> None:
        backend = StruckBackend(store.backend, lambda *_: None)
        gold = {path: content or b"" for path, content in gold_edits(solved, build.tree).items()}
        changes = {path: f"import os; {ends}\n".encode() + content for path, content in gold.items()}
        grading = grade(solved, changes, build, backend)
        assert (grading.reward, grading.reason) == (0, "no_result")
        assert backend.made == 2

    def test_a_reward_whose_record_is_lost_is_none(
        self, graded_pool: Pool, store: EnvironmentStore, solved: Task, recorder: TrajectoryRecorder
    ) -> None:
        bench = LosingBench(graded_pool, store)
        bench.lost = recorder.path.parent
        episode = Episode(solved, bench, recorder=recorder)
        outcome = play(episode, oracle_actions(solved, bench.build(solved).tree))
        assert isinstance(outcome, InfraFailed)
        assert "cannot be written" in outcome.why
        assert episode._sandbox is None

    def test_what_cannot_be_cleared_away_is_recorded_as_such(
        self, graded_pool: Pool, store: EnvironmentStore, solved: Task, recorder: TrajectoryRecorder
    ) -> None:
        bench = Workbench(graded_pool, store)
        episode = Episode(solved, bench, recorder=recorder)
        *first, last = oracle_actions(solved, bench.build(solved).tree)
        play(episode, first)
        sandbox = episode._sandbox
        assert sandbox is not None
        close = sandbox.close

        def failing() -> None:
            close()
            raise InfraError("the daemon is away")

        sandbox.close = failing  # type: ignore[method-assign]
        outcome = episode.turn(last).outcome
        assert outcome == episode.outcome == InfraFailed("InfraError: the daemon is away")
        extra = read_trajectory(recorder.path).extra or {}
        assert (extra["outcome"], extra["reward"], extra["masked"]) == ("InfraFailed", 0.0, True)

    def test_the_same_without_a_failure(
        self, graded_pool: Pool, store: EnvironmentStore, solved: Task, recorder: TrajectoryRecorder
    ) -> None:
        bench = Workbench(graded_pool, store)
        outcome = play(Episode(solved, bench, recorder=recorder), oracle_actions(solved, bench.build(solved).tree))
        assert outcome == Scored(1.0, "passed")


class TestRecord:
    """A trajectory that cannot be written is the machine's failure, whatever the policy did before."""

    def test_not_the_policys_fault(self, bench: Workbench, task: Task, recorder: TrajectoryRecorder) -> None:
        episode = Episode(task, bench, recorder=recorder)
        episode.start()
        lose(recorder.path.parent)
        turn = episode.turn(bash("python3 -c 'x = b\"x\" * (3 << 30)'"))
        assert isinstance(turn.outcome, InfraFailed)
        assert "cannot be written" in turn.outcome.why

    def test_told_by_a_close(self, bench: Workbench, task: Task, recorder: TrajectoryRecorder) -> None:
        episode = Episode(task, bench, recorder=recorder)
        episode.start()
        lose(recorder.path.parent)
        with pytest.raises(InfraError, match="cannot be written"):
            episode.close()
        ended: Outcome | None = episode.outcome
        assert isinstance(ended, InfraFailed)
        assert not isinstance(ended, LimitStopped)


def test_a_start_layer_that_could_not_be_made_leaves_nothing(
    bench: Workbench, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = task.model_copy(update={"id": "tiny-other"})
    with monkeypatch.context() as patched:
        patched.setattr(layers, "make_git_dir", disk_failure)
        episode = Episode(other, bench)
        with pytest.raises(OSError, match="Input/output"):
            episode.start()
    assert isinstance(episode.outcome, InfraFailed)
    build = bench.build(other)
    assert list(build.making.rglob("*")) == []
    assert not [path for path in (build.folder / "starts").iterdir() if path.is_dir() and not (path / ".git").is_dir()]
    with Episode(other, bench) as again:
        again.start()


def test_no_file_of_the_kernels_lets_a_policy_mask_its_episode(bench: Workbench, task: Task) -> None:
    with Episode(task, bench) as episode:
        episode.start()
        turn = episode.turn(format_call(ToolCall("edit", {"command": "view", "path": "/proc/1/mem"})))
        assert (turn.outcome, turn.observation[:6]) == (None, "Error:")


@pytest.mark.parametrize("lock", [0, 1], ids=["unlocked", "locked"])
def test_no_terminal_lets_a_policy_mask_its_episode(bench: Workbench, task: Task, lock: int) -> None:
    program = (
        "import fcntl, os, struct, time\n"
        "held = os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY)\n"
        f"fcntl.ioctl(held, 0x40045431, struct.pack('i', {lock}))\n"
        "number = struct.unpack('I', fcntl.ioctl(held, 0x80045430, b'0000'))[0]\n"
        "print(f'it is {number}', flush=True)\ntime.sleep(60)\n"
    )
    with Episode(task, bench) as episode:
        episode.start()
        episode.turn(bash(f"cat > /tmp/hold.py <<'END'\n{program}END\npython3 /tmp/hold.py > /tmp/said & sleep 0.5"))
        number = episode.turn(bash("cat /tmp/said")).observation.split()[-1]
        for command in ({"command": "view"}, {"command": "create", "file_text": "x"}):
            said = episode.turn(format_call(ToolCall("edit", {"path": f"/dev/pts/{number}", **command})))
            assert said.outcome is None
            assert "is not a regular file" in said.observation
