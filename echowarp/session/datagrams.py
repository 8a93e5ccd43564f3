"""Sealing and opening datagrams of one session and direction.

Source: protocol 1, section 5. Exactly one thread owns a `DatagramSender`: a
number used twice under GCM would break everything.
"""

from __future__ import annotations

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.crypto.replay import ReplayWindow
from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.wire.datagram import Header, pack_header

FORGED_AHEAD = 1 << 20
"""Suite 0 has no tag; a number further ahead than this is dropped unread."""


class DatagramSender:
    """Numbers and seals."""

    __slots__ = ("_cipher", "_next_number", "_session")

    def __init__(self, *, cipher: DatagramCipher, session: bytes) -> None:
        self._cipher = cipher
        self._session = session
        self._next_number = 0

    @property
    def sent(self) -> int:
        """How many numbers are spent."""
        return self._next_number

    def seal(self, kind: int, stream: int, body: bytes) -> bytes:
        """The whole datagram under the next number. Raises NumbersSpent after 2^32."""
        number = self._next_number
        if number >= MAX_NUMBERS:
            raise NumbersSpent("this session has sent all the datagrams that its key allows")
        self._next_number = number + 1
        return self._cipher.seal(pack_header(kind, stream, self._session, number), body)


class DatagramReceiver:
    """Opens datagrams of one session: window, tag, and only then the window's advance."""

    def __init__(self, *, cipher: DatagramCipher, suite: Suite) -> None:
        self._cipher = cipher
        self._window = ReplayWindow(FORGED_AHEAD if suite is Suite.NONE else None)
        self.replayed = 0
        """Datagrams dropped because their number was seen already or is too old."""
        self.forged = 0
        """Datagrams dropped because their tag is wrong."""

    @property
    def highest(self) -> int:
        """The highest number accepted, -1 before the first."""
        return self._window.highest

    def open(self, header: Header, datagram: bytes) -> bytes | None:
        """The body, or None for a datagram to drop. `header` is that of `datagram`."""
        if not self._window.is_new(header.number):
            self.replayed += 1
            return None
        body = self._cipher.open(datagram)
        if body is None:
            self.forged += 1
            return None
        self._window.accept(header.number)
        return body
