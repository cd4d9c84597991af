"""The alternating run: a slice of ours, one of each peer, and again.

A machine that others use, or that changes its clock, does so for all: what is compared is the ratio of two slices
of the same round, and of all rounds the median.
"""

from dataclasses import dataclass
from statistics import median
from typing import Protocol

from .worker import Slice


class Contestant(Protocol):
    evidence: str

    def measure(self, seconds: float) -> Slice: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Row:
    """One line of the table. Ratios are to ours, above 1 where ours is faster; None where ours did not run."""

    engine: str
    form: str
    network: str
    size: int
    threads: int
    cpu_ms: float
    wall_ms: float
    gmac_per_s: float
    times_ours_cpu: float | None
    times_ours_wall: float | None
    evidence: str


def rounds(contestants: dict[str, Contestant], count: int, seconds: float) -> dict[str, list[Slice]]:
    slices: dict[str, list[Slice]] = {name: [] for name in contestants}
    for _ in range(count):
        for name, contestant in contestants.items():
            slices[name].append(contestant.measure(seconds))
    return slices


def row(
    engine: str, form: str, network: str, size: int, threads: int, macs: int, evidence: str, slices: list[Slice],
    ours: list[Slice] | None,
) -> Row:
    cpu_ms = median(s.cpu_ms for s in slices)
    pairs = list(zip(slices, ours, strict=True)) if ours else []
    return Row(
        engine=engine,
        form=form,
        network=network,
        size=size,
        threads=threads,
        cpu_ms=cpu_ms,
        wall_ms=median(s.wall_ms for s in slices),
        # Of CPU time: what one core does, whatever else the machine is doing.
        gmac_per_s=macs / cpu_ms / 1e6,
        times_ours_cpu=median(s.cpu_ms / o.cpu_ms for s, o in pairs) if pairs else None,
        times_ours_wall=median(s.wall_ms / o.wall_ms for s, o in pairs) if pairs else None,
        evidence=evidence,
    )
