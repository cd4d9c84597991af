"""The networks by name: their file, and what they make of one picture."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from . import mctq, reference, table1
from .network import MaxPool, Network

REPOSITORY = Path(__file__).parents[3]
BUILD = Path(__file__).parents[1] / "build"
# Its "input" is a piece of a fundus picture, uint8 [3, 160, 160].
PICTURE = REPOSITORY / "model/golden/accurate_0.safetensors"
SHIPPED = ("accurate", "fast")


@dataclass(frozen=True)
class Prepared:
    file: Path
    network: Network
    # Every stored activation for `picture`, in the form of model/golden.
    vectors: Path
    picture: np.ndarray


def prepare(name: str) -> Prepared:
    """``accurate``, ``fast``, ``table1`` or the path of an MCTQ file."""
    BUILD.mkdir(exist_ok=True)
    picture = np.ascontiguousarray(load_file(PICTURE)["input"])
    file = path(name, picture)
    network = mctq.read(file)
    tensors = reference.run(network, picture)
    vectors = BUILD / f"{network.name}.vectors.safetensors"
    pooled = {op.output for op in network.ops if isinstance(op, MaxPool)}
    stored = {key: np.ascontiguousarray(value) for key, value in tensors.items() if key not in pooled}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    save_file(
        stored | {"input": picture, "output": stored[network.output]}, vectors, {"network_sha256": digest})
    return Prepared(file, network, vectors, picture)


def path(name: str, picture: np.ndarray) -> Path:
    if name in SHIPPED:
        return REPOSITORY / f"model/network/{name}.onnx"
    if name == "table1":
        made = BUILD / "table1.onnx"
        mctq.write(table1.make(picture), picture.shape[1], made)
        return made
    if Path(name).is_file():
        return Path(name)
    raise SystemExit(f"--network {name}: want accurate, fast, table1 or an MCTQ ONNX file")
