"""The state machine of an episode: one outcome whatever happens, nothing raised for what a policy writes, nothing left
running at the end."""

import itertools
import math
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent_env.episode import Episode, InfraFailed, LimitStopped, PolicyFault, Rules, Scored
from agent_env.errors import EpisodeError, SandboxError
from agent_env.outcome import Outcome
from agent_env.prompt import render_prompt
from agent_env.sandbox.base import Limits, Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import FORMATS, Toolbox, ToolCall, format_call
from agent_env.tools.observation import Observation
from agent_env.trajectory import Agent, TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from tasks.errors import BadInputError, InfraError
from tasks.pool import Pool
from tasks.task import Statement, Task

SUBMIT = format_call(ToolCall("submit"))


def bash(command: str) -> str:
    return format_call(ToolCall("bash", {"command": command}))


@pytest.fixture
def bench(bare_pool: Pool, store: EnvironmentStore) -> Workbench:
    return Workbench(bare_pool, store)


@pytest.fixture
def task(bare_pool: Pool) -> Task:
    return bare_pool.task("tiny-total")


def play(episode: Episode, actions: list[str]) -> Outcome | None:
    episode.start()
    for action in actions:
        if episode.turn(action).outcome:
            break
    return episode.outcome


def turn_elsewhere(episode: Episode, action: str) -> tuple[threading.Thread, threading.Event]:
    """A turn in another thread, and what is set once its first call is about to run."""
    begun, execute = threading.Event(), episode.toolbox.execute

    def announced(sandbox: Sandbox, call: ToolCall) -> Observation:
        begun.set()
        return execute(sandbox, call)

    episode.toolbox.execute = announced  # type: ignore[method-assign]
    thread = threading.Thread(target=episode.turn, args=(action,))
    thread.start()
    return thread, begun


class BrokenBackend(BubblewrapBackend):
    """A real backend, with little memory, whose machine fails: at once, or from the given command on."""

    def __init__(self, *, after: int | None) -> None:
        self.after = after

    def create(self, spec: SandboxSpec) -> "Sandbox":  # type: ignore[override]
        if self.after is None:
            raise SandboxError("the disk is on fire")
        sandbox = super().create(replace(spec, limits=Limits(memory_bytes=128 << 20)))
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
    broken = EnvironmentStore(BrokenBackend(after=after), bench.store.root)
    return Workbench(bench.pool, broken)


