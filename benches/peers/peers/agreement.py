"""Whether a peer computes this network at all: its output beside ours on one picture.

Equal bytes are not to be expected. An engine that rounds biases to integers, or rescales in fixed point, moves one
value in a thousand by a step in the first layer, and forty layers later most. So the wrong network is told from
the right one by three numbers: equal bytes, the largest difference, and agreement about the sign (the mask).
"""

from dataclasses import dataclass

import numpy as np

# A network with one tensor or attribute wrong agrees about as much as two unrelated masks do.
LEAST_SIGN_SHARE = 0.97


@dataclass(frozen=True)
class Agreement:
    engine: str
    network: str
    equal_share: float
    largest_steps: int
    mean_steps: float
    sign_share: float

    def __str__(self) -> str:
        return (
            f"{self.network}, {self.engine}: {self.equal_share:.1%} of bytes equal, {self.mean_steps:.2f} steps apart "
            f"on average and {self.largest_steps} at most, {self.sign_share:.2%} of signs equal"
        )


def agreement(engine: str, network: str, got: np.ndarray, want: np.ndarray) -> Agreement:
    """Compares stored outputs of the same shape; refuses one that cannot be of the same network."""
    if got.shape != want.shape:
        raise SystemExit(f"{network}, {engine}: output {got.shape}, want {want.shape}")
    steps = np.abs(got.astype(np.int32) - want.astype(np.int32))
    found = Agreement(
        engine=engine,
        network=network,
        equal_share=float((steps == 0).mean()),
        largest_steps=int(steps.max()),
        mean_steps=float(steps.mean()),
        sign_share=float(((got > 0) == (want > 0)).mean()),
    )
    if found.sign_share < LEAST_SIGN_SHARE:
        raise SystemExit(f"{found}; want at least {LEAST_SIGN_SHARE:.0%} of signs: this is another network")
    return found
