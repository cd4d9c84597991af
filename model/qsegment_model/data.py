"""CHASE_DB1 as the network sees it: frames, splits and augmentation.

Pictures are 999 x 960. Columns 18 to 978 give the square frame of 960 x 960 in which everything is
scored. The folder may be laid out as the data set's archive (all files together) or with ``images/``,
``1stHO/`` and ``2ndHO/`` beside each other.

CHASE_DB1 is CC BY 4.0: Fraz et al., IEEE TBME 59(9):2538-2548, 2012, doi 10.1109/TBME.2012.2205687.
"""

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

FRAME = 960
FIRST_COLUMN = 18

# Split by child: the left and right eye of one child are never on both sides.
TRAINING = tuple(f"{child:02d}{eye}" for child in range(1, 11) for eye in "LR")
VALIDATION = ("09L", "09R", "10L", "10R")
FITTING = tuple(name for name in TRAINING if name not in VALIDATION)
TEST = tuple(f"{child:02d}{eye}" for child in range(11, 15) for eye in "LR")


@dataclass(frozen=True)
class Example:
    """One eye. All arrays are 960 x 960."""

    name: str
    picture: np.ndarray  # uint8 [960, 960, 3], RGB
    first: np.ndarray  # bool [960, 960], vessels as the first observer drew them
    second: np.ndarray  # bool [960, 960], vessels as the second observer drew them


