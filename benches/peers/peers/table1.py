"""Table I of Q-Segment (arXiv 2312.09854) in the reading that was measured first: 5,846 MAC per pixel.

::

    picture 3 -B1- 16 .pool. p1 -B2- 32 .pool. p2 -B3- 64 .pool. -B4(+)- 64
                             |                 |                        |
              3x3 -.up.-B7(+)+-.up.----B6------+-.up.-------B5----------+

    Bn    3x3 convolution, ReLU, 1x1 convolution, 3x3 depthwise convolution; (+) adds the block's input
    .up.  each pixel twice in both directions, AFTER the block

MAC per pixel of the picture, at the scale where each part runs::

    B1  (432 + 256 + 144)              832        B5  (18,432 + 1,024 + 288) / 64   308.5
    B2  (4,608 + 1,024 + 288) / 4    1,480        B6  (4,608 + 256 + 144) / 16      313
    B3  (18,432 + 4,096 + 576) / 16  1,444        B7  (2,304 + 256 + 144) / 4       676
    B4  (36,864 + 4,096 + 576) / 64    649        3x3 head to one channel           144
                                                  together                        5,846.5

It has no 1x1 projection skips. The sum leaves 144 for the head: a 3x3 convolution of 16 channels; with a 1x1 head
it would be 5,718.5. What is added from the encoder costs no MAC, so the number does not tell it: here the two pooled
tensors, which have the size and width of what they are added to, and nothing at full size, so that an engine may
stream rows there.

Weights are drawn with a fixed seed: time does not depend on them, and what an engine gets wrong shows as well.
Activation thresholds are the power of two above the largest value on a given picture.
"""

import numpy as np

from . import reference
from .network import Add, Conv, MaxPool, Network, Stored, Upsample

SEED = 0
WIDTHS = (16, 32, 64)


def make(picture: np.ndarray) -> Network:
    """The network, with thresholds from ``picture``, bytes ``[3, H, W]``."""
    a, b, c = WIDTHS
    build = Build(picture)
    p1 = build.pool(build.block("block1", "picture", 3, a))
    p2 = build.pool(build.block("block2", p1, a, b))
    p3 = build.pool(build.block("block3", p2, b, c))
    x = build.add("add4", build.block("block4", p3, c, c), p3)
    x = build.add("add5", build.up(build.block("block5", x, c, b)), p2)
    x = build.add("add6", build.up(build.block("block6", x, b, a)), p1)
    x = build.add("add7", build.block("block7", x, a, a), x)
    build.conv("output", build.up(x), a, 1, 3)
    return build.network


class Build:
    """Adds operators one by one and runs each, so that the next one's scale is known."""

    def __init__(self, picture: np.ndarray):
        self.random = np.random.default_rng(SEED)
        self.network = Network("table1", "picture", tensors={"picture": Stored(3, 1 / 256, False)})
        self.values = {"picture": picture}

    def block(self, name: str, x: str, inputs: int, outputs: int) -> str:
        x = self.conv(f"{name}_conv", x, inputs, outputs, 3, relu=True)
        x = self.conv(f"{name}_pointwise", x, outputs, outputs, 1)
        return self.conv(f"{name}_depthwise", x, outputs, outputs, 3, groups=outputs)

    def conv(
        self, name: str, x: str, inputs: int, outputs: int, kernel: int, groups: int = 1, relu: bool = False,
    ) -> str:
        fan_in = inputs // groups * kernel**2
        weights = self.random.normal(0, fan_in**-0.5, (outputs, inputs // groups, kernel, kernel))
        scales = (np.abs(weights).max((1, 2, 3)) / 127).astype(np.float32)
        stored = np.rint(weights / scales[:, None, None, None]).astype(np.int8)
        bias = self.random.normal(0, 0.1, outputs).astype(np.float32)
        return self.calibrated(Conv(
            input=x, output=name, weights=stored, scales=scales, bias=bias, stride=1, padding=kernel // 2,
            groups=groups, relu=relu,
        ))

    def add(self, name: str, a: str, b: str) -> str:
        return self.calibrated(Add((a, b), name))

    def calibrated(self, op: Conv | Add) -> str:
        y = reference.real(self.network, op, [self.values[name] for name in op.inputs])
        threshold = 2.0 ** np.ceil(np.log2(np.abs(y).max()))
        signed = not (isinstance(op, Conv) and op.relu)
        stored = Stored(len(y), threshold / (128 if signed else 256), signed)
        self.values[op.output] = reference.quantise(y, stored)
        return self.network.push(op, stored)

    def pool(self, x: str) -> str:
        return self.copied(MaxPool(x, x + "_pool"))

    def up(self, x: str) -> str:
        return self.copied(Upsample(x, x + "_up"))

    def copied(self, op: MaxPool | Upsample) -> str:
        self.values[op.output] = reference.run_op(self.network, op, [self.values[op.input]])
        return self.network.push(op, self.network.tensors[op.input])
