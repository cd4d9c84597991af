"""Scores a network on CHASE_DB1, and beside it what any network has to be compared with.

Protocol: the frame of 960 x 960 is brought to the network's size by area resize, the probabilities
come back by bilinear resize (half-pixel centres), and are scored at 960 against the first observer, at
the threshold 0.5. "whole frame" includes the black surround, as in the literature; "field of view" does
not. Rows of comparison: the second observer, and a mask without any vessel.

The test images are for the network that ships, once. Choices are made on ``--images validation``.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn import functional as F

from . import data
from .metrics import Counts, area_under_roc, bootstrap
from .network import as_map
from .train import load_network


@dataclass(frozen=True)
class Network:
    """A network and the side of the picture it sees, pixels."""

    size: int
    # From uint8 [size, size, 3] to probabilities float32 [H, W].
    run: Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_dataset_argument(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--qdq", type=Path, metavar="FILE", help="int8: a QDQ ONNX that export wrote")
    which.add_argument("--weights", type=Path, metavar="FILE", help="float: weights that train wrote")
    parser.add_argument("--images", choices=IMAGES, default="validation",
                        help="test: 11L to 14R; validation: 09L to 10R (default); training: 01L to 10R")
    args = parser.parse_args()

    network = int8_network(args.qdq) if args.qdq else float_network(args.weights)
    examples = data.load(args.dataset, IMAGES[args.images])
    probabilities = [whole_frame(network, example) for example in examples]
    views = [data.field_of_view(example.picture) for example in examples]
    everywhere = [np.ones_like(view) for view in views]

    names = " ".join(example.name for example in examples)
    print(f"{args.qdq or args.weights} at {network.size} x {network.size}, {args.images}: {names}")
    for title, regions in (("whole frame", everywhere), ("field of view", views)):
        print(f"\n{title:21} Dice   accuracy sensit. specif. MCC    AUC    | Dice per image  | 95 % of pooled Dice")
        truths = [e.first[region] for e, region in zip(examples, regions, strict=True)]
        scores = [p[region] for p, region in zip(probabilities, regions, strict=True)]
        seconds = [e.second[region] for e, region in zip(examples, regions, strict=True)]
        auc = area_under_roc(np.concatenate(scores), np.concatenate(truths))
        print(row("network", [score >= 0.5 for score in scores], truths, f"{auc:.4f}"))
        print(row("second observer", seconds, truths, "-"))
        print(row("no vessel anywhere", [np.zeros_like(truth) for truth in truths], truths, "0.5000"))


def row(title: str, answers: list[np.ndarray], truths: list[np.ndarray], auc: str) -> str:
    """One line of the table, from bool arrays per image."""
    counts = [Counts.of(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
    pooled = sum(counts[1:], counts[0])
    dice = [image.dice() for image in counts]
    low, high = bootstrap(counts)
    return (
        f"{title:20}  {pooled.dice():.4f} {pooled.accuracy():.4f}   {pooled.sensitivity():.4f}  "
        f"{pooled.specificity():.4f}  {pooled.matthews():.4f} {auc:6} | "
        f"{statistics.mean(dice):.4f} ± {statistics.stdev(dice):.4f} | {low:.4f} to {high:.4f}"
    )


def whole_frame(network: Network, example: data.Example) -> np.ndarray:
    """Probabilities float32 [960, 960]."""
    small = torch.from_numpy(network.run(data.shrink(example.picture, network.size)))[None, None]
    frame = (data.FRAME, data.FRAME)
    return F.interpolate(small, frame, mode="bilinear", align_corners=False)[0, 0].numpy()


def float_network(weights: Path) -> Network:
    """The network in float32, before quantisation."""
    network = load_network(weights)

    def run(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return as_map(network(data.to_input(picture))).sigmoid()[0, 0].numpy()

    return Network(network.architecture.input_size, run)


def int8_network(qdq: Path) -> Network:
    """The quantised network, run by onnxruntime without graph optimisations (they change roundings)."""
    if not qdq.is_file():
        raise SystemExit(f"{qdq}: no such file; qsegment_model.export writes it")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(qdq, options, providers=["CPUExecutionProvider"])
    is_logit = output_is_signed(onnx.load(qdq).graph)

    def run(picture: np.ndarray) -> np.ndarray:
        (output,) = session.run(None, {session.get_inputs()[0].name: data.to_input(picture).numpy()})
        output = as_map(torch.from_numpy(output))[0, 0].numpy()
        return 1 / (1 + np.exp(-output)) if is_logit else output

    return Network(session.get_inputs()[0].shape[2], run)


def output_is_signed(graph: onnx.GraphProto) -> bool:
    """A signed output is a logit, an unsigned one a probability."""
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    zero_point = next(tensor for tensor in graph.initializer if tensor.name == last.input[2])
    return zero_point.data_type == onnx.TensorProto.INT8


IMAGES = {"test": data.TEST, "validation": data.VALIDATION, "training": data.TRAINING}

if __name__ == "__main__":
    main()
