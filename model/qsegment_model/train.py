"""Trains a float network on CHASE_DB1. The same seed gives the same weights on the same machine."""

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import data
from .augmentation import PaperPictures, Pieces
from .candidates import CANDIDATES
from .losses import LOSSES
from .muon import optimisers
from .network import OUTPUTS, Architecture, QSegment, as_map
from .teacher import taught


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data.add_dataset_argument(parser)
    parser.add_argument("--network", choices=CANDIDATES, default="accurate", help="which network")
    parser.add_argument("--recipe", choices=RECIPES, default="vessel",
                        help="vessel: ours; paper: the publication's (SGD with warm restarts, whole pictures)")
    parser.add_argument("--images", choices=IMAGES, default="training",
                        help="training: the 20 images 01L to 10R; fitting: the 16 without 09L to 10R, for choices")
    parser.add_argument("--steps", type=int, help="optimiser steps; the recipe's own if not given")
    parser.add_argument("--loss", choices=LOSSES, help="the recipe's own if not given")
    parser.add_argument("--batch", type=int, help="pieces or pictures per step; the recipe's own if not given")
    parser.add_argument("--piece", type=int, default=160, help="side of a piece, pixels inside the network")
    parser.add_argument("--teacher", type=Path, action="append", metavar="WEIGHTS",
                        help="learn also from what this network says; repeat for the mean of several")
    parser.add_argument("--teacher-weight", type=float, default=0.5, help="the teacher's share of the truth")
    parser.add_argument("--start", type=Path, metavar="WEIGHTS",
                        help="begin with these weights and half the rates: one more cycle for a network that is trained")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint beside --weights")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights and augmentation")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; another number may give other weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--weights", type=Path, help="file to write (default: build/NETWORK.safetensors)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    architecture = CANDIDATES[args.network]
    recipe = RECIPES[args.recipe]
    recipe = replace(recipe, **{key: value for key in ("steps", "loss", "batch") if (value := getattr(args, key))})
    examples = data.load(args.dataset, IMAGES[args.images])
    if args.teacher:
        networks = [load_network(path) for path in args.teacher]
        examples = [taught(example, networks, args.teacher_weight) for example in examples]
    if args.recipe == "paper":
        pictures = PaperPictures(examples, architecture, args.seed)
    else:
        pictures = Pieces(examples, architecture, args.piece, args.seed)

    weights = args.weights or Path(f"build/{args.network}.safetensors")
    weights.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    network = QSegment(architecture)
    if args.start:
        network.load_state_dict(widened(load_network(args.start).state_dict(), network))
        recipe = replace(recipe, peak=0.5)
    train(network, pictures, recipe, weights.with_suffix(".checkpoint"), args.resume, args.device)
    seconds = time.monotonic() - started
    made_by = {key: str(value) for key, value in vars(args).items()
               if value is not None and key not in ("dataset", "weights", "start", "teacher")}
    made_by |= {"steps": str(recipe.steps), "loss": recipe.loss, "batch": str(recipe.batch),
                "torch": torch.__version__, "seconds": f"{seconds:.0f}", "processor": platform.machine()}
    if args.teacher:
        made_by["teachers"] = str(len(args.teacher))
    if args.start:
        made_by["start"] = json.dumps(recipe_of(args.start))
    save(network, weights, made_by)
    print(f"{weights}: {recipe.steps} steps in {seconds:.0f} s")


