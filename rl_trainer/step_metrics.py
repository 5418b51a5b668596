"""What is logged of a step."""

from collections import Counter

from rl_trainer.collector import Collected
from rl_trainer.credit import Credit
from rl_trainer.hack_metrics import hack_metrics
from rl_trainer.learner import StepStats


def step_metrics(
    collected: Collected,
    credit: Credit,
    stats: StepStats,
    *,
    mismatch: float,
    collect_seconds: float,
    seconds: float,
) -> dict[str, float]:
    """The numbers of one step by name; means are over episodes that the machine did not break."""
    valid = collected.valid
    sampled = sum(rollout.trace.trained for rollout in valid)
    nats = -sum(sum(rollout.trace.logprobs) for rollout in valid)
    outcomes = Counter(rollout.outcome.name for rollout in collected.rollouts)
    return {
        "reward": collected.mean_reward,
        "groups": credit.groups,
        "mixed_groups": credit.mixed_groups,
        "episodes": len(collected.rollouts),
        **{f"outcome_{name}": number for name, number in sorted(outcomes.items())},
        **hack_metrics(valid),
        "retried": collected.retried,
        "turns": sum(rollout.turns for rollout in valid) / len(valid),
        "episode_tokens": sum(len(rollout.trace) for rollout in valid) / len(valid),
        "sampled_tokens": sampled,
        "entropy": nats / max(sampled, 1),
        "trained_rows": len(credit.rows),
        "loss": stats.loss,
        "gradient_norm": stats.gradient_norm,
        "ratio_off": stats.ratio_off,
        "kl": stats.kl,
        "sampler_mismatch": mismatch,
        "collect_seconds": collect_seconds,
        "train_seconds": seconds - collect_seconds,
        "seconds": seconds,
        "sampled_tokens_per_second": sampled / collect_seconds,
    }
