"""The vessel network: Q-Segment's encoder and decoder of seven blocks, in the forms that were tried.

::

    picture 3 --B1-- 16 ------------------------------- + --B7-- 16 --1x1-- 1
              halves pool                              up
                      B2-- 32 ----------------- + --B6-- 16
                           pool                up
                            B3-- 64 --- + --B5-- 32
                                 pool  up
                                  B4-- 64

What differs from the published network (arXiv 2312.09854), and why:

* Unpooling is a nearest-neighbour upsample. The sensor's converter has no unpooling with indices.
* Block 7 has no identity skip. With it three 16-channel tensors of full size live at once.
* The first convolution may halve the picture (``stem``). The picture's 640 x 640 then cost the sensor
  1.2 MB and not three times its memory, and thin vessels are seen before they are averaged away.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """What tells one network from another. ``input_size`` is the side of the picture in pixels."""

    input_size: int
    # Kernel and stride of the first convolution. Stride 2: everything inside has half the picture's size.
    stem: tuple[int, int] = (4, 2)
    # Channels at full, half and quarter size.
    widths: tuple[int, int, int] = (16, 32, 64)
    # Of block 7: "full", "separable" (its 3x3 convolution is 1x1), and whether its input is added to its output.
    last: str = "full"
    last_skip: bool = False
    # "nearest", "bilinear" or "transposed" (2x2 transposed convolution).
    upsampling: str = "nearest"
    # 2: the head makes four values a pixel, which a 2x2 transposed convolution lays out at twice the size.
    output_factor: int = 1
    # 4: they stay side by side, one plane each (see ``as_map``), since the sensor has no memory for a picture of 640.
    output_planes: int = 1

    @property
    def size_multiple(self) -> int:
        """Three poolings halve the inside three times; other sizes would not come back to their own."""
        return 8 * self.stem[1]

    @property
    def inner_size(self) -> int:
        return self.input_size // self.stem[1]

    @property
    def output_size(self) -> int:
        return self.inner_size * self.output_factor * math.isqrt(self.output_planes)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        fields = json.loads(text)
        return cls(**fields | {"stem": tuple(fields["stem"]), "widths": tuple(fields["widths"])})


class Block(nn.Module):
    """conv, batch norm, ReLU, 1x1 conv, 3x3 depthwise conv, and a skip around all of it.

    Maps ``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``. ``skip`` is ``"none"``,
    ``"identity"`` or ``"projection"`` (1x1 conv, for blocks that change the width). With a kernel of 1
    the second 1x1 conv would only repeat the first, and is left out.
    """

    def __init__(self, inputs: int, outputs: int, skip: str, kernel: int = 3, stride: int = 1):
        super().__init__()
        padding = (kernel - stride + 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.pointwise = nn.Conv2d(outputs, outputs, 1, bias=False) if kernel > 1 else nn.Identity()
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
    """Vessel network: ``[N, 3, H, W]`` RGB, ``byte / 256``, to ``[N, 1, h, w]``.

    ``output`` is ``"logit"`` (any sign) or ``"probability"`` (0 to 1, a sigmoid inside the network).
    Training always uses logits. H and W are multiples of ``architecture.size_multiple``; h and w are
    theirs divided by the stem's stride and multiplied by the output's factor.
    """

    def __init__(self, architecture: Architecture, output: str = "logit"):
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output: got {output!r}, want one of {OUTPUTS}")
        if architecture.last not in ("full", "separable"):
            raise ValueError(f"last: got {architecture.last!r}, want 'full' or 'separable'")
        self.architecture = architecture
        self.output = output
        a, b, c = architecture.widths
        self.block1 = Block(3, a, "none", *architecture.stem)
        self.block2 = Block(a, b, "projection")
        self.block3 = Block(b, c, "projection")
        self.block4 = Block(c, c, "identity")
        self.block5 = Block(c, b, "projection")
        self.block6 = Block(b, a, "projection")
        last_kernel = 3 if architecture.last == "full" else 1
        self.block7 = Block(a, a, "identity" if architecture.last_skip else "none", last_kernel)
        self.up4, self.up5, self.up6 = (Upsample(width, architecture.upsampling) for width in (c, b, a))
        planes = architecture.output_planes
        self.head = nn.ConvTranspose2d(a, 1, 2, 2) if architecture.output_factor == 2 else nn.Conv2d(a, planes, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.block1(x)
        e2 = self.block2(F.max_pool2d(e1, 2))
        e3 = self.block3(F.max_pool2d(e2, 2))
        d3 = self.up4(self.block4(F.max_pool2d(e3, 2))) + e3
        d2 = self.up5(self.block5(d3)) + e2
        d1 = self.up6(self.block6(d2)) + e1
        logit = self.head(self.block7(d1))
        return torch.sigmoid(logit) if self.output == "probability" else logit

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def macs(self) -> int:
        """Multiply-accumulates of one picture of ``architecture.input_size``, as the convolutions do them."""
        size, total, hooks = self.architecture.input_size, 0, []

        def count(layer: nn.Module, _inputs: tuple, made: Tensor) -> None:
            nonlocal total
            # A transposed 2x2 convolution of stride 2 makes each output pixel from one input pixel.
            taps = 1 if isinstance(layer, nn.ConvTranspose2d) else layer.kernel_size[0] * layer.kernel_size[1]
            total += made[0].numel() * taps * layer.in_channels // layer.groups

        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                hooks.append(layer.register_forward_hook(count))
        with torch.inference_mode():
            self(torch.zeros(1, 3, size, size))
        for hook in hooks:
            hook.remove()
        return total


def as_map(output: Tensor) -> Tensor:
    """``[N, f * f, h, w]`` to ``[N, 1, f * h, f * w]``: plane ``f * i + j`` holds row ``i``, column ``j`` of every f x f."""
    return F.pixel_shuffle(output, math.isqrt(output.shape[1]))


class Upsample(nn.Module):
    """``[N, C, H, W]`` to ``[N, C, 2H, 2W]``."""

    def __init__(self, width: int, kind: str):
        super().__init__()
        if kind not in ("nearest", "bilinear", "transposed"):
            raise ValueError(f"upsampling: got {kind!r}, want 'nearest', 'bilinear' or 'transposed'")
        self.kind = kind
        if kind == "transposed":
            self.conv = nn.ConvTranspose2d(width, width, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "transposed":
            return self.conv(x)
        return F.interpolate(x, scale_factor=2, mode=self.kind)


OUTPUTS = ("logit", "probability")
