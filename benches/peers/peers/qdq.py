"""A `Network` as ONNX for engines that want quantise-dequantise pairs (QDQ).

The picture goes in as bytes and the output comes out as stored: the pairs stand between operators only,
so that no engine spends time on float pictures that ours does not.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .network import Add, Conv, MaxPool, Network, Stored


class Activations(Enum):
    """In which types activations are stored."""

    # int8 and uint8, zero point 0.
    AS_STORED = "as stored"
    # Signed ones 128 higher, with zero point 128.
    UINT8 = "uint8"
    # Unsigned ones 128 lower, with zero point -128.
    INT8 = "int8"


@dataclass(frozen=True)
class Form:
    """What engines differ in. All forms compute the same."""

    activations: Activations
    # A pair after pooling and upsampling, too, for engines that look for one around every operator.
    pair_around_copies: bool
    # int32 with scale = input scale * weight scale; else float32.
    integer_bias: bool

    def zero_point(self, stored: Stored) -> np.ndarray:
        """The zero point, of the type that the tensor is stored in."""
        if self.activations == Activations.UINT8:
            return np.array(stored.zero_as_uint8, np.uint8)
        if self.activations == Activations.INT8:
            return np.array(stored.zero_as_int8, np.int8)
        return np.zeros((), stored.dtype)

    def store(self, values: np.ndarray, stored: Stored) -> np.ndarray:
        """The graph's input for values ``[C, H, W]`` with zero point 0."""
        zero = self.zero_point(stored)
        return np.ascontiguousarray((values.astype(np.int16) + zero.astype(np.int16)).astype(zero.dtype)[None])


def write(network: Network, size: int, form: Form) -> onnx.ModelProto:
    """The graph for an input ``[1, C, size, size]``, stored as ``form`` says."""
    return Writer(network, form).model(size)


class Writer:
    def __init__(self, network: Network, form: Form):
        self.network = network
        self.form = form
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def model(self, size: int) -> onnx.ModelProto:
        network = self.network
        self.parameters(network.input)
        self.dequantise(network.input)
        for op in network.ops:
            self.op(op)
            if op.output != network.output:
                self.dequantise(op.output)
        side = network.sides(size)[network.output]
        first, last = network.tensors[network.input], network.tensors[network.output]
        types = [self.onnx_type(name) for name in (network.input, network.output)]
        graph = helper.make_graph(
            self.nodes, network.name,
            [helper.make_tensor_value_info(stored_name(network.input), types[0], [1, first.channels, size, size])],
            [helper.make_tensor_value_info(stored_name(network.output), types[1], [1, last.channels, side, side])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model

    def op(self, op: Conv | Add | MaxPool | object) -> None:
        real = op.output + "/real"
        if isinstance(op, Conv):
            # No Relu: zero is the least value of an unsigned tensor, so storing cuts off below it anyway.
            if op.relu and self.network.tensors[op.output].signed:
                raise ValueError(f"{op.output}: a ReLU before a signed tensor is not one of the networks here")
            weight, bias = self.weight(op), self.bias(op)
            self.nodes.append(helper.make_node(
                "Conv", [op.input, weight, bias], [real], real, dilations=[1, 1], group=op.groups,
                kernel_shape=[op.kernel] * 2, pads=[op.padding] * 4, strides=[op.stride] * 2,
            ))
            self.quantise(op.output, real)
        elif isinstance(op, Add):
            self.nodes.append(helper.make_node("Add", op.inputs, [real], real))
            self.quantise(op.output, real)
        else:
            self.copy(op, real)

    def copy(self, op: object, real: str) -> None:
        """A pooling or an upsampling, of dequantised values or of the stored ones."""
        pair = self.form.pair_around_copies
        taken, made = (op.input, real) if pair else (stored_name(op.input), stored_name(op.output))
        if isinstance(op, MaxPool):
            self.nodes.append(helper.make_node("MaxPool", [taken], [made], made, kernel_shape=[2, 2], strides=[2, 2]))
        else:
            scales = self.constant(op.output + "/scales", np.float32([1, 1, 2, 2]))
            self.nodes.append(helper.make_node(
                "Resize", [taken, "", scales], [made], made, mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            ))
        if pair:
            self.quantise(op.output, real)
        else:
            self.parameters(op.output)

    def weight(self, op: Conv) -> str:
        name = op.output + "/weight"
        inputs = [
            self.constant(name + "/stored", op.weights),
            self.constant(name + "/scale", op.scales),
            self.constant(name + "/zero_point", np.zeros(len(op.scales), np.int8)),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], name, axis=0))
        return name

    def bias(self, op: Conv) -> str:
        name = op.output + "/bias"
        if not self.form.integer_bias:
            return self.constant(name, op.bias)
        scale = np.float32(self.network.tensors[op.input].scale) * op.scales
        inputs = [
            self.constant(name + "/stored", np.rint(op.bias / scale).astype(np.int32)),
            self.constant(name + "/scale", scale),
            self.constant(name + "/zero_point", np.zeros(len(scale), np.int32)),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], name, axis=0))
        return name

    def quantise(self, name: str, real: str) -> None:
        parameters = self.parameters(name)
        self.nodes.append(helper.make_node("QuantizeLinear", [real, *parameters], [stored_name(name)], name + "/Q"))

    def dequantise(self, name: str) -> None:
        inputs = [stored_name(name), name + "/scale", name + "/zero_point"]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], name + "/DQ"))

    def parameters(self, name: str) -> list[str]:
        stored = self.network.tensors[name]
        return [
            self.constant(name + "/scale", np.float32(stored.scale)),
            self.constant(name + "/zero_point", self.form.zero_point(stored)),
        ]

    def onnx_type(self, name: str) -> int:
        return helper.np_dtype_to_tensor_dtype(self.form.zero_point(self.network.tensors[name]).dtype)

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def stored_name(name: str) -> str:
    return name + "/stored"
