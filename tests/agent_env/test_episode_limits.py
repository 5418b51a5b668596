"""Limits of an episode: steps, time of the tools, a deadline, timeouts in a row, silence."""

import itertools
import math
import time

import pytest

from agent_env.episode import Episode, LimitStopped, Rules
from agent_env.workbench import Workbench
from tasks.errors import BadInputError
from tasks.task import Task
from tests.agent_env.turns import bash, play


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
        with pytest.raises(BadInputError, match=rf"{field} is {value!r}; expected a (whole )?number above 0"):
            Rules(**{field: value})  # type: ignore[arg-type]
