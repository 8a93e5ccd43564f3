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
from echowarp.wire.datagram import DatagramType, Header, parse_block, parse_header
from echowarp.wire.feedback import ClockAnswer, parse_clock_answer, parse_repair
from echowarp.wire.serial import unwrap

SERVER_TYPES = frozenset(
    {
        DatagramType.BLOCK,
        DatagramType.RESEND,
        DatagramType.REPAIR,
        DatagramType.CLOCK_ANSWER,
    }
)


class Block(NamedTuple):
    """One block of a stream, counters unwrapped.

    first_seq: the lowest sequence number that this session can have been sent,
    known from the number of the datagram; resent: it answers a request of ours.
    """

    stream: int
    seq: int
    time: int
    payload: bytes
    first_seq: int
    resent: bool


class RepairPiece(NamedTuple):
    """A repair row of a stream over blocks seq - width + 1 .. seq, unwrapped."""

    stream: int
    seq: int
    width: int
    sum: bytes


Arrival: TypeAlias = Block | RepairPiece | ClockAnswer


class ClientInbox:
    """Checks every datagram that reaches a client during one session."""

    def __init__(self, *, keys: SessionKeys, suite: Suite) -> None:
        self._session = keys.session
        self._receiver = DatagramReceiver(cipher=cipher_for_audio(suite, keys), suite=suite)
        self._streams: dict[int, StreamTracker] = {}
        self._others = 0
        self.receipts = ReceiptCounter()
        """Which numbers came, for the reports."""
        self.dropped = 0
        """Datagrams that are not ours, not whole, or of no announced stream."""

    @property
    def rejected(self) -> int:
        """Datagrams dropped for any reason, replays and forgeries included."""
        return self.dropped + self._receiver.replayed + self._receiver.forged

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
            self._others += header.kind != DatagramType.BLOCK
            arrival = self._read(header, body, now_ns)
        except ProtocolError:
            arrival = None
        if arrival is None:
            self.dropped += 1
        return arrival

    def _read(self, header: Header, body: bytes, now_ns: int) -> Arrival | None:
        if header.kind == DatagramType.CLOCK_ANSWER:
            return parse_clock_answer(body)
        tracker = self._streams.get(header.stream)
        if tracker is None:
            return None
        if header.kind == DatagramType.REPAIR:
            row = parse_repair(body)
            seq = unwrap(row.seq, tracker.newest.seq)
            return RepairPiece(header.stream, seq, row.width, row.row)
        block = parse_block(body)
        placed = tracker.place(block.seq, block.time, len(block.payload), now_ns)
        if placed is None:
            return None
        seq, time = placed
        # Of the numbers before this one, those of other kinds were no blocks.
        earlier = max(0, header.number - self._others)
        first_seq = max(tracker.first_seq, seq - earlier)
        resent = header.kind == DatagramType.RESEND
        return Block(header.stream, seq, time, block.payload, first_seq, resent)
