"""Trains the float network on CHASE_DB1. The same seed gives the same weights on the same machine."""

import argparse
import json
import math
import time
from dataclasses import dataclass
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
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint beside --weights")
    parser.add_argument("--batch", type=int, default=4, help="pictures per step")
    parser.add_argument("--size", type=int, default=320, help="side of the network's input, pixels")
    parser.add_argument("--truth-size", type=int, default=576, help="side of the truth in the loss, pixels")
    parser.add_argument("--augmentation", choices=data.KINDS, default="narrow",
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

    args.weights.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = args.weights.with_suffix(".checkpoint")
    schedule = Schedule(args.steps, args.rate)
    started = time.monotonic()
    network = train(augmentation, schedule, args.batch, checkpoint, args.resume)
    seconds = time.monotonic() - started

    recipe = {key: str(value) for key, value in vars(args).items() if key not in ("dataset", "weights")}
    recipe |= {"torch": torch.__version__, "seconds": f"{seconds:.0f}"}
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, args.weights, {"recipe": json.dumps(recipe)})
    print(f"{args.weights}: {schedule.steps} steps in {seconds:.0f} s")


@dataclass(frozen=True)
class Schedule:
    """Learning rate and momentum by step, one cycle: the rate rises over the first tenth of the steps
    and falls along a cosine, as in torch's ``OneCycleLR``. A function of the step alone, so that a run
    can go on from a checkpoint.
    """

    steps: int
    peak: float

    def at(self, step: int) -> tuple[float, float]:
        """Learning rate and first AdamW beta of a step, counted from 1."""
        first, top, last = 1, 0.1 * self.steps, self.steps
        if step <= top:
            part = (step - first) / (top - first)
            return between(self.peak / 25, self.peak, part), between(0.95, 0.85, part)
        part = (step - top) / (last - top)
        return between(self.peak, self.peak / 250_000, part), between(0.85, 0.95, part)


def between(start: float, end: float, part: float) -> float:
    """From ``start`` to ``end`` along half a cosine; ``part`` is 0 to 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def train(augmentation: data.Augmentation, schedule: Schedule, batch: int, checkpoint: Path, resume: bool) -> QSegment:
    """A trained network, in float32 and evaluation mode. Saves its state now and then to ``checkpoint``."""
    network = QSegment().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.peak, weight_decay=1e-4)
    done = 0
    if resume:
        state = torch.load(checkpoint)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        augmentation.random.set_state(state["random"])
        done = state["step"]
        print(f"{checkpoint}: going on after step {done}")

    steps = schedule.steps
    started, losses = time.monotonic(), []
    for step in range(done + 1, steps + 1):
        rate, momentum = schedule.at(step)
        for group in optimiser.param_groups:
            group["lr"], group["betas"] = rate, (momentum, 0.999)
        pictures, truths = augmentation.batch(batch)
        # bfloat16 halves the time of a step on processors that multiply it natively.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logit = network(pictures.to(memory_format=torch.channels_last))
        loss = vessel_loss(logit, truths)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()

        losses.append(loss.item())
        if step % REPORT_EVERY == 0 or step == steps:
            elapsed = time.monotonic() - started
            left = elapsed / (step - done) * (steps - step)
            mean = sum(losses) / len(losses)
            print(f"step {step}/{steps}  loss {mean:.4f}  {elapsed:.0f} s, {left:.0f} s left", flush=True)
            losses.clear()
            torch.save(
                {"step": step, "network": network.state_dict(), "optimiser": optimiser.state_dict(),
                 "random": augmentation.random.get_state()},
                checkpoint,
            )
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
