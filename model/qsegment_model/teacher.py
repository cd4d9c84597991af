"""Learning from another network beside the drawn truth.

The truth is hard where the drawing is not: an observer's line is half a pixel to either side, and faint
vessels are drawn or not by mood. What trained networks say, averaged over the eight mirrored and turned
forms of a picture, is a smoother thing to learn from. Teachers see the training pictures alone.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .data import FRAME, Example, shrink, to_input
from .network import QSegment, as_map


def taught(example: Example, teachers: list[QSegment], share: float) -> Example:
    """The example with a truth that is ``share`` the teachers' probability, and the rest the drawing."""
    said = torch.stack([probability(teacher, example.picture) for teacher in teachers]).mean(0)
    mixed = share * said.numpy() * 255 + (1 - share) * example.truth
    return replace(example, truth=np.rint(mixed).astype(np.uint8))


def probability(network: QSegment, picture: np.ndarray) -> Tensor:
    """Mean of a network's probabilities over the eight symmetries of the square, float32 ``[960, 960]``."""
    x = to_input(shrink(picture, network.architecture.input_size))
    total = torch.zeros(1, 1, FRAME, FRAME)
    with torch.inference_mode():
        for turns in range(4):
            for mirrored in (False, True):
                seen = torch.rot90(x.flip(3) if mirrored else x, turns, (2, 3))
                said = torch.rot90(as_map(network(seen)).sigmoid(), -turns, (2, 3))
                said = said.flip(3) if mirrored else said
                total += F.interpolate(said, (FRAME, FRAME), mode="bilinear", align_corners=False)
    return total[0, 0] / 8
