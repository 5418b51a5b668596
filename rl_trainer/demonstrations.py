"""Demonstrations: oracle episodes played in the real environment, as traces to imitate."""

from collections.abc import Sequence

from agent_env.scripted import oracle_actions
from agent_env.workbench import Workbench
from rl_trainer.chat import ChatFormat
from rl_trainer.scripted import Script, ScriptedEpisode
from rl_trainer.tokens import SCRIPTED_VERSION, Trace
from tasks.task import Task


def oracle_script(bench: Workbench, task: Task) -> Script:
    """What an agent that knows the gold patch does."""
    return Script(task.id, oracle_actions(task, bench.build(task).tree))


def shortest(scripts: Sequence[Script], *, statements: dict[str, str], count: int) -> list[Script]:
    """The ``count`` scripts that take the fewest characters, statement included: a small model's context is short."""

    def characters(script: Script) -> tuple[int, str]:
        return len(statements[script.task_id]) + sum(map(len, script.actions)), script.task_id

    return sorted(scripts, key=characters)[:count]


def to_trace(episode: ScriptedEpisode, chat: ChatFormat, *, observation_tokens: int) -> Trace:
    """The tokens that a policy would have written and read; its own are trained, with log-probability 0."""
    trace = chat.open(episode.prompt)
    for number, (action, observation) in enumerate(episode.turns, 1):
        tokens = [*chat.encode(action), chat.end]
        trace.add_sampled(tokens, [0.0] * len(tokens), version=SCRIPTED_VERSION)
        if number < len(episode.turns):
            chat.observe(trace, observation, limit=observation_tokens)
    return trace


def texts_of(episode: ScriptedEpisode) -> list[str]:
    """All that was written and read in an episode, for training a tokenizer."""
    return [episode.prompt, *(text for turn in episode.turns for text in turn)]
