"""The part of ``evaluate`` that needs a model."""

from collections.abc import Sequence
from pathlib import Path

from agent_env.outcome import Outcome
from rl_trainer.chat import ChatFormat
from rl_trainer.collector import Collector
from rl_trainer.config import EvaluationSettings
from rl_trainer.policy.in_process import TransformersPolicy
from rl_trainer.progress import OnProgress, Progress
from rl_trainer.rollout import Limits, Rollout
from rl_trainer.smollm2 import load_by_name
from rl_trainer.text_env import EnvFactory


def sample_outcomes(
    make_env: EnvFactory,
    task_ids: Sequence[str],
    name: str,
    settings: EvaluationSettings,
    trajectories: Path | None,
    on_progress: OnProgress,
) -> list[Outcome]:
    """Outcomes of one episode for each named task, acted by the model ``name``."""
    language_model = load_by_name(name)
    model = language_model.model
    context = min(settings.context, model.config.max_position_embeddings)
    limits = Limits(context=context, turn_tokens=settings.turn_tokens, observation_tokens=settings.observation_tokens)
    policy = TransformersPolicy(model, language_model.tokenizer, context=context, batch_size=settings.concurrency)
    done = 0

    def tell(rollout: Rollout) -> None:
        nonlocal done
        done += 1
        note = f"{rollout.outcome.name} {rollout.reward:.0f} {rollout.task_id}"
        on_progress(Progress("evaluate", done, len(task_ids), note))

    chat = ChatFormat.of(language_model.tokenizer)
    with Collector(
        make_env, chat, limits, concurrency=settings.concurrency, on_episode=tell, trajectories=trajectories
    ) as collector:
        collected = collector.collect(policy, task_ids, temperature=settings.temperature, seed=settings.seed)
    return [rollout.outcome for rollout in collected.rollouts]
