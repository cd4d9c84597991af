"""Measures qsegment's int8 engine against onnxruntime, LiteRT and OpenVINO, as ratios in one alternating run.

First every engine computes one picture, and what it makes is compared; then they take turns.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from . import files, ours, report
from .agreement import Agreement, compare
from .duel import Row, rounds, row
from .engines import PEERS
from .networks import BUILD, REPOSITORY, Prepared, prepare
from .worker import Worker


def main() -> None:
    args = arguments()
    sizes, threads = numbers(args.size, "--size"), numbers(args.threads, "--threads")
    if any(size % 16 for size in sizes):
        raise SystemExit(f"--size {args.size}: want multiples of 16, the networks halve a picture up to four times")
    cpus = sorted(os.sched_getaffinity(0))
    if max(threads) > len(cpus):
        raise SystemExit(f"--threads {max(threads)}: this process may use {len(cpus)} processors")
    names = args.network or ["accurate", "table1"]
    if args.write:
        for network in (prepare(name).network for name in names):
            for size in sizes:
                print(*files.write(network, size, BUILD), sep="\n", flush=True)
        return
    program = None if args.peers_only else args.qsegment

    versions = [ours.version(program)] if program else []
    versions += [peer.version() for name, peer in PEERS.items() if name in (args.engine or PEERS)]
    print(f"{report.machine()}\n{'; '.join(versions)}\n", flush=True)

    agreements, rows = [], []
    for name in names:
        prepared = prepare(name)
        agreements += agree(args, prepared, program)
        for size in sizes:
            for count in threads:
                rows += duel(args, prepared, program, size, count, cpus[-count:])
    print("\n" + report.table(rows))
    if args.json:
        report.write(args.json, versions, [asdict(a) for a in agreements], rows)


def agree(args: argparse.Namespace, prepared: Prepared, program: Path | None) -> list[Agreement]:
    """Every engine's outputs on one picture beside the definition's; ours must equal it."""
    name = prepared.network.name
    if program:
        print(f"{name}, qsegment: {ours.verify(program, prepared.file, prepared.vectors)}", flush=True)
    found = []
    for engine, form in chosen(args):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            found.append(alone.submit(compare, engine, form, prepared.file, prepared.picture).result())
        print(found[-1], flush=True)
    return found


def duel(
    args: argparse.Namespace, prepared: Prepared, program: Path | None, size: int, threads: int, cpus: list[int],
) -> list[Row]:
    """The rounds of one network, size and number of threads. Every engine is kept to the same processors."""
    contestants = {}
    if program:
        contestants["qsegment", ""] = ours.Ours(program, prepared.file, size, threads, cpus)
    for engine, form in chosen(args):
        contestants[engine, form] = Worker(engine, form, prepared.file, size, threads, cpus)
    slices = rounds(contestants, args.rounds, args.slice)
    macs = prepared.network.macs(size)
    rows = [
        row(engine, form, prepared.network.name, size, threads, macs, contestant.evidence, slices[engine, form],
            slices.get(("qsegment", "")))
        for (engine, form), contestant in contestants.items()
    ]
    for contestant in contestants.values():
        contestant.close()
    print(f"{prepared.network.name} {size}, {threads} threads, processors {cpus}: done", file=sys.stderr, flush=True)
    if args.verbose:
        for r in rows:
            print(f"  {r.engine} ({r.form}): {r.evidence}", file=sys.stderr)
    return rows


def chosen(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Engine and form of each peer that takes part."""
    names = args.engine or list(PEERS)
    return [(name, form) for name in names for form in list(PEERS[name].FORMS)[: None if args.forms == "all" else 1]]


def numbers(text: str, option: str) -> list[int]:
    if not all(part.isdigit() and int(part) for part in text.split(",")):
        raise SystemExit(f"{option} {text}: want numbers from 1, with commas between")
    return [int(part) for part in text.split(",")]


def arguments() -> argparse.Namespace:
    forms = "\n".join(
        f"  {name:12} {form:19} {words}" for name, peer in PEERS.items() for form, words in peer.FORMS.items())
    parser = argparse.ArgumentParser(
        prog="benches/peers/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"forms of the peers, the best of each first:\n{forms}",
    )
    parser.add_argument("--network", action="append", metavar="NAME|FILE",
                        help="accurate, fast, table1 or an MCTQ file; repeat for more (default: accurate and table1)")
    parser.add_argument("--size", default="320,512,640,960", help="sides of the picture, pixels (default: %(default)s)")
    parser.add_argument("--threads", default="1", help="numbers of threads, such as 1,2 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="slices of each engine (default: %(default)s)")
    parser.add_argument("--slice", type=float, default=1.0, metavar="SECONDS", help="length (default: %(default)s)")
    parser.add_argument("--engine", action="append", choices=list(PEERS), help="peer; repeat for more (default: all)")
    parser.add_argument("--forms", choices=["best", "all"], default="best", help="of each peer (default: %(default)s)")
    parser.add_argument("--qsegment", type=Path, metavar="PATH", default=REPOSITORY / "target/release/qsegment",
                        help="our program (default: that of this checkout)")
    parser.add_argument("--peers-only", action="store_true", help="without qsegment, so without ratios")
    parser.add_argument("--write", action="store_true",
                        help="write the files for `qsegment bench engine` to build/ and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same rows here")
    parser.add_argument("--verbose", action="store_true", help="tell what each engine says that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
