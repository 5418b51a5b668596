"""Token ids in a trajectory: each once, and every prompt can be had again from the file."""

from pathlib import Path

import pytest

from agent_env.atif import Agent, Metrics, Step
from agent_env.outcome import LimitStopped
from agent_env.token_ids import ADDED, tokens_of
from agent_env.tools import Observation
from agent_env.trajectory import TrajectoryRecorder, read_trajectory


@pytest.fixture
def recorder(tmp_path: Path) -> TrajectoryRecorder:
    made = TrajectoryRecorder(tmp_path, Agent(name="a", version="1"), task_id="t")
    made.start("Mend it.")
    return made


def turn(recorder: TrajectoryRecorder, prompt: list[int] | None, completion: list[int] | None) -> None:
    recorder.add_turn("a", [], [Observation("b")])
    if prompt is not None or completion is not None:
        metrics = Metrics(prompt_tokens=len(prompt or []), prompt_token_ids=prompt, completion_token_ids=completion)
        recorder.measure(metrics)


def agent_steps(recorder: TrajectoryRecorder) -> list[Step]:
    return [step for step in read_trajectory(recorder.path).steps if step.source == "agent"]


def written(recorder: TrajectoryRecorder) -> list[tuple[list[int] | None, list[int] | None]]:
    """Of each turn, the whole prompt and what was added, where the file has them."""
    found = [step.metrics or Metrics() for step in agent_steps(recorder)]
    return [(metrics.prompt_token_ids, (metrics.extra or {}).get(ADDED)) for metrics in found]


def test_what_goes_on_is_written_once(recorder: TrajectoryRecorder) -> None:
    turn(recorder, [1, 2, 3], [4])
    turn(recorder, [1, 2, 3, 4, 5, 6], [7])
    turn(recorder, [1, 2, 3, 4, 5, 6, 7], [8, 9])
    assert written(recorder) == [([1, 2, 3], None), (None, [5, 6]), (None, [])]
    steps = agent_steps(recorder)
    assert [tokens_of(steps[:number]) for number in (0, 1, 2, 3)] == [
        [],
        [1, 2, 3, 4],
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
    ]
    assert [step.metrics and step.metrics.prompt_tokens for step in steps] == [3, 6, 7]


def test_a_prompt_that_does_not_go_on_is_written_whole(recorder: TrajectoryRecorder) -> None:
    turn(recorder, [1, 2, 3], [4])
    turn(recorder, [1, 2, 9, 4, 5], [6])
    turn(recorder, [1, 2, 9], [7])
    turn(recorder, [1, 2, 9, 7, 8], None)
    assert written(recorder) == [([1, 2, 3], None), ([1, 2, 9, 4, 5], None), ([1, 2, 9], None), (None, [8])]
    assert tokens_of(agent_steps(recorder)) == [1, 2, 9, 7, 8]


def test_turns_that_nobody_measured_are_passed_over(recorder: TrajectoryRecorder) -> None:
    turn(recorder, None, None)
    turn(recorder, [1], [2])
    turn(recorder, None, None)
    turn(recorder, [1, 2, 3, 4, 5], [6])
    assert written(recorder) == [(None, None), ([1], None), (None, None), (None, [3, 4, 5])]
    assert tokens_of(agent_steps(recorder)) == [1, 2, 3, 4, 5, 6]


def test_a_turn_measured_again_has_the_last_word(recorder: TrajectoryRecorder) -> None:
    turn(recorder, [1], [2])
    for last in (4, 5):
        recorder.measure(Metrics(prompt_token_ids=[1, 2, 3], completion_token_ids=[last]))
    assert written(recorder) == [([1, 2, 3], None)]
    assert tokens_of(agent_steps(recorder)) == [1, 2, 3, 5]


def test_a_fork_goes_on_from_what_its_parent_read(recorder: TrajectoryRecorder) -> None:
    turn(recorder, [1], [2])
    twin = recorder.twin()
    turn(recorder, [1, 2, 3], [4])
    turn(twin, [1, 2, 3], [5])
    turn(twin, [1, 2, 3, 5, 6], [7])
    assert written(twin) == [([1], None), (None, [3]), (None, [6])]
    assert tokens_of(agent_steps(twin)) == [1, 2, 3, 5, 6, 7]
    assert tokens_of(agent_steps(recorder)) == [1, 2, 3, 4]


def test_what_is_measured_beside_them_stays(recorder: TrajectoryRecorder) -> None:
    turn(recorder, [1], [2])
    recorder.add_turn("c", [], [])
    recorder.finish(LimitStopped("context"))
    recorder.measure(Metrics(prompt_tokens=3, prompt_token_ids=[1, 2, 3], logprobs=[], extra={"policy_version": 5}))
    last = agent_steps(recorder)[-1]
    assert last.metrics == Metrics(prompt_tokens=3, logprobs=[], extra={"policy_version": 5, ADDED: [3]})
    total = read_trajectory(recorder.path).final_metrics
    assert total is not None
    assert total.total_prompt_tokens == 4


def test_files_grow_with_the_tokens_and_not_with_their_square(recorder: TrajectoryRecorder) -> None:
    prompt, sizes = list(range(1000, 2000)), []
    for _ in range(40):
        turn(recorder, prompt, [7] * 50)
        prompt = [*prompt, *[7] * 50, *[8] * 50]
        sizes.append(recorder.path.stat().st_size)
    assert sizes[39] - sizes[38] < 1.1 * (sizes[3] - sizes[2])
