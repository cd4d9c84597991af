from pathlib import Path

import onnx
import pytest

from qsegment_model.candidates import CANDIDATES, SHIPPED
from qsegment_model.export import require_byte_input
from qsegment_model.qdq import to_qdq
from qsegment_model.train import load_network

NETWORK = Path(__file__).parents[1] / "network"


@pytest.mark.parametrize("name", SHIPPED)
def test_qdq_file_is_made_of_the_mctq_file(name):
    mctq = onnx.load(NETWORK / f"{name}.onnx")
    require_byte_input(mctq)
    assert to_qdq(mctq) == onnx.load(NETWORK / f"{name}.qdq.onnx")


@pytest.mark.parametrize("name", SHIPPED)
def test_float_weights_are_of_the_architecture_of_that_name(name):
    network = load_network(NETWORK / f"{name}.safetensors")
    assert network.architecture == CANDIDATES[name]
    assert network.parameter_count() <= 120_000


@pytest.mark.parametrize("path", sorted(NETWORK.iterdir()), ids=lambda path: path.name)
def test_no_file_names_a_place_on_the_machine_that_made_it(path):
    # Exporters like to keep stack traces: Python files, and the home or folder they lie in.
    content = path.read_bytes()
    places = [".py", "site-packages", str(Path.home()), str(Path(__file__).parents[2])]
    assert [place for place in places if place.encode() in content] == []
