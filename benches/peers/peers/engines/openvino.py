"""OpenVINO on the CPU, hint LATENCY, one stream.

Activations as they are stored, with float biases, are as fast as any form; pairs around pooling and upsampling can
cost it a pass each. A sum that it cannot join to a convolution may read one operand as float (two sums of ``table1``
do, on processors with bfloat16 as bfloat16); uint8 with pairs keeps those in int8, too, and was slower. int8
throughout, which needs zero point -128, it refuses to compile.
"""

from collections import Counter
from typing import ClassVar

import numpy as np
import openvino

from .. import qdq
from ..network import Network
from ..qdq import Activations
from .peer import NotInt8

SETTINGS = {
    "as-stored": ("int8 and uint8 activations as stored, float biases", qdq.Form(Activations.AS_STORED, False, False)),
    "as-stored-pairs": ("the same, a pair after pooling and upsampling", qdq.Form(Activations.AS_STORED, True, False)),
    "as-stored-int-bias": ("the first with int32 biases", qdq.Form(Activations.AS_STORED, False, True)),
    "u8": ("uint8 activations, float biases", qdq.Form(Activations.UINT8, False, False)),
}
# Kinds of nodes that compute; the others are constants, inputs and changes of layout.
COMPUTES = {"Convolution", "Pooling", "Interpolate", "Subgraph", "Eltwise", "FakeQuantize"}


class OpenVino:
    FORMS: ClassVar[dict[str, str]] = {name: words for name, (words, _) in SETTINGS.items()}

    def __init__(self, network: Network, size: int, threads: int, form: str):
        self.form = SETTINGS[form][1]
        self.taken = network.tensors[network.input]
        self.zero = self.form.zero_point(network.tensors[network.output])
        core = openvino.Core()
        model = core.read_model(qdq.write(network, size, self.form).SerializeToString())
        self.compiled = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1})
        self.request = self.compiled.create_infer_request()

    @staticmethod
    def version() -> str:
        return f"OpenVINO {openvino.__version__.split('-')[0]}"

    def show(self, values: np.ndarray) -> None:
        self.values = openvino.Tensor(self.form.store(values, self.taken))
        self.request.set_input_tensor(self.values)

    def run(self) -> None:
        self.request.infer()

    def output(self) -> np.ndarray:
        return self.request.get_output_tensor().data[0].astype(np.int32) - self.zero

    def evidence(self) -> str:
        counts = Counter()
        for op in self.compiled.get_runtime_model().get_ordered_ops():
            about = op.get_rt_info()
            kind, kernel = about["layerType"].astype(str), about["primitiveType"].astype(str)
            if kind in COMPUTES:
                counts[f"{kind} {kernel}"] += 1
        words = ", ".join(f"{count} {what}" for what, count in counts.most_common())
        # A kernel's name ends in the type it computes in: _I8 and _u8, or _f32, _bf16.
        convolutions = [what for what in counts if what.startswith("Convolution")]
        if not all(what.lower().endswith(("_i8", "_u8")) for what in convolutions):
            raise NotInt8(words)
        return words
