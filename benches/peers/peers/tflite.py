"""A `Network` as a .tflite file, written with the schema that LiteRT ships.

LiteRT wants channels last and int8 activations: an unsigned tensor with zero point 0 is stored 128 lower, with
zero point -128. Weights int8 per output channel; biases int32 with scale = input scale * weight scale.
"""

from enum import Enum

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .network import Add, Conv, MaxPool, Network, Op, Stored, Upsample

Builtin = schema.BuiltinOperator


class Upsampling(Enum):
    """Ways to say "each pixel becomes 2 x 2"; all copy, none rounds."""

    # The operator for it.
    RESIZE = "resize"
    # Four copies side by side in the channels, then channels laid out as pixels.
    DEPTH_TO_SPACE = "depth to space"


def write(network: Network, size: int, upsampling: Upsampling) -> bytes:
    """The file for an input int8 ``[1, size, size, C]``; of a picture, each byte less 128."""
    writer = Writer(network, size)
    for op in network.ops:
        writer.op(op, upsampling)
    return writer.file()


class Writer:
    def __init__(self, network: Network, size: int):
        self.network = network
        self.sides = network.sides(size)
        # Buffer 0 is, by the schema, the empty one: tensors that are computed refer to it.
        self.buffers = [schema.BufferT()]
        self.tensors: list[schema.TensorT] = []
        self.codes: list[schema.OperatorCodeT] = []
        self.operators: list[schema.OperatorT] = []
        self.indices: dict[str, int] = {}
        self.activation(network.input)

    def op(self, op: Op, upsampling: Upsampling) -> None:
        inputs = [self.indices[name] for name in op.inputs]
        if isinstance(op, Conv):
            self.conv(op, inputs)
        elif isinstance(op, Add):
            options = schema.AddOptionsT()
            self.operator(Builtin.ADD, 2, inputs, self.activation(op.output), "AddOptions", options)
        elif isinstance(op, MaxPool):
            options = schema.Pool2DOptionsT()
            options.strideH = options.strideW = options.filterHeight = options.filterWidth = 2
            options.padding = schema.Padding.VALID
            self.operator(Builtin.MAX_POOL_2D, 2, inputs, self.activation(op.output), "Pool2DOptions", options)
        elif upsampling == Upsampling.RESIZE:
            to = self.constant(op.output + "/size", np.full(2, self.sides[op.output], np.int32))
            options = schema.ResizeNearestNeighborOptionsT()
            output = self.activation(op.output)
            self.operator(
                Builtin.RESIZE_NEAREST_NEIGHBOR, 2, [*inputs, to], output, "ResizeNearestNeighborOptions", options)
        else:
            self.upsample_by_depth_to_space(op, inputs)

    def conv(self, op: Conv, inputs: list[int]) -> None:
        depthwise = op.depthwise
        if op.groups != 1 and not depthwise:
            raise ValueError(f"{op.output}: {op.groups} groups, want 1 or one per channel")
        if not same_padding(op, self.sides[op.input]):
            raise ValueError(f"{op.output}: padding {op.padding} of a kernel of {op.kernel} is not LiteRT's SAME")
        # [1, rows, columns, channels] for depthwise, else [outputs, rows, columns, inputs].
        weights = op.weights.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        bias_scales = np.float32(self.network.tensors[op.input].scale) * op.scales
        inputs = [
            *inputs,
            self.constant(op.output + "/weight", weights, op.scales, axis=3 if depthwise else 0),
            self.constant(op.output + "/bias", np.rint(op.bias / bias_scales).astype(np.int32), bias_scales),
        ]
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if op.kernel > 1 else schema.Padding.VALID
        options.strideH = options.strideW = op.stride
        options.dilationHFactor = options.dilationWFactor = 1
        if op.relu:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        output = self.activation(op.output)
        if depthwise:
            options.depthMultiplier = 1
            self.operator(Builtin.DEPTHWISE_CONV_2D, 3, inputs, output, "DepthwiseConv2DOptions", options)
        else:
            self.operator(Builtin.CONV_2D, 3, inputs, output, "Conv2DOptions", options)

    def upsample_by_depth_to_space(self, op: Upsample, inputs: list[int]) -> None:
        side, stored = self.sides[op.input], self.network.tensors[op.input]
        four = self.tensor(op.output + "/four", [1, side, side, 4 * stored.channels], stored)
        joined = schema.ConcatenationOptionsT()
        joined.axis = 3
        self.operator(Builtin.CONCATENATION, 2, inputs * 4, four, "ConcatenationOptions", joined)
        laid = schema.DepthToSpaceOptionsT()
        laid.blockSize = 2
        self.operator(Builtin.DEPTH_TO_SPACE, 2, [four], self.activation(op.output), "DepthToSpaceOptions", laid)

    def activation(self, name: str) -> int:
        stored, side = self.network.tensors[name], self.sides[name]
        self.indices[name] = self.tensor(name, [1, side, side, stored.channels], stored)
        return self.indices[name]

    def tensor(self, name: str, shape: list[int], stored: Stored) -> int:
        quantisation = schema.QuantizationParametersT()
        quantisation.scale = np.float32([stored.scale])
        quantisation.zeroPoint = np.int64([stored.zero_as_int8])
        return self.add_tensor(name, shape, schema.TensorType.INT8, 0, quantisation)

    def constant(self, name: str, values: np.ndarray, scales: np.ndarray | None = None, axis: int = 0) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        quantisation = None
        if scales is not None:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale, quantisation.quantizedDimension = scales, axis
            quantisation.zeroPoint = np.zeros(len(scales), np.int64)
        kind = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}[values.dtype]
        return self.add_tensor(name, list(values.shape), kind, len(self.buffers) - 1, quantisation)

    def add_tensor(self, name: str, shape: list[int], kind: int, buffer: int, quantisation: object) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.int32(shape), kind, buffer
        tensor.quantization = quantisation
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(
        self, builtin: int, version: int, inputs: list[int], output: int, options_name: str, options: object,
    ) -> None:
        code = next((i for i, code in enumerate(self.codes) if code.builtinCode == builtin), None)
        if code is None:
            new = schema.OperatorCodeT()
            # Readers older than the wide field look at the narrow one.
            new.builtinCode, new.deprecatedBuiltinCode, new.version = builtin, builtin, version
            self.codes.append(new)
            code = len(self.codes) - 1
        operator = schema.OperatorT()
        operator.opcodeIndex = code
        operator.inputs, operator.outputs = np.int32(inputs), np.int32([output])
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
        operator.builtinOptions = options
        self.operators.append(operator)

    def file(self) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = np.int32([self.indices[self.network.input]])
        graph.outputs = np.int32([self.indices[self.network.output]])
        graph.name = self.network.name
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def same_padding(op: Conv, side: int) -> bool:
    """Whether LiteRT's SAME puts as much padding before the first row, and makes as many rows."""
    made = -(-side // op.stride)
    total = max((made - 1) * op.stride + op.kernel - side, 0)
    return made == op.side(side) and total // 2 == op.padding
