"""The sending side of a stream: one block in, a sealed datagram for each listener out.

Source: protocol 1, section 7. One thread owns a `Broadcast`, and with it the
numbers and keys of all its listeners. Listeners are served in a fixed order, so
that a place in it is an offset and not jitter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from echowarp.crypto.limits import NumbersSpent
from echowarp.session.datagrams import DatagramSender
from echowarp.wire.datagram import DatagramType, pack_block
from echowarp.wire.serial import wrap

Way = TypeVar("Way", bound=Hashable)

SERVER_STREAM = 0
"""The stream byte of the server's own source."""


class _Listener(Generic[Way]):
    __slots__ = ("sender", "way")

    def __init__(self, sender: DatagramSender) -> None:
        self.sender = sender
        self.way: Way | None = None


class Broadcast(Generic[Way]):
    """Position of the stream, and its listeners.

    first_seq, first_time: where the stream begins, 0..2^32-1. A server draws
    them at random, so that a client that comes back can tell the same stream
    from one that was started anew.
    """

    def __init__(self, *, first_seq: int, first_time: int) -> None:
        self.seq = first_seq
        """Unwrapped sequence number of the next block."""
        self.time = first_time
        """Unwrapped time of the next block, in frames."""
        self.blocks_sent = 0
        """Datagrams with a block, over all listeners."""
        self._listeners: dict[int, _Listener[Way]] = {}

    @property
    def open_listeners(self) -> int:
        """How many listeners are being sent to."""
        return sum(held.way is not None for held in self._listeners.values())

    def add(self, connection: int, sender: DatagramSender) -> None:
        """A listener has joined; it is sent nothing before `open`."""
        self._listeners[connection] = _Listener(sender)

    def open(self, connection: int, way: Way) -> None:
        """Streams to that listener by `way` from now on."""
        if connection in self._listeners:
            self._listeners[connection].way = way

    def pause(self, connection: int) -> None:
        """Streams no more to that listener until it is opened again."""
        if connection in self._listeners:
            self._listeners[connection].way = None

    def remove(self, connection: int) -> None:
        """A listener has left."""
        self._listeners.pop(connection, None)

    def block(
        self, payload: bytes, *, frames: int, lost_frames: int
    ) -> Iterator[tuple[int, Way, bytes]]:
        """Moves the stream on by one block.

        frames: length of the payload; lost_frames: what the source missed before it.
        Gives (connection, way, datagram) for each open listener, sealed as it is
        asked for; one whose numbers are spent gives an empty datagram: its session
        must end.
        """
        body = pack_block(wrap(self.seq), wrap(self.time + lost_frames), payload)
        self.seq += 1
        self.time += lost_frames + frames
        return self._sealed(body)

    def _sealed(self, body: bytes) -> Iterator[tuple[int, Way, bytes]]:
        # Of a copy: whoever is told that a session must end may remove it at once.
        for connection, held in tuple(self._listeners.items()):
            if held.way is None:
                continue
            try:
                datagram = held.sender.seal(DatagramType.BLOCK, SERVER_STREAM, body)
            except NumbersSpent:
                yield connection, held.way, b""
                continue
            self.blocks_sent += 1
            yield connection, held.way, datagram