class TestStart:
    def test_the_prompt_says_what_is_needed(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench, Rules(max_steps=7)) as episode:
            prompt = episode.start()
        for needed in (task.statement.text, "/testbed", task.test_command, "bash(", "edit(", "submit(", "7 turns"):
            assert needed in prompt
        assert len(prompt) < 1300

    def test_a_statement_is_no_template(self, task: Task) -> None:
        text = "{{ 7 * 7 }} {% endif %} <b> & 'x'"
        shown = render_prompt(
            task.model_copy(update={"statement": Statement(text=text, method="template")}),
            Toolbox(),
            FORMATS["qwen"],
            max_steps=3,
        )
        assert text in shown

    def test_the_start_state_is_broken_and_holds_no_answer(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            assert "result -= number" in episode.turn(bash("cat tiny/counting.py")).observation
            said = episode.turn(
                bash("ls tests; git log --all --oneline | wc -l; git remote; git status --short")
            ).observation
            assert said == "test_words.py\n1"

    def test_once(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            with pytest.raises(EpisodeError, match="started already"):
                episode.start()
            assert episode.turn(bash("echo still here")).observation == "still here"

    def test_a_machine_that_fails(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, broken_bench(bench, None))
        with pytest.raises(SandboxError, match="on fire"):
            episode.start()
        assert episode.outcome == InfraFailed("SandboxError: the disk is on fire")
        episode.close()


class TestLimits:
    def test_steps(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench, Rules(max_steps=2))
        assert play(episode, [bash("true")] * 5) == LimitStopped("steps")
        assert episode.steps == 2
        assert episode.transcript[-1][1].endswith("[the episode ends here: limit of steps]")

    def test_time_is_that_of_the_tools(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench, Rules(time_limit=0.5))
        assert play(episode, [bash("sleep 0.3"), bash("sleep 60")]) == LimitStopped("time")
        assert "timed out" in episode.transcript[-1][1]

    def test_a_deadline_ends_the_running_command(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench)
        episode.start()
        episode.deadline = time.monotonic() + 0.3
        said = episode.turn(bash("sleep 60") + bash("echo never"))
        assert said.outcome == LimitStopped("time")
        assert "timed out" in said.observation
        assert "never" not in said.observation

    def test_after_a_deadline_nothing_runs(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench)
        episode.start()
        episode.deadline = time.monotonic()
        said = episode.turn(bash("echo never"))
        assert said == ("[too late: nothing was run]\n[the episode ends here: limit of time]", LimitStopped("time"))
        assert episode._sandbox is None

    def test_timeouts_in_a_row(self, bench: Workbench, task: Task) -> None:
        rules = Rules(command_timeout=0.1, timeouts_in_a_row=2)
        episode = Episode(task, bench, rules)
        assert play(episode, [bash("sleep 9"), bash("true"), bash("sleep 9"), bash("sleep 9")]) == LimitStopped(
            "timeouts"
        )
        assert episode.steps == 4

    def test_silence(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench, Rules(silence_timeout=0.3, timeouts_in_a_row=2))
        talks = bash("for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done")
        assert play(episode, [talks, bash("echo x; sleep 60"), bash("sleep 60")]) == LimitStopped("timeouts")
        assert episode.transcript[2][1] == "1\n2\n3\n4\n5\n6"
        assert episode.transcript[4][1].startswith("x\n")
        assert "printed nothing" in episode.transcript[4][1]

    def test_a_limit_within_a_turn_stops_its_other_calls(self, bench: Workbench, task: Task) -> None:
        episode = Episode(task, bench, Rules(command_timeout=0.1, timeouts_in_a_row=1))
        assert play(episode, [bash("sleep 9") + bash("echo never")]) == LimitStopped("timeouts")
        assert "never" not in episode.transcript[-1][1]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *itertools.product(
                ["max_steps", "time_limit", "command_timeout", "observation_chars"], [0, -1, "many", None, math.nan]
            ),
            *itertools.product(["silence_timeout"], [0, -1, "many", math.nan]),
        ],
    )
    def test_rules_that_are_none(self, field: str, value: object) -> None:
        with pytest.raises(BadInputError, match=f"{field} is {value!r}; expected a number above 0"):
            Rules(**{field: value})  # type: ignore[arg-type]


class TestGarbage:
    @pytest.mark.parametrize(
        "text",
        ["", "I cannot do that.", "\0", "\ud800", "<tool_call>", "<tool_call>{]</tool_call>", "🤖" * 10_000, "{{ x }}"],
    )
    def test_is_answered_and_the_episode_goes_on(self, bench: Workbench, task: Task, text: str) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            turn = episode.turn(text)
            assert turn.observation.startswith("Error: ")
            assert "<function=bash>" in turn.observation
            assert turn.outcome is None
            assert episode.turn(bash("echo fine")).observation == "fine"
            assert episode.steps == 2

    @pytest.mark.parametrize("action", [None, 7, b"ls", ["ls"], {"name": "bash"}])
    def test_what_is_no_text_is_the_callers_mistake(self, bench: Workbench, task: Task, action: object) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            with pytest.raises(BadInputError, match="an action is the policy's text"):
                episode.turn(action)  # type: ignore[arg-type]
            assert episode.turn(bash("echo fine")).observation == "fine"


class TestFormats:
    def test_the_prompt_shows_the_form(self, bench: Workbench, task: Task) -> None:
        prompts = {}
        for name, form in FORMATS.items():
            with Episode(task, bench, Rules(call_format=name)) as episode:
                prompts[name] = episode.start()
            assert form.write([ToolCall("bash", {"command": task.test_command})]) in prompts[name]
            assert form.rule in prompts[name]
            assert form.ending in prompts[name]
        assert "edit(" not in prompts["bash"]
        assert prompts["auto"] == prompts["qwen"]

    def test_only_the_chosen_form_is_read(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench, Rules(call_format="mistral")) as episode:
            episode.start()
            said = episode.turn(bash("echo x")).observation
            assert said.startswith("Error: the turn holds no tool call")
            assert said.endswith('[TOOL_CALLS]bash[ARGS]{"command": "ls"}')
            assert episode.turn('[TOOL_CALLS]bash[ARGS]{"command": "echo x"}').observation == "x"

    def test_a_form_that_is_none(self) -> None:
        with pytest.raises(BadInputError, match="call_format is 'yaml'; expected one of qwen"):
            Rules(call_format="yaml")


