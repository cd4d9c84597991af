import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from qsegment_model.qdq import DOMAIN, quantised, to_qdq


def mctq(threshold: float, signed: bool, weight: np.ndarray) -> onnx.ModelProto:
    """Quantised input, one 1x1 conv with quantised weights, as the quantiser's exporter writes it."""
    nodes = [
        helper.make_node(
            "ActivationPOTQuantizer", ["input"], ["x"], domain=DOMAIN,
            threshold=threshold, signed=int(signed), num_bits=8,
        ),
        helper.make_node("Constant", [], ["thresholds"], value=numpy_helper.from_array(np.array([1.0, 3.0], np.float32))),
        helper.make_node(
            "WeightsSymmetricQuantizer", ["weight", "thresholds"], ["w"], domain=DOMAIN,
            num_bits=8, per_channel=1, channel_axis=0, signed=1,
        ),
        helper.make_node("Conv", ["x", "w"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes, "one_conv",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 2, 4, 4])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(DOMAIN, 1)])


def initialisers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


WEIGHT = np.array([1.0, -9.0], np.float32).reshape(2, 1, 1, 1)


def test_weights_saturate_at_their_channel_threshold():
    tensors = initialisers(to_qdq(mctq(1.0, False, WEIGHT)))
    # 1.0 is one step above the largest number of a threshold of 1; -9 lies far below -3.
    assert tensors[quantised("w")].ravel().tolist() == [127, -128]
    assert tensors["w/scale"].tolist() == [1 / 128, 3 / 128]


def test_activation_scale_is_the_threshold_in_steps():
    unsigned = initialisers(to_qdq(mctq(2.0, False, WEIGHT)))
    signed = initialisers(to_qdq(mctq(2.0, True, WEIGHT)))
    assert (unsigned["x/scale"], unsigned["x/zero_point"].dtype) == (2 / 256, np.uint8)
    assert (signed["x/scale"], signed["x/zero_point"].dtype) == (2 / 128, np.int8)


def test_only_standard_operators_remain():
    qdq = to_qdq(mctq(1.0, False, WEIGHT))
    assert {entry.domain for entry in qdq.opset_import} == {""}
    assert [node.op_type for node in qdq.graph.node] == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "Conv"]


def test_refuses_other_bit_widths():
    model = mctq(1.0, False, WEIGHT)
    next(a for a in model.graph.node[0].attribute if a.name == "num_bits").i = 4
    with pytest.raises(ValueError, match="num_bits is 4"):
        to_qdq(model)
