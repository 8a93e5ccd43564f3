"""Real processes over loopback through a bad network: what is recorded, and how late.

    python -m tests.bench.bench_network [--quick] [--seconds S]

Two clients of one server, each behind the same network in both directions: one records
a WAV file, whose blocks are compared with the server's; the other writes to a pipe, and
each of its blocks is timed. Neither sink has a clock, so nothing is corrected. Added
delay is counted from the fastest block of the run; 0 is a network without jitter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echowarp.config.impair import Impairment
from tests.bench.networks import proxy
from tests.demo.compare import BLOCK_MS, compare
from tests.processes import PATIENCE_S, Stage, free_port
from tests.recordings import speech_wav

SECONDS, QUICK_SECONDS = 30.0, 6.0
BLOCK_BYTES = 960
LEAST_EXACT_PERCENT, MOST_MS = 99.9, 80.0
NETWORKS = (
    Impairment(seed=1),
    Impairment(loss_percent=5, jitter_ms=20, seed=1),
    Impairment(loss_percent=10, burst_packets=3, seed=1),
)
REQUIRED = NETWORKS[1]


def run(network: Impairment, seconds: float) -> tuple[float, npt.NDArray[np.float64]]:
    """The share of exact blocks in percent, and the added delay of each timed one, ms."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="echowarp-bench-"))
        stage = stack.enter_context(Stage(Path(folder)))
        source = stage.folder / "in.wav"
        speech_wav(source, seconds)
        server = stage.server("--ssl", source="in.wav")
        ports = [
            stack.enter_context(proxy(free_port(), stage.port, network)).port for _ in range(2)
        ]
        # The sound begins with the first client: it is the one that has to have all of it.
        recorder = stage.client(sink="got.wav", port=ports[1], name="recorder")
        recorder.says("connected")
        piped = stage.client(sink="-", port=ports[0], name="piped", stdout=subprocess.PIPE)
        came: list[float] = []
        assert piped.process.stdout is not None
        fd = piped.process.stdout.fileno()
        reader = threading.Thread(target=lambda: came.extend(_arrivals(fd)), daemon=True)
        reader.start()
        ends = [p.ends(patience_s=seconds + PATIENCE_S) for p in (recorder, piped, server)]
        if ends != [0, 0, 0]:
            raise RuntimeError("\n".join(stage.said()))
        reader.join(PATIENCE_S)
        exact = compare(source, stage.folder / "got.wav")
    late_ms = 1000 * np.array(came) - BLOCK_MS * np.arange(len(came))
    return 100 * exact.share, late_ms - late_ms.min()


def _arrivals(fd: int) -> Iterator[float]:
    """When each whole block of a pipe was there, seconds."""
    size = blocks = 0
    while data := os.read(fd, BLOCK_BYTES):
        now_s = time.monotonic()
        size += len(data)
        while blocks < size // BLOCK_BYTES:
            blocks += 1
            yield now_s


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"one network, {QUICK_SECONDS:g} s")
    parser.add_argument("--seconds", type=float)
    arguments = parser.parse_args()
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    sys.setswitchinterval(0.0001)  # the proxies and the reader share this process
    print(f"{f'{seconds:g} s, both directions':36}{'exact %':>9}{'delay ms: mean':>16}", end="")
    print(f"{'p99':>7}{'most':>7}")
    for network in (REQUIRED,) if arguments.quick else NETWORKS:
        exact, late_ms = run(network, seconds)
        p99, most = np.percentile(late_ms, 99), late_ms.max()
        ok = exact >= LEAST_EXACT_PERCENT and p99 <= MOST_MS
        verdict = "" if network != REQUIRED else "  ok" if ok else "  MISSED"
        print(
            f"{str(network).removesuffix(' each way'):36}{exact:9.3f}{late_ms.mean():16.1f}"
            f"{p99:7.1f}{most:7.1f}{verdict}",
            flush=True,
        )
    print(f"to reach: {LEAST_EXACT_PERCENT} % exact within {MOST_MS:g} ms (p99)")


if __name__ == "__main__":
    main()
