"""The algorithms by name: each an advantage, a token loss and a reduction that belong together."""

from dataclasses import dataclass
from functools import partial

from rl_trainer.advantages import ESTIMATORS, Estimator
from rl_trainer.losses import TokenLoss, cispo, gspo, ppo_clip
from rl_trainer.reduction import Reduction


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """How a step's rewards become a loss."""

    estimator: Estimator
    loss: TokenLoss
    reduction: Reduction


ALGORITHMS: dict[str, Algorithm] = {
    "grpo": Algorithm(estimator=ESTIMATORS["grpo"], loss=ppo_clip, reduction="grpo"),
    "dr_grpo": Algorithm(estimator=ESTIMATORS["centred"], loss=ppo_clip, reduction="dr_grpo"),
    "rloo": Algorithm(estimator=ESTIMATORS["rloo"], loss=ppo_clip, reduction="dapo"),
    "dapo": Algorithm(
        estimator=ESTIMATORS["grpo"], loss=partial(ppo_clip, epsilon_high=0.28, dual_clip=3.0), reduction="dapo"
    ),
    "gspo": Algorithm(estimator=ESTIMATORS["grpo"], loss=gspo, reduction="grpo"),
    "cispo": Algorithm(estimator=ESTIMATORS["grpo"], loss=cispo, reduction="dapo"),
    "grpo_batch_std": Algorithm(estimator=ESTIMATORS["grpo_batch_std"], loss=ppo_clip, reduction="dapo"),
    "loo_std": Algorithm(estimator=ESTIMATORS["loo_std"], loss=ppo_clip, reduction="dapo"),
    "maxrl": Algorithm(estimator=ESTIMATORS["maxrl"], loss=ppo_clip, reduction="dapo"),
    "opo": Algorithm(estimator=ESTIMATORS["opo"], loss=ppo_clip, reduction="dapo"),
}
"""Each name is what ``[grpo] algorithm`` accepts."""
