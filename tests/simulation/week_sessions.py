"""The server and the listeners of the week that is simulated."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.crypto.suite import Suite
from echowarp.media.format import Format
from echowarp.session.inbox import Block, ClientInbox
from echowarp.wire.feedback import ClockAnswer
from echowarp.wire.records import Anchor, Stream
from echowarp.wire.serial import SEQ_SPAN, wrap
from tests.simulator import MS, Clock, S, SimClient, SimServer

FMT = Format(rate=48_000, channels=1, block_frames=240)
BLOCK_NS = FMT.block_ns
HOUR_NS = 3600 * S
DAY_NS = 24 * HOUR_NS
WEEK_NS = 7 * DAY_NS
BODY = struct.Struct(">QQ")
SETTLE_NS = 30 * S
"""After this long nothing of an outage is left: a client tries every two seconds, a
session lives 15 s without a word."""
PLAYS_NS = 50 * MS
LAST_NUMBERS = 100
EVERY_TWO_HOURS = "every two hours"
STAYS_NS = range(round(1.6 * DAY_NS), round(5.2 * DAY_NS))
"""When one listener is here without a break: four wraps of the time, one of the numbers."""


class NoRows:
    """Repair rows are not what a week shows."""

    def add(self, seq: int, time: int, payload: bytes) -> None:
        """Nothing."""

    def row(self, width: int) -> None:
        """Nothing."""


class WeekServer(SimServer):
    """A server whose stream is where it would be by now, also when nobody was sent it.

    first_seq, first_time: of the block at time 0.
    """

    def __init__(self, clock: Clock, rng: random.Random, first_seq: int, first_time: int) -> None:
        super().__init__(clock, rng, password="secret", suite=Suite.INTEGRITY, fmt=FMT)
        self.first_seq, self.first_time = first_seq, first_time
        self.broadcast._fanout._rows = NoRows()
        self.broadcast.seq, self.broadcast.time = first_seq, first_time

    def catch_up(self) -> None:
        """Moves the stream to where it is now."""
        gone = self.clock.now_ns // BLOCK_NS
        if self.first_seq + gone > self.broadcast.seq:
            self.broadcast.seq = self.first_seq + gone
            self.broadcast.time = self.first_time + gone * FMT.block_frames

    def stream(self) -> Stream:
        self.catch_up()
        return super().stream()

    def send_marked(self) -> None:
        """The next block, which says where it is; each second an anchor before it."""
        broadcast = self.broadcast
        if (broadcast.seq - self.first_seq) % (S // BLOCK_NS) == 0:
            time, captured = wrap(broadcast.time), self.now_ns - BLOCK_NS
            self.server.anchor(Anchor(stream=0, time=time, captured=captured), self.clock.now_ns)
            self.pump()
        body = BODY.pack(broadcast.seq, broadcast.time)
        self.send(broadcast.block(body, frames=FMT.block_frames, lost_frames=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When blocks are sent: whole blocks of time. what: why."""

    begin_ns: int
    end_ns: int
    what: str


@dataclass(kw_only=True)
class WeekListener(SimClient):
    """A client that only looks at where its blocks belong. sounding: whether, and when
    next, blocks are sent."""

    sounding: Callable[[], bool]
    next_sound_ns: Callable[[], int | None]
    since_ns: int = 0
    leaves_ns: int = WEEK_NS
    disturbed_ns: int = -WEEK_NS
    """When something last happened to it."""
    cut_until_ns: int = 0
    in_window: int = 0
    last_ns: int = -1
    misplaced: int = 0
    offsets: tuple[int, int] | None = None
    """Its counters minus the server's, for good: multiples of 2^32."""
    gone: bool = False

    def on_datagram(self, datagram: bytes) -> None:
        if self.inbox is None or self.session is None:
            return
        now_ns = self.clock.now_ns
        arrival = self.inbox.receive(datagram, now_ns)
        if isinstance(arrival, Block):
            self.audio_ns = self.last_ns = now_ns
            self.in_window += 1
            seq, time = BODY.unpack(arrival.payload)
            offsets = arrival.seq - seq, arrival.time - time
            self.offsets = self.offsets or offsets
            whole = all(offset % SEQ_SPAN == 0 for offset in offsets)
            self.misplaced += offsets != self.offsets or not whole
        elif isinstance(arrival, ClockAnswer):
            self.exchange.receive(arrival, now_ns)

    @property
    def asks_the_time(self) -> bool:
        return super().asks_the_time and self.sounding()

    def probe(self) -> None:
        if not self.sounding() and self.last_ns >= 0:
            # It would hear the stream all the time: only the NAT's mapping is kept open.
            self.audio_ns = self.next_sound_ns()
        super().probe()

    def report(self, inbox: ClientInbox) -> None:
        next_ns = self.next_sound_ns()
        if self.sounding() or next_ns is None:
            super().report(inbox)
        elif inbox is self.inbox and self.session is not None:
            self.clock.at(next_ns, partial(self.report, inbox))

    def leave(self) -> None:
        """Says goodbye."""
        if self.session is not None:
            self.session.close(self.clock.now_ns)
            self.pump()
        self.vanish()

    def vanish(self) -> None:
        """Is gone without a word."""
        self.session = self.inbox = None
        self.connection = 0
        self.gone = True

    def connect(self) -> None:
        if not self.gone:
            super().connect()

    def undisturbed(self, window: Window) -> bool:
        """Whether it has to hear every block of it."""
        begin_ns = window.begin_ns - SETTLE_NS
        return self.since_ns < begin_ns and self.disturbed_ns < begin_ns > self.cut_until_ns

    # Keys that are used up, without using them: where the counters are is all that counts.

    def spend_server_datagrams(self) -> None:
        held = self.server.broadcast._listeners[self.connection]
        held.sender._next_number = MAX_NUMBERS - LAST_NUMBERS

    def spend_records(self) -> None:
        ends = self.session, self.server.server._connections[self.connection]
        ours, theirs = (end._channel for end in ends if end is not None)
        assert ours is not None and theirs is not None
        ours._opener._next_number = theirs._sealer._next_number = MAX_NUMBERS - 2
