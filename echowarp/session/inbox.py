"""The client's side of UDP from the server: opens datagrams, places blocks in streams.

Source: protocol 1, sections 5 and 7. One thread owns an inbox.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.errors import ProtocolError
from echowarp.session.datagrams import DatagramReceiver
from echowarp.session.reports import ReceiptCounter
from echowarp.session.streams import StreamTracker
from echowarp.wire.datagram import CLIENT_BIT, DatagramType, Header, parse_block, parse_header
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    Request,
    parse_clock_answer,
    parse_repair,
    parse_report,
    parse_request,
)
from echowarp.wire.serial import unwrap

# Plain numbers: members of an enumeration cost a lookup of their own, for every datagram.
_BLOCK, _RESEND = int(DatagramType.BLOCK), int(DatagramType.RESEND)
_REPAIR, _CLOCK_ANSWER = int(DatagramType.REPAIR), int(DatagramType.CLOCK_ANSWER)
_REQUEST = int(DatagramType.REQUEST) & ~CLIENT_BIT
_REPORT = int(DatagramType.REPORT) & ~CLIENT_BIT

SERVER_TYPES = frozenset({_BLOCK, _RESEND, _REPAIR, _CLOCK_ANSWER, _REQUEST, _REPORT})


class Block(NamedTuple):
    """One block of a stream, counters unwrapped.

    stream: what identifies it, the tracker that placed it; first_seq: the lowest
    sequence number that this session can have been sent, known from the number of
    the datagram; resent: it answers a request of ours.
    """

    stream: object
    seq: int
    time: int
    payload: bytes
    first_seq: int
    resent: bool


class RepairPiece(NamedTuple):
    """A repair row of a stream over blocks seq - width + 1 .. seq, unwrapped.

    stream: as in Block.
    """

    stream: object
    seq: int
    width: int
    sum: bytes


class Asked(NamedTuple):
    """The server misses blocks of a stream of ours."""

    stream: int
    request: Request


Arrival: TypeAlias = Block | RepairPiece | ClockAnswer | Asked | Report


class ClientInbox:
    """Checks every datagram that reaches a client during one session."""

    def __init__(self, *, keys: SessionKeys, suite: Suite) -> None:
        self._session = keys.session
        self._receiver = DatagramReceiver(cipher=cipher_for_audio(suite, keys), suite=suite)
        self._streams: dict[int, StreamTracker] = {}
        self._accepted = 0
        self._blocks: dict[int, int] = {}
        """Of the accepted ones, those that are blocks of a stream."""
        self.receipts = ReceiptCounter()
        """Which numbers came, for the reports."""
        self.dropped = 0
        """Datagrams that are not ours, not whole, or of no announced stream."""

    @property
    def rejected(self) -> int:
        """Datagrams dropped, forgeries included; repetitions are not."""
        return self.dropped + self._receiver.forged

    @property
    def repeated(self) -> int:
        """Datagrams dropped because they had come before, or are very old."""
        return self._receiver.replayed

    def announce(self, stream: int, tracker: StreamTracker) -> None:
        """A stream begins: its blocks are let through from now on."""
        self._streams[stream] = tracker

    def receive(self, datagram: bytes, now_ns: int) -> Arrival | None:
        """What is in a datagram, or None for one to drop."""
        try:
            header = parse_header(datagram)
            if header.session != self._session or header.kind not in SERVER_TYPES:
                self.dropped += 1
                return None
            body = self._receiver.open(header, datagram)
            if body is None:
                return None
            self.receipts.accepted(header.number, now_ns)
            self._accepted += 1
            if header.kind == _BLOCK:
                self._blocks[header.stream] = self._blocks.get(header.stream, 0) + 1
            arrival = self._read(header, body, now_ns)
        except ProtocolError:
            arrival = None
        if arrival is None:
            self.dropped += 1
        return arrival

    def _read(self, header: Header, body: bytes, now_ns: int) -> Arrival | None:
        if header.kind == _CLOCK_ANSWER:
            return parse_clock_answer(body)
        if header.kind == _REQUEST:
            return Asked(header.stream, parse_request(body))
        if header.kind == _REPORT:
            return parse_report(body, header.stream)
        tracker = self._streams.get(header.stream)
        if tracker is None:
            return None
        if header.kind == _REPAIR:
            row = parse_repair(body)
            seq = unwrap(row.seq, tracker.newest.seq)
            return RepairPiece(tracker, seq, row.width, row.row)
        block = parse_block(body)
        size = len(block.payload) - tracker.seal_bytes
        placed = tracker.place(block.seq, block.time, size, now_ns)
        if placed is None:
            return None
        seq, time = placed
        # Of the numbers before this one, these were no blocks of this stream.
        others = self._accepted - self._blocks.get(header.stream, 0)
        earlier = max(0, header.number - others)
        first_seq = max(tracker.first_seq, seq - earlier)
        resent = header.kind == _RESEND
        return Block(tracker, seq, time, block.payload, first_seq, resent)
