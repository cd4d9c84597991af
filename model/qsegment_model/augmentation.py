"""What the network sees while it is trained: pieces of pictures, turned, bent and recoloured.

A piece is a square of ``piece`` pixels inside the network, which is a quarter of the picture at the
usual 160 of 320. Pieces lie where there is something to see; whole pictures spend a third of the work on
the black surround. In equal time pieces reach a validation Dice of 0.761 where whole
pictures reach 0.731 (model card, "Choices").
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import FRAME, Example, shrink, to_input
from .network import Architecture


class Pieces:
    """Draws batches for ``architecture``; the same seed draws the same batches.

    Picture and truth are drawn together at twice the inside's size. That is the input's size where the
    stem halves it; else the picture is averaged 2 x 2, so that thin vessels are blurred as the area
    resize blurs them and not aliased.
    """

    def __init__(self, examples: list[Example], architecture: Architecture, piece: int, seed: int):
        if piece % 8:
            raise SystemExit(f"--piece {piece}: want a multiple of 8")
        self.architecture = architecture
        self.piece = min(piece, architecture.inner_size)
        self.random = torch.Generator().manual_seed(seed)
        # Sampled bilinearly, a picture of more than twice the pixels would be aliased.
        size = min(FRAME, architecture.inner_size * 3)
        self.sources = [with_truth(example, size) for example in examples]
        # Noise is drawn once; drawing it anew costs more than the sampling.
        self.noise = torch.randn(1 << 23, generator=self.random)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs ``[count, 3, s, s]`` and truths ``[count, 1, 2 * piece, 2 * piece]``, all 0 to 1."""
        grid = sampling_grid(self.affine(count), 2 * self.piece) + self.bend(count)
        chosen = torch.randint(len(self.sources), (count,), generator=self.random)
        pictures, truths = sample(self.sources, chosen, grid)
        if self.architecture.stem[1] == 1:
            pictures = F.avg_pool2d(pictures, 2)
        return self.recolour(pictures), truths

    def affine(self, count: int) -> Tensor:
        """``[count, 2, 3]`` maps from the piece to the picture, both -1 to 1."""
        part = self.piece / self.architecture.inner_size
        angle = self.uniform(count, 0, 2 * math.pi)
        scale = self.log_uniform(count, *SCALE)
        aspect = self.log_uniform(count, *ASPECT)
        mirror = torch.where(self.uniform(count, 0, 1) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle) * part / scale, torch.sin(angle) * part / scale
        linear = torch.stack([cos * mirror * aspect, -sin / aspect, sin * mirror * aspect, cos / aspect], 1)
        # Centres are even over a disc from which a piece hardly leaves the field of view.
        reach = max(0.05, 0.92 - 0.85 * part)
        distance, direction = self.uniform(count, 0, 1).sqrt() * reach, self.uniform(count, 0, 2 * math.pi)
        centre = torch.stack([distance * torch.cos(direction), distance * torch.sin(direction)], 1)
        return torch.cat([linear.reshape(count, 2, 2), centre[:, :, None]], 2)

    def bend(self, count: int) -> Tensor:
        """``[count, s, s, 2]`` added to the places to sample: slow waves of a pixel or three."""
        knots = max(3, round(8 * self.piece / self.architecture.inner_size) + 1)
        bends = torch.randn(count, 2, knots, knots, generator=self.random) * BEND
        side = 2 * self.piece
        return F.interpolate(bends, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)

    def recolour(self, x: Tensor) -> Tensor:
        """Gamma, brightness of the picture and of each channel, contrast, uneven light, and a little noise."""
        n = len(x)
        gamma = self.log_uniform(n, 0.65, 1.55).reshape(n, 1, 1, 1)
        gain = self.log_uniform(n, 0.7, 1.45).reshape(n, 1, 1, 1)
        channel = self.log_uniform(3 * n, 0.75, 1.33).reshape(n, 3, 1, 1)
        contrast = self.uniform(n, 0.8, 1.25).reshape(n, 1, 1, 1)
        lit = x > 0.05
        mean = (x * lit).sum((2, 3), keepdim=True) / lit.sum((2, 3), keepdim=True).clamp(min=1)
        # The dark surround stays dark: contrast turns about the mean of the disc, and only there.
        x = torch.where(lit, (x - mean) * contrast + mean, x).clamp(0, 1)
        light = torch.randn(n, 1, 3, 3, generator=self.random) * UNEVEN_LIGHT
        light = F.interpolate(light, x.shape[2:], mode="bicubic", align_corners=True).exp()
        x = x**gamma * (gain * channel) * light
        start = int(torch.randint(self.noise.numel() - x.numel(), (1,), generator=self.random))
        noise = self.noise[start : start + x.numel()].reshape(x.shape)
        return (x + noise * self.uniform(n, 0, 0.02).reshape(n, 1, 1, 1)).clamp(0, 255 / 256)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=self.random)

    def log_uniform(self, count: int, low: float, high: float) -> Tensor:
        return torch.exp(self.uniform(count, math.log(low), math.log(high)))


