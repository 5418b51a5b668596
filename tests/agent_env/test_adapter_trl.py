"""TRL's own GRPOTrainer over the environment class: its probe of the tools, a real step, and the reward."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import get_json_schema
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_chat_template

from agent_env.adapters.trl import TRLEnvironment, dataset_rows, environment_class
from agent_env.env import SWEEnv
from agent_env.errors import SandboxError
from agent_env.store import EnvironmentStore
from agent_env.tools.toolbox import Toolbox
from tasks.errors import BadInputError
from tasks.pool import Pool

FIX = "sed -i 's/result -= number/result += number/' tiny/counting.py"


@pytest.fixture
def env(bare_pool: Pool, store: EnvironmentStore) -> SWEEnv:
    return SWEEnv(pool=bare_pool, store=store, max_steps=4)


@pytest.fixture
def rollout(env: SWEEnv) -> Iterator[TRLEnvironment]:
    made = environment_class(env)()
    made.reset(task_id="tiny-total", prompt=[{"role": "user", "content": ""}])
    yield made
    made.get_reward()


def test_the_tools_are_those_of_the_episode(rollout: TRLEnvironment) -> None:
    ours = {schema["function"]["name"]: schema["function"] for schema in Toolbox().schemas()}
    for name, wanted in ours.items():
        shown = get_json_schema(getattr(rollout, name))["function"]
        assert set(shown["parameters"].get("properties", {})) == set(wanted["parameters"]["properties"])
        assert set(shown["parameters"].get("required", [])) == set(wanted["parameters"]["required"])
    public = {name for name in dir(TRLEnvironment) if not name.startswith("_")}
    assert public == {*ours, "reset", "get_reward"}


def test_the_prompt_has_no_form_of_calls(env: SWEEnv) -> None:
    made = environment_class(env)()
    prompt = made.reset(task_id="tiny-total")
    assert "What total in tiny gives is wrong." in prompt
    assert "<tool_call>" not in prompt
    assert made.get_reward() == 0.0


def test_the_calls(rollout: TRLEnvironment) -> None:
    assert rollout.bash(command="echo hi") == "hi"
    assert rollout.edit(command="view", path="tiny/words.py", view_range=[1, 1]).startswith("1\t")
    assert "tiny/words.py" in rollout.search(pattern="def shout")
    assert rollout.edit(command="dance", path="x").startswith("Error: edit: argument 'command'")
    assert rollout.bash(command="echo more") == "[the episode has ended: nothing was run]"
    assert rollout.get_reward() == 0.0


def test_a_machine_that_fails_is_no_reward(rollout: TRLEnvironment) -> None:
    assert rollout._env.episode is not None
    assert rollout._env.episode._sandbox is not None
    rollout._env.episode._sandbox.close()
    rollout.bash(command="true")
    assert rollout.get_reward() is None


def test_nor_is_one_that_cannot_be_cleared_away(rollout: TRLEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rollout._env.episode is not None
    sandbox = rollout._env.episode._sandbox
    assert sandbox is not None
    close = sandbox.close

    def close_badly() -> None:
        close()
        raise SandboxError("the disk is on fire")

    monkeypatch.setattr(sandbox, "close", close_badly)
    assert rollout.get_reward() is None


def test_before_the_first_reset_and_no_such_task(env: SWEEnv) -> None:
    made = environment_class(env)()
    assert made.submit() == "[the episode has ended: nothing was run]"
    assert made.get_reward() is None
    with pytest.raises(BadInputError, match="no task 'x'"):
        made.reset(task_id="x")


@pytest.mark.network
def test_oracle_one_noop_zero(graded_pool: Pool, store: EnvironmentStore) -> None:
    made = environment_class(SWEEnv(pool=graded_pool, store=store))()
    for commands, reward in (([FIX], 1.0), ([], 0.0)):
        made.reset(task_id="tiny-total")
        for command in commands:
            made.bash(command=command)
        assert made.submit() == "Submitted."
        assert made.get_reward() == reward


class Scripted(Qwen3ForCausalLM):
    """A tiny model with random weights whose samples are written beforehand: one of two rollouts fixes the bug."""

    tokenizer: PreTrainedTokenizerFast

    def generate(self, input_ids: torch.Tensor, **options: Any) -> torch.Tensor:
        del options
        said = [self._next(number, self.tokenizer.decode(row)) for number, row in enumerate(input_ids)]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
        width = max(map(len, ids))
        tail = torch.tensor([row + [self.tokenizer.pad_token_id] * (width - len(row)) for row in ids])
        return torch.cat([input_ids, tail], dim=1)

    def _next(self, number: int, seen: str) -> str:
        if "Submitted." in seen:
            return "Done.<|im_end|>"
        fixes = number == 0 and FIX not in seen
        call = {"name": "bash", "arguments": {"command": FIX}} if fixes else {"name": "submit", "arguments": {}}
        return f"<tool_call>\n{json.dumps(call)}\n</tool_call><|im_end|>"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and the marks of Qwen's chat template, which TRL knows."""
    marks = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_call>", "<think>", "</think>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.add_special_tokens(marks[:3])
    plain.add_tokens(marks[3:])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = qwen3_chat_template
    return tokenizer


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*")  # TRL uses names that transformers deprecates
def test_a_step_of_grpo(
    graded_pool: Pool, store: EnvironmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    env = SWEEnv(pool=graded_pool, store=store, tasks=["tiny-total"])
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = Scripted(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=16384,
        )
    )
    model.tokenizer = tokenizer
    before = model.lm_head.weight.detach().clone()
    trainer = GRPOTrainer(
        model=model,
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            num_generations=2,
            per_device_train_batch_size=2,
            max_completion_length=4000,
            learning_rate=0.1,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to=[],
            logging_steps=1,
            save_strategy="no",
        ),
        train_dataset=Dataset.from_list(dataset_rows(env)),
        processing_class=tokenizer,
        environment_factory=environment_class(env),
    )
    assert {tool.__name__ for tool in trainer.tools} == {"bash", "edit", "search", "submit"}
    trainer.train()
    logged = next(row for row in trainer.state.log_history if "reward" in row)
    assert logged["rewards/SWE/mean"] == 0.5
    assert logged["tools/call_frequency"] == 1.5
    assert logged["tools/failure_frequency"] == 0
    assert not torch.equal(before, model.lm_head.weight)
