"""What a relay costs beside a plain forwarder, and the delay that it adds.

    python -m tests.bench.bench_relay [--quick]

A real relay over loopback and simulated callers, who speak the real protocol: each says
200 blocks a second to the other of its call, spread evenly over the time of a block. Then
the same number of datagrams of the same size goes through a program that only forwards.
Costs are of processor time, by /proc. One call in ten is opened as it comes; the kernel
stamps what comes for it. Needs Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block, parse_header
from echowarp.wire.feedback import Report, ReportEntry, pack_report
from echowarp.wire.people_codes import Wish
from echowarp.wire.records import Stream
from tests.bench.crowd import allow_files, percentile
from tests.bench.plain_forwarder import NUMBER_BYTES
from tests.bench.relay_stages import stage_us
from tests.bench.simulated_listener import _SO_TIMESTAMPNS, _stamp_ns
from tests.proc import cpu_s
from tests.processes import LOOPBACK, ROOT, Stage
from tests.talkers import FIRST_SEQ, FIRST_TIME, FRAMES, Talker

MS, S = 1_000_000, 1_000_000_000
BLOCK_NS = 5 * MS
SOUND = bytes(range(240)) * 4
"""A block of 48 kHz stereo."""
CALLS, QUICK_CALLS = (5, 25, 50), (5, 50)
SECONDS, QUICK_SECONDS = 10.0, 2.0
BEGIN_S, QUICK_BEGIN_S = 15.0, 1.0
"""Calls begin one after the other, for so long."""
SETTLE_S, QUICK_SETTLE_S = 24.0, 1.0
"""It takes 20 s until the relay trusts a network and sends no repair."""
OPENED_ONE_IN = 10
STEPS = 10
"""Groups of callers, who take turns within the time of a block."""
REPORT_NS, CONTROL_NS = S // 5, 4 * S
PER_CALL = 2 * S // BLOCK_NS
"""Datagrams a second of a two-way call without repair."""
MOST_TIMES, MOST_P99_MS = 3.0, 1.0
FILES_EACH, FILES_BESIDE = 2, 64
HEAD_BYTES, TAG_BYTES = 26, 16
"""Of a datagram with a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """cpu: share of a core; each_us: of processor time for each datagram that was forwarded;
    rows: of repair, for each block; delay_ms: from a caller's sending to the arrival at the
    other, p50 and p99; said: blocks a second; lost: of the `blocks` that were opened."""

    cpu: float
    each_us: float
    rows: float
    delay_ms: tuple[float, float]
    said: float
    lost: int
    blocks: int


class Caller(Protocol):
    """Somebody who sends."""

    udp: socket.socket

    def say(self, n: int) -> None:
        """Sends its n-th block."""

    def block_of(self, datagram: bytes) -> int | None:
        """Which block of the other a datagram is; None for something else."""

    def act(self, now_ns: int, *, opened: bool) -> None:
        """Says what else is due. opened: whether somebody else reads what comes for it."""


class RelayCaller:
    """One end of a call through the relay."""

    def __init__(self, port: int, number: int) -> None:
        self._talker = Talker(port)
        self.udp = self._talker.udp
        self._reported_ns = self._told_ns = time.monotonic_ns() + number * MS
        self._highest = -1
        name, other = f"Caller {number}", f"Caller {number ^ 1}"
        self._talker.enter(name, Wish.CALL, other)
        self._talker.talk()
        self._heard = 0

    def connected(self) -> None:
        """Returns once it has been told the other's stream."""
        talker = self._talker

        def others() -> list[Stream]:
            streams = [record for record in talker.records if isinstance(record, Stream)]
            return [stream for stream in streams if stream.user != talker.user]

        talker.until(others)
        self._heard = others()[-1].stream

    def say(self, n: int) -> None:
        """Sends its n-th block."""
        seq, when = (FIRST_SEQ + n) % 2**32, FIRST_TIME + n * FRAMES
        talker = self._talker
        body = pack_block(seq, when, SOUND)
        self.udp.send(talker.seal(DatagramType.BLOCK | CLIENT_BIT, talker.byte, body))

    def block_of(self, datagram: bytes) -> int | None:
        """Which block of the other a datagram is; None for something else."""
        self._highest = max(self._highest, parse_header(datagram).number)
        body = self._talker._receiver.open(parse_header(datagram), datagram)
        if body is None or datagram[0] != DatagramType.BLOCK:
            return None
        return (int.from_bytes(body[:4], "big") - FIRST_SEQ) % 2**32

    def act(self, now_ns: int, *, opened: bool) -> None:
        """Reports that nothing is lost; keeps the session."""
        if now_ns >= self._reported_ns:
            self._reported_ns = now_ns + REPORT_NS
            for datagram, _ in () if opened else received(self.udp):
                self._highest = max(self._highest, parse_header(datagram).number)
            if self._highest >= 0:
                entry = ReportEntry(self._heard, 2 * MS, 40 * MS)
                report = Report(self._highest, self._highest + 1, 0, 10 * MS, (entry,))
                kind = DatagramType.REPORT
                self.udp.send(self._talker.seal(kind, 1, pack_report(report)))
        if now_ns >= self._told_ns:
            self._told_ns = now_ns + CONTROL_NS
            # Who hears nothing of the server for 15 s takes it to be gone.
            self._talker.sock.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while self._talker.ended is None:
                    self._talker.pump()
            self._talker.session.handle_timeout(now_ns)
            self._talker.tell()

    def close(self) -> None:
        """Leaves."""
        self._talker.close()


