"""What the measurement asks of a peer."""

from typing import ClassVar, Protocol

import numpy as np

from ..network import Network


class Peer(Protocol):
    """One network loaded into one engine, with its input in the engine's own memory.

    ``run`` is what is timed: from the stored input to the stored output, without copies that a program would
    not need.
    """

    # Name of each form, with what it is in words; the best first.
    FORMS: ClassVar[dict[str, str]]

    def __init__(self, network: Network, size: int, threads: int, form: str): ...

    @staticmethod
    def version() -> str: ...

    def show(self, values: np.ndarray) -> None:
        """Takes the input, stored values with zero point 0 ``[C, H, W]``: of a network, the picture's bytes."""

    def run(self) -> None: ...

    def output(self) -> np.ndarray:
        """The last run's stored output with zero point 0, int32 ``[C, H, W]``."""

    def evidence(self) -> str:
        """What the engine says that it runs. Raises `NotInt8` where that is not int8 throughout."""


class NotInt8(Exception):
    """The engine computes a part in float, or outside its fast path, so its time would say nothing."""
