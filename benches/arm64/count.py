"""Instructions of a frame, by kernel, counted under qemu-user; what Raspberry Pis would make of them, estimated.

Each case runs twice, with one round of `qsegment bench engine` and with more. The difference is frames and some readings
of the clock: start, loading, planning and what is printed are in both.
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The first kernel is what the others are compared with.
KERNELS = ["scalar", "neon", "sdot"]
# Small pictures show what rows cost; those of the shipped networks are what a camera runs.
CASES = [("accurate", 64), ("accurate", 128), ("accurate", 640), ("fast", 400)]
SHIPPED = [("accurate", 640), ("fast", 400)]
# It has all the kernels. Which processor is emulated changes nothing else in the engine.
PROCESSOR = "cortex-a76"
# A round of `bench engine` runs each engine twice.
FRAMES_IN_A_ROUND = 2
# As many pixels as make what differs between two runs of the same (digits printed, the system's answers) small.
PIXELS_A_CASE = 100_000


@dataclass
class Counted:
    """Of one frame."""

    network: str
    size: int
    kernel: str
    macs: int
    kinds: dict[str, float]

    @property
    def instructions(self) -> float:
        return sum(self.kinds.values())


@dataclass
class Pipe:
    """A part of a core that starts `width` operations a cycle; an instruction of a kind is as many as `of` says."""

    name: str
    width: int
    of: dict[str, int]

    def cycles(self, kinds: dict[str, float]) -> float:
        return sum(number * self.of.get(kind, 0) for kind, number in kinds.items()) / self.width


@dataclass
class Core:
    computer: str
    name: str
    hertz: float
    kernels: list[str]
    pipes: list[Pipe]

    def busiest(self, kinds: dict[str, float]) -> tuple[float, str]:
        """Cycles of the pipe that a frame keeps longest, and which it is: fewer cycles are not possible."""
        return max((pipe.cycles(kinds), pipe.name) for pipe in self.pipes)


EVERYTHING = dict.fromkeys(
    ["dot", "multiply_long", "multiply", "add_pairs_long", "convert", "transfer", "vector", "load_and_spread",
     "vector_memory_pair", "vector_memory", "memory", "other"], 1
)  # fmt: skip
# Vectors are taken as 128 bits: a product as wide as its factors and a conversion are then two operations.
VECTORS = {
    "dot": 1, "multiply_long": 1, "multiply": 2, "add_pairs_long": 1, "convert": 2, "vector": 1, "load_and_spread": 1,
}  # fmt: skip
MEMORY = {"load_and_spread": 1, "vector_memory_pair": 2, "vector_memory": 1, "memory": 1}
# Simplified from LLVM's scheduling models of the nearest kin, Neoverse N1 and Cortex-A57, which follow Arm's guides. There
# is no guide of the A53: two instructions a cycle, of which one computes with 128 bits; 64 bits from memory a cycle.
CORES = [
    Core("Raspberry Pi 5", "Cortex-A76", 2.4e9, ["scalar", "neon", "sdot"], [
        Pipe("decoder", 4, EVERYTHING),
        Pipe("vector pipes", 2, VECTORS),
        Pipe("multiplier", 1, {"multiply_long": 1, "multiply": 2, "convert": 2}),
        Pipe("pair adder", 1, {"add_pairs_long": 1}),
        Pipe("memory pipes", 2, MEMORY),
    ]),
    Core("Raspberry Pi 4", "Cortex-A72", 1.8e9, ["scalar", "neon"], [
        Pipe("decoder", 3, EVERYTHING),
        Pipe("vector pipes", 2, VECTORS),
        Pipe("multiplier", 1, {"multiply_long": 1, "multiply": 2, "convert": 2}),
        Pipe("pair adder", 1, {"add_pairs_long": 1}),
        Pipe("memory pipe", 1, MEMORY | {"transfer": 1}),
    ]),
    Core("Raspberry Pi Zero 2 W", "Cortex-A53", 1.0e9, ["scalar", "neon"], [
        Pipe("issue", 2, EVERYTHING),
        Pipe("vector pipe", 1, dict.fromkeys(VECTORS, 1) | {"transfer": 1}),
        Pipe("memory pipe", 1, MEMORY | {"vector_memory_pair": 4, "vector_memory": 2}),
    ]),
]  # fmt: skip
# From every instruction in time for the busiest pipe, to that pipe idle every other cycle.
WAITING = 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="benches/arm64/run", description=__doc__.splitlines()[0])
    parser.add_argument("--plugin", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--qsegment", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--network", help="accurate, fast, or an ONNX file [default: both at several sizes]")
    parser.add_argument("--size", type=int, action="append", help="side of its picture in pixels; may be repeated")
    parser.add_argument("--check", action="store_true", help="count each case twice and refuse more than 0.1 %% between")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    args = parser.parse_args()
    cases = CASES
    if args.network or args.size:
        cases = [(args.network or "accurate", size) for size in args.size or [128]]

    rows, farthest = [], 0.0
    print(HEAD)
    for network, size in cases:
        of_case = []
        for kernel in KERNELS:
            of_case.append(count(args, network, size, kernel))
            if args.check:
                again = count(args, network, size, kernel)
                apart = abs(again.instructions / of_case[-1].instructions - 1)
                if apart > 0.001:
                    raise SystemExit(f"{network} {size} {kernel}: two counts are {apart:.2%} apart")
                farthest = max(farthest, apart)
            print(line(of_case[-1], of_case[0]), flush=True)
        rows += of_case
    if args.check:
        print(f"\nTwo counts of each are at most {farthest:.4%} apart.")
    estimates = [e for row in rows if (row.network, row.size) in SHIPPED for e in estimated(row)]
    if estimates:
        print(f"\n{ESTIMATES_HEAD}")
        print("\n".join(estimate_line(estimate) for estimate in estimates))
    if args.json:
        document = {"counted": [as_json(row) for row in rows], "estimated": estimates}
        args.json.write_text(json.dumps(document, indent=2) + "\n")


def count(args: argparse.Namespace, network: str, size: int, kernel: str) -> Counted:
    rounds = max(1, round(PIXELS_A_CASE / size**2))
    few, macs = run(args, network, size, kernel, 1)
    many, _ = run(args, network, size, kernel, 1 + rounds)
    frames = rounds * FRAMES_IN_A_ROUND
    return Counted(network, size, kernel, macs, {kind: (many[kind] - few[kind]) / frames for kind in few})


def run(args: argparse.Namespace, network: str, size: int, kernel: str, rounds: int) -> tuple[dict[str, int], int]:
    """Instructions of the whole run, by kind, and multiply-accumulates of a frame."""
    with tempfile.NamedTemporaryFile("r") as counts:
        command = [
            "qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "-cpu", PROCESSOR,
            "-plugin", args.plugin, "-d", "plugin", "-D", counts.name,
            args.qsegment, "bench", "engine", "--json", "--network", network, "--size", str(size),
            "--kernel", kernel, "--threads", "1", "--frames", str(rounds),
        ]  # fmt: skip
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        numbers: dict[str, int] = {}
        for text in counts:
            kind, number = text.split()
            numbers[kind] = numbers.get(kind, 0) + int(number)
    return numbers, report["rows"][0]["macs"]


HEAD = """\
| network | size | kernel | instructions a frame | of scalar's | MACs an instruction | of them multiply bytes or pairs |
|---|---|---|---|---|---|---|"""


def line(row: Counted, scalar: Counted) -> str:
    multiplying = (row.kinds["dot"] + row.kinds["multiply_long"]) / row.instructions
    return (
        f"| `{row.network}` | {row.size} | {row.kernel} | {row.instructions / 1e6:.2f} M "
        f"| {row.instructions / scalar.instructions:.2f} | {row.macs / row.instructions:.2f} | {multiplying:.0%} |"
    )


ESTIMATES_HEAD = """\
| network | computer | kernel | ms a frame, one core (estimated) | what limits it |
|---|---|---|---|---|"""


def estimated(row: Counted) -> list[dict]:
    made = []
    for core in CORES:
        if row.kernel in core.kernels:
            cycles, limit = core.busiest(row.kinds)
            ms = cycles / core.hertz * 1e3
            made.append({
                "network": row.network, "size": row.size, "computer": core.computer, "core": core.name,
                "kernel": row.kernel, "ms": [ms, WAITING * ms], "limit": limit,
                "pipe_cycles": {pipe.name: pipe.cycles(row.kinds) for pipe in core.pipes},
            })  # fmt: skip
    return made


def estimate_line(made: dict) -> str:
    low, high = made["ms"]
    return (
        f"| `{made['network']}` {made['size']} | {made['computer']} ({made['core']}) | {made['kernel']} "
        f"| {low:.0f} to {high:.0f} | {made['limit']} |"
    )


def as_json(row: Counted) -> dict:
    return {
        "network": row.network, "size": row.size, "kernel": row.kernel, "macs": row.macs,
        "instructions": row.instructions, "kinds": row.kinds,
    }  # fmt: skip


if __name__ == "__main__":
    main()
