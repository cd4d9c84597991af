"""Post-training quantisation: float weights to the MCTQ ONNX that Sony's converter takes.

Weights become int8 with a scale per output channel, activations 8 bit with a power-of-two scale and
zero point 0. The scales come from the training pictures alone.
"""

import argparse
from pathlib import Path

import edgemdt_tpc
import model_compression_toolkit as mct
import torch

from . import data
from .network import OUTPUTS, QSegment
from .train import IMAGES, load_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data.add_dataset_argument(parser)
    parser.add_argument("--weights", type=Path, default=Path("build/qsegment-320.safetensors"), help="float weights")
    parser.add_argument("--images", choices=IMAGES, default="training", help="pictures that set the scales")
    parser.add_argument("--size", type=int, default=320, help="side of the network's input, pixels")
    parser.add_argument("--output", choices=OUTPUTS, default="logit", help="what the network's output means")
    parser.add_argument("--mctq", type=Path, default=Path("build/quantised.onnx"), help="file to write")
    args = parser.parse_args()

    examples = data.load(args.dataset, IMAGES[args.images])
    pictures = [data.to_input(data.shrink(e.picture, args.size)) for e in examples]
    args.mctq.parent.mkdir(parents=True, exist_ok=True)
    quantise(load_network(args.weights, args.output), pictures, args.mctq)
    print(f"{args.mctq}: quantised on {len(pictures)} pictures of {args.size} x {args.size}")


def quantise(network: QSegment, pictures: list[torch.Tensor], mctq: Path) -> None:
    """Writes the MCTQ ONNX of ``network``, calibrated on inputs ``[1, 3, H, W]``."""

    def calibration():
        for picture in pictures:
            yield [picture]

    quantised, _ = mct.ptq.pytorch_post_training_quantization(
        network,
        calibration,
        target_platform_capabilities=edgemdt_tpc.get_target_platform_capabilities("4.0", "imx500"),
    )
    mct.exporter.pytorch_export_model(
        model=quantised, save_model_path=str(mctq), repr_dataset=calibration, onnx_opset_version=20
    )


if __name__ == "__main__":
    main()
