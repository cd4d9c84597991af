"""Quantisation: float weights to the MCTQ ONNX that Sony's converter takes.

Weights become int8 with a scale per output channel, activations 8 bit with a power-of-two scale and
zero point 0. The scales come from the training pictures alone. Three methods of the Model Compression
Toolkit: ``ptq`` only sets scales; ``gptq`` then moves each rounding so that the layers' results stay
what they were; ``qat`` trains on through the roundings with the training loss.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import edgemdt_tpc
import model_compression_toolkit as mct
import torch
from torch import nn

from . import data
from .augmentation import Pieces
from .losses import vessel_loss
from .network import OUTPUTS, QSegment, as_map
from .train import IMAGES, load_network

# Inputs [1, 3, H, W], one after the other.
Calibration = Callable[[], Iterator[list[torch.Tensor]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_dataset_argument(parser)
    parser.add_argument("--weights", type=Path, default=Path("build/accurate.safetensors"),
                        help="float weights (default: build/accurate.safetensors)")
    parser.add_argument("--images", choices=IMAGES, default="training",
                        help="pictures that set the scales (default: training)")
    parser.add_argument("--output", choices=OUTPUTS, default="logit",
                        help="what the network's output means (default: logit)")
    parser.add_argument("--method", choices=METHODS, default="ptq", help="(default: ptq)")
    parser.add_argument("--steps", type=int, default=300, help="training steps of qat, epochs of gptq (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="seed of qat's pieces (default: 1)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--mctq", type=Path, help="file to write (default: beside the weights, .mctq.onnx)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    examples = data.load(args.dataset, IMAGES[args.images])
    network = load_network(args.weights, args.output)
    size = network.architecture.input_size
    pictures = [data.to_input(data.shrink(example.picture, size)) for example in examples]
    pieces = Pieces(examples, network.architecture, piece=160, seed=args.seed)
    mctq = args.mctq or args.weights.with_suffix(".mctq.onnx")
    mctq.parent.mkdir(parents=True, exist_ok=True)
    quantise(network, pictures, mctq, METHODS[args.method](args.steps, pieces))
    print(f"{mctq}: {args.method} on {len(pictures)} pictures of {size} x {size}")


# Makes a quantised network of a float one.
Method = Callable[[QSegment, Calibration], nn.Module]


def ptq(network: QSegment, calibration: Calibration) -> nn.Module:
    quantised, _ = mct.ptq.pytorch_post_training_quantization(
        network, calibration, target_platform_capabilities=SENSOR
    )
    return quantised


def gptq(epochs: int, _pieces: Pieces) -> Method:
    def method(network: QSegment, calibration: Calibration) -> nn.Module:
        # Weighing layers by Hessians takes a day on a CPU for a network that ends in a picture.
        config = mct.gptq.get_pytorch_gptq_config(
            n_epochs=epochs, use_hessian_based_weights=False, use_hessian_sample_attention=False
        )
        quantised, _ = mct.gptq.pytorch_gradient_post_training_quantization(
            network, calibration, gptq_config=config, target_platform_capabilities=SENSOR
        )
        return quantised

    return method


def qat(steps: int, pieces: Pieces) -> Method:
    def method(network: QSegment, calibration: Calibration) -> nn.Module:
        if network.output != "logit":
            raise SystemExit("qat trains on logits: use --output logit")
        quantised, _ = mct.qat.pytorch_quantization_aware_training_init_experimental(
            network, calibration, target_platform_capabilities=SENSOR
        )
        # Batch norms were folded away; what is left is moved a little, at a rate that falls to nothing.
        optimiser = torch.optim.AdamW(quantised.parameters(), lr=1e-4, weight_decay=0)
        quantised.train()
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = 1e-4 * (1 - step / steps)
            inputs, truths = pieces.batch(4)
            loss = vessel_loss(as_map(quantised(inputs)), truths)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return mct.qat.pytorch_quantization_aware_training_finalize_experimental(quantised.eval())

    return method


def quantise(network: QSegment, pictures: list[torch.Tensor], mctq: Path, method: Method = ptq) -> None:
    """Writes the MCTQ ONNX of ``network``, calibrated on inputs ``[1, 3, H, W]``."""

    def calibration() -> Iterator[list[torch.Tensor]]:
        for picture in pictures:
            yield [picture]

    quantised = method(network, calibration)
    mct.exporter.pytorch_export_model(
        model=quantised, save_model_path=str(mctq), repr_dataset=calibration, onnx_opset_version=20
    )


METHODS: dict[str, Callable[[int, Pieces], Method]] = {"ptq": lambda _steps, _pieces: ptq, "gptq": gptq, "qat": qat}
SENSOR = edgemdt_tpc.get_target_platform_capabilities("4.0", "imx500")

if __name__ == "__main__":
    main()
