"""The machine, the agreement and the table, as Markdown and as JSON."""

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

from .duel import Row


def machine() -> str:
    """Processor and cores, as the kernel tells them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    words = fields.get("flags", fields.get("Features", "")).split()
    int8 = [w for w in ("avx2", "avx512_vnni", "avx512vbmi", "avx_vnni", "amx_int8", "asimddp", "i8mm") if w in words]
    model = fields.get("model name", platform.machine())
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return f"{model}{family}, {os.cpu_count()} cores, {' '.join(int8) or 'no int8 instructions'}"


def table(rows: list[Row]) -> str:
    lines = [
        "| network | size | threads | engine | CPU ms | wall ms | GMAC/s | times ours, CPU | times ours, wall |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        engine = row.engine if row.form == "" else f"{row.engine} ({row.form})"
        lines.append(
            f"| {row.network} | {row.size} | {row.threads} | {engine} | {row.cpu_ms:.2f} | {row.wall_ms:.2f} "
            f"| {row.gmac_per_s:.1f} | {ratio(row.times_ours_cpu)} | {ratio(row.times_ours_wall)} |"
        )
    return "\n".join(lines)


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def write(path: Path, versions: list[str], agreement: list[dict], rows: list[Row]) -> None:
    document = {
        "machine": machine(),
        "versions": versions,
        "agreement": agreement,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
