"""MCTQ ONNX to standard QDQ ONNX, which any ONNX runtime reads without extensions.

::

    ActivationPOTQuantizer(x)   ->  QuantizeLinear, DequantizeLinear   uint8 or int8, scale 2^n, zero point 0
    WeightsSymmetricQuantizer   ->  int8 initialiser, DequantizeLinear one scale per output channel

All other nodes and all tensor names stay, so a tensor of one file can be looked up in the other: the
DequantizeLinear of an activation carries the name that the quantiser's output had.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

DOMAIN = "mct_quantizers"
BITS = 8


def to_qdq(mctq: onnx.ModelProto) -> onnx.ModelProto:
    """The QDQ graph of an MCTQ graph. Refuses quantisers it has no exact counterpart for."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in mctq.graph.initializer}
    for node in mctq.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])

    nodes, initialisers, replaced = [], [], set()
    for node in mctq.graph.node:
        if node.domain != DOMAIN:
            nodes.append(node)
        elif node.op_type == "ActivationPOTQuantizer":
            initialisers += activation_parameters(node)
            nodes += activation_pair(node)
        elif node.op_type == "WeightsSymmetricQuantizer":
            replaced.update(node.input)
            initialisers += weight_tensors(node, *(constants[name] for name in node.input))
            nodes.append(weight_dequantiser(node))
        else:
            raise ValueError(f"{node.name}: no QDQ form for {node.op_type}")

    nodes = [node for node in nodes if not (node.op_type == "Constant" and node.output[0] in replaced)]
    kept = [tensor for tensor in mctq.graph.initializer if tensor.name not in replaced]
    graph = helper.make_graph(
        nodes, mctq.graph.name, mctq.graph.input, mctq.graph.output, kept + initialisers,
        value_info=mctq.graph.value_info,
    )
    opset = [entry for entry in mctq.opset_import if entry.domain != DOMAIN]
    model = helper.make_model(graph, opset_imports=opset, ir_version=mctq.ir_version, producer_name="qsegment_model")
    onnx.checker.check_model(model, full_check=True)
    return model


def activation_scale(node: onnx.NodeProto) -> tuple[float, np.dtype]:
    """Scale and stored type of an activation quantiser: ``T / 256`` unsigned, ``T / 128`` signed."""
    a = attributes(node)
    require_bits(node, a)
    if a["signed"]:
        return a["threshold"] / 128, np.dtype(np.int8)
    return a["threshold"] / 256, np.dtype(np.uint8)


def activation_parameters(node: onnx.NodeProto) -> list[onnx.TensorProto]:
    scale, stored = activation_scale(node)
    return [
        numpy_helper.from_array(np.float32(scale), node.output[0] + "/scale"),
        numpy_helper.from_array(np.zeros((), stored), node.output[0] + "/zero_point"),
    ]


def activation_pair(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    name = node.output[0]
    parameters = [name + "/scale", name + "/zero_point"]
    return [
        helper.make_node("QuantizeLinear", [node.input[0], *parameters], [quantised(name)], quantised(name)),
        helper.make_node("DequantizeLinear", [quantised(name), *parameters], [name], name + "/dequantise"),
    ]


def quantised(name: str) -> str:
    """Name of the 8-bit tensor whose dequantised form is called ``name``."""
    return name + "/quantised"


def weight_tensors(node: onnx.NodeProto, weight: np.ndarray, threshold: np.ndarray) -> list[onnx.TensorProto]:
    """int8 weights and their float32 scales, ``threshold / 128``, both computed in float32."""
    a = attributes(node)
    require_bits(node, a)
    if not (a["per_channel"] and a["channel_axis"] in (0, 1) and a["signed"]):
        raise ValueError(f"{node.name}: want signed weights with a scale per output channel (axis 0, or 1 if transposed)")
    scale = threshold.astype(np.float32).reshape(-1) / np.float32(128)
    along = [1] * weight.ndim
    along[a["channel_axis"]] = -1
    steps = weight / scale.reshape(along)
    stored = np.clip(np.rint(steps), -128, 127).astype(np.int8)
    return [
        numpy_helper.from_array(stored, quantised(node.output[0])),
        numpy_helper.from_array(scale, node.output[0] + "/scale"),
        numpy_helper.from_array(np.zeros(scale.shape, np.int8), node.output[0] + "/zero_point"),
    ]


def weight_dequantiser(node: onnx.NodeProto) -> onnx.NodeProto:
    name = node.output[0]
    inputs = [quantised(name), name + "/scale", name + "/zero_point"]
    return helper.make_node("DequantizeLinear", inputs, [name], name + "/dequantise",
                            axis=attributes(node)["channel_axis"])


def require_bits(node: onnx.NodeProto, a: dict) -> None:
    if a["num_bits"] != BITS:
        raise ValueError(f"{node.name}: num_bits is {a['num_bits']}, want {BITS}")


def attributes(node: onnx.NodeProto) -> dict:
    """The attributes of a node by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
