"""The bodies that steer a stream: requests, reports, clock exchange, repair rows.

Source: protocol 1, section 7. Integers on the wire are big-endian and unsigned;
bytes behind a known body are ignored, which leaves room to grow; a body that is
too short raises ProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from echowarp.errors import ProtocolError

REQUEST_SPAN = 64
"""Blocks that one REQUEST can ask for."""
MIN_REPAIR_WIDTH, MAX_REPAIR_WIDTH = 2, 24
MAX_ENTRIES = 100
"""Streams in one REPORT, so that it fits a datagram with room to spare."""

_U32_SPAN = 1 << 32
_TENTH_MS_NS = 100_000
_MAX_TENTHS = (1 << 16) - 1

_REQUEST = struct.Struct(">IQ")
_REPORT = struct.Struct(">IIIH")
_ENTRY = struct.Struct(">BHH")
_ASK = struct.Struct(">Q")
_ANSWER = struct.Struct(">QQQ")
_REPAIR = struct.Struct(">IB")


class Request(NamedTuple):
    """Asks for block `seq + k` (u32, wrapped) for each bit k of `bits` (u64)."""

    seq: int
    bits: int

    def offsets(self) -> Iterable[int]:
        """The k of every block asked for, ascending, 0..63."""
        return (k for k in range(REQUEST_SPAN) if self.bits >> k & 1)


class ReportEntry(NamedTuple):
    """What the receiver of one stream does: its guard and its target, in nanoseconds."""

    stream: int
    guard_ns: int
    target_ns: int


class Report(NamedTuple):
    """Datagram numbers up to `highest`: how many came, in how many runs the others lack.

    All three count since the session began, modulo 2^32. rto_ns: the receiver's
    retransmission timeout. Durations travel in 0.1 ms, rounded up, 6553.5 ms at most.
    """

    highest: int
    received: int
    bursts: int
    rto_ns: int
    entries: tuple[ReportEntry, ...]


class ClockAsk(NamedTuple):
    """t1_ns: the asker's monotonic clock (u64) when it sent this."""

    t1_ns: int


class ClockAnswer(NamedTuple):
    """t1_ns as asked; t2_ns, t3_ns: the other clock (u64) at reception and at sending."""

    t1_ns: int
    t2_ns: int
    t3_ns: int


class Repair(NamedTuple):
    """One row: the sum over blocks seq-width+1 .. seq (u32, wrapped), width 2..24."""

    seq: int
    width: int
    row: bytes


def pack_request(request: Request) -> bytes:
    """The body of a REQUEST."""
    return _REQUEST.pack(*request)


def parse_request(body: bytes) -> Request:
    """Reads a REQUEST. Raises ProtocolError when it is too short."""
    return Request._make(_unpack(_REQUEST, body, "request"))


def pack_report(report: Report) -> bytes:
    """The body of a REPORT; the envelope's byte 1 is the number of entries."""
    assert len(report.entries) <= MAX_ENTRIES, "a report of that many streams is our own bug"
    head = _REPORT.pack(
        report.highest % _U32_SPAN,
        report.received % _U32_SPAN,
        report.bursts % _U32_SPAN,
        _tenths(report.rto_ns),
    )
    return head + b"".join(
        _ENTRY.pack(each.stream, _tenths(each.guard_ns), _tenths(each.target_ns))
        for each in report.entries
    )


def parse_report(body: bytes, entries: int) -> Report:
    """Reads a REPORT; entries: how many the envelope's byte 1 says, 0..255.

    Raises ProtocolError when the body is too short for them.
    """
    highest, received, bursts, rto = _unpack(_REPORT, body, "report")
    if len(body) < _REPORT.size + entries * _ENTRY.size:
        raise ProtocolError(f"a report of {len(body)} bytes for {entries} streams")
    parsed = []
    for at in range(_REPORT.size, _REPORT.size + entries * _ENTRY.size, _ENTRY.size):
        stream, guard, target = _ENTRY.unpack_from(body, at)
        parsed.append(ReportEntry(stream, guard * _TENTH_MS_NS, target * _TENTH_MS_NS))
    return Report(highest, received, bursts, rto * _TENTH_MS_NS, tuple(parsed))


def pack_clock_ask(ask: ClockAsk) -> bytes:
    """The body of a CLOCK from the client."""
    return _ASK.pack(*ask)


def parse_clock_ask(body: bytes) -> ClockAsk:
    """Reads the client's CLOCK. Raises ProtocolError when it is too short."""
    return ClockAsk._make(_unpack(_ASK, body, "clock question"))


def pack_clock_answer(answer: ClockAnswer) -> bytes:
    """The body of a CLOCK from the server."""
    return _ANSWER.pack(*answer)


def parse_clock_answer(body: bytes) -> ClockAnswer:
    """Reads the server's CLOCK. Raises ProtocolError when it is too short."""
    return ClockAnswer._make(_unpack(_ANSWER, body, "clock answer"))


def pack_repair(repair: Repair) -> bytes:
    """The body of a REPAIR."""
    assert MIN_REPAIR_WIDTH <= repair.width <= MAX_REPAIR_WIDTH, "that width is our own bug"
    return _REPAIR.pack(repair.seq, repair.width) + repair.row


def parse_repair(body: bytes) -> Repair:
    """Reads a REPAIR. Raises ProtocolError when it is too short or its width is not 2..24."""
    seq, width = _unpack(_REPAIR, body, "repair row")
    if not MIN_REPAIR_WIDTH <= width <= MAX_REPAIR_WIDTH:
        raise ProtocolError(f"a repair row over {width} blocks")
    return Repair(seq, width, body[_REPAIR.size :])


def _unpack(layout: struct.Struct, body: bytes, what: str) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise ProtocolError(f"a {what} of {len(body)} bytes")
    return layout.unpack_from(body)


def _tenths(duration_ns: int) -> int:
    return max(0, min(_MAX_TENTHS, -(-duration_ns // _TENTH_MS_NS)))
