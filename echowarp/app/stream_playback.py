"""What both playbacks share: a queue that the session's threads post to, the reception of
the stream that runs, the sums of those that are over."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from echowarp.app.playback import Listener, Snapshot
from echowarp.app.reception import (
    SEAL_BYTES,
    CaptureTime,
    Delay,
    OpenPayload,
    Reception,
    ServerClock,
    Usable,
    fits,
)
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.pcm import SILENCE_DB
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece

PUBLISH_EVERY_BLOCKS = 8
"""How often the level is measured and a snapshot made: nobody looks more often."""


class Begin(NamedTuple):
    """A stream begins. continued: it is the one that was lost, going on; stream: what
    its blocks are known by, those of another may still be under way; sealed: end to end."""

    format: Format
    continued: bool
    stream: object
    sealed: bool


class Arrived(NamedTuple):
    """A block, and when it came."""

    block: Block
    at_ns: int


class RowArrived(NamedTuple):
    """A repair row, and when it came."""

    piece: RepairPiece
    at_ns: int


class EndOfStream(NamedTuple):
    """The stream ends before block `seq`, unwrapped."""

    seq: int


Message: TypeAlias = Arrived | RowArrived | Begin | ServerClock | CaptureTime | EndOfStream


class Playout(Protocol):
    """What is asked of either kind of playout here."""

    @property
    def counters(self) -> Counters:
        """What became of its blocks."""

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""


def no_key(stream: object, seq: int, time: int, payload: bytes) -> None:
    """Opens nothing: nobody seals a server's own stream end to end."""


PlayoutT = TypeVar("PlayoutT", bound=Playout)


