"""The bookkeeping: what qsegment prints, and what becomes of slices."""

import json
import tempfile
import unittest
from pathlib import Path

from peers import ours
from peers.duel import row
from peers.worker import Slice

ROW = {
    "engine": "qsegment", "kernel": "avx512vnni", "threads": 1, "size": 320, "cpu_ms": 2.0, "wall_ms": 2.5,
    "gmac_per_s": 130.0, "peak_share": None,
}


class Duel(unittest.TestCase):
    def test_asks_qsegment_for_as_many_frames_as_fill_a_slice(self):
        with tempfile.TemporaryDirectory() as folder:
            program, told = Path(folder) / "qsegment", Path(folder) / "told"
            program.write_text(f"#!/bin/sh\necho \"$@\" >> {told}\necho '{json.dumps({'rows': [ROW]})}'\n")
            program.chmod(0o755)
            contestant = ours.Ours(program, Path("n.onnx"), 320, 1, [0])
            self.assertEqual(contestant.measure(1.0), Slice(2.0, 2.5))
            self.assertEqual(contestant.evidence, "kernel avx512vnni")
            want = "bench engine --network n.onnx --size 320 --threads 1 --json --frames 400"
            self.assertEqual(told.read_text().splitlines()[-1], want)

    def test_refuses_rows_of_another_size(self):
        contestant = ours.Ours.__new__(ours.Ours)
        contestant.command, contestant.size, contestant.threads = ["qsegment"], 512, 1
        with self.assertRaisesRegex(SystemExit, "0 rows of this size"):
            contestant.row(json.dumps({"rows": [ROW]}))

    def test_ratio_is_of_slices_of_one_round(self):
        # The machine is twice as slow in the second round, for both.
        made = row("peer", "", "n", 16, 1, 10**9, "", [Slice(6, 6), Slice(12, 12)], [Slice(2, 3), Slice(4, 6)])
        self.assertEqual((made.times_ours_cpu, made.times_ours_wall), (3, 2))
        self.assertAlmostEqual(made.gmac_per_s, 1000 / 9)

