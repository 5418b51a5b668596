"""Token ids in a trajectory: each token of an episode is written once.

A policy reads at each turn all that was said before: files that held each prompt whole would grow with the square of
the turns. So the rule is:

- ``metrics.prompt_token_ids`` is what ATIF says it is, the whole prompt. The first measured step has it, and so has any
  whose prompt does not begin with all that the measured step before it read and wrote.
- Elsewhere it is left out, and ``metrics.extra["added_prompt_token_ids"]`` holds the rest of the prompt: what ends the
  turn before, what that showed, and what opens the next turn.

``metrics.prompt_tokens`` counts the whole prompt either way.
"""

from collections.abc import Sequence

from agent_env.atif import Metrics, Step

ADDED = "added_prompt_token_ids"


def tokens_of(steps: Sequence[Step]) -> list[int]:
    """What the policy had read and written, token by token, at the end of the last measured one of the steps, which are
    a trajectory's from its first on: the prompt of that step, observations and the chat format's own tokens included,
    and its completion. Empty where no step holds token ids.
    """
    tokens: list[int] = []
    for metrics in (step.metrics for step in steps if step.metrics):
        if metrics.prompt_token_ids is not None:
            tokens = [*metrics.prompt_token_ids]
        else:
            tokens += (metrics.extra or {}).get(ADDED, [])
        tokens += metrics.completion_token_ids or []
    return tokens


def without_repeats(metrics: Metrics, before: Sequence[Step]) -> Metrics:
    """A step's metrics, given with the whole prompt, as the rule has them written after the steps ``before``."""
    prompt, known = metrics.prompt_token_ids, tokens_of(before)
    if not known or prompt is None or prompt[: len(known)] != known:
        return metrics
    extra = {**(metrics.extra or {}), ADDED: prompt[len(known) :]}
    return metrics.model_copy(update={"prompt_token_ids": None, "extra": extra})
