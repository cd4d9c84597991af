"""Measures how much of the sensor's memory the converter gives a network at several input sizes, and
compares it with what `qsegment inspect` estimates. Prints a Markdown table.

    VENV/bin/python packaging/memory_rule.py --imxconv VENV/bin/imxconv-pt --qsegment target/release/qsegment

VENV is what `qsegment pack --setup VENV` makes; it has the `onnx` package. About 20 seconds a row.
"""

import argparse
import json
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

import onnx

NETWORK = Path(__file__).parent.parent / "tests/fixtures/qsegment-320.onnx"
# Width, height, and whether the input tensor stays in memory during the inference.
ROWS = [
    (64, 64, True), (128, 128, True), (192, 192, True), (256, 256, True), (256, 256, False),
    (288, 288, True), (320, 240, True), (320, 320, True), (320, 320, False), (336, 336, True),
    (352, 352, True), (352, 352, False), (384, 384, True), (416, 256, True),
]
SKIP_ROWS = [(256, 256, True), (288, 288, True), (288, 288, False), (320, 320, True)]


def reshaped(network, width, height, path):
    """Writes the network with another input size; its parameters do not depend on it."""
    model = onnx.load(network)
    graph = model.graph
    old_height, old_width = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[2:4])
    for value in [*graph.input, *graph.output, *graph.value_info]:
        dims = value.type.tensor_type.shape.dim
        # Weights have four axes too, but a window of at most 3 pixels.
        if len(dims) == 4 and dims[2].dim_value > 3:
            dims[2].dim_value = dims[2].dim_value * height // old_height
            dims[3].dim_value = dims[3].dim_value * width // old_width
    onnx.save(model, path)


def with_skip(path):
    """Writes the network with an identity skip around its last block, as the paper's has it."""
    model = onnx.load(NETWORK)
    nodes = list(model.graph.node)
    head = next(i for i, node in enumerate(nodes) if node.name.startswith("/head") and node.op_type == "Conv")
    block = next(node for node in nodes if node.name.startswith("/block7_conv_bn") and node.op_type == "Conv")
    before, behind = block.input[0], nodes[head].input[0]
    add = onnx.helper.make_node("Add", [before, behind], ["/skip/sum"], name="/skip/Add")
    quantiser = onnx.NodeProto()
    quantiser.CopyFrom(next(node for node in nodes if behind in node.output))
    quantiser.name, quantiser.input[0], quantiser.output[0] = "/skip/Quantizer", "/skip/sum", "/skip/out"
    nodes[head].input[0] = "/skip/out"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:head], add, quantiser, *nodes[head:]])
    info = model.graph.value_info.add()
    info.CopyFrom(next(value for value in model.graph.value_info if value.name == behind))
    info.name = "/skip/out"
    onnx.save(model, path)


def measured(imxconv, path, out, persistent):
    """Bytes while the network runs, and of its weights; the converter's report if it does not fit."""
    command = [imxconv, "-i", path, "-o", out, "--overwrite-output", "--memory-report"]
    if not persistent:
        command.append("--no-input-persistency")
    subprocess.run(command, check=False, capture_output=True)
    params = Path(out) / "dnnParams.xml"
    if not params.exists():
        report = next(Path(out).glob("*_MemoryReport.json"))
        return json.loads(report.read_text())["Memory Report"]
    memory = xml.parse(params).getroot().find("l2memory").attrib
    return int(memory["networksRuntimeSize"]), int(memory["coefficientsSize"])


def estimated(qsegment, path, persistent):
    option = [] if persistent else ["--no-input-persistency"]
    found = subprocess.run([qsegment, "inspect", "--json", *option, path], capture_output=True, check=False)
    return json.loads(found.stdout)["preflight"]["memory"]["runtime_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imxconv", required=True)
    parser.add_argument("--qsegment")
    args = parser.parse_args()
    print("| network | input | input stays | run time, converter | weights | run time, estimated | error |")
    print("|---|---|---|---|---|---|---|")
    rows = [("shipped", *row) for row in ROWS] + [("last block with a skip", *row) for row in SKIP_ROWS]
    for name, width, height, persistent in rows:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/network.onnx"
            network = NETWORK
            if name != "shipped":
                network = f"{folder}/skip.onnx"
                with_skip(network)
            reshaped(network, width, height, path)
            found = measured(args.imxconv, path, f"{folder}/out", persistent)
            guess = estimated(args.qsegment, path, persistent) if args.qsegment else None
        stays = "yes" if persistent else "no"
        if isinstance(found, dict):
            runtime = found["Runtime Memory Physical Size"]
            print(f"| {name} | {width}x{height} | {stays} | {runtime}: does not fit | | {guess or 0:,} | |", flush=True)
            continue
        runtime, weights = found
        error = f"{100 * (guess - runtime) / runtime:+.1f} %" if guess else ""
        print(f"| {name} | {width}x{height} | {stays} | {runtime:,} | {weights:,} | {guess or 0:,} | {error} |", flush=True)


if __name__ == "__main__":
    main()
