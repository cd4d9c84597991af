"""The peers, each with its forms: ways to state the same network, the best first."""

from ..network import Network
from . import litert, onnxruntime, openvino
from .peer import Peer

PEERS: dict[str, type[Peer]] = {
    "onnxruntime": onnxruntime.OnnxRuntime,
    "litert": litert.LiteRt,
    "openvino": openvino.OpenVino,
}


def load(engine: str, form: str, network: Network, size: int, threads: int) -> Peer:
    return PEERS[engine](network, size, threads, form)