def widened(state: dict[str, Tensor], network: QSegment) -> dict[str, Tensor]:
    """``state`` for a network whose head makes more planes: each begins as the one there was."""
    wanted = network.state_dict()
    return {name: tensor.expand_as(wanted[name]) if name.startswith("head") else tensor for name, tensor in state.items()}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; pictures are drawn by another class for each recipe."""

    steps: int
    batch: int
    loss: str
    # Optimisers of a network, and the share of their rates at a step counted from 1.
    optimisers: Callable[[QSegment], list[torch.optim.Optimizer]]
    share: Callable[[int, int], float]
    peak: float = 1.0


def one_cycle(step: int, steps: int) -> float:
    """Up along a line over the first tenth, down to nothing along half a cosine."""
    top = 0.1 * steps
    if step <= top:
        return step / top
    return (1 + math.cos(math.pi * (step - top) / (steps - top))) / 2


def warm_restarts(step: int, steps: int) -> float:
    """Down along half a cosine, again and again: each 20 epochs of 20 pictures in batches of 8."""
    del steps
    period = 20 * math.ceil(20 / 8)
    return (1 + math.cos(math.pi * ((step - 1) % period) / period)) / 2


RECIPES = {
    "vessel": Recipe(8_000, 4, "vessel", lambda n: optimisers(n, rate=0.02, adam_rate=3e-3), one_cycle),
    # 4000 epochs of three steps. Momentum is not published; 0.9 is what the method's other programs use.
    "paper": Recipe(12_000, 8, "structure-as-coded",
                    lambda n: [torch.optim.SGD(n.parameters(), lr=1e-3, momentum=0.9)], warm_restarts),
}


def train(network: QSegment, pictures: Pieces | PaperPictures, recipe: Recipe, checkpoint: Path | None,
          resume: bool = False, device: str = "cpu") -> None:
    """Trains ``network`` and leaves it on the CPU, in evaluation mode. Saves its state now and then to ``checkpoint``."""
    network.to(device, memory_format=torch.channels_last).train()
    optimisers = recipe.optimisers(network)
    peaks = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    loss_of = LOSSES[recipe.loss]
    done, steps = 0, recipe.steps
    if resume:
        done = restore(torch.load(checkpoint), network, optimisers, pictures)
        print(f"{checkpoint}: going on after step {done}")

    started, losses = time.monotonic(), []
    for step in range(done + 1, steps + 1):
        for optimiser, rates in zip(optimisers, peaks, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * recipe.peak * recipe.share(step, steps)
        inputs, truths = (tensor.to(device) for tensor in pictures.batch(recipe.batch))
        # bfloat16 halves the time of a step on processors that multiply it natively.
        with torch.autocast(device, dtype=torch.bfloat16):
            logit = as_map(network(inputs.contiguous(memory_format=torch.channels_last)))
        loss = loss_of(logit, truths)
        network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()

        losses.append(loss.item())
        if checkpoint and (step % REPORT_EVERY == 0 or step == steps):
            elapsed = time.monotonic() - started
            left = elapsed / (step - done) * (steps - step)
            mean = sum(losses) / len(losses)
            print(f"step {step}/{steps}  loss {mean:.4f}  {elapsed:.0f} s, {left:.0f} s left", flush=True)
            losses.clear()
            torch.save(state_of(step, network, optimisers, pictures), checkpoint)
    network.cpu().eval()


def state_of(step: int, network: QSegment, optimisers: list[torch.optim.Optimizer],
             pictures: Pieces | PaperPictures) -> dict:
    return {
        "step": step,
        "network": network.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "random": pictures.random.get_state(),
    }


def restore(state: dict, network: QSegment, optimisers: list[torch.optim.Optimizer],
            pictures: Pieces | PaperPictures) -> int:
    """Takes up a saved state; how many steps it had done."""
    network.load_state_dict(state["network"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    pictures.random.set_state(state["random"])
    return state["step"]


def save(network: QSegment, weights: Path, made_by: dict[str, str]) -> None:
    """Writes weights, architecture and recipe to one file."""
    tensors: dict[str, Tensor] = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, weights, {"architecture": network.architecture.to_json(), "recipe": json.dumps(made_by)})


def recipe_of(weights: Path) -> dict[str, str]:
    """How the weights of a file were made."""
    with safe_open(weights, "pt") as file:
        return json.loads(file.metadata()["recipe"])


def load_network(weights: Path, output: str = OUTPUTS[0]) -> QSegment:
    """The float network of a file that ``save`` wrote, in evaluation mode."""
    if not weights.is_file():
        raise SystemExit(f"{weights}: no such file; qsegment_model.train writes it")
    with safe_open(weights, "pt") as file:
        architecture = (file.metadata() or {}).get("architecture")
    if architecture is None:
        raise SystemExit(f"{weights}: its metadata has no \"architecture\"; qsegment_model.train writes it")
    network = QSegment(Architecture.from_json(architecture), output)
    network.load_state_dict(load_file(weights))
    return network.eval()


IMAGES = {"training": data.TRAINING, "fitting": data.FITTING}
REPORT_EVERY = 100

if __name__ == "__main__":
    main()
