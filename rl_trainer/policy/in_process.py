"""A transformers model in this process as a policy: batched sampling over a cache that outlives the turn.

Axes: B rows, Q queries of one pass, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rl_trainer.forward import hidden_states, project
from rl_trainer.policy.base import Sample, Sampling, StopReason
from rl_trainer.policy.kv_slots import KVSlots
from rl_trainer.policy.token_choice import choose_tokens
from tasks.errors import BadInputError

PREFILL_CHUNK = 256
"""Prompt tokens a row in one pass: bounds the memory of the mask and of the activations."""

STOP_TEXT_WINDOW = 24
"""Last tokens of a sample that are decoded to look for a stop text."""


class TransformersPolicy:
    """Samples from ``model``, whose weights a trainer may change in place; it must then call ``weights_changed``."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, context: int, batch_size: int = 16
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.batch_size = batch_size
        self.version = 0
        self.sampled_tokens = 0
        self._context = context
        self._slots = KVSlots(model.config, slots=batch_size, positions=context)

    def weights_changed(self, version: int) -> None:
        """The weights were changed in place: cached keys and values are stale, samples carry the new version."""
        self.version = version
        self._slots.clear()

    async def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Sequence[Sample]:
        """One sample for each prompt; more prompts than ``batch_size`` run in several batches.

        Raises:
            BadInputError: a prompt is empty or leaves no room in the context.
        """
        limit = min(sampling.context, self._context)
        for prompt in prompts:
            if not 0 < len(prompt) < limit:
                raise BadInputError(f"a prompt has {len(prompt)} tokens; expected 1 to {limit - 1} (context {limit})")
        generator = torch.Generator(self.model.device).manual_seed(sampling.seed % 2**63)
        samples: list[Sample] = []
        for first in range(0, len(prompts), self.batch_size):
            samples += self._sample_batch(prompts[first : first + self.batch_size], sampling, generator)
        self.sampled_tokens += sum(len(sample.tokens) for sample in samples)
        return samples

    @torch.inference_mode()
    def _sample_batch(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, generator: torch.Generator
    ) -> list[Sample]:
        self.model.train(False)
        logits_B_V = self._prefill(prompts)
        drafts = [_Draft(len(prompt)) for prompt in prompts]
        active = list(drafts)
        while active:
            tokens_B, logprobs_B = choose_tokens(
                logits_B_V, temperature=sampling.temperature, top_p=sampling.top_p, generator=generator
            )
            for draft, token, logprob in zip(active, tokens_B.tolist(), logprobs_B.tolist(), strict=True):
                draft.tokens.append(token)
                draft.logprobs.append(logprob)
                draft.stop = self._stop(draft, sampling)
            if any(draft.stop for draft in active):
                active = self._close_ranks(active)
            if active:
                logits_B_V = self._run([[draft.tokens[-1]] for draft in active])
        return [
            Sample(tuple(draft.tokens), tuple(draft.logprobs), draft.stop or StopReason.END, self.version)
            for draft in drafts
        ]

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Run what the slots do not hold yet of each prompt; equal prompts run once and are copied."""
        first_of: dict[tuple[int, ...], int] = {}
        leaders = [first_of.setdefault(tuple(prompt), row) for row, prompt in enumerate(prompts)]
        unique = sorted(set(leaders))
        self._slots.assign([prompts[row] for row in unique])
        missing = [list(prompts[row][len(self._slots.held[place]) :]) for place, row in enumerate(unique)]
        logits_U_V = self._run(missing)
        places = [unique.index(leader) for leader in leaders]
        if len(unique) < len(prompts):
            self._spread(places, len(unique))
        return logits_U_V[places]

    def _spread(self, places: Sequence[int], filled: int) -> None:
        """Copy filled slots so that row i holds what slot ``places[i]`` holds."""
        spare = iter(range(filled, len(self._slots.held)))
        used: set[int] = set()
        order = []
        for place in places:
            slot = place
            if place in used:
                slot = next(spare)
                self._slots.copy(place, slot)
            used.add(place)
            order.append(slot)
        self._slots.reorder(order + [slot for slot in range(len(self._slots.held)) if slot not in set(order)])

    def _run(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Append ``rows[i]`` to slot i; the logits_B_V after each row's last token."""
        longest = max(len(row) for row in rows)
        starts = [len(self._slots.held[place]) for place in range(len(rows))]
        last: list[Tensor | None] = [None] * len(rows)
        for begin in range(0, longest, PREFILL_CHUNK):
            width = min(PREFILL_CHUNK, longest - begin)
            parts = [list(row[begin : begin + width]) for row in rows]
            scratch = self._slots.capacity - 1
            ids = [part + [0] * (width - len(part)) for part in parts]
            positions = [
                [start + begin + place if place < len(part) else scratch for place in range(width)]
                for start, part in zip(starts, parts, strict=True)
            ]
            ends = [len(part) - 1 for part in parts]
            logits_B_V = self._forward(torch.tensor(ids), torch.tensor(positions), torch.tensor(ends).clamp(min=0))
            for place, (row, part) in enumerate(zip(rows, parts, strict=True)):
                self._slots.held[place] += part
                if part and begin + len(part) == len(row):
                    last[place] = logits_B_V[place]
        return torch.stack([logits for logits in last if logits is not None])

    def _forward(self, ids_B_Q: Tensor, positions_B_Q: Tensor, ends_B: Tensor) -> Tensor:
        device = self.model.device
        positions_B_Q = positions_B_Q.to(device)
        hidden_B_Q_D = hidden_states(
            self.model,
            ids_B_Q.to(device),
            position_ids=positions_B_Q,
            attention_mask=self._slots.place(positions_B_Q, dtype=self.model.dtype),
            past_key_values=self._slots.cache,
            use_cache=True,
        )
        return project(self.model, hidden_B_Q_D[torch.arange(len(ends_B)), ends_B.to(device)])

    def _close_ranks(self, active: "list[_Draft]") -> "list[_Draft]":
        """Swap unfinished rows from the end into the places of finished ones, so that the unfinished come first."""
        order = list(range(len(self._slots.held)))
        going = sum(not draft.stop for draft in active)
        holes = [place for place in range(going) if active[place].stop]
        movers = [place for place in range(going, len(active)) if not active[place].stop]
        for hole, mover in zip(holes, movers, strict=True):
            order[hole], order[mover] = mover, hole
        self._slots.reorder(order)
        return [active[place] for place in order[:going]]

    def _stop(self, draft: "_Draft", sampling: Sampling) -> StopReason | None:
        if draft.tokens[-1] in sampling.stop_tokens:
            return StopReason.END
        if sampling.stop_texts:
            tail = self.tokenizer.decode(draft.tokens[-STOP_TEXT_WINDOW:])
            if any(text in tail for text in sampling.stop_texts):
                return StopReason.STOP_TEXT
        if len(draft.tokens) >= sampling.max_tokens:
            return StopReason.MAX_TOKENS
        if draft.prompt_length + len(draft.tokens) >= min(sampling.context, self._context):
            return StopReason.CONTEXT
        return None


class _Draft:
    """A sample while it is being written."""

    def __init__(self, prompt_length: int) -> None:
        self.prompt_length = prompt_length
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.stop: StopReason | None = None