class StreamPlayback(ABC, Generic[PlayoutT]):
    """The base of the playbacks: all that does not depend on who sets the pace.

    latency: a policy for the target, or a fixed one in nanoseconds; limit_s: of media
    to play, None for all; opener(stream, seq, time, payload): opens payloads that are
    sealed end to end, None to drop one. The methods without an underscore only post. The others
    belong to the one thread that obeys the queue.
    """

    def __init__(
        self,
        *,
        latency: Policy | int,
        limit_s: float | None,
        listener: Listener,
        opener: OpenPayload = no_key,
    ) -> None:
        self.snapshot = Snapshot(counters=Counters())
        self._latency = latency
        self._limit_s = limit_s
        self._listener = listener
        self._opener = opener
        self._sealed = False
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._format: Format | None = None
        self._stream: object = None
        """Whose blocks are played; others, of another format perhaps, are too late."""
        self._playout: PlayoutT | None = None
        self._reception: Reception | None = None
        self._clock: ServerClock | None = None
        self._capture: CaptureTime | None = None
        """May come before the first block, which begins the reception."""
        self._level_db = SILENCE_DB
        self._over = Counters()
        self._over_repaired = self._over_resent = 0

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""
        self._messages.put(Arrived(block, at_ns))

    def row(self, piece: RepairPiece, at_ns: int) -> None:
        """A repair row came."""
        self._messages.put(RowArrived(piece, at_ns))

    def clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""
        self._messages.put(clock)

    def capture(self, capture: CaptureTime) -> None:
        """The server told when a frame was captured."""
        self._messages.put(capture)

    def end(self, seq: int) -> None:
        """The stream ends before that block."""
        self._messages.put(EndOfStream(seq))

    @abstractmethod
    def _on_begin(self, begin: Begin) -> None:
        """A stream begins."""

    @abstractmethod
    def _on_end(self, playout: PlayoutT, seq: int) -> None:
        """The stream that is played ends before that block."""

    @abstractmethod
    def _on_end_of_nothing(self) -> None:
        """A stream ends of which not one block came."""

    @abstractmethod
    def _make_playout(
        self, fmt: Format, reception: Reception, *, first_seq: int, first_time: int, now_ns: int
    ) -> PlayoutT:
        """The playout of a stream whose first block has come."""

    @abstractmethod
    def _play(self, usable: Iterable[Usable], at_ns: int, original: int | None) -> None:
        """Gives blocks to the playout. original: the one that came by itself; the others
        were sent again or solved."""

    @property
    @abstractmethod
    def _period_ns(self) -> int:
        """What the sink takes at once."""

    @property
    @abstractmethod
    def _played_frames(self) -> int:
        """Frames that have been played."""

    def _obey(self, message: Message) -> None:
        if isinstance(message, Arrived):
            if message.block.stream is self._stream:
                self._on_arrived(message.block, message.at_ns)
        elif isinstance(message, RowArrived):
            if self._reception is not None and message.piece.stream is self._stream:
                solved = self._open(self._reception.repair(message.piece, message.at_ns))
                if solved:
                    self._play(solved, message.at_ns, None)
        elif isinstance(message, ServerClock):
            self._clock = message
            if self._reception is not None:
                self._reception.set_clock(message)
        elif isinstance(message, CaptureTime):
            self._capture = message
            if self._reception is not None:
                self._reception.set_capture(message)
        elif isinstance(message, Begin):
            self._stream, self._sealed = message.stream, message.sealed
            if not message.continued:
                self._capture = None
            self._on_begin(message)
        elif self._playout is not None:
            self._on_end(self._playout, message.seq)
        elif self._stream is not None:
            self._on_end_of_nothing()

    def _on_arrived(self, block: Block, at_ns: int) -> None:
        reception = self._reception
        if reception is None:
            reception = self._start(block, at_ns)
        usable = self._open(reception.block(block, at_ns))
        if usable:
            self._play(usable, at_ns, None if block.resent else block.seq)

    def _start(self, block: Block, at_ns: int) -> Reception:
        """The first block of a stream came; the stream may have begun before it."""
        fmt = self._format
        assert fmt is not None
        first_time = block.time - (block.seq - block.first_seq) * fmt.block_frames
        reception = Reception(
            fmt,
            first_seq=block.first_seq,
            first_time=first_time,
            latency=self._latency,
            period_ns=self._period_ns,
            now_ns=at_ns,
            seal_bytes=SEAL_BYTES if self._sealed else 0,
        )
        if self._clock is not None:
            reception.set_clock(self._clock)
        if self._capture is not None:
            reception.set_capture(self._capture)
        self._playout = self._make_playout(
            fmt, reception, first_seq=block.first_seq, first_time=first_time, now_ns=at_ns
        )
        self._reception = reception
        return reception

    def _open(self, usable: list[Usable]) -> list[Usable]:
        """Without what they are sealed by; those that we have no key for are left out."""
        fmt = self._format
        if not self._sealed or fmt is None:
            return usable
        opened = []
        for seq, time, sealed in usable:
            payload = self._opener(self._stream, seq, time, sealed)
            if payload is not None and fits(payload, fmt):
                opened.append(Usable(seq, time, payload))
        return opened

    def _settle(self) -> None:
        """The running stream is over: adds its counters up."""
        playout, self._playout = self._playout, None
        if playout is not None:
            playout.finish()
            self._over = sum_counters(self._over, playout.counters)
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.finish()
            self._over_repaired += reception.repaired
            self._over_resent += reception.resent

    def _ask(self, reception: Reception, now_ns: int) -> None:
        requests = reception.requests(now_ns)
        if requests:
            self._listener.wanted(requests)

    def _publish(self, *, delay: Delay | None = None, drift_ppm: float | None = None) -> None:
        """Makes the snapshot that others see. Between two streams, what was known of the
        last one is not forgotten: the last word of a run tells it."""
        playout, reception = self._playout, self._reception
        if playout is None or reception is None:
            self.snapshot = replace(
                self.snapshot,
                format=self._format,
                counters=self._over,
                level_db=self._level_db,
                played_frames=self._played_frames,
                repaired=self._over_repaired,
                resent=self._over_resent,
            )
            return
        self.snapshot = Snapshot(
            format=self._format,
            counters=sum_counters(self._over, playout.counters),
            level_db=self._level_db,
            delay=delay,
            played_frames=self._played_frames,
            repaired=self._over_repaired + reception.repaired,
            resent=self._over_resent + reception.resent,
            guard_ns=reception.guard_ns,
            target_ns=reception.target_ns,
            needed_ns=reception.needed_ns,
            reason=reception.reason,
            drift_ppm=drift_ppm,
        )


def sum_counters(a: Counters, b: Counters) -> Counters:
    """What became of the blocks of both."""
    return Counters(
        received=a.received + b.received,
        late=a.late + b.late,
        lost=a.lost + b.lost,
        duplicate=a.duplicate + b.duplicate,
        reordered=a.reordered + b.reordered,
        concealed=a.concealed + b.concealed,
    )
