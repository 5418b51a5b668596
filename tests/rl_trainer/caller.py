"""A small real model that has learnt to call the tools of a real task."""

from agent_env.env import SWEEnv
from agent_env.store import EnvironmentStore
from rl_trainer.chat import ChatFormat
from rl_trainer.demonstrations import texts_of, to_trace
from rl_trainer.learner import Learner
from rl_trainer.model import LanguageModel, make_model
from rl_trainer.scripted import Script, play_scripts
from rl_trainer.sft import warm_start
from tasks.pool import Pool
from tests.agent_env.turns import SUBMIT, bash

TASK = "tiny-total"
CONTEXT = 1024
SCRIPT = Script(TASK, [bash("cd tiny; ls"), bash("wc -c words.py"), SUBMIT])


def make_caller(pool: Pool, store: EnvironmentStore) -> LanguageModel:
    """Imitates ``SCRIPT`` until it says nearly all of it right."""
    [episode] = play_scripts(lambda: SWEEnv(pool=pool, store=store), [SCRIPT])
    made = make_model(texts_of(episode) * 4, seed=0, vocabulary=640, hidden=64, layers=2, context=CONTEXT)
    trace = to_trace(episode, ChatFormat.of(made.tokenizer), observation_tokens=128)
    warm_start(
        Learner(made.model, learning_rate=3e-3),
        [trace],
        epochs=150,
        batch_size=1,
        learning_rate=3e-3,
        target_loss=0.0,
        token_budget=4096,
        seed=0,
    )
    return made
