#!/usr/bin/env python3
"""Reads masks and pictures from a running daemon, on its Unix socket (socket.path in config.toml).

    python3 examples/read_frames.py /run/qsegment/frames.sock --frames 10 --save out

Needs nothing but Python 3. docs/socket.md has the layout; read_frames.rs beside it does the same in Rust.
"""

import argparse
import collections
import json
import pathlib
import socket
import struct

PREFIX = struct.Struct("<4sHHII")  # magic, version, kind, bytes of the header, bytes of the payload
FRAME = struct.Struct("<8Q5IfifI6I")  # what follows the prefix in the header of a frame
HELLO, FRAME_KIND, SILENT = 1, 2, 3
PROBABILITY, PICTURE = 1, 2  # what a request asks for, added

Frame = collections.namedtuple(
    "Frame",
    "sequence skipped frame_start_ns tensor_at_host_ns received_ns mask_ready_ns sent_ns exposure_ns "
    "flags frame_count lag_frames dnn_run_time_us dsp_run_time_us analogue_gain temperature_celsius "
    "vessel_fraction threshold mask_width mask_height picture_width picture_height "
    "probability_len picture_len",
)


def exactly(stream, length):
    data = stream.read(length)
    if len(data) < length:
        raise SystemExit("the daemon has ended, or has sent this program away because it was too slow")
    return data


def messages(stream):
    """Kind, rest of the header, payload of each message."""
    while True:
        magic, version, kind, header, payload = PREFIX.unpack(exactly(stream, PREFIX.size))
        if magic != b"QSEG" or version != 1:
            raise SystemExit(f"got {magic!r} version {version}, want b'QSEG' version 1: is this the right socket?")
        yield kind, exactly(stream, header - PREFIX.size), exactly(stream, payload)


def tell(frame, probability, picture):
    # The two clocks never mix: a duration is taken on each, and the durations are added. On a real camera or a
    # simulated sensor in real time, time.monotonic_ns() in the place of sent_ns is the age at this very moment.
    on_sensor = frame.tensor_at_host_ns - frame.frame_start_ns
    age_ms = (on_sensor + frame.sent_ns - frame.received_ns) / 1e6
    # With numpy: numpy.frombuffer(probability, "u1").reshape(frame.mask_height, frame.mask_width) >= frame.threshold
    vessel = sum(p >= frame.threshold for p in probability)
    print(
        f"frame {frame.sequence} skipped {frame.skipped} live {frame.flags & 1} age {age_ms:.1f} ms "
        f"mask {frame.mask_width}x{frame.mask_height} vessel {vessel} "
        f"picture {frame.picture_width}x{frame.picture_height} bytes {len(picture)}",
        flush=True,
    )


def save(folder, frame, probability, picture):
    folder.mkdir(parents=True, exist_ok=True)
    for name, magic, width, height, data in [
        (f"{frame.sequence}-probability.pgm", "P5", frame.mask_width, frame.mask_height, probability),
        (f"{frame.sequence}-picture.ppm", "P6", frame.picture_width, frame.picture_height, picture),
    ]:
        if data:
            (folder / name).write_bytes(f"{magic} {width} {height} 255\n".encode() + data)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("path", help="of the socket")
    arguments.add_argument("--frames", type=int, help="end after so many")
    arguments.add_argument("--save", type=pathlib.Path, help="folder for probability maps and pictures")
    chosen = arguments.parse_args()
    read = 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(chosen.path)
        connection.sendall(struct.pack("<4sHH", b"QSEG", 1, PROBABILITY + PICTURE))
        for kind, header, payload in messages(connection.makefile("rb")):
            if kind == HELLO:
                print("hello", json.dumps(json.loads(payload)), flush=True)
            elif kind == SILENT:
                print("silent for", struct.unpack_from("<Q", header)[0] // 10**9, "s", flush=True)
            elif kind == FRAME_KIND:
                frame = Frame._make(FRAME.unpack_from(header))
                probability, picture = payload[: frame.probability_len], payload[frame.probability_len :]
                tell(frame, probability, picture)
                if chosen.save:
                    save(chosen.save, frame, probability, picture)
                read += 1
                if read == chosen.frames:
                    return


if __name__ == "__main__":
    main()
