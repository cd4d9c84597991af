"""LiteRT on the CPU; XNNPACK, its default there, takes convolutions, sums and poolings.

XNNPACK has no nearest-neighbour resize, so LiteRT runs the three of them with its own kernel, which copies pixels,
and XNNPACK the four parts between. Said with operators that XNNPACK has (four copies joined along the channels,
then depth to space) all is one part, which is no faster.
"""

from typing import ClassVar

import ai_edge_litert.interpreter as litert
import numpy as np
from ai_edge_litert import __version__

from .. import tflite
from ..network import Network
from .peer import NotInt8

SETTINGS = {
    "resize": ("nearest-neighbour resize by LiteRT's own kernel", tflite.Upsampling.RESIZE),
    "depth-to-space": ("resize said as depth to space, all in XNNPACK", tflite.Upsampling.DEPTH_TO_SPACE),
}
# LiteRT's own: it copies bytes.
MAY_STAY_OUTSIDE = {"RESIZE_NEAREST_NEIGHBOR"}


class LiteRt:
    FORMS: ClassVar[dict[str, str]] = {name: words for name, (words, _) in SETTINGS.items()}

    def __init__(self, network: Network, size: int, threads: int, form: str):
        file = tflite.write(network, size, SETTINGS[form][1])
        self.interpreter = litert.Interpreter(model_content=file, num_threads=threads)
        self.interpreter.allocate_tensors()
        taken = self.interpreter.get_input_details()[0]
        self.input, self.input_zero = taken["index"], taken["quantization"][1]
        made = self.interpreter.get_output_details()[0]
        self.made, self.zero = made["index"], made["quantization"][1]

    @staticmethod
    def version() -> str:
        return f"LiteRT {__version__} (XNNPACK)"

    def show(self, values: np.ndarray) -> None:
        shifted = (values.astype(np.int16) + self.input_zero).astype(np.int8)
        self.interpreter.set_tensor(self.input, shifted.transpose(1, 2, 0)[None])

    def run(self) -> None:
        self.interpreter.invoke()

    def output(self) -> np.ndarray:
        return self.interpreter.get_tensor(self.made)[0].transpose(2, 0, 1).astype(np.int32) - self.zero

    def evidence(self) -> str:
        # The list has the file's operators and then one DELEGATE for each part that XNNPACK took.
        # No public function tells it.
        every = self.interpreter._get_ops_details()
        parts = [op for op in every if op["op_name"] == "DELEGATE"]
        operators = [op for op in every if op["op_name"] != "DELEGATE"]
        inside = delegated(operators, parts)
        outside = [op["op_name"] for i, op in enumerate(operators) if i not in inside]
        words = f"XNNPACK {len(inside)} of {len(operators)} operators in {len(parts)} parts"
        if outside:
            words += f"; LiteRT's own kernel {len(outside)} {', '.join(sorted(set(outside)))}"
        if set(outside) - MAY_STAY_OUTSIDE:
            raise NotInt8(words)
        return words


def delegated(operators: list[dict], parts: list[dict]) -> set[int]:
    """Numbers of the operators inside the parts: walked back from what a part makes to what it takes."""
    maker = {int(tensor): number for number, op in enumerate(operators) for tensor in op["outputs"]}
    inside: set[int] = set()
    for part in parts:
        taken = {int(tensor) for tensor in part["inputs"]}
        wanted = [int(tensor) for tensor in part["outputs"]]
        while wanted:
            tensor = wanted.pop()
            if tensor in taken or tensor not in maker or maker[tensor] in inside:
                continue
            inside.add(maker[tensor])
            wanted += [int(t) for t in operators[maker[tensor]]["inputs"]]
    return inside
