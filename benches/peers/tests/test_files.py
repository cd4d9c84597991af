"""Files for the program's own measurement."""

import tempfile
import unittest
from pathlib import Path

import ai_edge_litert.interpreter as litert
import onnxruntime

from peers import files
from tests.test_formats import one_convolution


class Written(unittest.TestCase):
    def test_each_is_one_that_its_engine_takes_at_that_size(self):
        with tempfile.TemporaryDirectory() as folder:
            qdq, tflite = files.write(one_convolution(relu=True), 32, Path(folder))
            self.assertEqual([qdq.name, tflite.name], ["one-32.qdq.onnx", "one-32.tflite"])
            session = onnxruntime.InferenceSession(qdq, providers=["CPUExecutionProvider"])
            taken = session.get_inputs()[0]
            self.assertEqual((taken.type, taken.shape), ("tensor(uint8)", [1, 3, 32, 32]))
            taken = litert.Interpreter(str(tflite)).get_input_details()[0]
            self.assertEqual((taken["dtype"].__name__, taken["shape"].tolist()), ("int8", [1, 32, 32, 3]))
