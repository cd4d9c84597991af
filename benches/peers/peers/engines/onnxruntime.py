"""onnxruntime on the CPU, all graph optimisations.

Its quantised convolutions want input and output of one type: with activations as they are stored, 11 of 26
convolutions of ``accurate`` stay float between pairs. With uint8 throughout (zero point 128 for the signed ones) and
a pair after each copy all 26 become QLinearConv with channels last. Input and output are bound, so no run allocates
them.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime

from .. import qdq
from ..network import Network
from ..qdq import Activations
from .peer import NotInt8

SETTINGS = {
    "u8-pairs": ("uint8 activations, a pair after pooling and upsampling", qdq.Form(Activations.UINT8, True, True)),
    "u8": ("uint8 activations, pooling and upsampling of stored values", qdq.Form(Activations.UINT8, False, True)),
    "s8-pairs": ("int8 activations, a pair after pooling and upsampling", qdq.Form(Activations.INT8, True, True)),
}


class OnnxRuntime:
    FORMS: ClassVar[dict[str, str]] = {name: words for name, (words, _) in SETTINGS.items()}

    def __init__(self, network: Network, size: int, threads: int, form: str):
        self.form = SETTINGS[form][1]
        self.taken = network.tensors[network.input]
        self.zero = self.form.zero_point(network.tensors[network.output])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        if self.form.activations == Activations.INT8:
            # Else it leaves int8 activations alone on x86-64.
            options.add_session_config_entry("session.qdqisint8allowed", "1")
        # It warns that a graph optimised for this processor is for this processor.
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            optimised = Path(folder) / "optimised.onnx"
            options.optimized_model_filepath = str(optimised)
            model = qdq.write(network, size, self.form).SerializeToString()
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self.operators = Counter(node.op_type for node in onnx.load(optimised).graph.node)
        made = self.session.get_outputs()[0]
        self.made = np.zeros(made.shape, self.zero.dtype)
        self.binding = self.session.io_binding()
        self.binding.bind_output(made.name, "cpu", 0, self.made.dtype, self.made.shape, self.made.ctypes.data)

    @staticmethod
    def version() -> str:
        return f"onnxruntime {onnxruntime.__version__}"

    def show(self, values: np.ndarray) -> None:
        self.values = self.form.store(values, self.taken)
        self.binding.bind_cpu_input(self.session.get_inputs()[0].name, self.values)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def output(self) -> np.ndarray:
        return self.made[0].astype(np.int32) - self.zero

    def evidence(self) -> str:
        words = ", ".join(f"{count} {name}" for name, count in self.operators.most_common())
        in_float = {"Conv", "FusedConv", "NhwcFusedConv", "Add", "QuantizeLinear"} & self.operators.keys()
        if in_float:
            raise NotInt8(f"the optimised graph has {words}")
        return words
