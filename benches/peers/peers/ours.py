"""qsegment itself, by its own commands."""

import json
import os
import subprocess
from pathlib import Path

from .worker import Slice

FIRST_FRAMES = 5


class Ours:
    """``qsegment bench engine`` of one network, size and number of threads.

    Each slice is a process of its own. What it prints is the time of its frames, without start and loading.
    """

    def __init__(self, program: Path, network: Path, size: int, threads: int, cpus: list[int]):
        self.command = [
            str(program), "bench", "engine", "--network", str(network), "--size", str(size),
            "--threads", str(threads), "--json",
        ]
        self.cpus = cpus
        self.size, self.threads = size, threads
        self.wall_ms = self.frames(FIRST_FRAMES).wall_ms

    def measure(self, seconds: float) -> Slice:
        return self.frames(max(1, round(seconds * 1e3 / self.wall_ms)))

    def frames(self, count: int) -> Slice:
        row = self.row(run([*self.command, "--frames", str(count)], self.cpus))
        self.evidence = f"kernel {row['kernel']}"
        return Slice(row["cpu_ms"], row["wall_ms"])

    def row(self, printed: str) -> dict:
        rows = [
            row for row in json.loads(printed)["rows"]
            if (row["engine"], row["size"], row["threads"]) == ("qsegment", self.size, self.threads)
        ]
        if len(rows) != 1:
            raise SystemExit(f"{' '.join(self.command)}: printed {len(rows)} rows of this size, want 1")
        return rows[0]

    def close(self) -> None:
        """Nothing is left running."""


def version(program: Path) -> str:
    return run([str(program), "--version"]).splitlines()[0]


def verify(program: Path, network: Path, vectors: Path) -> str:
    """Has qsegment compare itself with the vectors; returns what it says of them. Ends here if it differs."""
    printed = run([str(program), "verify", "--network", str(network), str(vectors)])
    return "; ".join(line.split(f"{vectors}: ")[1] for line in printed.splitlines() if str(vectors) in line)


def run(command: list[str], cpus: list[int] | None = None) -> str:
    """Standard output of a command, on these processors; ends here, with what it said, if it fails."""
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=pin)
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}; `cargo build --release` makes it") from None
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
