"""The training loss: binary cross-entropy plus a soft Dice term.

The truth is finer than the network's output (576 against 320 pixels). The logits are brought to its
size by the same bilinear resize that the evaluation uses, so that the network is rewarded for what
is scored: edges between its own pixels.
"""

from torch import Tensor
from torch.nn import functional as F

# Vessels are 7 % of the frame. Cross-entropy alone ends at thin, hesitant vessels; half a Dice term
# is enough to bring the best threshold to 0.5.
DICE_WEIGHT = 0.5


def vessel_loss(logit: Tensor, truth: Tensor) -> Tensor:
    """Scalar loss of logits ``[N, 1, h, w]`` against truths ``[N, 1, H, W]``, 0 to 1."""
    logit = F.interpolate(logit.float(), truth.shape[2:], mode="bilinear", align_corners=False)
    return F.binary_cross_entropy_with_logits(logit, truth) + DICE_WEIGHT * dice_loss(logit.sigmoid(), truth)


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """``1 - Dice``, pooled over the batch as the evaluation pools over images."""
    overlap = (probability * truth).sum()
    return 1 - (2 * overlap + 1) / (probability.sum() + truth.sum() + 1)