class PaperPictures:
    """The publication's augmentation: whole pictures, mirrored both ways, turned by at most a degree,
    brightness by a factor of 0.8 to 1.2. Its pixels are 0 to 1; ours are ``byte / 256``, so that the
    quantised input is the byte.
    """

    def __init__(self, examples: list[Example], architecture: Architecture, seed: int):
        self.architecture = architecture
        self.random = torch.Generator().manual_seed(seed)
        size = architecture.inner_size * 2
        self.sources = [with_truth(example, size) for example in examples]

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs ``[count, 3, s, s]`` and truths ``[count, 1, 2 * inner, 2 * inner]``, all 0 to 1."""
        angle = (torch.rand(count, generator=self.random) * 2 - 1) * math.radians(1)
        mirror = torch.where(torch.rand(count, 2, generator=self.random) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle), torch.sin(angle)
        linear = torch.stack([cos * mirror[:, 0], -sin * mirror[:, 1], sin * mirror[:, 0], cos * mirror[:, 1]], 1)
        affine = torch.cat([linear.reshape(count, 2, 2), torch.zeros(count, 2, 1)], 2)
        grid = sampling_grid(affine, self.architecture.inner_size * 2)
        chosen = torch.randint(len(self.sources), (count,), generator=self.random)
        pictures, truths = sample(self.sources, chosen, grid)
        if self.architecture.stem[1] == 1:
            pictures = F.avg_pool2d(pictures, 2)
        brightness = 0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=self.random)
        return (pictures * brightness).clamp(0, 255 / 256), truths


def with_truth(example: Example, size: int) -> Tensor:
    """Picture and truth, ``[1, 4, size, size]``, 0 to 1; the truth is the part of each pixel that is vessel."""
    truth = torch.from_numpy(shrink(example.truth, size).copy())[None, None].float() / 255
    return torch.cat([to_input(shrink(example.picture, size)), truth], 1)


def sample(sources: list[Tensor], chosen: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures ``[N, 3, s, s]`` and truths ``[N, 1, s, s]`` of the chosen sources at ``grid``."""
    # One by one: to gather the sources first would copy all their pixels.
    drawn = [
        F.grid_sample(sources[n], grid[i : i + 1], align_corners=False) for i, n in enumerate(chosen.tolist())
    ]
    return torch.cat(drawn).split([3, 1], 1)


def sampling_grid(affine: Tensor, size: int) -> Tensor:
    """``[N, size, size, 2]`` places to sample, from maps ``[N, 2, 3]``.

    What ``F.affine_grid`` computes, written as sums: its product of thin matrices is slower on a CPU
    than the sampling itself.
    """
    centre = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = centre[None, None, :], centre[None, :, None]
    a = affine[:, :, :, None, None]
    return torch.stack([a[:, i, 0] * x + a[:, i, 1] * y + a[:, i, 2] for i in (0, 1)], 3)


# Above 1 is zoomed in. Wider than the data set shows: an inference window may be set to any size.
SCALE = (0.7, 1.4)
ASPECT = (0.93, 1.07)
# Standard deviation of the bends, in half pictures: 0.006 is 3 pixels of 960.
BEND = 0.006
# Standard deviation of the light's logarithm, at 3 x 3 knots over a piece.
UNEVEN_LIGHT = 0.15
