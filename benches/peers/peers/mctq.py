"""MCTQ ONNX, which Sony's converter and qsegment read: to a `Network`, and from one.

::

    ActivationPOTQuantizer        threshold T: scale T / 256 unsigned, T / 128 signed
    WeightsSymmetricQuantizer     float weights and thresholds: scale = threshold / 128 per output channel

What is read is what the networks here have; anything else is refused by name.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .network import Add, Conv, MaxPool, Network, Stored, Upsample

DOMAIN = "mct_quantizers"


def read(path: Path) -> Network:
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])

    network = Network(path.stem, input="")
    # Of a pooling's output: it has no quantiser, so its float name is the stored tensor's.
    for node in graph.node:
        if node.op_type == "MaxPool":
            require(node, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=0, dilations=[1, 1])
            (name,) = node.input
            network.push(MaxPool(name, node.output[0]), network.tensors[name])
        elif node.op_type == "ActivationPOTQuantizer":
            quantised(network, node, makers, constants, graph.input[0].name)
        elif node.op_type not in ("Constant", "WeightsSymmetricQuantizer", "Conv", "Relu", "Add", "Resize"):
            raise ValueError(f"{node.name}: operator {node.op_type} is not one of the networks here")
    if network.output != graph.output[0].name:
        raise ValueError(f"output {graph.output[0].name!r} is not the last tensor, {network.output!r}")
    return network


def quantised(network: Network, node: onnx.NodeProto, makers: dict, constants: dict, picture: str) -> None:
    """Adds the tensor that an activation quantiser makes, and the operator before it."""
    a = attributes(node)
    require(node, num_bits=8)
    scale, signed, output = a["threshold"] / (128 if a["signed"] else 256), bool(a["signed"]), node.output[0]
    if node.input[0] == picture:
        network.input = output
        network.tensors[output] = Stored(3, scale, signed)
        return

    made_by = makers[node.input[0]]
    relu = made_by.op_type == "Relu"
    if relu:
        made_by = makers[made_by.input[0]]
    if made_by.op_type == "Conv":
        op = convolution(made_by, makers, constants, output, relu)
        network.push(op, Stored(len(op.weights), scale, signed))
        return
    taken = network.tensors[made_by.input[0]]
    if made_by.op_type == "Add" and not relu:
        network.push(Add(tuple(made_by.input), output), Stored(taken.channels, scale, signed))
    elif made_by.op_type == "Resize" and not relu:
        require(made_by, mode=b"nearest", nearest_mode=b"floor", coordinate_transformation_mode=b"asymmetric")
        if list(constants[made_by.input[2]]) != [1, 1, 2, 2] or (taken.scale, taken.signed) != (scale, signed):
            raise ValueError(f"{made_by.name}: want twice the size, stored as before")
        network.push(Upsample(made_by.input[0], output), taken)
    else:
        raise ValueError(f"{made_by.name}: {made_by.op_type} before a quantiser is not one of the networks here")


def convolution(node: onnx.NodeProto, makers: dict, constants: dict, output: str, relu: bool) -> Conv:
    quantiser = makers[node.input[1]]
    require(quantiser, num_bits=8, per_channel=1, channel_axis=0, signed=1)
    weights, thresholds = (constants[name] for name in quantiser.input)
    # In float32, as the definition says: the last bit of a scale can move a rounding.
    scales = thresholds.astype(np.float32).reshape(-1) / np.float32(128)
    a = attributes(node)
    require(node, dilations=[1, 1])
    strides, pads = set(a["strides"]), set(a["pads"])
    if len(strides) != 1 or len(pads) != 1:
        raise ValueError(f"{node.name}: strides {a['strides']}, pads {a['pads']}, want one number each")
    return Conv(
        input=node.input[0],
        output=output,
        weights=np.clip(np.rint(weights / scales[:, None, None, None]), -128, 127).astype(np.int8),
        scales=scales,
        bias=constants[node.input[2]].astype(np.float32),
        stride=strides.pop(),
        padding=pads.pop(),
        groups=a["group"],
        relu=relu,
    )


def write(network: Network, size: int, path: Path) -> None:
    """Writes the file for a picture of ``size`` rows, with the attributes that MCT's own exporter gives."""
    nodes = [activation(network, network.input, "input")]
    initialisers = []
    for op in network.ops:
        real = op.output + "/real"
        if isinstance(op, Conv):
            nodes += conv_nodes(op, real)
            initialisers += [
                numpy_helper.from_array(
                    op.weights.astype(np.float32) * op.scales[:, None, None, None], op.output + ".weight"),
                numpy_helper.from_array(op.bias, op.output + ".bias"),
            ]
            nodes.append(activation(network, op.output, real + "/relu" if op.relu else real))
        elif isinstance(op, Add):
            nodes += [helper.make_node("Add", op.inputs, [real], real), activation(network, op.output, real)]
        elif isinstance(op, MaxPool):
            nodes.append(helper.make_node(
                "MaxPool", [op.input], [op.output], op.output, ceil_mode=0, dilations=[1, 1], kernel_shape=[2, 2],
                pads=[0, 0, 0, 0], strides=[2, 2],
            ))
        else:
            initialisers.append(numpy_helper.from_array(np.float32([1, 1, 2, 2]), op.output + "/scales"))
            nodes += [
                helper.make_node(
                    "Resize", [op.input, "", op.output + "/scales"], [real], real, mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                ),
                activation(network, op.output, real),
            ]
    side = network.sides(size)[network.output]
    graph = helper.make_graph(
        nodes, network.name,
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(
            network.output, onnx.TensorProto.FLOAT, [1, network.tensors[network.output].channels, side, side])],
        initialisers,
    )
    opset = [helper.make_opsetid("", 20), helper.make_opsetid(DOMAIN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9, producer_name="qsegment_peers"), path)


def conv_nodes(op: Conv, real: str) -> list[onnx.NodeProto]:
    name = op.output
    thresholds = numpy_helper.from_array(op.scales * np.float32(128), name + "/thresholds")
    nodes = [
        helper.make_node("Constant", [], [name + "/thresholds"], name + "/thresholds", value=thresholds),
        helper.make_node(
            "WeightsSymmetricQuantizer", [name + ".weight", name + "/thresholds"], [name + "/weight"],
            name + "/weight", domain=DOMAIN, channel_axis=0, mctq_version="1.6.0", num_bits=8, per_channel=1, signed=1,
        ),
        helper.make_node(
            "Conv", [op.input, name + "/weight", name + ".bias"], [real], real, dilations=[1, 1], group=op.groups,
            kernel_shape=[op.kernel] * 2, pads=[op.padding] * 4, strides=[op.stride] * 2,
        ),
    ]
    if op.relu:
        nodes.append(helper.make_node("Relu", [real], [real + "/relu"], real + "/relu"))
    return nodes


def activation(network: Network, output: str, real: str) -> onnx.NodeProto:
    stored = network.tensors[output]
    return helper.make_node(
        "ActivationPOTQuantizer", [real], [output], output + "/quantiser", domain=DOMAIN, mctq_version="1.6.0",
        num_bits=8, signed=int(stored.signed), threshold=stored.scale * (128 if stored.signed else 256),
    )


def require(node: onnx.NodeProto, **wanted: object) -> None:
    found = attributes(node)
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ValueError(f"{node.name}: {name} is {found.get(name)}, want {value}")


def attributes(node: onnx.NodeProto) -> dict:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
