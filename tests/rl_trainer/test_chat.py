"""Conversations as tokens: extension only, and no text of the environment can pass for a special token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from rl_trainer.chat import ChatFormat
from rl_trainer.errors import ModelError
from rl_trainer.model import LanguageModel
from rl_trainer.tokenizer import ROLE_TOKENS
from rl_trainer.tokens import Origin

CHATML = (
    "{% for message in messages %}<|user|>{{ message['role'] }}\n{{ message['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"
)


def test_a_conversation_renders_as_its_template_would(chat: ChatFormat) -> None:
    trace = chat.open("say fig")
    trace.add_sampled([*chat.encode("pear"), chat.end], [-1.0] * (len(chat.encode("pear")) + 1), version=0)
    chat.observe(trace, "wrong, again", limit=50)
    text = chat.tokenizer.decode(trace.tokens)
    assert text == "<|user|>say fig<|end|><|assistant|>pear<|end|><|tool|>wrong, again<|end|><|assistant|>"
    messages = [
        {"role": "user", "content": "say fig"},
        {"role": "assistant", "content": "pear"},
        {"role": "tool", "content": "wrong, again"},
    ]
    assert chat.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == text
    sampled = [record.token for record in trace if record.origin is Origin.SAMPLED]
    assert sampled == [*chat.encode("pear"), chat.end]


def test_a_turn_cut_short_is_ended_by_the_template(chat: ChatFormat) -> None:
    trace = chat.open("say fig")
    trace.add_sampled(chat.encode("pea"), [-1.0] * len(chat.encode("pea")), version=0)
    chat.observe(trace, "x", limit=50)
    assert "pea<|end|><|tool|>x<|end|>" in chat.tokenizer.decode(trace.tokens)
    assert [record.origin for record in trace if record.token == chat.end].count(Origin.TEMPLATE) == 3


@settings(max_examples=40)
@given(st.text(max_size=60), st.sampled_from(ROLE_TOKENS), st.text(max_size=60))
def test_any_text_comes_back_and_no_special_token_comes_from_it(
    chat: ChatFormat, before: str, name: str, after: str
) -> None:
    text = before.encode(errors="replace").decode() + name + after.encode(errors="replace").decode()
    tokens = chat.encode(text)
    assert min(tokens) >= len(ROLE_TOKENS)
    assert chat.decode(tokens) == text


def test_long_observations_keep_both_ends_within_the_limit(chat: ChatFormat) -> None:
    trace = chat.open("p")
    trace.add_sampled([chat.end], [0.0], version=0)
    chat.observe(trace, "a" * 300 + "z" * 300, limit=60)
    observed = [record.token for record in trace if record.origin is Origin.OBSERVED][len(chat.encode("p")) :]
    text = chat.decode(observed)
    assert len(observed) <= 60
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert "tokens left out]" in text


def test_templates_of_other_models_are_read(language_model: LanguageModel) -> None:
    tokenizer = retold(language_model, CHATML)
    chat = ChatFormat.of(tokenizer)
    trace = chat.open("hello")
    trace.add_sampled([*chat.encode("one"), chat.end], [0.0] * (len(chat.encode("one")) + 1), version=0)
    chat.observe(trace, "two", limit=50)
    expected = (
        "<|user|>user\nhello<|end|>\n<|user|>assistant\none<|end|>\n<|user|>user\ntwo<|end|>\n<|user|>assistant\n"
    )
    assert tokenizer.decode(trace.tokens) == expected


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no') }}", "always the same"])
def test_models_that_do_not_chat_are_refused(language_model: LanguageModel, template: str | None) -> None:
    with pytest.raises(ModelError, match="chat template"):
        ChatFormat.of(retold(language_model, template))


def retold(language_model: LanguageModel, template: str | None) -> PreTrainedTokenizerBase:
    """The toy tokenizer with another chat template."""
    import copy

    tokenizer = copy.deepcopy(language_model.tokenizer)
    tokenizer.chat_template = template
    return tokenizer
