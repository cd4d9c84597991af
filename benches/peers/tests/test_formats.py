"""Files of the peers, read back by the engines they are for, where an engine's answer is known exactly."""

import unittest
from dataclasses import replace

import ai_edge_litert.interpreter as litert
import numpy as np
import onnxruntime

from peers import mctq, qdq, reference, tflite
from peers.network import Add, Conv, Network, Stored, Upsample
from peers.networks import REPOSITORY
from peers.worker import noise
from tests.test_networks import picture


class Qdq(unittest.TestCase):
    def test_every_form_with_float_biases_is_exact_without_optimisations(self):
        network = mctq.read(REPOSITORY / "model/network/accurate.onnx")
        want = reference.run(network, picture())[network.output]
        first, last = network.tensors[network.input], network.tensors[network.output]
        for activations in qdq.Activations:
            for pairs in (False, True):
                form = qdq.Form(activations, pairs, integer_bias=False)
                model = qdq.write(network, 160, form).SerializeToString()
                got = run_plainly(model, form.store(picture(), first)) - form.zero_point(last)
                # Its sums in float32 may put single elements a step away, and what follows from them.
                self.assertGreater((np.abs(got.astype(int) - want) <= 2).mean(), 0.95, form)


class TfLite(unittest.TestCase):
    def test_both_upsamplings_make_the_same_bytes(self):
        network = mctq.read(REPOSITORY / "model/network/accurate.onnx")
        resize, depth = (run_litert(network, 48, way) for way in tflite.Upsampling)
        np.testing.assert_array_equal(resize, depth)

    def test_a_convolution_whose_scales_need_no_rounding_is_exact(self):
        for relu in (False, True):
            network = one_convolution(relu)
            want = reference.run(network, noise(32))[network.output]
            for way in tflite.Upsampling:
                np.testing.assert_array_equal(run_litert(network, 32, way), want)

    def test_padding_that_litert_would_place_elsewhere_is_refused(self):
        network = one_convolution(relu=True)
        network.ops, network.output = [replace(network.ops[0], padding=0)], network.ops[0].output
        with self.assertRaisesRegex(ValueError, "is not LiteRT's SAME"):
            tflite.write(network, 32, tflite.Upsampling.RESIZE)


def one_convolution(relu: bool) -> Network:
    """3x3, an upsample, and the sum with a larger one; scales are so that all sums are whole output steps."""
    random = np.random.default_rng(0)
    network = Network("one", "picture", tensors={"picture": Stored(3, 1 / 256, False)})
    bias = random.integers(-9, 9, 8).astype(np.float32) / 256
    weights = random.integers(-1, 2, (8, 3, 3, 3)).astype(np.int8)
    for name, scale in (("conv", 1), ("other", 2)):
        network.push(
            Conv(input="picture", output=name, weights=weights, scales=np.full(8, scale, np.float32), bias=bias * scale,
                 stride=1, padding=1, groups=1, relu=relu),
            Stored(8, scale / 256, not relu),
        )
        network.push(Upsample(name, name + "_up"), Stored(8, scale / 256, not relu))
    network.push(Add(("conv_up", "other_up"), "sum"), Stored(8, 1 / 256, not relu))
    return network


def run_plainly(model: bytes, picture: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: picture})[0][0].astype(np.int32)


def run_litert(network: Network, size: int, upsampling: tflite.Upsampling) -> np.ndarray:
    interpreter = litert.Interpreter(model_content=tflite.write(network, size, upsampling), num_threads=1)
    interpreter.allocate_tensors()
    shifted = (noise(size).astype(np.int16) - 128).astype(np.int8).transpose(1, 2, 0)[None]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], shifted)
    interpreter.invoke()
    made = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].transpose(2, 0, 1)
    return made.astype(np.int32) - network.tensors[network.output].zero_as_int8
