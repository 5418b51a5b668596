"""The model that reinforcement learning begins with: made or loaded, then warmed up on demonstrations."""

from typing import NamedTuple

from rl_trainer.chat import ChatFormat
from rl_trainer.config import TrainConfig
from rl_trainer.demonstrations import texts_of, to_trace
from rl_trainer.errors import TooFewTasksError
from rl_trainer.learner import Learner
from rl_trainer.metrics import MetricsLog
from rl_trainer.model import LanguageModel, make_model
from rl_trainer.progress import OnProgress, Progress
from rl_trainer.scripted import ScriptedEpisode, play_scripts
from rl_trainer.sft import warm_start
from rl_trainer.smollm2 import load_by_name
from rl_trainer.task_set import TaskSet
from rl_trainer.tokens import Trace


class WarmModel(NamedTuple):
    """A model, what trained it, and the tasks it has seen solved."""

    language_model: LanguageModel
    learner: Learner
    demonstrated: tuple[str, ...]


def make_warm_model(tasks: TaskSet, config: TrainConfig, log: MetricsLog, on_progress: OnProgress) -> WarmModel:
    """Play the demonstrations, make or load the model, imitate.

    Raises:
        ModelError: there is no such model.
        TooFewTasksError: demonstrations were asked for, and none solves its task within the context.
    """
    # A pretrained model comes first, so that a wrong name is told before minutes of work.
    language_model = None if config.model == "tiny" else load_by_name(config.model)
    episodes = _demonstrate(tasks, config, on_progress)
    if language_model is None:
        texts = [text for episode in episodes for text in texts_of(episode)]
        language_model = make_model([*tasks.sources(), *texts], seed=config.seed, context=config.context)
    chat = ChatFormat.of(language_model.tokenizer)
    learner = Learner(language_model.model, learning_rate=config.sft.learning_rate)
    if not config.sft.tasks:
        return WarmModel(language_model, learner, ())
    traces = _usable(episodes, chat, config)

    def tell(epoch: int, loss: float) -> None:
        log.write("warm_start", epoch, {"loss": loss})
        on_progress(Progress("warm start", epoch, config.sft.epochs, f"loss {loss:.3f}"))

    warm_start(
        learner,
        list(traces.values()),
        epochs=config.sft.epochs,
        batch_size=config.sft.batch_size,
        learning_rate=config.sft.learning_rate,
        target_loss=config.sft.target_loss,
        token_budget=config.token_budget,
        seed=config.seed,
        on_epoch=tell,
    )
    return WarmModel(language_model, learner, tuple(sorted(traces)))


def _demonstrate(tasks: TaskSet, config: TrainConfig, on_progress: OnProgress) -> list[ScriptedEpisode]:
    if not config.sft.tasks:
        return []
    scripts = tasks.demonstrate(config.sft.tasks)
    done: list[str] = []

    def tell(episode: ScriptedEpisode) -> None:
        done.append(episode.task_id)
        on_progress(Progress("demonstrate", len(done), len(scripts), f"{episode.outcome.name} {episode.task_id}"))

    return play_scripts(tasks.make_env, scripts, on_episode=tell)


def _usable(episodes: list[ScriptedEpisode], chat: ChatFormat, config: TrainConfig) -> dict[str, Trace]:
    """Traces of the episodes that solved their task and fit the limits that sampling will have."""
    traces = {
        episode.task_id: to_trace(episode, chat, observation_tokens=config.observation_tokens)
        for episode in episodes
        if episode.outcome.reward == 1
    }
    longest_turn = {
        episode.task_id: max(len(chat.encode(action)) for action, _ in episode.turns) + 1 for episode in episodes
    }
    usable = {
        task_id: trace
        for task_id, trace in traces.items()
        if len(trace) < config.context and longest_turn[task_id] <= config.turn_tokens
    }
    if not usable:
        raise TooFewTasksError(
            f"of {len(episodes)} demonstrations {len(traces)} solved their task and none of those fits context = "
            f"{config.context} and turn_tokens = {config.turn_tokens}: raise them, or set sft.tasks = 0"
        )
    return usable