class TestNativeCalls:
    def test_they_are_turns_like_any_other(self, bench: Workbench, task: Task, tmp_path: Path) -> None:
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        with Episode(task, bench, recorder=recorder) as episode:
            episode.start()
            calls = [ToolCall("bash", {"command": "echo a"}), ToolCall("nothing", {"x": [1, None]})]
            assert episode.call(calls, "I look.").observation.startswith("[1 bash]\na\n[2 nothing]\nError: there is no")
            assert episode.transcript[-2][1].startswith("I look.\n<tool_call>")
        step = read_trajectory(recorder.path).steps[1]
        assert (step.message, len(step.tool_calls or [])) == ("I look.", 2)

    @pytest.mark.parametrize("number", [0, 17])
    def test_none_and_too_many_are_answered(self, bench: Workbench, task: Task, number: int) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            turn = episode.call([ToolCall("submit")] * number)
            assert turn == (f"Error: the turn holds {number} tool calls; expected 1 to 16", None)
            assert episode.call([ToolCall("bash", {"command": "echo fine"})]).observation == "fine"

    @pytest.mark.parametrize("call", [ToolCall("a", {"x": b"y"}), ToolCall("a", {"x": float("nan")}), "ls", None])
    def test_what_is_no_call_is_the_callers_mistake(self, bench: Workbench, task: Task, call: ToolCall) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            with pytest.raises(BadInputError, match=r"a call is a ToolCall|no JSON object"):
                episode.call([call])
            assert episode.steps == 0


HUGE = "x" * 10_000_000


class TestBadCalls:
    """What a policy can get wrong in one call, each an observation after which the episode goes on."""

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (ToolCall("browser", {"url": "x"}), "there is no tool 'browser'"),
            (ToolCall("bash"), "argument 'command' is missing"),
            (ToolCall("bash", {"command": "ls", "shell": "zsh"}), "unknown argument 'shell'"),
            (ToolCall("bash", {"command": 7}), "got 7"),
            (ToolCall("bash", {"command": HUGE}), "is 10000000 characters; at most 1000000"),
            (ToolCall("edit", {"command": "create", "path": "x", "file_text": HUGE}), "is 10000000 characters"),
            (
                ToolCall("edit", {"command": "view", "path": "tiny/words.py", "view_range": list(range(100_000))}),
                "view_range is",
            ),
            (ToolCall("bash", {"command": {"nested": [1] * 100_000}}), "got {'nested'"),
            (ToolCall("bash", {HUGE: "ls"}), "unknown argument|is missing"),
            (ToolCall("x" * 100_000, {}), "there is no tool 'xxx"),
            (ToolCall("bash", {"command": "echo \0"}), "holds a NUL byte"),
            (ToolCall("edit", {"command": "view", "path": "a\0b"}), "holds a NUL byte"),
            (ToolCall("bash", {"command": "\ud800"}), "is not valid Unicode"),
            (ToolCall("edit", {"command": "create", "path": "\udcff", "file_text": ""}), "is not valid Unicode"),
            (ToolCall("bash", {"command": "printf '\\377\\376\\0'"}), "\ufffd"),
        ],
    )
    def test_is_an_observation(self, bench: Workbench, task: Task, tmp_path: Path, call: ToolCall, says: str) -> None:
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        with Episode(task, bench, recorder=recorder) as episode:
            episode.start()
            turn = episode.call([call])
            assert re.search(says, turn.observation)
            assert len(turn.observation) < 11_000
            assert turn.outcome is None
            assert episode.turn(bash("echo fine")).observation == "fine"
        assert len(read_trajectory(recorder.path).steps) == 3


