"""Token losses against published values; masked tokens have no influence whatever stands there."""

from functools import partial

import pytest
import torch
from torch import Tensor

from rl_trainer.losses import TokenLoss, cispo, gspo, k3, ppo_clip, reinforce

ADVANTAGES = torch.tensor([[1.0, -1, 2]])
LOGPROBS = torch.tensor([[-1.69315, -1, -0.59453]])
OLD = torch.full((1, 3), -1.0)
ALL = torch.ones(1, 3, dtype=torch.bool)
GSPO_WIDE = partial(gspo, epsilon_low=0.2, epsilon_high=0.2)
CISPO_BAND = partial(cispo, ratio_low=0.8, ratio_high=1.2)

EVERY_LOSS = {
    "reinforce": reinforce,
    "ppo_clip": ppo_clip,
    "dual_clip": partial(ppo_clip, dual_clip=3.0),
    "gspo": gspo,
    "cispo": cispo,
}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (ppo_clip, -0.6333),
        (GSPO_WIDE, -0.6057),
        (partial(ppo_clip, epsilon_high=0.28), -0.68667),
        (CISPO_BAND, 0.59380),
        (cispo, 0.54339),
    ],
    ids=["ppo", "gspo", "clip_higher", "cispo_band", "cispo_cap"],
)
def test_golden_mean(loss: TokenLoss, expected: float) -> None:
    assert loss(LOGPROBS, OLD, ADVANTAGES, ALL).mean().item() == pytest.approx(expected, abs=1e-4)


def test_golden_gspo_of_a_batch_of_two() -> None:
    old = torch.cat([OLD, OLD - 1])
    found = GSPO_WIDE(LOGPROBS.expand(2, 3), old, ADVANTAGES.expand(2, 3), ALL.expand(2, 3))
    assert found.mean().item() == pytest.approx(-0.4912, abs=1e-4)


def test_gspo_takes_one_advantage_a_row() -> None:
    found = GSPO_WIDE(LOGPROBS, OLD, torch.tensor([[2.0]]), ALL)
    assert found.tolist()[0] == pytest.approx([-2 * 0.9086] * 3, abs=1e-4)


def test_golden_reinforce() -> None:
    found = reinforce(torch.tensor([[-0.5, -1, -1.5]]), OLD, ADVANTAGES, ALL)
    assert found.mean().item() == pytest.approx(0.8333, abs=1e-4)


def test_golden_dual_clip_and_cispo_of_the_same_data() -> None:
    advantages, old = torch.tensor([[1.0, -1, -4]]), torch.tensor([[-1.0, -1, -3]])
    logprobs = torch.tensor([[-1.69315, -1, -0.69741]])
    assert ppo_clip(logprobs, old, advantages, ALL, dual_clip=3.0).sum().item() == pytest.approx(12.5, abs=1e-4)
    assert ppo_clip(logprobs, old, advantages, ALL, dual_clip=3.0).mean().item() == pytest.approx(4.1667, abs=1e-4)
    assert CISPO_BAND(logprobs, old, advantages, ALL).sum().item() == pytest.approx(-2.9930, abs=1e-4)


def test_golden_dual_clip_of_slime() -> None:
    log_ratio = torch.tensor([[2.0, 2.0, 0.5]]).log()
    found = ppo_clip(log_ratio, torch.zeros(1, 3), torch.tensor([[2.0, -2, 2]]), ALL, dual_clip=1.5)
    assert found.tolist()[0] == pytest.approx([-2.4, 3, -1], abs=1e-4)


def test_golden_cispo_ratios_of_slime() -> None:
    logprobs = torch.full((1, 4), -1.0)
    old = logprobs - torch.tensor([[1.0, 3, 9, 0.4]]).log()
    found = cispo(logprobs, old, torch.ones(1, 4), torch.ones(1, 4, dtype=torch.bool))
    assert found.tolist()[0] == pytest.approx([1, 3, 5, 0.4], abs=1e-4)


def test_golden_k3() -> None:
    assert k3(LOGPROBS, OLD, ALL).mean().item() == pytest.approx(0.12633, abs=1e-4)


def test_k3_is_zero_at_the_reference_and_positive_elsewhere() -> None:
    assert k3(LOGPROBS, LOGPROBS, ALL).abs().max().item() == 0
    assert (k3(LOGPROBS, OLD, ALL)[LOGPROBS != OLD] > 0).all()


@pytest.mark.parametrize("name", EVERY_LOSS)
@pytest.mark.parametrize("poison", [0.0, -1e4, float("-inf"), float("nan")])
def test_masked_tokens_have_zero_loss_and_zero_gradient(name: str, poison: float) -> None:
    mask = torch.tensor([[True, False, True]])
    logprobs = torch.where(mask, LOGPROBS, torch.tensor(poison)).requires_grad_()
    losses = EVERY_LOSS[name](logprobs, OLD, ADVANTAGES[:, :1], mask)
    losses.sum().backward()
    assert losses[0, 1].item() == 0
    assert logprobs.grad is not None
    assert logprobs.grad[0, 1].item() == 0
    assert torch.isfinite(logprobs.grad).all()
    assert logprobs.grad[mask].abs().max() > 0


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_a_zero_advantage_gives_zero_loss_and_gradient(name: str) -> None:
    logprobs = LOGPROBS.clone().requires_grad_()
    losses = EVERY_LOSS[name](logprobs, OLD, torch.zeros(1, 1), ALL)
    losses.sum().backward()
    assert losses.abs().max().item() == 0
    assert logprobs.grad is not None
    assert logprobs.grad.abs().max().item() == 0


@pytest.mark.parametrize("name", ["ppo_clip", "dual_clip", "gspo", "cispo"])
def test_on_policy_the_gradient_is_that_of_reinforce(name: str) -> None:
    """At ratio 1 nothing is clipped, so every loss pushes the sum of log-probabilities alike (a row's, for GSPO)."""
    assert gradient(EVERY_LOSS[name]).tolist() == pytest.approx(gradient(reinforce).tolist(), abs=1e-6)


def gradient(loss: TokenLoss) -> Tensor:
    logprobs = LOGPROBS.clone().requires_grad_()
    loss(logprobs, LOGPROBS, torch.tensor([[1.5]]), ALL).sum().backward()
    assert logprobs.grad is not None
    return logprobs.grad[0]


def test_past_the_clip_no_gradient_is_left() -> None:
    logprobs = torch.tensor([[-0.5, -1.5]]).requires_grad_()
    ppo_clip(logprobs, torch.full((1, 2), -1.0), torch.tensor([[1.0, -1.0]]), ALL[:, :2]).sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[0.0, 0.0]]
