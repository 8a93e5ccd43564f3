"""What many listeners cost a server, and what they hear of it.

    python -m tests.bench.bench_listeners [--quick]

A real server over loopback and a crowd of simulated listeners (tests/bench/crowd.py).
Needs Linux, whose /proc tells of the server and whose kernel stamps what arrives.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import side_by_side
from tests.bench.crowd import AT_ONCE, Step, percentile
from tests.bench.simulated_listener import CLAIMED_LOSS
from tests.processes import ROOT, Stage

STEPS, QUICK_STEPS = (1, 10, 50, 100, 200, 250, 300), (1, 25, 100)
SECONDS, QUICK_SECONDS = 10.0, 1.5
ROOM = 512

CPU_AT, MOST_CPU_PERCENT = 100, 0.25
"""Of a core for each of so many listeners."""
MOST_MEMORY_KIB = 100.0
TICKS_TO, MOST_TICK_MS = 250, 5.0
MOST_FIRST_MS = 50.0

SHARED, QUICK_SHARED = 300, 200
"""Listeners whom one worker and two workers serve."""
CORES, LEAST_GAIN = 2, 1.6
ROUNDS = 2

COLUMNS = (
    ("listeners", 9),
    ("core %", 7),
    ("each %", 7),
    ("KiB each", 9),
    ("tick p50", 9),
    ("p99 ms", 7),
    ("late p50", 9),
    ("p99 ms", 7),
    ("joins/s", 8),
    ("cpu ms", 7),
    ("first p50", 10),
    ("p99 ms", 7),
    ("rows", 5),
    ("lost", 9),
)


def missed(step: Step) -> list[str]:
    """What this step had to reach and did not."""
    return [
        what
        for what, bad in (
            ("core", step.listeners == CPU_AT and cpu_each_percent(step) > MOST_CPU_PERCENT),
            ("memory", step.listeners >= CPU_AT and kib_each(step) > MOST_MEMORY_KIB),
            ("tick", step.listeners <= TICKS_TO and step.tick_ms[1] >= MOST_TICK_MS),
            ("first", step.listeners <= TICKS_TO and median(step.first_ms) >= MOST_FIRST_MS),
        )
        if bad
    ]


def cpu_each_percent(step: Step) -> float:
    """Share of a core for each listener, percent."""
    return 100 * step.cpu / step.listeners


def kib_each(step: Step) -> float:
    """What the server's memory has grown by for each listener."""
    return (step.rss_kib - step.idle_kib) / step.listeners


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return percentile(values, 0.5)


def row(step: Step) -> str:
    """A line of the table."""
    cells = (
        f"{step.listeners}",
        f"{100 * step.cpu:.1f}",
        f"{cpu_each_percent(step):.3f}",
        f"{kib_each(step):.0f}",
        f"{step.tick_ms[0]:.2f}",
        f"{step.tick_ms[1]:.2f}",
        f"{step.late_ms[0]:.2f}",
        f"{step.late_ms[1]:.2f}",
        "-" if step.joins is None else f"{step.joins:.0f}",
        "-" if step.join_cpu_ms is None else f"{step.join_cpu_ms:.1f}",
        f"{median(step.first_ms):.1f}",
        f"{percentile(step.first_ms, 0.99):.1f}",
        f"{step.rows:.2f}",
        f"{step.lost}/{step.blocks}",
    )
    verdict = f"MISSED: {', '.join(missed(step))}" if missed(step) else "ok"
    widths = [width for _, width in COLUMNS]
    return "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)) + f"  {verdict}"


def ramp(*options: str, steps: Sequence[int], seconds: float) -> Iterator[Step]:
    """Starts a server and lets the crowd grow. Raises RuntimeError when the crowd fails."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        server = stage.server("--max_clients", str(ROOM), *options, bind=None, stats=False)
        command = [sys.executable, "-m", "tests.bench.crowd", str(stage.port), str(server.pid)]
        command += [*map(str, steps), "--seconds", str(seconds)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as crowd:
            assert crowd.stdout is not None
            for line in crowd.stdout:
                yield Step(**json.loads(line))
        if crowd.returncode or not server.running:
            raise RuntimeError(f"the crowd did not get through; the server said:\n{server.said}")


def carried(step: Step) -> float:
    """How many listeners CORES cores would carry: no process can have more than one, and
    all processes together no more than there are."""
    return step.listeners * min(1 / step.busiest, CORES / step.cpu)


def share(listeners: int, seconds: float) -> None:
    """Prints what two workers gain."""
    print(f"\nOne worker and two, --ssl, {listeners} listeners, {seconds:g} s each")
    print(f"{'workers':>8}" + "".join(f"{title:>{width}}" for title, width in COLUMNS))
    steps: dict[int, list[Step]] = {1: [], 2: []}
    for workers in (1, 2) * ROUNDS:
        (step,) = ramp("--ssl", "--workers", str(workers), steps=(listeners,), seconds=seconds)
        steps[workers].append(step)
        print(f"{workers:>8}" + row(step), flush=True)
    one, two = (statistics.mean(map(carried, each)) for each in steps.values())
    busiest = statistics.mean(step.busiest for step in steps[2])
    verdict = "ok" if two >= LEAST_GAIN * one else "MISSED"
    print(
        f"By their processor time {CORES} cores carry {one:.0f} listeners with one worker and"
        f" {two:.0f} with two, {two / one:.2f} times as many (to reach: {LEAST_GAIN}): {verdict}."
        f" The busiest of the three processes takes {100 * busiest:.0f} % of a core."
    )
    rate, threads, processes = side_by_side.compare(seconds / 5)
    print(
        f"Sealing and sending alone: {rate:.0f} datagrams a second by one thread; two threads"
        f" {threads:.2f} times that, two processes {processes:.2f} times."
    )


def main() -> None:
    """Prints a table for each suite, and one of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer listeners, 1.5 s each")
    quick = parser.parse_args().quick
    if not sys.platform.startswith("linux"):
        print("listeners: not measured here, it needs Linux")
        return
    steps, seconds = (QUICK_STEPS, QUICK_SECONDS) if quick else (STEPS, SECONDS)
    print(
        f"To reach: {MOST_CPU_PERCENT} % of a core each at {CPU_AT}; under {MOST_MEMORY_KIB:.0f}"
        f" KiB each from {CPU_AT} on; to {TICKS_TO} a tick p99 under {MOST_TICK_MS:g} ms and the"
        f" first block within {MOST_FIRST_MS:g} ms."
    )
    for name, options in (("password", ()), ("password, --ssl", ("--ssl",))):
        print(f"\nPCM 48 kHz stereo, {name}, {seconds:g} s a step")
        print("".join(f"{title:>{width}}" for title, width in COLUMNS))
        for step in ramp(*options, steps=steps, seconds=seconds):
            print(row(step), flush=True)
    print(
        f"\nReports claim a loss of {100 * CLAIMED_LOSS:g} %, at which rows for every fourth block"
        f" are sent; {AT_ONCE} join at once. joins/s and the server's cpu ms for each are"
        " those of this step."
    )
    share(QUICK_SHARED if quick else SHARED, seconds)


if __name__ == "__main__":
    main()
