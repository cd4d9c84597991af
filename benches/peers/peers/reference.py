"""The arithmetic that all are to compute, slow and obvious; the same as ``src/emulator/reference.rs``.

::

    Conv      sum  = sum of x * w                  exact
              y    = f32(f32(sum * m) + b)         m = f32(scale of x * scale of w); two roundings
    Add       y    = x1 * s1 + x2 * s2             exact: the scales are powers of two
    then      q    = clip(round_half_even(y / s))
"""

import numpy as np

from .network import Add, Conv, MaxPool, Network, Op, Stored


def run(network: Network, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Stored values ``[C, H, W]`` of every tensor for a picture, bytes ``[3, H, W]``."""
    tensors = {network.input: picture}
    for op in network.ops:
        tensors[op.output] = run_op(network, op, [tensors[name] for name in op.inputs])
    return tensors


def run_op(network: Network, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    if isinstance(op, MaxPool):
        channels, rows, columns = inputs[0].shape
        return inputs[0].reshape(channels, rows // 2, 2, columns // 2, 2).max((2, 4))
    if isinstance(op, Conv | Add):
        return quantise(real(network, op, inputs), network.tensors[op.output])
    return inputs[0].repeat(2, 1).repeat(2, 2)


def real(network: Network, op: Conv | Add, inputs: list[np.ndarray]) -> np.ndarray:
    """Values of a sum or a convolution before they are stored, float32 ``[C, H, W]``."""
    scales = [np.float32(network.tensors[name].scale) for name in op.inputs]
    if isinstance(op, Add):
        return sum(x.astype(np.float32) * scale for x, scale in zip(inputs, scales, strict=True))
    y = sums(op, inputs[0]).astype(np.float32) * (scales[0] * op.scales)[:, None, None] + op.bias[:, None, None]
    return np.maximum(y, 0) if op.relu else y


def sums(op: Conv, x: np.ndarray) -> np.ndarray:
    """Sums of products, integers held in float64 ``[outputs, H, W]``, which holds them exactly."""
    side = op.side(x.shape[1])
    padded = np.pad(x.astype(np.float64), ((0, 0), (op.padding,) * 2, (op.padding,) * 2))
    total = np.zeros((len(op.weights), side, side))
    for row in range(op.kernel):
        for column in range(op.kernel):
            reach = op.stride * (side - 1) + 1
            seen = padded[:, row : row + reach : op.stride, column : column + reach : op.stride]
            w = op.weights[:, :, row, column].astype(np.float64)
            total += w.reshape(-1, 1, 1) * seen if op.depthwise else np.tensordot(w, seen, 1)
    return total


def quantise(y: np.ndarray, stored: Stored) -> np.ndarray:
    limits = np.iinfo(stored.dtype)
    return np.clip(np.rint(y / np.float32(stored.scale)), limits.min, limits.max).astype(stored.dtype)
