"""The turns of an episode: nothing is raised for what a policy writes, whatever its form."""

import re
from pathlib import Path

import pytest

from agent_env.atif import Agent
from agent_env.episode import Episode, Rules
from agent_env.errors import EpisodeError
from agent_env.prompt import render_prompt
from agent_env.tools import FORMATS, Toolbox, ToolCall, format_call
from agent_env.trajectory import TrajectoryRecorder, read_trajectory
from agent_env.workbench import Workbench
from tasks.errors import BadInputError
from tasks.task import Statement, Task
from tests.agent_env.turns import bash, turn_elsewhere


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
