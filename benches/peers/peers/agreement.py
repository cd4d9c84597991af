"""Whether a peer computes this network at all: its outputs beside the definition's on one picture.

Layer by layer, each fed with the right input, an engine that rounds biases to integers and rescales in fixed point
is a step away here and there: a rounding that falls on the other side. More than that is another network, and is
refused. End to end such steps grow, in forty layers, until few bytes are equal, also where an engine joins a sum
with the convolution before it and so leaves a rounding out. Of the whole only the signs (the mask) must agree.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import engines, mctq, reference
from .network import Add, Network

LARGEST_STEP_OF_A_LAYER = 1
LEAST_SIGN_SHARE = 0.98


@dataclass(frozen=True)
class Agreement:
    """Steps are units of the stored output."""

    engine: str
    network: str
    equal_share: float
    largest_steps: int
    mean_steps: float
    sign_share: float
    # Of all layers, each fed with the right input.
    layers_equal_share: float
    layers_largest_steps: int

    def __str__(self) -> str:
        return (
            f"{self.network}, {self.engine}: layers {self.layers_equal_share:.2%} equal, others "
            f"at most {self.layers_largest_steps} step away; end to end {self.equal_share:.1%} of bytes equal, largest "
            f"difference {self.largest_steps} steps, mean {self.mean_steps:.2f}, {self.sign_share:.2%} of signs equal"
        )


def compare(engine: str, form: str, file: Path, picture: np.ndarray) -> Agreement:
    """Runs the peer on a picture, bytes ``[3, H, W]``. Raises where that cannot be the same network."""
    network = mctq.read(file)
    want = reference.run(network, picture)
    of_layers = layers(engine, form, network, want)
    got = output(engine, form, network, picture)
    steps = np.abs(got - want[network.output])
    found = Agreement(
        engine=f"{engine} ({form})",
        network=network.name,
        equal_share=float((steps == 0).mean()),
        largest_steps=int(steps.max()),
        mean_steps=float(steps.mean()),
        sign_share=float(((got > 0) == (want[network.output] > 0)).mean()),
        layers_equal_share=float((of_layers == 0).mean()),
        layers_largest_steps=int(of_layers.max()),
    )
    if found.sign_share < LEAST_SIGN_SHARE:
        raise AnotherNetwork(f"{found}; want {LEAST_SIGN_SHARE:.0%} of signs")
    return found


def layers(engine: str, form: str, network: Network, want: dict[str, np.ndarray]) -> np.ndarray:
    """Differences of all elements that operators make each alone, in steps.

    Sums are left to the whole: they have two inputs.
    """
    found = []
    for op in network.ops:
        if isinstance(op, Add):
            continue
        (taken,) = op.inputs
        alone = Network(op.output, taken, tensors={taken: network.tensors[taken]})
        alone.push(op, network.tensors[op.output])
        steps = np.abs(output(engine, form, alone, want[taken]) - want[op.output])
        if steps.max() > LARGEST_STEP_OF_A_LAYER:
            raise AnotherNetwork(f"{network.name}, {engine} ({form}): {op.output} is {steps.max()} steps away")
        found.append(steps.ravel())
    return np.concatenate(found)


def output(engine: str, form: str, network: Network, values: np.ndarray) -> np.ndarray:
    peer = engines.load(engine, form, network, values.shape[1], threads=1)
    peer.show(values)
    peer.run()
    return peer.output()


class AnotherNetwork(Exception):
    """The peer's output is not one of this network."""
