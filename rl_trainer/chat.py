"""One rendering of conversations for every model: the first prompt once, then extension by tokens.

The pieces between contents (role markers, turn ends) are read off the tokenizer's own chat template by rendering it
around marker texts. Contents are encoded apart from them and with special tokens spelled out as plain text, so that a
file which holds ``<|end|>`` cannot end a turn, and what the model sampled is never encoded again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from rl_trainer.errors import ModelError
from rl_trainer.tokens import Origin, Trace

_PROMPT, _ANSWER, _OBSERVATION = "«prompt»", "«answer»", "«observation»"


@dataclass(frozen=True, kw_only=True)
class ChatFormat:
    """The template's pieces as tokens, around prompt and observations."""

    tokenizer: PreTrainedTokenizerBase
    before_prompt: tuple[int, ...]
    after_prompt: tuple[int, ...]
    """From the prompt's end to where the assistant begins to write."""
    end: int
    """The token that ends an assistant's turn."""
    after_end: tuple[int, ...]
    """From the end of the assistant's turn to the observation."""
    after_observation: tuple[int, ...]
    """From the observation's end to where the assistant begins to write again."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "ChatFormat":
        """Read the pieces off the tokenizer's chat template.

        Raises:
            ModelError: there is no chat template, or it does not render a conversation of several turns.
        """
        if not tokenizer.chat_template:
            raise ModelError("the model's tokenizer has no chat template; expected an instruct or chat model")
        role = "tool" if "tool" in str(tokenizer.chat_template) else "user"
        messages = [
            {"role": "user", "content": _PROMPT},
            {"role": "assistant", "content": _ANSWER},
            {"role": role, "content": _OBSERVATION},
        ]
        try:
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
            opening = str(tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True))
            before_prompt, after_prompt = opening.split(_PROMPT)
            _, rest = text.split(_ANSWER)
            between, after_observation = rest.split(_OBSERVATION)
        except Exception as error:  # a template is a foreign program and may raise anything
            raise ModelError(
                f"the tokenizer's chat template does not render user, assistant, {role}: {error}"
            ) from error
        end, *after_end = _encode_template(tokenizer, between)
        return cls(
            tokenizer=tokenizer,
            before_prompt=tuple(_encode_template(tokenizer, before_prompt)),
            after_prompt=tuple(_encode_template(tokenizer, after_prompt)),
            end=end,
            after_end=tuple(after_end),
            after_observation=tuple(_encode_template(tokenizer, after_observation)),
        )

    def encode(self, text: str) -> list[int]:
        """Content as tokens; names of special tokens in it are plain text."""
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def decode(self, tokens: Sequence[int]) -> str:
        """What the assistant wrote, as text, without special tokens."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def open(self, prompt: str) -> Trace:
        """A trace that holds the first prompt and awaits the assistant."""
        trace = Trace()
        trace.add(self.before_prompt, Origin.TEMPLATE)
        trace.add(self.encode(prompt), Origin.OBSERVED)
        trace.add(self.after_prompt, Origin.TEMPLATE)
        return trace

    def observe(self, trace: Trace, observation: str, *, limit: int) -> None:
        """End the assistant's turn if it did not do so itself, append the observation, and await the assistant.

        Args:
            trace: grows at its end.
            observation: what the environment answered.
            limit: the most tokens of it to keep; of a longer one the beginning and the end stay.
        """
        if trace.tokens[-1] != self.end:
            trace.add([self.end], Origin.TEMPLATE)
        trace.add(self.after_end, Origin.TEMPLATE)
        trace.add(self._shorten(self.encode(observation), limit), Origin.OBSERVED)
        trace.add(self.after_observation, Origin.TEMPLATE)

    def _shorten(self, tokens: list[int], limit: int) -> list[int]:
        if len(tokens) <= limit:
            return tokens
        note = self.encode(f"\n[{len(tokens) - limit} tokens left out]\n")
        half = max(limit - len(note), 0) // 2
        return tokens[:half] + note + tokens[len(tokens) - half :]


def _encode_template(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
