"""CHASE_DB1 as the network sees it: frames and splits.

Pictures are 999 x 960. Columns 18 to 978 give the square frame of 960 x 960 in which everything is
scored. The folder may be laid out as the data set's archive (all files together) or with ``images/``,
``1stHO/`` and ``2ndHO/`` beside each other.

CHASE_DB1 is CC BY 4.0: Fraz et al., IEEE TBME 59(9):2538-2548, 2012, doi 10.1109/TBME.2012.2205687.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

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
    truth: np.ndarray  # uint8 [960, 960], what to learn, 0 to 255: the first observer's, or a teacher's beside it


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
    first = square(Image.open(find(folder, "1stHO", f"Image_{name}_1stHO.png")).convert("L")) > 127
    return Example(
        name,
        picture=square(Image.open(find(folder, "images", f"Image_{name}.jpg")).convert("RGB")),
        first=first,
        second=square(Image.open(find(folder, "2ndHO", f"Image_{name}_2ndHO.png")).convert("L")) > 127,
        truth=first.astype(np.uint8) * 255,
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
    """Area resize of uint8 ``[H, W]`` or ``[H, W, 3]`` to ``size`` x ``size``, as the sensor's bytes."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def to_input(picture: np.ndarray) -> Tensor:
    """uint8 ``[H, W, 3]`` to float32 ``[1, 3, H, W]``, ``byte / 256``."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 256


WHERE_TO_GET_IT = (
    "CHASE_DB1 is published by Kingston University (https://researchdata.kingston.ac.uk/96/, CC BY 4.0).\n"
    "Unpack it anywhere and name the folder that holds Image_01L.jpg, or holds images/, 1stHO/ and 2ndHO/."
)
