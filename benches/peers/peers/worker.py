"""One engine in a process of its own, told over a pipe when to run.

Thread pools of several engines in one process would wait for, or spin beside, each other. Between its slices a
worker blocks on the pipe.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from . import engines, mctq

WARM_UP_FRAMES = 3


@dataclass(frozen=True)
class Slice:
    """Mean time of a frame in one slice of a round."""

    cpu_ms: float
    wall_ms: float


class Worker:
    """The near end of the pipe."""

    def __init__(self, engine: str, form: str, network: Path, size: int, threads: int, cpus: list[int]):
        # Not forked: an engine must not find another's threads half there.
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(
            target=serve, args=(far, engine, form, network, size, threads, cpus), daemon=True)
        self.process.start()
        far.close()
        self.evidence: str = self.answer()

    def measure(self, seconds: float) -> Slice:
        self.pipe.send(seconds)
        return self.answer()

    def close(self) -> None:
        self.pipe.close()
        self.process.join()

    def answer(self) -> object:
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(
    pipe: Connection, engine: str, form: str, network: Path, size: int, threads: int, cpus: list[int],
) -> None:
    """Runs in the worker's process until the near end closes."""
    os.sched_setaffinity(0, cpus)
    try:
        peer = engines.load(engine, form, mctq.read(network), size, threads)
        peer.show(noise(size))
        for _ in range(WARM_UP_FRAMES):
            peer.run()
        pipe.send(peer.evidence())
    except Exception as error:
        # The near end raises it; some of the engines' own errors could not be sent as they are.
        pipe.send(type(error)(str(error)))
        return
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        pipe.send(measure(peer, seconds))


def measure(peer: engines.Peer, seconds: float) -> Slice:
    """Frames for about so long, at least one. CPU time is user and system time of all threads."""
    frames, cpu, start = 0, time.process_time(), time.perf_counter()
    while frames == 0 or time.perf_counter() - start < seconds:
        peer.run()
        frames += 1
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Slice(cpu * 1e3 / frames, wall * 1e3 / frames)


def noise(size: int) -> np.ndarray:
    """The picture that is timed, uint8 ``[3, size, size]``: the bytes that `qsegment bench engine` makes."""
    index = np.arange(3 * size * size, dtype=np.uint64)
    return ((index * 2_654_435_761 >> 24) & 0xFF).astype(np.uint8).reshape(3, size, size)