class PlainCaller:
    """One who sends through the plain forwarder."""

    def __init__(self, port: int, number: int) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((LOOPBACK, 0))
        self.udp.connect((LOOPBACK, port))
        self.udp.send(number.to_bytes(NUMBER_BYTES, "big"))
        self._rest = SOUND + bytes(HEAD_BYTES + TAG_BYTES - 4)

    def say(self, n: int) -> None:
        """Sends its n-th block."""
        self.udp.send(n.to_bytes(4, "big") + self._rest)

    def block_of(self, datagram: bytes) -> int:
        """Which block of the other a datagram is."""
        return int.from_bytes(datagram[:4], "big")

    def act(self, now_ns: int, *, opened: bool) -> None:
        """There is nothing else to say."""

    def close(self) -> None:
        """Leaves."""
        self.udp.close()


def received(udp: socket.socket) -> Iterator[tuple[bytes, int]]:
    """What is there, and when it came by the kernel's clock."""
    while True:
        try:
            data, ancillary, _, _ = udp.recvmsg(2048, 64)
        except BlockingIOError:
            return
        yield data, _stamp_ns(ancillary)


class Lines:
    """All the callers, on one thread. pid: of what forwards for them."""

    def __init__(self, callers: Sequence[Caller], pid: int) -> None:
        self._callers = callers
        self._pid = pid
        numbers = range(len(callers))
        self._opened = [number for number in numbers if number // 2 % OPENED_ONE_IN == 0]
        self._sent_ns: dict[tuple[int, int], int] = {}
        self._delays_ms: list[float] = []
        self._others = 0
        self._talking = 0
        self._said = [0] * len(callers)
        for number, caller in enumerate(callers):
            caller.udp.setblocking(False)
            caller.udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if number not in self._opened:
                # What does not fit is dropped by the kernel, and costs nobody anything.
                caller.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def watch(self, begin_s: float, settle_s: float, seconds: float) -> Run:
        """Lets them talk, and watches what forwards for them."""
        self._talk(begin_s + settle_s, begin_s)
        self._sent_ns, self._delays_ms, self._others = {}, [], 0
        before_s, begun_ns, first = cpu_s(self._pid), time.monotonic_ns(), sum(self._said)
        self._talk(seconds)
        took_s, used_s = (time.monotonic_ns() - begun_ns) / S, cpu_s(self._pid) - before_s
        delays_ms, lost = self._delays_ms, len(self._sent_ns)
        said = sum(self._said) - first
        rows = self._others / max(1, len(delays_ms))
        # What was lost on the way in was not forwarded: those who open tell for all.
        forwarded = (len(delays_ms) + self._others) * len(self._callers) / len(self._opened)
        return Run(
            cpu=used_s / took_s,
            each_us=1e6 * used_s / max(1, forwarded),
            rows=rows,
            delay_ms=(percentile(delays_ms, 0.5), percentile(delays_ms, 0.99)),
            said=said / took_s,
            lost=lost,
            blocks=lost + len(delays_ms),
        )

    def _talk(self, seconds: float, begin_s: float = 0.0) -> None:
        begun_ns = time.monotonic_ns()
        call_ns = begin_s * S / len(self._callers) * 2
        for turn in range(round(seconds * S / BLOCK_NS) * STEPS):
            due_ns = begun_ns + turn * BLOCK_NS // STEPS
            self._rest_until(due_ns)
            if begun_ns + self._talking // 2 * call_ns <= due_ns:
                self._talking = min(self._talking + 2, len(self._callers))
            for number in range(turn % STEPS, len(self._callers), STEPS):
                opened = number in self._opened
                if number < self._talking:
                    n = self._said[number]
                    self._said[number] += 1
                    if opened:
                        self._sent_ns[number, n] = time.time_ns()
                    self._callers[number].say(n)
                self._callers[number].act(due_ns, opened=opened)
        self._rest_until(time.monotonic_ns() + 50 * MS)
        self._listen()

    def _rest_until(self, due_ns: int) -> None:
        if time.monotonic_ns() < due_ns:
            self._listen()
        time.sleep(max(0, due_ns - time.monotonic_ns()) / S)

    def _listen(self) -> None:
        for number in self._opened:
            caller = self._callers[number]
            for datagram, at_ns in received(caller.udp):
                n = caller.block_of(datagram)
                sent_ns = None if n is None else self._sent_ns.pop((number ^ 1, n), None)
                if sent_ns is not None:
                    self._delays_ms.append((at_ns - sent_ns) / MS)
                else:
                    self._others += n is None


def through_relay(calls: int, begin_s: float, settle_s: float, seconds: float) -> Run:
    """Through a real relay, all encrypted."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        options = ("--ssl", "--max_clients", str(2 * calls))
        server = stage.server(*options, source="none", stats=False)
        callers = [RelayCaller(stage.port, number) for number in range(2 * calls)]
        try:
            for caller in callers:
                caller.connected()
            return Lines(callers, server.pid).watch(begin_s, settle_s, seconds)
        finally:
            for caller in callers:
                caller.close()


def through_plain(calls: int, begin_s: float, settle_s: float, seconds: float) -> Run:
    """Through what only forwards."""
    command = [sys.executable, "-m", "tests.bench.plain_forwarder"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        callers = [PlainCaller(port, number) for number in range(2 * calls)]
        try:
            return Lines(callers, process.pid).watch(begin_s, settle_s, seconds)
        finally:
            process.terminate()
            for caller in callers:
                caller.close()


def row(what: str, calls: int, run: Run, verdict: str) -> str:
    """A line of the table."""
    cells = (
        (f"{calls}", 6),
        (f"{run.said:.0f}", 10),
        (f"{100 * run.cpu:.1f}", 8),
        (f"{run.each_us:.1f}", 9),
        (f"{run.rows:.2f}", 6),
        (f"{run.delay_ms[0]:.2f}", 10),
        (f"{run.delay_ms[1]:.2f}", 8),
        (f"{run.lost}/{run.blocks}", 14),
    )
    return f"{what:<16}" + "".join(f"{cell:>{width}}" for cell, width in cells) + f"  {verdict}"


HEADINGS = (
    f"{'':<16}{'calls':>6}{'blocks/s':>10}{'core %':>8}{'us each':>9}{'rows':>6}"
    f"{'delay p50':>10}{'p99 ms':>8}{'lost':>14}"
)


def verdict(calls: int, plain: Run, relayed: Run) -> str:
    """Of a relay beside the plain forwarder. Cost counts where datagrams come in batches."""
    found = [
        what
        for what, bad in (
            ("cost", calls == max(CALLS) and relayed.each_us > MOST_TIMES * plain.each_us),
            ("delay", relayed.delay_ms[1] - plain.delay_ms[1] >= MOST_P99_MS),
            ("lost", relayed.lost > plain.lost),
        )
        if bad
    ]
    times = f"{relayed.each_us / plain.each_us:.1f} times"
    return f"{times}, {'MISSED: ' + ', '.join(found) if found else 'ok'}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes, 2 s each")
    quick = parser.parse_args().quick
    if not sys.platform.startswith("linux"):
        print("relay: not measured here, it needs Linux")
        return
    sizes, seconds = (QUICK_CALLS, QUICK_SECONDS) if quick else (CALLS, SECONDS)
    allow_files(2 * max(sizes) * FILES_EACH + FILES_BESIDE)
    print(
        f"Two-way calls, PCM 48 kHz stereo, --ssl, {seconds:g} s each. To reach: at most"
        f" {MOST_TIMES:g} times the cost of plain forwarding for each datagram at"
        f" {max(CALLS)} calls, p99 of the"
        f" delay less than {MOST_P99_MS:g} ms above its own."
    )
    print(HEADINGS)
    for calls in sizes:
        begin_s, settle_s = (QUICK_BEGIN_S, QUICK_SETTLE_S) if quick else (BEGIN_S, SETTLE_S)
        plain = through_plain(calls, QUICK_BEGIN_S, QUICK_SETTLE_S, seconds)
        print(row("plain forwarder", calls, plain, ""), flush=True)
        relayed = through_relay(calls, begin_s, settle_s, seconds)
        print(row("relay", calls, relayed, verdict(calls, plain, relayed)), flush=True)
        print(f"{'':<16}{1e6 / relayed.each_us / PER_CALL:.0f} calls a core")
    spent = stage_us(max(sizes))
    print(
        "Where it goes, us for each datagram: "
        + ", ".join(f"{stage} {us:.1f}" for stage, us in spent.items())
        + f"; together {sum(spent.values()):.1f}, the rest is waking, timers and control"
    )


if __name__ == "__main__":
    main()
