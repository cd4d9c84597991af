"""Writes a network in the peers' own formats, for `qsegment bench engine` with its features `ort` and `tflite`."""

from collections.abc import Iterator
from pathlib import Path

from . import qdq, tflite
from .engines import PEERS, litert, onnxruntime
from .network import Network


def write(network: Network, size: int, folder: Path) -> Iterator[Path]:
    """The best form of each peer that the program can open, for one size of picture."""
    stem = folder / f"{network.name}-{size}"
    form = onnxruntime.SETTINGS[best("onnxruntime")][1]
    yield put(stem.with_name(f"{stem.name}.qdq.onnx"), qdq.write(network, size, form).SerializeToString())
    upsampling = litert.SETTINGS[best("litert")][1]
    yield put(stem.with_name(f"{stem.name}.tflite"), tflite.write(network, size, upsampling))


def best(engine: str) -> str:
    return next(iter(PEERS[engine].FORMS))


def put(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
