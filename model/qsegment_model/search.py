"""Compares the candidates: each trained, quantised, scored, and weighed by Sony's converter.

For each network of ``candidates.py``: parameters, multiply-accumulates and the milliseconds they stand
for, memory in the sensor as the converter's own report states it, and Dice and AUC of the float and of
the int8 form. Trained on the 16 images without 09L to 10R and scored on those four; the test images
play no part. A row is kept in ``--results`` as soon as it is known, and a row that is there is not made
again.
"""

import argparse
import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

from . import data
from .augmentation import Pieces
from .candidates import CANDIDATES
from .evaluate import Network, float_network, int8_network, whole_frame
from .export import exported
from .metrics import Counts, area_under_roc
from .network import QSegment
from .qdq import to_qdq
from .quantise import quantise
from .train import RECIPES, save, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_dataset_argument(parser)
    parser.add_argument("--network", choices=CANDIDATES, action="append", metavar="NAME",
                        help=f"which candidate; repeat for more (default: all: {', '.join(CANDIDATES)})")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of each (default: 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="candidates at once, one thread each")
    parser.add_argument("--results", type=Path, default=Path("search.json"), help="rows so far; written to")
    parser.add_argument("--build", type=Path, default=Path("build/search"), help="folder for what is made on the way")
    args = parser.parse_args()

    rows = json.loads(args.results.read_text()) if args.results.is_file() else {}
    wanted = args.network or list(CANDIDATES)
    missing = [name for name in wanted if name not in rows]
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = {name: pool.submit(weigh, name, args.dataset, args.steps, args.seed, args.build) for name in missing}
        for name, future in futures.items():
            rows[name] = future.result()
            args.results.write_text(json.dumps(rows, indent=1) + "\n")
            print(line(name, rows[name]), flush=True)
    print("\n" + table({name: rows[name] for name in CANDIDATES if name in rows}))


def weigh(name: str, dataset: Path | None, steps: int, seed: int, build: Path) -> dict:
    """One row, keyed by what it holds; sizes in bytes, Dice and AUC of the validation images."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    architecture = CANDIDATES[name]
    folder = build / name
    folder.mkdir(parents=True, exist_ok=True)
    examples = data.load(dataset, data.FITTING)

    started = time.monotonic()
    pictures = Pieces(examples, architecture, piece=160, seed=seed)
    network = QSegment(architecture)
    train(network, pictures, replace(RECIPES["vessel"], steps=steps), checkpoint=None)
    seconds = round(time.monotonic() - started)
    save(network, folder / "float.safetensors", {"steps": str(steps), "seed": str(seed)})

    size = architecture.input_size
    calibration = [data.to_input(data.shrink(example.picture, size)) for example in examples]
    quantise(network, calibration, folder / "quantised.onnx")
    mctq = exported(onnx.load(folder / "quantised.onnx"))
    onnx.save(mctq, folder / "network.onnx")
    onnx.save(to_qdq(mctq), folder / "network.qdq.onnx")

    held_out = data.load(dataset, data.VALIDATION)
    return {
        "parameters": network.parameter_count(),
        "macs": network.macs(),
        "input": size,
        "output": architecture.output_size,
        "memory": memory(folder / "network.onnx", folder / "converted"),
        "float": scores(float_network(folder / "float.safetensors"), held_out),
        "int8": scores(int8_network(folder / "network.qdq.onnx"), held_out),
        "steps": steps,
        "seed": seed,
        "seconds": seconds,
    }


def scores(network: Network, examples: list[data.Example]) -> dict[str, float]:
    """Pooled Dice at 0.5, the best Dice at any threshold and that threshold, accuracy, AUC."""
    said = np.stack([whole_frame(network, example) for example in examples])
    truth = np.stack([example.first for example in examples])
    counts = Counts.of(said >= 0.5, truth)
    best, threshold = max((Counts.of(said >= t, truth).dice(), t) for t in np.arange(0.3, 0.72, 0.02))
    return {"dice": counts.dice(), "accuracy": counts.accuracy(), "auc": area_under_roc(said, truth),
            "best_dice": best, "best_threshold": float(threshold)}


def memory(mctq: Path, folder: Path) -> int | str:
    """Bytes in the sensor by Sony's own report, or why there is none."""
    converter = shutil.which("imxconv-pt")
    if converter is None:
        return "no converter: pip install -e .[converter]"
    told = subprocess.run(
        [converter, "-i", mctq, "-o", folder, "--memory-report", "--overwrite-output", "--report-size-unit", "B"],
        capture_output=True, text=True, check=False,
    )
    reports = sorted(folder.glob("*MemoryReport.json"))
    if told.returncode or not reports:
        lines = [line for line in (told.stdout + told.stderr).splitlines() if "ERROR" in line.upper()]
        return "not converted: " + (lines[-1][-200:] if lines else f"exit code {told.returncode}")
    return int(json.loads(reports[-1].read_text())["Memory Report"]["Memory Usage"].rstrip("B"))


def milliseconds(macs: int) -> tuple[float, float]:
    """What so many multiply-accumulates take at the two rates published for this sensor.

    336 million in 14.3 ms (arXiv 2506.18807) and 11.8 million in 0.86 ms (arXiv 2307.07813).
    """
    return macs / 336e6 * 14.3, macs / 11.8e6 * 0.86


def table(rows: dict[str, dict]) -> str:
    head = ("| network | input -> output | parameters | MMAC | modelled ms | memory | Dice float | Dice int8 "
            "| best int8 | AUC float | AUC int8 | s |\n|---|---|---|---|---|---|---|---|---|---|---|---|")
    return "\n".join([head, *(line(name, row) for name, row in rows.items())])


def line(name: str, row: dict) -> str:
    low, high = milliseconds(row["macs"])
    used = row["memory"]
    used = f"{used:,} ({used / BUDGET:.0%})" if isinstance(used, int) else used
    a, b = row["float"], row["int8"]
    return (
        f"| {name} | {row['input']} -> {row['output']} | {row['parameters']:,} | {row['macs'] / 1e6:.0f} "
        f"| {low:.0f} to {high:.0f} | {used} | {a['dice']:.4f} | {b['dice']:.4f} "
        f"| {b['best_dice']:.4f} at {b['best_threshold']:.2f} | {a['auc']:.4f} | {b['auc']:.4f} | {row['seconds']} |"
    )


# Bytes a network may take in the sensor, its weights included.
BUDGET = 8_388_480

if __name__ == "__main__":
    main()
