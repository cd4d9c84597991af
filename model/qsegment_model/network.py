"""The Q-Segment network as it ships: an encoder and decoder of seven blocks, 104,465 parameters.

::

    picture 3 --B1-- 16 ------------------------------- + --B7-- 16 --1x1-- 1
                     pool                              up
                      B2-- 32 ----------------- + --B6-- 16
                           pool                up
                            B3-- 64 --- + --B5-- 32
                                 pool  up
                                  B4-- 64

Two things differ from the published network (arXiv 2312.09854) so that it runs in the sensor:

* Unpooling is a nearest-neighbour upsample. The sensor's converter has no unpooling with indices.
* Block 7 has no identity skip. With it three 16-channel tensors of full size live at once, and at
  320 x 320 the network needs 123 % of the sensor's memory.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PARAMETERS = 104_465

# Three poolings halve the picture three times; other sizes would not come back to their own size.
SIZE_MULTIPLE = 8


class Block(nn.Module):
    """3x3 conv, batch norm, ReLU, 1x1 conv, 3x3 depthwise conv, and a skip around all of it.

    Maps ``[N, inputs, H, W]`` to ``[N, outputs, H, W]``. ``skip`` is ``"none"``, ``"identity"`` or
    ``"projection"`` (1x1 conv, for blocks that change the width).
    """

    def __init__(self, inputs: int, outputs: int, skip: str):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.pointwise = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False)
        self.skip = skip
        if skip == "projection":
            self.projection = nn.Conv2d(inputs, outputs, 1, bias=False)
        elif skip not in ("none", "identity"):
            raise ValueError(f"skip: got {skip!r}, want 'none', 'identity' or 'projection'")

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.pointwise(F.relu(self.norm(self.conv(x)))))
        if self.skip == "projection":
            return y + self.projection(x)
        if self.skip == "identity":
            return y + x
        return y


class QSegment(nn.Module):
    """Vessel network: ``[N, 3, H, W]`` RGB, ``byte / 256``, to ``[N, 1, H, W]``.

    ``output`` is ``"logit"`` (any sign) or ``"probability"`` (0 to 1, a sigmoid inside the network).
    Training always uses logits. H and W are multiples of 8.
    """

    def __init__(self, output: str = "logit"):
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output: got {output!r}, want one of {OUTPUTS}")
        self.output = output
        self.block1 = Block(3, 16, "none")
        self.block2 = Block(16, 32, "projection")
        self.block3 = Block(32, 64, "projection")
        self.block4 = Block(64, 64, "identity")
        self.block5 = Block(64, 32, "projection")
        self.block6 = Block(32, 16, "projection")
        self.block7 = Block(16, 16, "none")
        self.head = nn.Conv2d(16, 1, 1)

        counted = sum(p.numel() for p in self.parameters())
        assert counted == PARAMETERS, f"parameters: got {counted}, want {PARAMETERS}"

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.block1(x)
        e2 = self.block2(F.max_pool2d(e1, 2))
        e3 = self.block3(F.max_pool2d(e2, 2))
        d3 = upsample(self.block4(F.max_pool2d(e3, 2))) + e3
        d2 = upsample(self.block5(d3)) + e2
        d1 = upsample(self.block6(d2)) + e1
        logit = self.head(self.block7(d1))
        return torch.sigmoid(logit) if self.output == "probability" else logit


def upsample(x: Tensor) -> Tensor:
    """``[N, C, H, W]`` to ``[N, C, 2H, 2W]``; every pixel becomes four."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


OUTPUTS = ("logit", "probability")
