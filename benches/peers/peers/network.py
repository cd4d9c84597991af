"""A quantised network as plain values: what every engine is to compute, in nobody's file format.

Activations are ``[C, H, W]``, 8 bit, ``real = stored * scale``, scale a power of two, zero point 0, unsigned
or signed. Weights are int8 with one scale per output channel; biases are real (float32).
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Stored:
    """How a tensor's real values are stored."""

    channels: int
    scale: float
    signed: bool

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int8 if self.signed else np.uint8)

    @property
    def zero_as_uint8(self) -> int:
        """Zero point after a move to uint8."""
        return 128 if self.signed else 0

    @property
    def zero_as_int8(self) -> int:
        """Zero point after a move to int8."""
        return 0 if self.signed else -128


@dataclass(frozen=True, kw_only=True)
class Conv:
    """``weights`` int8 ``[outputs, inputs / groups, rows, columns]``; ``scales``, ``bias`` float32 ``[outputs]``."""

    input: str
    output: str
    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    stride: int
    padding: int
    groups: int
    relu: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    @property
    def depthwise(self) -> bool:
        return self.groups == len(self.weights) > 1

    @property
    def kernel(self) -> int:
        return self.weights.shape[2]

    def side(self, side: int) -> int:
        """Rows made from ``side`` rows."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Add:
    """Sum of two tensors of the same shape, with a scale of its own."""

    inputs: tuple[str, str]
    output: str

    def side(self, side: int) -> int:
        return side


@dataclass(frozen=True)
class MaxPool:
    """2 x 2, stride 2. The output is stored as the input is."""

    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    def side(self, side: int) -> int:
        return side // 2


@dataclass(frozen=True)
class Upsample:
    """Each pixel becomes 2 x 2. The output is stored as the input is."""

    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    def side(self, side: int) -> int:
        return side * 2


Op = Conv | Add | MaxPool | Upsample


@dataclass
class Network:
    """Operators in the order they run. Nothing here depends on the size of the picture."""

    name: str
    input: str
    output: str = ""
    tensors: dict[str, Stored] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def push(self, op: Op, stored: Stored) -> str:
        self.ops.append(op)
        self.tensors[op.output] = stored
        self.output = op.output
        return op.output

    def sides(self, size: int) -> dict[str, int]:
        """Rows (= columns) of every tensor for a picture of ``size`` rows."""
        sides = {self.input: size}
        for op in self.ops:
            of_inputs = {sides[name] for name in op.inputs}
            if len(of_inputs) != 1:
                raise ValueError(f"{op.output}: inputs of {sorted(of_inputs)} rows, want one size")
            sides[op.output] = op.side(of_inputs.pop())
        return sides

    def macs(self, size: int) -> int:
        """Multiply-accumulates of the convolutions for one picture of ``size`` rows."""
        sides = self.sides(size)
        return sum(op.weights.size * sides[op.output] ** 2 for op in self.ops if isinstance(op, Conv))
