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
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block, parse_header
from echowarp.wire.feedback import Report, ReportEntry, pack_report
from echowarp.wire.people_codes import Wish
from echowarp.wire.records import Stream
from tests.bench.crowd import allow_files, cpu_s, percentile
from tests.bench.plain_forwarder import NUMBER_BYTES
from tests.bench.simulated_listener import _SO_TIMESTAMPNS, _stamp_ns
from tests.processes import LOOPBACK, ROOT, Stage
from tests.talkers import FIRST_SEQ, FIRST_TIME, FRAMES, Talker

MS, S = 1_000_000, 1_000_000_000
BLOCK_NS = 5 * MS
SOUND = bytes(range(240)) * 4
"""A block of 48 kHz stereo."""
CALLS, QUICK_CALLS = (5, 25, 50), (5, 50)
SECONDS, QUICK_SECONDS = 10.0, 2.0
SETTLE_S, QUICK_SETTLE_S = 24.0, 1.0
"""It takes 20 s until the relay trusts a network and sends no repair."""
OPENED_ONE_IN = 10
STEPS = 10
"""Groups of callers, who take turns within the time of a block."""
REPORT_NS, CONTROL_NS = S // 5, 4 * S
MOST_TIMES, MOST_P99_MS = 3.0, 1.0
FILES_EACH, FILES_BESIDE = 2, 64
HEAD_BYTES, TAG_BYTES = 26, 16
"""Of a datagram with a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """cpu: share of a core; each_us: of processor time for a datagram forwarded; delay_ms:
    from the caller's sending to the arrival at the other, ascending; forwarded: of so many
    that were `sent`, in `seconds`."""

    cpu: float
    each_us: float
    delay_ms: list[float]
    sent: int
    forwarded: float
    seconds: float


class Caller(Protocol):
    """Somebody who sends."""

    udp: socket.socket

    def say(self, n: int) -> None:
        """Sends its n-th block."""

    def block_of(self, datagram: bytes) -> int | None:
        """Which block of the other a datagram is; None for something else."""

    def act(self, now_ns: int) -> None:
        """Says what else is due."""


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

    def act(self, now_ns: int) -> None:
        """Reports that nothing is lost; keeps the session."""
        if now_ns >= self._reported_ns:
            self._reported_ns = now_ns + REPORT_NS
            for datagram, _ in received(self.udp):
                self._highest = max(self._highest, parse_header(datagram).number)
            if self._highest >= 0:
                entry = ReportEntry(self._heard, 2 * MS, 40 * MS)
                report = Report(self._highest, self._highest + 1, 0, 10 * MS, (entry,))
                kind = DatagramType.REPORT
                self.udp.send(self._talker.seal(kind, 1, pack_report(report)))
        if now_ns >= self._told_ns:
            self._told_ns = now_ns + CONTROL_NS
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

    def act(self, now_ns: int) -> None:
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
    """All the callers, on one thread."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers
        pairs = [n for n in range(len(callers)) if n // 2 % OPENED_ONE_IN == 0]
        self._opened = frozenset(pairs)
        self._sent_ns: dict[tuple[int, int], int] = {}
        self._delays_ns: list[int] = []
        self._n = 0
        for number, caller in enumerate(callers):
            caller.udp.setblocking(False)
            caller.udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if number not in self._opened:
                # What does not fit is dropped by the kernel, and costs nobody anything.
                caller.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def run(self, seconds: float) -> int:
        """Speaks for so long. Returns how many blocks were said."""
        begun_ns, said = time.monotonic_ns(), 0
        for turn in range(round(seconds * S / BLOCK_NS) * STEPS):
            due_ns = begun_ns + turn * BLOCK_NS // STEPS
            self._rest_until(due_ns)
            for number in range(turn % STEPS, len(self._callers), STEPS):
                caller = self._callers[number]
                if number in self._opened:
                    self._sent_ns[number, self._n] = time.time_ns()
                caller.say(self._n)
                said += 1
                caller.act(due_ns)
            if turn % STEPS == STEPS - 1:
                self._n += 1
        time.sleep(0.05)
        self._listen()
        return said

    def delays_ms(self) -> list[float]:
        """Drains what was measured, ascending."""
        delays, self._delays_ns = sorted(self._delays_ns), []
        return [delay_ns / MS for delay_ns in delays]

    def _rest_until(self, due_ns: int) -> None:
        if time.monotonic_ns() < due_ns:
            self._listen()
        patience_ns = due_ns - time.monotonic_ns()
        if patience_ns > 0:
            time.sleep(patience_ns / S)

    def _listen(self) -> None:
        for number in self._opened:
            caller = self._callers[number]
            for datagram, at_ns in received(caller.udp):
                n = caller.block_of(datagram)
                sent_ns = None if n is None else self._sent_ns.pop((number ^ 1, n), None)
                if sent_ns is not None:
                    self._delays_ns.append(at_ns - sent_ns)


def watch(lines: Lines, pid: int, settle_s: float, seconds: float) -> Run:
    """Lets them talk, and watches the process that forwards."""
    lines.run(settle_s)
    lines.delays_ms()
    before_s, begun_ns = cpu_s(pid), time.monotonic_ns()
    said = lines.run(seconds)
    took_s, used_s = (time.monotonic_ns() - begun_ns) / S, cpu_s(pid) - before_s
    return Run(
        cpu=used_s / took_s,
        each_us=1e6 * used_s / said,
        delay_ms=lines.delays_ms(),
        sent=said,
        forwarded=said,
        seconds=took_s,
    )


@contextmanager
def relay() -> Iterator[tuple[int, int, Stage]]:
    """A relay: its port, its process."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        options = ("--ssl", "--max_clients", str(2 * max(CALLS)))
        server = stage.server(*options, source="none")
        yield stage.port, server.pid, stage


@contextmanager
def plain() -> Iterator[tuple[int, int]]:
    """A plain forwarder: its port, its process."""
    command = [sys.executable, "-m", "tests.bench.plain_forwarder"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


def through_relay(calls: int, settle_s: float, seconds: float) -> tuple[Run, float]:
    """Through the relay, and how many datagrams it sent for each that was said."""
    with relay() as (port, pid, stage):
        callers = [RelayCaller(port, number) for number in range(2 * calls)]
        for caller in callers:
            caller.connected()
        lines = Lines(callers)
        lines.run(settle_s)
        program = stage.programs[0]
        before = program.stats[-1]["talk"]["forwarded"], time.monotonic_ns()
        run = watch(lines, pid, 0.1, seconds)
        time.sleep(1.1)
        sent = program.stats[-1]["talk"]["forwarded"] - before[0]
        said = run.sent
        for caller in callers:
            caller.close()
    return run, sent / said


def through_plain(calls: int, seconds: float) -> Run:
    """Through the plain forwarder."""
    with plain() as (port, pid):
        callers = [PlainCaller(port, number) for number in range(2 * calls)]
        run = watch(Lines(callers), pid, 1.0, seconds)
        for caller in callers:
            caller.close()
    return run
