"""How an episode ends: one outcome whatever happens, and nothing left running."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from agent_env.atif import Agent
from agent_env.episode import Episode, InfraFailed, LimitStopped, PolicyFault, Rules
from agent_env.errors import EpisodeError, SandboxError
from agent_env.sandbox.base import Limits, Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.store import EnvironmentStore
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from tasks.errors import InfraError
from tasks.task import Task
from tests.agent_env.turns import SUBMIT, bash, play, turn_elsewhere


class BrokenBackend(BubblewrapBackend):
    """A real backend, with little memory and room, whose machine fails: at once, or from the given command on."""

    def __init__(self, *, after: int | None) -> None:
        self.after = after

    def create(self, spec: SandboxSpec) -> "Sandbox":  # type: ignore[override]
        if self.after is None:
            raise SandboxError("the disk is on fire")
        sandbox = super().create(replace(spec, limits=Limits(memory_bytes=128 << 20, disk_bytes=8 << 20)))
        run, left = sandbox.run, self.after

        def failing(command: str, *, timeout: float, cwd: str | None = None, silence: float | None = None) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise SandboxError("the disk is on fire")
            return run(command, timeout=timeout, cwd=cwd, silence=silence)

        sandbox.run = failing  # type: ignore[method-assign, assignment]
        return sandbox


def broken_bench(bench: Workbench, after: int | None) -> Workbench:
    """The same on a machine that fails, once the environment has been built on one that does not."""
    bench.build(bench.pool.tasks()[0])
    broken = EnvironmentStore(BrokenBackend(after=after), bench.store.root)
    return Workbench(bench.pool, broken)


class TestEnd:
    def test_before_the_start_and_after_the_end(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench, Rules(max_steps=1))
        with pytest.raises(EpisodeError, match="call start"):
            episode.turn(SUBMIT)
        play(episode, [bash("true")])
        for _ in range(2):
            with pytest.raises(EpisodeError, match="has ended"):
                episode.turn(SUBMIT)
        with pytest.raises(EpisodeError, match="make a new one"):
            episode.start()

    def test_close_leaves_nothing_and_keeps_the_outcome(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench)
        episode.start()
        sandbox = episode._sandbox
        assert sandbox is not None
        episode.close()
        episode.close()
        assert episode.outcome == LimitStopped("abandoned")
        with pytest.raises(SandboxError):
            sandbox.run("true", timeout=1)

    def test_a_close_from_elsewhere_ends_the_running_turn(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            sandbox = episode._sandbox
            thread, begun = turn_elsewhere(episode, bash("sleep 1000") + bash("echo never") + SUBMIT)
            begun.wait(30)
            episode.close()
            assert episode.outcome == LimitStopped("abandoned")
            assert episode._sandbox is None
            assert sandbox is not None
            with pytest.raises(SandboxError):
                sandbox.run("true", timeout=1)
            thread.join(30)
            assert not thread.is_alive()
            assert episode.transcript[-1][1].endswith("[the episode ends here: limit of abandoned]")
            assert "never" not in episode.transcript[-1][1]

    def test_an_interrupt_while_it_starts(self, bench: Workbench, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        episode = Episode(task, bench)
        opened = []

        def slowly(task: Task, *, packages: object) -> Sandbox:
            threading.Thread(target=episode.interrupt).start()
            while not episode._interrupted:
                pass
            opened.append(Workbench.open(bench, task))
            return opened[0]

        monkeypatch.setattr(bench, "open", slowly)
        with pytest.raises(EpisodeError, match="ended while it started"):
            episode.start()
        assert episode.outcome == LimitStopped("abandoned")
        with pytest.raises(SandboxError):
            opened[0].run("true", timeout=1)

    def test_a_grading_that_fails_is_no_reward_of_one_that_interrupts(
        self, bench: Workbench, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        episode = Episode(task, bench)

        def grade(*_: object) -> None:
            threading.Thread(target=episode.interrupt, args=("time",)).start()
            while not episode._interrupted:
                pass
            raise SandboxError("the disk is on fire")

        monkeypatch.setattr(bench, "grade", grade)
        assert play(episode, [SUBMIT]) == InfraFailed("SandboxError: the disk is on fire")
        assert episode._sandbox is None

    def test_a_machine_that_fails_is_no_reward(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, 1))
        outcome = play(episode, [bash("true"), bash("true")])
        assert outcome == InfraFailed("SandboxError: the disk is on fire")
        assert outcome.masked
        assert outcome.reward == 0

    def test_a_sandbox_lost_to_the_policys_memory_is_its_fault(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, 1))
        episode.start()
        said = episode.turn(bash("python3 -c 'x = b\"x\" * (1 << 30)'")).observation
        assert "memory limit" in said or "MemoryError" in said
        if "memory limit" not in said:
            episode.close()
            pytest.skip("without control groups the kernel kills nobody: memory is refused instead")
        outcome = episode.turn(bash("true")).outcome
        assert outcome == PolicyFault("used up the sandbox's memory, after which it failed")
        assert not outcome.masked

    def test_a_sandbox_lost_to_the_policys_files_is_its_fault(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, 1))
        episode.start()
        # The sleep is for machines where no kernel holds the limit, and the files are looked at now and then.
        said = episode.turn(bash("head -c 32M /dev/zero > /tmp/big && sleep 20")).observation
        assert "limit on files" in said
        outcome = episode.turn(bash("true")).outcome
        assert outcome == PolicyFault("used up the sandbox's room for files, after which it failed")
        assert not outcome.masked

    def test_a_sandbox_lost_to_the_policys_processes_is_its_fault(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, 1))
        episode.start()
        threads = "import threading, time; [threading.Thread(target=time.sleep, args=(1,)).start() for _ in range(300)]"
        said = episode.turn(bash(f"python3 -c '{threads}'")).observation
        if "limit on processes" not in said:
            episode.close()
            pytest.skip("without control groups nothing counts what is refused")
        assert isinstance(episode.turn(bash("true")).outcome, PolicyFault)

    def test_an_interrupt_closes_the_sandbox(
        self, bench: Workbench, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        episode = Episode(task, bench)
        episode.start()

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(episode.toolbox, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            episode.turn(bash("true"))
        assert isinstance(episode.outcome, InfraFailed)
        assert episode._sandbox is None

    def test_arguments_beyond_all_bounds_are_answered(self, bench: Workbench, task: Task, tmp_path: Path) -> None:
        depths = range(600, 1000, 4)  # at some of them JSON can just be read, and not be written from deeper down
        nested = ["[" * depth + "]" * depth for depth in depths]
        texts = [
            *(f'{{"name": "bash", "parameters": {{"command": "true", "x": {value}}}}}' for value in nested),
            f'[bash(command="ls", timeout=0x{"f" * 4000})]',
        ]
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        with Episode(task, bench, Rules(call_format="llama", max_steps=len(texts) + 1), recorder) as episode:
            episode.start()
            for text in texts:
                observation, outcome = episode.turn(text)
                assert observation.startswith("Error: ")
                assert outcome is None

    def test_what_the_policy_said_before_the_machine_failed_is_recorded(
        self, bench: Workbench, task: Task, tmp_path: Path
    ) -> None:
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        play(Episode(task, broken_bench(bench, 1), recorder=recorder), [bash("true"), bash("echo last")])
        *_, last = read_trajectory(recorder.path).steps
        assert "echo last" in last.message
        assert last.observation is not None
        assert last.observation.results[0].content == "[the sandbox failed]"

    def test_a_start_that_fails_is_recorded(self, bench: Workbench, task: Task, tmp_path: Path) -> None:
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        with pytest.raises(SandboxError):
            Episode(task, broken_bench(bench, None), recorder=recorder).start()
        (step,) = read_trajectory(recorder.path).steps
        assert (step.source, step.message) == ("system", "SandboxError: the disk is on fire")

    def test_a_trajectory_that_cannot_be_written_is_told(self, bench: Workbench, task: Task, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        recorder = TrajectoryRecorder(tmp_path / "file", Agent(name="a", version="1"), task_id=task.id)
        episode = Episode(task, bench, recorder=recorder)
        with pytest.raises(InfraError, match="cannot be written"):
            episode.start()
        assert isinstance(episode.outcome, InfraFailed)
        assert episode._sandbox is None

    def test_a_machine_that_fails_at_the_start(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, None))
        with pytest.raises(SandboxError, match="on fire"):
            episode.start()
        assert episode.outcome == InfraFailed("SandboxError: the disk is on fire")
        episode.close()
