"""The training losses that were compared; which one trains the network that ships is in the model card.

The truth is finer than the network's output (640 against 320 pixels). The logits are brought to its
size by the same bilinear resize that the evaluation uses, so that the network is rewarded for what
is scored: edges between its own pixels.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# Scalar loss of logits [N, 1, h, w] against truths [N, 1, H, W], 0 to 1.
Loss = Callable[[Tensor, Tensor], Tensor]


def vessel_loss(logit: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy and a Dice term."""
    logit = at_size_of(truth, logit)
    return F.binary_cross_entropy_with_logits(logit, truth) + DICE_WEIGHT * dice_loss(logit.sigmoid(), truth)


def centreline_loss(logit: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy and a Dice term, three tenths of which asks for the vessels' centre lines (clDice)."""
    logit = at_size_of(truth, logit)
    probability = logit.sigmoid()
    drawn, wanted = soft_skeleton(probability), soft_skeleton(truth)
    precision = ((drawn * truth).sum() + 1) / (drawn.sum() + 1)
    sensitivity = ((wanted * probability).sum() + 1) / (wanted.sum() + 1)
    centreline = 1 - 2 * precision * sensitivity / (precision + sensitivity)
    overlap = 0.7 * dice_loss(probability, truth) + 0.3 * centreline
    return F.binary_cross_entropy_with_logits(logit, truth) + 2 * DICE_WEIGHT * overlap


def structure_loss(logit: Tensor, truth: Tensor) -> Tensor:
    """PraNet's structure loss as published: cross-entropy and intersection over union, both weighted up to
    sixfold where the neighbourhood of 31 x 31 pixels differs from the pixel."""
    logit = at_size_of(truth, logit)
    weight = structure_weight(truth)
    entropy = F.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    entropy = (weight * entropy).sum((2, 3)) / weight.sum((2, 3))
    return (entropy + weighted_union_loss(logit.sigmoid(), truth, weight)).mean()


def structure_loss_as_coded(logit: Tensor, truth: Tensor) -> Tensor:
    """The same as its authors' program computes it: an old argument turns the weighted cross-entropy into
    the plain mean, and only the union term is weighted."""
    logit = at_size_of(truth, logit)
    union = weighted_union_loss(logit.sigmoid(), truth, structure_weight(truth)).mean()
    return F.binary_cross_entropy_with_logits(logit, truth) + union


def at_size_of(truth: Tensor, logit: Tensor) -> Tensor:
    return F.interpolate(logit.float(), truth.shape[2:], mode="bilinear", align_corners=False)


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """``1 - Dice``, pooled over the batch as the evaluation pools over images."""
    overlap = (probability * truth).sum()
    return 1 - (2 * overlap + 1) / (probability.sum() + truth.sum() + 1)


def structure_weight(truth: Tensor) -> Tensor:
    """1 to 6; the zeros round the picture count in the mean, as published."""
    return 1 + 5 * (F.avg_pool2d(truth, 31, stride=1, padding=15) - truth).abs()


def weighted_union_loss(probability: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """``[N, 1]``: one less the intersection over the union, pixels counted by weight."""
    intersection = (weight * probability * truth).sum((2, 3))
    union = (weight * (probability + truth)).sum((2, 3)) - intersection
    return 1 - (intersection + 1) / (union + 1)


def soft_skeleton(x: Tensor, rounds: int = 5) -> Tensor:
    """What opening takes away while ``x`` is eroded, 0 to 1: centre lines of what is up to ten pixels wide.

    Shit et al., "clDice", CVPR 2021.
    """
    skeleton = F.relu(x - opened(x))
    for _ in range(rounds):
        x = eroded(x)
        line = F.relu(x - opened(x))
        skeleton = skeleton + F.relu(line - skeleton * line)
    return skeleton


def eroded(x: Tensor) -> Tensor:
    return -torch.maximum(F.max_pool2d(-x, (3, 1), 1, (1, 0)), F.max_pool2d(-x, (1, 3), 1, (0, 1)))


def opened(x: Tensor) -> Tensor:
    return F.max_pool2d(eroded(x), 3, 1, 1)


# Vessels are 7 % of the frame. Cross-entropy alone ends at thin, hesitant vessels; a fifth of a Dice term
# is enough to bring the best threshold near 0.5, more of it moves it past.
DICE_WEIGHT = 0.2

LOSSES: dict[str, Loss] = {
    "vessel": vessel_loss,
    "centreline": centreline_loss,
    "structure": structure_loss,
    "structure-as-coded": structure_loss_as_coded,
}
