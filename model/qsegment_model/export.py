"""Writes the two files that ship from what the quantiser wrote.

``NAME.onnx`` is the MCTQ graph, for Sony's converter and for the emulator. ``NAME.qdq.onnx`` says the
same in standard ONNX operators, for every other runtime. Before it ends, the command runs both on one
picture and compares every bit.
"""

import argparse
from pathlib import Path

import mct_quantizers
import numpy as np
import onnx
import onnxruntime

from .qdq import activation_scale, to_qdq


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--mctq", type=Path, default=Path("build/accurate.mctq.onnx"), help="what quantise wrote")
    parser.add_argument("--network", type=Path, default=Path("network/accurate.onnx"),
                        help="MCTQ file to write; the QDQ file is beside it, with .qdq before .onnx")
    args = parser.parse_args()
    if not args.mctq.is_file():
        raise SystemExit(f"{args.mctq}: no such file; qsegment_model.quantise writes it")

    mctq = exported(onnx.load(args.mctq))
    qdq = to_qdq(mctq)
    require_equal(mctq, qdq)

    args.network.parent.mkdir(parents=True, exist_ok=True)
    for model, path in ((mctq, args.network), (qdq, args.network.with_suffix(".qdq.onnx"))):
        onnx.save(model, path)
        print(f"{path}: {path.stat().st_size} bytes")


def exported(model: onnx.ModelProto) -> onnx.ModelProto:
    """What ships of a graph that the quantiser wrote."""
    without_origin(model)
    with_batch_of_one(model)
    require_byte_input(model)
    return model


def without_origin(model: onnx.ModelProto) -> None:
    """Drops what only describes the machine that made the file: stack traces, paths, versions of Python."""
    model.doc_string = ""
    model.graph.doc_string = ""
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    kept = [entry for entry in model.metadata_props if entry.key != "python_version"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def with_batch_of_one(model: onnx.ModelProto) -> None:
    """Fixes the free batch axis at 1: the sensor runs one picture at a time."""
    for tensor in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        axis = tensor.type.tensor_type.shape.dim
        if axis and axis[0].HasField("dim_param"):
            axis[0].dim_value = 1


def require_byte_input(model: onnx.ModelProto) -> None:
    """Refuses a network whose stored input is not the picture's byte (unsigned, scale 1/256)."""
    name = model.graph.input[0].name
    first = next(node for node in model.graph.node if name in node.input)
    scale, stored = activation_scale(first)
    if (scale, stored) != (1 / 256, np.uint8):
        raise SystemExit(f"{first.name}: input is {stored} with scale {scale}, want uint8 with scale 1/256")


def require_equal(mctq: onnx.ModelProto, qdq: onnx.ModelProto) -> None:
    """Runs both graphs on one picture of noise and compares every quantised activation, bit by bit."""
    names = [node.output[0] for node in mctq.graph.node if node.op_type == "ActivationPOTQuantizer"]
    shape = [axis.dim_value for axis in mctq.graph.input[0].type.tensor_type.shape.dim]
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 256
    want = run_all(mctq, names, noise)
    got = run_all(qdq, names, noise)
    unequal = [name for name, a, b in zip(names, want, got, strict=True) if not np.array_equal(a, b)]
    if unequal:
        raise SystemExit(f"QDQ and MCTQ differ in {len(unequal)} of {len(names)} tensors, first {unequal[0]}")
    print(f"QDQ and MCTQ agree bit for bit in {len(names)} tensors")


def run_all(model: onnx.ModelProto, names: list[str], picture: np.ndarray) -> list[np.ndarray]:
    """The named tensors of one run, without graph optimisations (they change roundings)."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names if name not in known
    )
    options = mct_quantizers.get_ort_session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, {model.graph.input[0].name: picture})


if __name__ == "__main__":
    main()
