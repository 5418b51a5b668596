"""A key-value cache of slots, one an episode, each filled to its own length and kept from turn to turn.

Axes: S slots, H key-value heads, P positions, D head size, B rows of one forward pass, Q queries of one pass.

Rows of one batch differ in length without padding on the left: a token is stored at its own position in its row's slot,
and a query sees the positions up to its own. A later prompt that starts with what a slot already holds skips that part.
The last position is scratch: padding of a short row is written there, and nothing reads it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One attention layer's keys and values in all slots."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, slots: int, positions: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots, self.capacity = slots, positions
        self.positions_B_Q = torch.empty(0, dtype=torch.long)
        self.upto = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate the slots once the first keys tell heads, sizes, type and device."""
        for name, states in (("keys", key_states), ("values", value_states)):
            shape = (self.slots, states.shape[1], self.capacity, states.shape[3])
            setattr(self, name, torch.zeros(shape, dtype=states.dtype, device=states.device))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Store keys and values at ``positions_B_Q`` of the first B slots; return those slots up to ``upto``."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        count = key_states.shape[0]
        rows_B_1 = torch.arange(count, device=key_states.device)[:, None]
        self.keys[rows_B_1, :, self.positions_B_Q] = key_states.transpose(1, 2)
        self.values[rows_B_1, :, self.positions_B_Q] = value_states.transpose(1, 2)
        return self.keys[:count, :, : self.upto], self.values[:count, :, : self.upto]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a query may see, and the offset of the first; the mask itself is given by the caller."""
        return self.upto, 0

    def get_seq_length(self) -> int:
        """Tokens seen: rows differ, so the caller gives positions itself and this is not used."""
        return 0

    def get_max_length(self) -> int:
        """Positions of a slot."""
        return self.capacity


class KVSlots:
    """The slots of all layers, and which tokens each slot holds."""

    def __init__(self, config: PretrainedConfig, *, slots: int, positions: int) -> None:
        self.capacity = positions + 1
        self.layers = [SlotLayer(slots, self.capacity) for _ in range(config.num_hidden_layers)]
        self.cache = Cache(layers=[*self.layers])
        self.held: list[list[int]] = [[] for _ in range(slots)]

    def clear(self) -> None:
        """Forget all: the weights have changed."""
        self.held = [[] for _ in self.held]

    def assign(self, prompts: Sequence[Sequence[int]]) -> None:
        """Bring to row i a slot that holds as much of the beginning of prompt i as any free slot does.

        Afterwards ``held[i]`` is that beginning, always shorter than the prompt, so that there is a token left to run.
        """
        free = list(range(len(self.held)))
        order = []
        for prompt in prompts:
            best = max(free, key=lambda slot: (_shared(self.held[slot], prompt), -len(self.held[slot]), -slot))
            free.remove(best)
            order.append(best)
        self.reorder(order + free)
        for row, prompt in enumerate(prompts):
            del self.held[row][min(_shared(self.held[row], prompt), len(prompt) - 1) :]

    def reorder(self, order: Sequence[int]) -> None:
        """Put slot ``order[i]`` in place i; ``order`` is a permutation of all slots."""
        moved = [place for place, slot in enumerate(order) if place != slot]
        if not moved:
            return
        sources = [order[place] for place in moved]
        upto = max(len(self.held[slot]) for slot in sources)
        for layer in self.layers:
            if layer.is_initialized:
                for states in (layer.keys, layer.values):
                    states[moved, :, :upto] = states[sources, :, :upto]
        self.held = [self.held[slot] for slot in order]

    def copy(self, source: int, target: int) -> None:
        """Make slot ``target`` hold what ``source`` holds."""
        length = len(self.held[source])
        for layer in self.layers:
            for states in (layer.keys, layer.values):
                states[target, :, :length] = states[source, :, :length]
        self.held[target] = list(self.held[source])

    def place(self, positions_B_Q: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Tell the layers where the next pass's tokens go; return its additive attention mask_B_1_Q_K."""
        upto = int(positions_B_Q.where(positions_B_Q < self.capacity - 1, 0).max()) + 1
        for layer in self.layers:
            layer.positions_B_Q, layer.upto = positions_B_Q, upto
        hidden_B_Q_K = torch.arange(upto, device=positions_B_Q.device) > positions_B_Q[:, :, None]
        mask_B_Q_K = torch.zeros(hidden_B_Q_K.shape, dtype=dtype, device=positions_B_Q.device)
        return mask_B_Q_K.masked_fill_(hidden_B_Q_K, torch.finfo(dtype).min)[:, None]


def _shared(held: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common beginning."""
    length = min(len(held), len(prompt))
    if list(held[:length]) == list(prompt[:length]):
        return length
    return next(place for place in range(length) if held[place] != prompt[place])
