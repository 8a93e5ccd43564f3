"""How soon a client plays: from the start of its process, and from connecting.

    python -m tests.bench.bench_start [--quick]

A real server over loopback, with a password and --ssl. A real client writes to a pipe; the
first byte there is its first sound. What Python takes to start, with the foreign libraries
and without, is measured in turns with it: the rest is ours. Connecting is a simulated
listener's, alone, from connect() to its first block.
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.crowd import percentile
from tests.bench.simulated_listener import Listener
from tests.processes import LOOPBACK, PASSWORD, PATIENCE_S, PROGRAM, ROOT, Stage

RUNS, QUICK_RUNS = 25, 5
MOST_S, MOST_OURS_S = 0.6, 0.3
MOST_CONNECT_MS = 50.0

CRYPTOGRAPHY = (
    "import cryptography.exceptions",
    "import cryptography.hazmat.primitives.asymmetric.x25519",
    "import cryptography.hazmat.primitives.ciphers.aead",
    "import cryptography.hazmat.primitives.serialization",
)
PYAUDIO = (*CRYPTOGRAPHY, "import pyaudio")


class Took(NamedTuple):
    """One start: by the clock, and of a processor."""

    wall_s: float
    cpu_s: float


def took(command: Sequence[str], folder: Path, *, sound: bool) -> Took:
    """Starts it; until it ends or, with `sound`, until it has written something.

    Raises RuntimeError when it fails, or is silent for long.
    """
    environment = os.environ | {"ECHOWARP_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT)}
    before_s = _children_cpu_s()
    begun_s = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        select.select([process.stdout], [], [], PATIENCE_S)
        first = os.read(process.stdout.fileno(), 1)
        if sound:
            wall_s = time.monotonic() - begun_s
            process.kill()
        process.wait()
        if not sound:
            wall_s = time.monotonic() - begun_s
    if sound != (first != b"") or (process.returncode and not sound):
        raise RuntimeError(f"{' '.join(command)}: status {process.returncode}")
    return Took(wall_s, _children_cpu_s() - before_s)


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def starts(port: int, folder: Path, runs: int) -> dict[str, list[Took]]:
    """What each kind of start took, in turns, so that whatever else the machine does
    meets all of them alike."""
    client = ("--client", "--server_address", LOOPBACK, "--udp_port", str(port), "--sink", "-")
    kinds: dict[str, Callable[[], Took]] = {
        "python -c pass": lambda: took((sys.executable, "-c", "pass"), folder, sound=False),
        "and cryptography": lambda: took(
            (sys.executable, "-c", "; ".join(CRYPTOGRAPHY)), folder, sound=False
        ),
        "and PyAudio": lambda: took(
            (sys.executable, "-c", "; ".join(PYAUDIO)), folder, sound=False
        ),
        "client to first sound": lambda: took((*PROGRAM, *client), folder, sound=True),
    }
    found: dict[str, list[Took]] = {name: [] for name in kinds}
    for act in kinds.values():
        act()  # compiles what is not compiled yet
    for _ in range(runs):
        for name, act in kinds.items():
            found[name].append(act())
    return found


def connect_ms(port: int) -> float:
    """From connect() to the first block, of a listener that joins alone."""
    listener, joined = Listener(port, full=False), False
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while listener.first_ns is None:
            if time.monotonic() > deadline_s:
                raise RuntimeError("no block came")
            ready, _, _ = select.select([listener.tcp, listener.udp], [], [], 0.05)
            if listener.tcp in ready:
                joined |= listener.receive_control()
            if listener.udp in ready:
                listener.receive_datagrams()
            if joined:
                listener.act(time.monotonic_ns())
        return (listener.first_ns - listener.began_ns) / 1e6
    finally:
        listener.tcp.close()
        listener.udp.close()


def verdict(figure: float, most: float) -> str:
    """What a row says that has something to reach."""
    return f"  {'ok' if figure < most else 'MISSED'} (< {most:g})"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 starts in place of 25")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    if not sys.platform.startswith("linux"):
        print("start: not measured here, it needs Linux")
        return
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        stage.server("--ssl", stats=False)
        found = starts(stage.port, stage.folder, runs)
        connects_ms = [connect_ms(stage.port) for _ in range(runs)]
    print(f"{f'{runs} starts, ms':<30}{'median':>8}{'best':>8}{'processor':>11}")
    for name, times in found.items():
        middle_s = median(each.wall_s for each in times)
        told = verdict(middle_s, MOST_S) if name.startswith("client") else ""
        print(_row(name, times) + told)
    libraries, client = found["and cryptography"], found["client to first sound"]
    ours = [
        Took(one.wall_s - other.wall_s, one.cpu_s - other.cpu_s)
        for one, other in zip(client, libraries, strict=True)
    ]
    print(_row("of which ours", ours) + verdict(median(t.wall_s for t in ours), MOST_OURS_S))
    middle_ms = median(connects_ms)
    print(f"\n{'connect to first block, ms':<30}{'median':>8}{'p99':>8}")
    print(
        f"{'a listener alone':<30}{middle_ms:>8.1f}{percentile(connects_ms, 0.99):>8.1f}"
        f"{verdict(middle_ms, MOST_CONNECT_MS)}"
    )
    print("\nA sink without a sound card needs no PyAudio, so ours is what exceeds `cryptography`.")


def _row(name: str, times: Sequence[Took]) -> str:
    wall_ms = [1000 * each.wall_s for each in times]
    cpu_ms = 1000 * median(each.cpu_s for each in times)
    return f"{name:<30}{median(wall_ms):>8.0f}{min(wall_ms):>8.0f}{cpu_ms:>11.0f}"


if __name__ == "__main__":
    main()