def add_dataset_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--dataset``; its default is the environment variable ``QSEGMENT_CHASE_DIR``."""
    parser.add_argument(
        "--dataset",
        type=Path,
        default=os.environ.get("QSEGMENT_CHASE_DIR"),
        metavar="DIR",
        help="folder of CHASE_DB1 (default: the environment variable QSEGMENT_CHASE_DIR)",
    )


def load(folder: Path | None, names: tuple[str, ...]) -> list[Example]:
    """Reads the named eyes (``"01L"`` to ``"14R"``). Ends the program with advice if one is missing."""
    if folder is None:
        raise SystemExit("no data set: give --dataset DIR or set QSEGMENT_CHASE_DIR.\n" + WHERE_TO_GET_IT)
    return [load_one(Path(folder), name) for name in names]


def load_one(folder: Path, name: str) -> Example:
    """Reads one eye, cut to the square frame."""
    return Example(
        name,
        picture=square(Image.open(find(folder, "images", f"Image_{name}.jpg")).convert("RGB")),
        first=square(Image.open(find(folder, "1stHO", f"Image_{name}_1stHO.png")).convert("L")) > 127,
        second=square(Image.open(find(folder, "2ndHO", f"Image_{name}_2ndHO.png")).convert("L")) > 127,
    )


def find(folder: Path, part: str, file: str) -> Path:
    """The file in ``folder/part`` or in ``folder`` itself."""
    for path in (folder / part / file, folder / file):
        if path.is_file():
            return path
    raise SystemExit(f"looked for {part}/{file} and {file} in {folder}: neither is there.\n" + WHERE_TO_GET_IT)


def square(image: Image.Image) -> np.ndarray:
    """The 960 x 960 frame of a 999 x 960 picture or mask, uint8."""
    if image.size != (999, FRAME):
        raise SystemExit(f"a CHASE_DB1 picture is 999 x 960, this one is {image.size[0]} x {image.size[1]}")
    return np.asarray(image)[:, FIRST_COLUMN : FIRST_COLUMN + FRAME]


def field_of_view(picture: np.ndarray) -> np.ndarray:
    """Bool ``[H, W]``: the lit disc of a fundus picture, uint8 ``[H, W, 3]``.

    Agrees with the published masks of CHASE_DB1 at an intersection over union of 0.99.
    """
    lit = ndimage.binary_opening(picture.max(axis=2) > 25, iterations=2)
    label, count = ndimage.label(lit)
    if count == 0:
        return np.zeros(lit.shape, bool)
    largest = 1 + np.argmax(ndimage.sum_labels(lit, label, range(1, count + 1)))
    return ndimage.binary_fill_holes(label == largest)


def shrink(picture: np.ndarray, size: int) -> np.ndarray:
    """Area resize of uint8 ``[H, W, 3]`` to uint8 ``[size, size, 3]``, as the sensor's bytes."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def to_input(picture: np.ndarray) -> Tensor:
    """uint8 ``[H, W, 3]`` to float32 ``[1, 3, H, W]``, ``byte / 256``."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 256


class Augmentation:
    """Draws batches of randomly turned, mirrored, scaled and recoloured pictures.

    Geometry is drawn at twice the network's size and then averaged 2 x 2, so that thin vessels are
    blurred as the area resize blurs them and not aliased.

    ``kind`` is ``"narrow"`` (what the training camera shows) or ``"wide"``, for scenes that it never
    showed: a quarter of the pictures get a scale of 0.5 to 2 (wide-field pictures have thinner
    vessels, zoomed inference windows thicker ones), half of them more blue (that of CHASE_DB1 is
    nearly black; other cameras balance it).
    """

    def __init__(self, examples: list[Example], size: int, truth_size: int, kind: str, seed: int):
        self.size = size
        self.truth_size = truth_size
        self.kind = kind
        self.random = torch.Generator().manual_seed(seed)
        self.pictures = torch.cat([to_input(shrink(e.picture, 2 * size)) for e in examples])
        self.truths = torch.stack([torch.from_numpy(e.first.copy()) for e in examples])[:, None].float()

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs ``[count, 3, size, size]`` and truths ``[count, 1, truth_size, truth_size]``, 0 to 1."""
        chosen = torch.randint(len(self.pictures), (count,), generator=self.random)
        affine = self.affine(count)
        grid = sampling_grid(affine, 2 * self.size)
        pictures = F.avg_pool2d(F.grid_sample(self.pictures[chosen], grid, align_corners=False), 2)
        truths = F.grid_sample(self.truths[chosen], sampling_grid(affine, self.truth_size), align_corners=False)
        return self.recolour(pictures), truths

    def affine(self, count: int) -> Tensor:
        """``[count, 2, 3]`` maps from the drawn picture to the stored one, both -1 to 1."""
        angle = self.uniform(count, 0, 2 * math.pi)
        scale = self.log_uniform(count, *SCALE)
        if self.kind == "wide":
            wide = self.uniform(count, 0, 1) < 0.25
            scale = torch.where(wide, self.log_uniform(count, *WIDE_SCALE), scale)
        mirror = torch.where(self.uniform(count, 0, 1) < 0.5, -1.0, 1.0)
        # Zoomed in there is a part to choose; otherwise the disc only moves a little.
        reach = (1 - 1 / scale).clamp(min=0.05)
        shift = torch.stack([self.uniform(count, -1, 1), self.uniform(count, -1, 1)], 1) * reach[:, None]
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        linear = torch.stack([cos * mirror, -sin, sin * mirror, cos], 1).reshape(count, 2, 2)
        return torch.cat([linear, shift[:, :, None]], 2)

    def recolour(self, x: Tensor) -> Tensor:
        """Gamma, brightness of the picture and of each channel, contrast, and a little noise."""
        n = len(x)
        if self.kind == "wide":
            added = self.uniform(n, -0.7, 0.7).clamp(min=0).reshape(n, 1, 1)
            x = torch.stack([x[:, 0], x[:, 1], x[:, 2] + added * x[:, 1]], 1)
        gamma = self.log_uniform(n, 0.65, 1.55).reshape(n, 1, 1, 1)
        gain = self.log_uniform(n, 0.7, 1.45).reshape(n, 1, 1, 1)
        channel = self.log_uniform(3 * n, 0.75, 1.33).reshape(n, 3, 1, 1)
        contrast = self.uniform(n, 0.8, 1.25).reshape(n, 1, 1, 1)
        lit = x > 0.05
        mean = (x * lit).sum((2, 3), keepdim=True) / lit.sum((2, 3), keepdim=True).clamp(min=1)
        # The dark surround stays dark: contrast turns about the mean of the disc, and only there.
        x = torch.where(lit, (x - mean) * contrast + mean, x).clamp(0, 1)
        x = x**gamma * gain * channel
        x = x + torch.randn(x.shape, generator=self.random) * self.uniform(n, 0, 0.02).reshape(n, 1, 1, 1)
        return x.clamp(0, 255 / 256)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=self.random)

    def log_uniform(self, count: int, low: float, high: float) -> Tensor:
        return torch.exp(self.uniform(count, math.log(low), math.log(high)))


def sampling_grid(affine: Tensor, size: int) -> Tensor:
    """``[N, size, size, 2]`` places to sample, from maps ``[N, 2, 3]``.

    What ``F.affine_grid`` computes, written as sums: its product of thin matrices is slower on a CPU
    than the sampling itself.
    """
    centre = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = centre[None, None, :], centre[None, :, None]
    a = affine[:, :, :, None, None]
    return torch.stack([a[:, i, 0] * x + a[:, i, 1] * y + a[:, i, 2] for i in (0, 1)], 3)


KINDS = ("narrow", "wide")

# Above 1 is zoomed in.
SCALE = (0.8, 1.15)
WIDE_SCALE = (0.5, 2.0)

WHERE_TO_GET_IT = (
    "CHASE_DB1 is published by Kingston University (https://researchdata.kingston.ac.uk/96/, CC BY 4.0).\n"
    "Unpack it anywhere and name the folder that holds Image_01L.jpg, or holds images/, 1stHO/ and 2ndHO/."
)
