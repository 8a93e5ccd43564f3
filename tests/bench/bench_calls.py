"""Mouth to ear in a call, beside the one-way stream, between the devices of a private PulseAudio.

    python -m tests.bench.bench_calls [--quick] [--seconds S] [--times N]

Real processes without a bad network: a server and a client that plays, and two clients in
a call through a relay; in turns, N times, of which the medians count. Delay is as in
tests.bench.bench_devices. `hop` is what the relay's way costs: how much later a datagram comes
that goes through a small forwarder of this process to which nothing else is done, in the
median of some while a call runs. `<=` is the delay of the stream, the hop and 5 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from tests.bench.bench_devices import QUICK_SETTLE_S, ROWS, SETTLE_S, heard_through
from tests.bench.bench_devices import through_pulse as by_stream
from tests.bench.device_runs import Run, Times
from tests.processes import LOOPBACK, Program, Stage, wait_until
from tests.pulse import private_pulse

SECONDS, QUICK_SECONDS = 20.0, 4.0
TIMES, QUICK_TIMES = 3, 1
MOST_MORE_MS = 5.0
HOPS, HOP_EVERY_S = 200, 0.005
DATAGRAM_BYTES = 1000


@contextlib.contextmanager
def calling(environment: Mapping[str, str]) -> Iterator[tuple[Path, Program, Program]]:
    """One who speaks into `mic`, and one who hears it at `spk`, through a relay."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder, "stage")) as stage,
    ):
        stage.server("--ssl", source="none")
        hears = stage.client(
            *("--nickname", "Bob", "--auto_answer", "--source", "tone", "--muted"),
            *("--device", "spk"),
            sink="device",
            environment=environment,
            name="bob",
        )
        hears.says("here as Bob")
        speaks = stage.client(
            *("--nickname", "Ann", "--call", "Bob", "--source", "device", "--microphone", "mic"),
            sink="null",
            environment=environment,
            name="ann",
        )
        wait_until(lambda: _received(hears) > 0, "what is said is played")
        yield stage.folder, speaks, hears


def _received(program: Program) -> int:
    """Blocks of others, as it says."""
    streams = program.stats[-1]["streams"] if program.stats else []
    return max((int(each.get("received") or 0) for each in streams), default=0)


def hop_ms(environment: Mapping[str, str]) -> float:
    """What a way through a forwarder is longer, in the median, beside a call."""
    with calling(environment), contextlib.ExitStack() as stack:
        sender, forwarder, receiver = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)
        )
        for each in (forwarder, receiver):
            each.bind((LOOPBACK, 0))
            each.settimeout(1)

        def forward() -> None:
            with contextlib.suppress(TimeoutError):
                while data := forwarder.recv(2 * DATAGRAM_BYTES):
                    forwarder.sendto(data, receiver.getsockname())

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        more_ms = []
        for _ in range(HOPS):
            straight_s = _way_s(sender, receiver, receiver)
            more_ms.append(1000 * (_way_s(sender, forwarder, receiver) - straight_s))
            time.sleep(HOP_EVERY_S)
        sender.sendto(b"", forwarder.getsockname())
        thread.join()
    return median(more_ms)


def _way_s(sender: socket.socket, to: socket.socket, receiver: socket.socket) -> float:
    begun_s = time.monotonic()
    sender.sendto(bytes(DATAGRAM_BYTES), to.getsockname())
    receiver.recv(2 * DATAGRAM_BYTES)
    return time.monotonic() - begun_s


def show(name: str, runs: list[Run], reach: str) -> float:
    """Prints the row of some runs; returns the delay, ms."""
    delay_ms = median(run.delay_ms for run in runs)
    damaged = 100 * max(run.heard.damaged for run in runs)
    print(
        f"{name:24}{delay_ms:9.1f}{max(run.most_ms for run in runs):7.1f}{reach:>7}"
        f"{damaged:11.3f}{100 * median(run.client for run in runs):10.1f}",
        end="",
        flush=True,
    )
    return delay_ms


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s each, once")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--times", type=int)
    arguments = parser.parse_args()
    quick = arguments.quick
    times = Times(
        settle_s=QUICK_SETTLE_S if quick else SETTLE_S,
        seconds=arguments.seconds or (QUICK_SECONDS if quick else SECONDS),
    )
    sys.setswitchinterval(0.0001)  # the recorders and the forwarder share this process
    with private_pulse() as environment:
        hop = hop_ms(environment)
        streams, calls = [], []
        for _ in range(arguments.times or (QUICK_TIMES if quick else TIMES)):
            streams.append(by_stream(ROWS[0], times, environment))
            calls.append(heard_through(calling(environment), times, environment))
    print(
        f"{f'{times.seconds:g} s each':24}{'delay ms':>9}{'most':>7}{'<=':>7}"
        f"{'damaged %':>11}{'client %':>10}"
    )
    stream_ms = show("one-way stream", streams, "")
    print()
    most_ms = stream_ms + hop + MOST_MORE_MS
    call_ms = show("call through a relay", calls, f"{most_ms:.1f}")
    verdict = "ok" if call_ms <= most_ms else "MISSED"
    print(f"  {verdict}\n\nhop: {hop:.2f} ms; the call is {call_ms - stream_ms:+.1f} ms")


if __name__ == "__main__":
    main()
