"""Demonstrations: oracle episodes played in the real environment, as traces to imitate."""

from rl_trainer.chat import ChatFormat
from rl_trainer.scripted import ScriptedEpisode
from rl_trainer.tokens import SCRIPTED_VERSION, Trace


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
