"""The stream bytes of one session: 0 is the server's own source, the others are given out.

Source: protocol 1, section 7: a freed one rests for 30 s, so that no datagram that is
still on its way is taken for one of another stream. One talker who begins stream after
stream uses up a share and no more, so that whoever else talks is still heard.
"""

from __future__ import annotations

NS_PER_S = 1_000_000_000
REST_NS = 30 * NS_PER_S
BYTES = range(1, 256)
SHARE = 15
"""Most bytes that the streams of one other talker use, or used: those of all the fifteen
others of a room leave thirty."""


class StreamBytes:
    """Gives out stream bytes, the lowest first."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._rests_until_ns: dict[int, int] = {}
        self._talkers: dict[int, int] = {}
        """Of each byte that was ever given to another's stream: whose."""

    def take(self, now_ns: int, talker: int | None = None) -> int | None:
        """A byte for a new stream, or None when all are in use or rest, or the talker's share
        of them. talker: who says it, None for the session itself."""
        if talker is not None:
            of_talker = (byte for byte, whose in self._talkers.items() if whose == talker)
            if sum(not self._is_free(byte, now_ns) for byte in of_talker) >= SHARE:
                return None
        for byte in BYTES:
            if self._is_free(byte, now_ns):
                self._used.add(byte)
                self._talkers.pop(byte, None)
                if talker is not None:
                    self._talkers[byte] = talker
                return byte
        return None

    def _is_free(self, byte: int, now_ns: int) -> bool:
        return byte not in self._used and self._rests_until_ns.get(byte, now_ns) <= now_ns

    def free(self, byte: int, now_ns: int) -> None:
        """A stream is over; its byte rests."""
        self._used.remove(byte)
        self._rests_until_ns[byte] = now_ns + REST_NS
