"""The encrypted control channel after the handshake: records and heartbeat.

Source: protocol 1, section 4. The same for both ends.
"""

from __future__ import annotations

from echowarp.crypto.record import RecordOpener, RecordSealer
from echowarp.wire.records import Ping, Pong, Record, pack_record, parse_record

NS_PER_S = 1_000_000_000
PING_AFTER_NS = 5 * NS_PER_S
"""Each side sends PING after so long without sending."""
SILENT_AFTER_NS = 15 * NS_PER_S
"""So long without a valid record, and the peer is gone."""


class ControlChannel:
    """Seals what is sent, opens what is received, keeps the heartbeat."""

    def __init__(self, *, seal_key: bytes, open_key: bytes, now_ns: int) -> None:
        self._sealer = RecordSealer(seal_key)
        self._opener = RecordOpener(open_key)
        self._out = bytearray()
        self._sent_ns = now_ns
        self._heard_ns = now_ns

    def send(self, record: Record, now_ns: int) -> None:
        """Queues a record. Raises NumbersSpent after 2^32 of them."""
        self._out += self._sealer.seal(pack_record(record))
        self._sent_ns = now_ns

    def open(self, sealed: bytes, now_ns: int) -> Record | None:
        """Opens one whole record; None when there is nothing in it for the session.

        Raises ProtocolError when it does not open or has a short body.
        """
        record = parse_record(self._opener.open(sealed))
        self._heard_ns = now_ns
        if isinstance(record, Ping):
            self.send(Pong(value=record.value), now_ns)
            return None
        return None if isinstance(record, Pong) else record

    def timeout_ns(self) -> int:
        """When `handle_timeout` wants to be called."""
        return min(self._sent_ns + PING_AFTER_NS, self._heard_ns + SILENT_AFTER_NS)

    def handle_timeout(self, now_ns: int) -> bool:
        """Sends a PING when it is due; False when the peer has been silent too long."""
        if now_ns >= self._heard_ns + SILENT_AFTER_NS:
            return False
        if now_ns >= self._sent_ns + PING_AFTER_NS:
            self.send(Ping(value=now_ns), now_ns)
        return True

    def to_send(self) -> bytes:
        """Drains what has to go out."""
        out, self._out = bytes(self._out), bytearray()
        return out
