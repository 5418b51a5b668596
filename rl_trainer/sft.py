"""Supervised warm start: imitation of demonstrations, loss on the assistant's tokens alone."""

import math
import random
from collections.abc import Callable, Sequence

import torch

from rl_trainer.batch import Row, pack
from rl_trainer.learner import Learner
from rl_trainer.losses import reinforce
from rl_trainer.reduction import row_weights
from rl_trainer.tokens import Trace

WARMUP = 0.05
"""Share of the steps over which the learning rate rises from 0."""

FINAL_RATE = 0.1
"""Share of the peak learning rate that the cosine ends at."""


def warm_start(
    learner: Learner,
    traces: Sequence[Trace],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    target_loss: float,
    token_budget: int,
    seed: int,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> list[float]:
    """Train on ``traces`` until ``epochs`` are done or an epoch's mean loss is at most ``target_loss``.

    Args:
        learner: trained in place.
        traces: demonstrations.
        epochs: the most passes over them.
        batch_size: traces of an optimiser step; its loss is the mean over their trained tokens.
        learning_rate: the peak.
        target_loss: nats a token; stopping early leaves the policy unsure, which reinforcement learning needs.
        token_budget: padded tokens of a micro-batch.
        seed: of the order of traces.
        on_epoch: called with the epoch's number, from 1, and its mean loss.

    Returns:
        The mean loss of each epoch, measured while it trained.
    """
    rng = random.Random(seed)
    order = list(traces)
    per_epoch = math.ceil(len(order) / batch_size)
    losses = []
    for epoch in range(epochs):
        rng.shuffle(order)
        total, tokens = 0.0, 0
        for number in range(per_epoch):
            some = order[number * batch_size : (number + 1) * batch_size]
            rate = _schedule((epoch * per_epoch + number) / (epochs * per_epoch))
            learner.set_learning_rate(rate * learning_rate)
            trained = sum(trace.trained for trace in some)
            stats = learner.step(pack(_rows(some), budget=token_budget), reinforce, temperature=1.0)
            total, tokens = total + stats.loss * trained, tokens + trained
        losses.append(total / tokens)
        on_epoch(epoch + 1, losses[-1])
        if losses[-1] <= target_loss:
            break
    return losses


def _rows(traces: Sequence[Trace]) -> list[Row]:
    lengths_B = torch.tensor([trace.trained for trace in traces])
    weights_B = row_weights("dapo", lengths_B=lengths_B, rollouts_B=torch.arange(len(traces)))
    return [Row(trace, advantage=1.0, weight=weight) for trace, weight in zip(traces, weights_B.tolist(), strict=True)]


def _schedule(done: float) -> float:
    """Factor of the peak learning rate when a share ``done`` of the steps is done: linear rise, cosine fall."""
    if done < WARMUP:
        return (done + 1e-3) / (WARMUP + 1e-3)
    fall = (done - WARMUP) / (1 - WARMUP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * fall))
