"""Where a client's streams go: to one playback, or for a talker to whatever its calls and
rooms want."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from echowarp.app.playback import Listener, Playback, Snapshot
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.media.format import Format
from echowarp.session.inbox import Block, RepairPiece
from echowarp.session.streams import StreamTracker, begin, resume
from echowarp.wire.feedback import Request
from echowarp.wire.records import Stream

log = logging.getLogger(__name__)


class Reception(NamedTuple):
    """Of one stream, what its sender is to know; see Snapshot."""

    guard_ns: int
    target_ns: int


class Ears(Protocol):
    """What a connection needs of whatever plays its streams. All but `announced` only
    post; a stream is known by its tracker."""

    @property
    def snapshot(self) -> Snapshot:
        """What is played."""

    def announced(self, stream: Stream, now_ns: int) -> StreamTracker:
        """A stream begins: what places its blocks. Raises ProtocolError for one that we
        cannot play, and what opening a sink raises."""

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""

    def row(self, piece: RepairPiece, at_ns: int) -> None:
        """A repair row came."""

    def clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""

    def captured(self, stream: StreamTracker, capture: CaptureTime) -> None:
        """The server told when a frame of a stream was captured."""

    def ended(self, stream: StreamTracker, seq: int) -> None:
        """A stream ends before block `seq`, unwrapped."""

    def reception(self, stream: StreamTracker) -> Reception | None:
        """How a stream is received, None while nothing is known of it. From any thread."""


def format_of(tracker: StreamTracker) -> Format:
    """The format that a stream was announced in."""
    fmt = tracker.format
    return Format(rate=fmt.rate, channels=fmt.channels, block_frames=fmt.block_frames)


class OnePlayback:
    """The ears of who only listens: the server's own stream, played as it is.

    make(listener): the playback; asked with what to ask of a stream, settled with a stream
    of which every block is settled; the rest is passed on.
    """

    def __init__(
        self,
        make: Callable[[Listener], Playback],
        *,
        asked: Callable[[object, list[Request]], None],
        settled: Callable[[object], None],
        played_out: Callable[[], None],
        enough: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._tracker: StreamTracker | None = None
        self.playback = make(
            Listener(
                completed=lambda: settled(self._tracker),
                played_out=played_out,
                wanted=lambda requests: asked(self._tracker, requests),
                enough=enough,
                failed=failed,
            )
        )
        self.arrived = self.playback.arrived
        self.row = self.playback.row
        self.clock = self.playback.clock

    @property
    def snapshot(self) -> Snapshot:
        """Of the playback."""
        return self.playback.snapshot

    @property
    def tracker(self) -> StreamTracker | None:
        """The stream that is played, or was last."""
        return self._tracker

    def announced(self, stream: Stream, now_ns: int) -> StreamTracker:
        """As of Ears; a stream that goes on after a lost connection is continued."""
        lost = self._tracker
        tracker = None if lost is None else resume(stream, lost, now_ns)
        continued = tracker is not None
        if tracker is None:
            tracker = begin(stream, now_ns)
        self.play(tracker, continued=continued)
        log.info("stream: %s%s", format_of(tracker), ", going on" if continued else "")
        return tracker

    def play(self, tracker: StreamTracker, *, continued: bool) -> None:
        """Plays that stream from now on; continued: it is the last one, going on."""
        self._tracker = tracker
        sealed = bool(tracker.seal_bytes)
        self.playback.begin(format_of(tracker), continued=continued, stream=tracker, sealed=sealed)

    def captured(self, stream: StreamTracker, capture: CaptureTime) -> None:
        """As of Ears."""
        self.playback.capture(capture)

    def ended(self, stream: StreamTracker, seq: int) -> None:
        """As of Ears."""
        self.playback.end(seq)

    def reception(self, stream: StreamTracker) -> Reception | None:
        """As of Ears."""
        snapshot = self.playback.snapshot
        return Reception(snapshot.guard_ns, snapshot.target_ns)
