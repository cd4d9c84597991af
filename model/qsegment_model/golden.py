"""Golden vectors: every quantised activation of the network on small pieces of one fundus picture.

The picture is brought to twice the network's input size by area resize, where its vessels are as wide
as those of the training pictures at the input size, and cut; the QDQ graph, re-shaped to the piece, is
run by onnxruntime without graph optimisations, whose arithmetic is that of the MCTQ graph.

Each file holds one piece. Its keys are the outputs of the MCTQ graph's activation quantisers; values
are the stored numbers, uint8 or int8, ``[C, H, W]``. Two more keys say where to begin and to end:
``input`` (the picture's bytes, RGB) and ``output`` (the last tensor).
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from safetensors.numpy import save_file

from .data import shrink
from .qdq import quantised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("../assets/retina.jpg"), help="square fundus picture")
    parser.add_argument("--crop", action="append", metavar="X,Y",
                        help="corner of a piece, in percent of the picture; repeat for more pieces")
    parser.add_argument("--crop-size", type=int, default=160, help="side of a piece, pixels")
    parser.add_argument("--network", type=Path, default=Path("network/accurate.onnx"), help="the MCTQ network")
    parser.add_argument("--golden", type=Path, default=Path("golden"), help="folder to write NETWORK_N.safetensors to")
    args = parser.parse_args()

    if not args.picture.is_file():
        raise SystemExit(f"{args.picture}: no such picture; name a square fundus picture with --picture")
    graph = onnx.load(args.network.with_suffix(".qdq.onnx"))
    size = 2 * side(graph.graph.input[0])
    picture = shrink(np.asarray(Image.open(args.picture).convert("RGB")), size)
    reshape(graph, args.crop_size)
    corners = args.crop or DEFAULT_CROPS
    args.golden.mkdir(parents=True, exist_ok=True)
    for number, corner in enumerate(corners):
        x, y = (int(value) * size // 100 for value in corner.split(","))
        piece = picture[y : y + args.crop_size, x : x + args.crop_size]
        if piece.shape[:2] != (args.crop_size, args.crop_size):
            raise SystemExit(f"--crop {corner}: the piece leaves the picture of {size} pixels")
        path = args.golden / f"{args.network.stem}_{number}.safetensors"
        save_file(
            activations(graph, piece),
            path,
            {
                "network_sha256": hashlib.sha256(args.network.read_bytes()).hexdigest(),
                "picture": args.picture.name,
                "picture_size": str(size),
                "crop_x_y_width_height": f"{x},{y},{args.crop_size},{args.crop_size}",
                "onnxruntime": onnxruntime.__version__,
                "command": f"python -m qsegment_model.golden --network network/{args.network.name} "
                + " ".join(f"--crop {c}" for c in corners),
            },
        )
        print(f"{path}: {path.stat().st_size} bytes")


def reshape(graph: onnx.ModelProto, size: int) -> None:
    """Makes the graph take ``[1, 3, size, size]``. Weights and scales do not depend on the size."""
    taken, made = graph.graph.input[0], graph.graph.output[0]
    if size * side(made) % side(taken):
        raise SystemExit(f"--crop-size {size}: the network makes {side(made)} pixels of {side(taken)}")
    made_size = size * side(made) // side(taken)
    for tensor, pixels in ((taken, size), (made, made_size)):
        for axis in tensor.type.tensor_type.shape.dim[2:]:
            axis.dim_value = pixels
    del graph.graph.value_info[:]


def side(tensor: onnx.ValueInfoProto) -> int:
    """Rows of a tensor ``[1, C, H, W]``."""
    return tensor.type.tensor_type.shape.dim[2].dim_value


def activations(graph: onnx.ModelProto, piece: np.ndarray) -> dict[str, np.ndarray]:
    """Stored activations ``[C, H, W]`` by name, for a piece uint8 ``[H, W, 3]``."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    names = [
        node.output[0] for node in graph.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] not in weights
    ]
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.extend(onnx.ValueInfoProto(name=quantised(name)) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])

    channels_first = np.ascontiguousarray(piece.transpose(2, 0, 1))
    tensors = session.run(
        [quantised(name) for name in names],
        {graph.graph.input[0].name: channels_first[None].astype(np.float32) / 256},
    )
    stored = {name: np.ascontiguousarray(tensor[0]) for name, tensor in zip(names, tensors, strict=True)}
    return stored | {"input": channels_first, "output": stored[graph.graph.output[0].name]}


# The optic disc with the large vessels; thin vessels and the edge of the field.
DEFAULT_CROPS = ["9,37", "76,18"]

if __name__ == "__main__":
    main()
