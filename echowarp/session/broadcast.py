"""The sending side of a stream: one block in, sealed datagrams for each listener out.

Source: protocol 1, section 7. One thread owns a `Broadcast`, and with it the
numbers and keys of all its listeners.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic

from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink, Fanout, Outgoing, Row, RowMaker, WayT
from echowarp.wire.feedback import ClockAsk, Report, Request

__all__ = ["SERVER_STREAM", "Broadcast", "Outgoing", "Row", "RowMaker"]

SERVER_STREAM = 0
"""The stream byte of the server's own source."""


class Broadcast(Generic[WayT]):
    """Position of the stream, and its listeners.

    first_seq, first_time: where the stream begins, 0..2^32-1. A server draws
    them at random, so that a client that comes back can tell the same stream
    from one that was started anew. block_ns: how long a full block lasts.
    """

    def __init__(self, *, first_seq: int, first_time: int, block_ns: int, rows: RowMaker) -> None:
        self.seq = first_seq
        """Unwrapped sequence number of the next block."""
        self.time = first_time
        """Unwrapped time of the next block, in frames."""
        self.open_listeners = 0
        """How many listeners `open` has a way for."""
        self._fanout: Fanout[WayT] = Fanout(block_ns=block_ns, rows=rows)
        self._listeners: dict[int, Downlink[WayT]] = {}

    @property
    def blocks_sent(self) -> int:
        """Datagrams with a block, over all listeners; resends are not counted."""
        return self._fanout.blocks_sent

    @property
    def blocks_resent(self) -> int:
        """Blocks sent again on request, over all listeners."""
        return self._fanout.blocks_resent

    @property
    def rows_sent(self) -> int:
        """Datagrams with a repair row, over all listeners."""
        return self._fanout.rows_sent

    def add(self, connection: int, sender: DatagramSender, now_ns: int) -> Downlink[WayT]:
        """A listener has joined; it is sent nothing before `open`.

        Gives its downlink, for whatever else goes that way.
        """
        self.remove(connection)
        downlink = self._listeners[connection] = Downlink(connection, sender)
        self._fanout.add(downlink, SERVER_STREAM, now_ns)
        return downlink

    def open(self, connection: int, way: WayT) -> None:
        """Streams to that listener by `way` from now on."""
        held = self._listeners.get(connection)
        if held is not None:
            self.open_listeners += held.way is None
            held.way = way

    def pause(self, connection: int) -> None:
        """Streams no more to that listener until it is opened again."""
        self._close(self._listeners.get(connection))

    def remove(self, connection: int) -> None:
        """A listener has left."""
        held = self._listeners.pop(connection, None)
        self._close(held)
        if held is not None:
            self._fanout.remove(held.legs[SERVER_STREAM])

    def _close(self, held: Downlink[WayT] | None) -> None:
        if held is not None and held.way is not None:
            self.open_listeners -= 1
            held.way = None

    def block(self, payload: bytes, *, frames: int, lost_frames: int) -> Iterator[Outgoing[WayT]]:
        """Moves the stream on by one block.

        frames: length of the payload; lost_frames: what the source missed before it.
        Gives the block and, as each listener's policy has it, a repair row for each
        open listener, sealed as it is asked for.
        """
        seq, time = self.seq, self.time + lost_frames
        self.seq += 1
        self.time = time + frames
        return self._fanout.send(seq, time, payload)

    def skip(self, *, frames: int, lost_frames: int) -> None:
        """Moves the stream on by a block that nobody is sent and nobody can have again."""
        self.seq += 1
        self.time += lost_frames + frames

    def request(self, connection: int, request: Request, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """A listener misses blocks: gives those that are kept and that its budget allows."""
        held = self._listeners.get(connection)
        return iter(()) if held is None else held.request(SERVER_STREAM, request, now_ns)

    def report(self, connection: int, report: Report, now_ns: int) -> None:
        """A listener tells how it fares: sets its repair rate."""
        held = self._listeners.get(connection)
        if held is not None:
            held.report(report, now_ns)

    def clock(
        self, connection: int, ask: ClockAsk, *, received_ns: int, now_ns: int
    ) -> Iterator[Outgoing[WayT]]:
        """A listener asks for the time; received_ns: when its datagram came."""
        held = self._listeners.get(connection)
        if held is None:
            return iter(())
        return held.clock(ask, received_ns=received_ns, now_ns=now_ns)
