from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors import safe_open

from qsegment_model.candidates import SHIPPED
from qsegment_model.data import shrink
from qsegment_model.golden import activations, reshape

MODEL = Path(__file__).parents[1]


@pytest.mark.parametrize("file", [f"{network}_{n}.safetensors" for network in SHIPPED for n in (0, 1)])
def test_golden_vectors_are_those_of_the_shipped_networks(file):
    with safe_open(MODEL / "golden" / file, "numpy") as golden:
        x, y, width, height = map(int, golden.metadata()["crop_x_y_width_height"].split(","))
        size = int(golden.metadata()["picture_size"])
        want = {key: golden.get_tensor(key) for key in golden.keys()}

    picture = np.asarray(Image.open(MODEL.parent / "assets" / "retina.jpg").convert("RGB"))
    graph = onnx.load(MODEL / "network" / (file.rsplit("_", 1)[0] + ".qdq.onnx"))
    reshape(graph, width)
    got = activations(graph, shrink(picture, size)[y : y + height, x : x + width])

    assert got.keys() == want.keys()
    unequal = [key for key in want if not np.array_equal(got[key], want[key])]
    assert unequal == []