class TestTurns:
    def test_several_calls_answer_in_order(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            said = episode.turn(f"First {bash('echo a')} then {format_call(ToolCall('nothing'))} {bash('echo b')}")
            assert said.observation.splitlines() == [
                "[1 bash]",
                "a",
                "[2 nothing]",
                "Error: there is no tool 'nothing'. The tools are: bash, edit, search, submit.",
                "[3 bash]",
                "b",
            ]
            assert episode.steps == 1

    def test_two_at_once_are_refused(self, bench: Workbench, task: Task) -> None:
        with Episode(task, bench) as episode:
            episode.start()
            slow, begun = turn_elsewhere(episode, bash("sleep 0.5"))
            begun.wait(30)
            with pytest.raises(EpisodeError, match="one turn at a time"):
                episode.turn(bash("true"))
            slow.join()
            assert episode.turn(bash("echo fine")).observation == "fine"


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
        assert isinstance(outcome, PolicyFault)
        assert not outcome.masked

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


@pytest.mark.network
class TestGraded:
    """Oracle 1, no-op 0, and what lies between."""

    def test_oracle_and_noop(self, graded_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-longest")
        recorder = TrajectoryRecorder(tmp_path, Agent(name="oracle", version="1"), task_id=task.id)
        outcome = play(Episode(task, bench, recorder=recorder), oracle_actions(task, bench.build(task).tree))
        assert outcome == Scored(1.0, "passed")
        assert play(Episode(task, bench), noop_actions(task)) == Scored(0.0, "tests_failed")
        written = read_trajectory(recorder.path)
        assert written.extra is not None
        assert written.extra["reward"] == 1.0
        tested = written.steps[-2].observation
        assert tested is not None
        assert "1 passed" in str(tested.results[0].content)

    @pytest.mark.parametrize("name", FORMATS)
    def test_the_oracle_solves_in_every_form(self, graded_pool: Pool, store: EnvironmentStore, name: str) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-total")
        episode = Episode(task, bench, Rules(call_format=name))
        assert play(episode, oracle_actions(task, bench.build(task).tree, name)) == Scored(1.0, "passed")
        if name == "bash":
            assert play(Episode(task, bench, Rules(call_format=name)), noop_actions(task, name)) == Scored(
                0.0, "tests_failed"
            )

    @pytest.mark.parametrize(
        "cheat",
        [
            "mkdir -p tests; echo 'def test_total(): pass' > tests/test_hidden.py",
            "rm -rf tiny tests; echo x > tiny; echo x > tests",
            "rm tiny/counting.py; mkdir -p tiny/counting.py/a; echo x > tiny/counting.py/a/b.py",
            "python3 -c \"import os\nfor i in range(2500): os.mkdir('d'); os.chdir('d')\"",
            "ln -s / tiny/link; mkfifo tiny/pipe.py; chmod 000 tiny/words.py; touch tiny/$'\\xff\\n'.py",
            "git commit -qam x; git checkout -qb other; rm -rf tiny",
        ],
    )
    def test_what_is_no_fix_earns_nothing(
        self, graded_pool: Pool, store: EnvironmentStore, tmp_path: Path, cheat: str
    ) -> None:
        task = graded_pool.task("tiny-total")
        recorder = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id=task.id)
        episode = Episode(task, Workbench(graded_pool, store), recorder=recorder)
        outcome = play(episode, [bash(cheat) + SUBMIT])
        assert isinstance(outcome, Scored)
        assert outcome.reward == 0
        assert "submission" in (read_trajectory(recorder.path).extra or {})

    def test_episodes_in_several_threads(self, graded_pool: Pool, store: EnvironmentStore) -> None:
        bench, task = Workbench(graded_pool, store), graded_pool.task("tiny-total")
        actions = [oracle_actions(task, bench.build(task).tree), noop_actions(task)] * 2
        episodes = [Episode(task, bench) for _ in actions]
        threads = [threading.Thread(target=play, args=pair) for pair in zip(episodes, actions, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [episode.outcome.reward for episode in episodes if episode.outcome] == [1, 0, 1, 0]
