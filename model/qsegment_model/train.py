"""Trains the float network on CHASE_DB1. The same seed gives the same weights on the same machine."""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import data
from .losses import vessel_loss
from .network import OUTPUTS, QSegment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data.add_dataset_argument(parser)
    parser.add_argument("--images", choices=IMAGES, default="training",
                        help="training: the 20 images 01L to 10R; fitting: the 16 without 09L to 10R, for choices")
    parser.add_argument("--steps", type=int, default=6000, help="optimiser steps")
    parser.add_argument("--batch", type=int, default=4, help="pictures per step")
    parser.add_argument("--size", type=int, default=320, help="side of the network's input, pixels")
    parser.add_argument("--truth-size", type=int, default=576, help="side of the truth in the loss, pixels")
    parser.add_argument("--augmentation", choices=data.KINDS, default="wide",
                        help="wide: also scales and colours that CHASE_DB1 does not show")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate of the one-cycle schedule")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and augmentation")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads; another number may give other weights")
    parser.add_argument("--weights", type=Path, default=Path("build/qsegment-320.safetensors"), help="file to write")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    examples = data.load(args.dataset, IMAGES[args.images])
    augmentation = data.Augmentation(examples, args.size, args.truth_size, args.augmentation, args.seed)

    started = time.monotonic()
    network = train(augmentation, args.steps, args.batch, args.rate)
    seconds = time.monotonic() - started

    recipe = {key: str(value) for key, value in vars(args).items() if key not in ("dataset", "weights")}
    recipe |= {"torch": torch.__version__, "seconds": f"{seconds:.0f}"}
    args.weights.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, args.weights, {"recipe": json.dumps(recipe)})
    print(f"{args.weights}: {args.steps} steps in {seconds:.0f} s")


def train(augmentation: data.Augmentation, steps: int, batch: int, rate: float) -> QSegment:
    """A trained network, in float32 and evaluation mode."""
    network = QSegment().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)

    started, recent = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        pictures, truths = augmentation.batch(batch)
        # bfloat16 halves the time of a step on processors that multiply it natively.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logit = network(pictures.to(memory_format=torch.channels_last))
        loss = vessel_loss(logit, truths)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()

        recent += loss.item()
        if step % REPORT_EVERY == 0 or step == steps:
            count = (step - 1) % REPORT_EVERY + 1
            elapsed = time.monotonic() - started
            left = elapsed / step * (steps - step)
            print(f"step {step}/{steps}  loss {recent / count:.4f}  {elapsed:.0f} s, {left:.0f} s left", flush=True)
            recent = 0.0
    return network.eval()


def load_network(weights: Path, output: str = OUTPUTS[0]) -> QSegment:
    """The float network of a file that ``train`` wrote, in evaluation mode."""
    if not weights.is_file():
        raise SystemExit(f"{weights}: no such file; qsegment_model.train writes it")
    network = QSegment(output)
    network.load_state_dict(load_file(weights))
    return network.eval()


IMAGES = {"training": data.TRAINING, "fitting": data.FITTING}
REPORT_EVERY = 50

if __name__ == "__main__":
    main()
