"""The stream bytes of one session: 0 is the server's own source, the others are given out.

Source: protocol 1, section 7: a freed one rests for 30 s, so that no datagram that is
still on its way is taken for one of another stream.
"""

from __future__ import annotations

NS_PER_S = 1_000_000_000
REST_NS = 30 * NS_PER_S
BYTES = range(1, 256)


class StreamBytes:
    """Gives out stream bytes, the lowest first."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._rests_until_ns: dict[int, int] = {}

    def take(self, now_ns: int) -> int | None:
        """A byte for a new stream, or None when all are in use or rest."""
        for byte in BYTES:
            if byte not in self._used and self._rests_until_ns.get(byte, now_ns) <= now_ns:
                self._used.add(byte)
                return byte
        return None

    def free(self, byte: int, now_ns: int) -> None:
        """A stream is over; its byte rests."""
        self._used.remove(byte)
        self._rests_until_ns[byte] = now_ns + REST_NS
