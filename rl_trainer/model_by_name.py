"""Which model a name means."""

from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from rl_trainer.model import LanguageModel, load_model, make_model
from rl_trainer.smollm2 import load_smollm2


def model_by_name(
    name: str, *, texts: Callable[[], list[str]], seed: int, context: int, cache: Path | None = None
) -> LanguageModel:
    """``tiny`` (made from ``texts``), ``smollm2`` (fetched once into ``cache``), a directory, or a hub id.

    Raises:
        ModelError: there is no such model, or it cannot be fetched or loaded.
    """
    if name == "tiny":
        return make_model(texts(), seed=seed, context=context)
    if name == "smollm2":
        return load_smollm2(cache or user_cache_path("repodojo") / "models")
    return load_model(name)
