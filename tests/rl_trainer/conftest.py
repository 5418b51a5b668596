"""Shared by the trainer's tests: one small model made once, torch on few threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from agent_env.store import EnvironmentStore
from rl_trainer.chat import ChatFormat
from rl_trainer.model import LanguageModel
from tasks.pool import Pool
from tests.rl_trainer.caller import make_caller
from tests.rl_trainer.toy_words import toy_model


@pytest.fixture(scope="session")
def language_model() -> LanguageModel:
    """Fresh weights of the toy model; tests must not train it."""
    return toy_model()


@pytest.fixture(scope="session")
def chat(language_model: LanguageModel) -> ChatFormat:
    return ChatFormat.of(language_model.tokenizer)


@pytest.fixture(scope="session")
def caller(bare_pool: Pool, store: EnvironmentStore) -> LanguageModel:
    """A model that calls tools; tests must not train it."""
    with one_thread():
        return make_caller(bare_pool, store)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Models here are so small that threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
