"""The client's side of UDP from the server: opens datagrams, places blocks in streams.

Source: protocol 1, sections 5 and 7. One thread owns an inbox.
"""

from __future__ import annotations

from typing import NamedTuple

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.errors import ProtocolError
from echowarp.session.datagrams import DatagramReceiver
from echowarp.session.streams import StreamTracker
from echowarp.wire.datagram import DatagramType, parse_block, parse_header


class Block(NamedTuple):
    """One block of a stream, counters unwrapped.

    first_seq: the lowest sequence number that this session can have been sent,
    known from the number of the datagram.
    """

    stream: int
    seq: int
    time: int
    payload: bytes
    first_seq: int


class ClientInbox:
    """Checks every datagram that reaches a client during one session."""

    def __init__(self, *, keys: SessionKeys, suite: Suite) -> None:
        self._session = keys.session
        self._receiver = DatagramReceiver(cipher=cipher_for_audio(suite, keys), suite=suite)
        self._streams: dict[int, StreamTracker] = {}
        self.dropped = 0
        """Datagrams that are not ours, not whole, or of no announced stream."""

    @property
    def rejected(self) -> int:
        """Datagrams dropped for any reason, replays and forgeries included."""
        return self.dropped + self._receiver.replayed + self._receiver.forged

    def announce(self, stream: int, tracker: StreamTracker) -> None:
        """A stream begins: its blocks are let through from now on."""
        self._streams[stream] = tracker

    def receive(self, datagram: bytes, now_ns: int) -> Block | None:
        """The block in a datagram, or None for one to drop."""
        try:
            header = parse_header(datagram)
            if header.session != self._session or header.kind != DatagramType.BLOCK:
                self.dropped += 1
                return None
            body = self._receiver.open(header, datagram)
            if body is None:
                return None
            block = parse_block(body)
        except ProtocolError:
            self.dropped += 1
            return None
        tracker = self._streams.get(header.stream)
        placed = None
        if tracker is not None:
            placed = tracker.place(block.seq, block.time, len(block.payload), now_ns)
        if tracker is None or placed is None:
            self.dropped += 1
            return None
        seq, time = placed
        first_seq = max(tracker.first_seq, seq - header.number)
        return Block(header.stream, seq, time, block.payload, first_seq)
