"""The client's end of the way of the sound: blocks in, a sink fed.

Two kinds, as sinks have a clock (`pulled_playback`) or not (`pushed_playback`). What
they share is in `stream_playback`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from echowarp.app.reception import CaptureTime, Delay, ServerClock
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.pcm import SILENCE_DB
from echowarp.media.target import Reason
from echowarp.session.inbox import Block, RepairPiece
from echowarp.wire.feedback import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What others may know of the playback; replaced whole, every few blocks. Counters
    span all streams.

    delay: None where the sink has no clock, or nothing is known yet; guard_ns,
    target_ns, needed_ns, reason: see Reception.
    """

    format: Format | None = None
    counters: Counters
    level_db: float = SILENCE_DB
    delay: Delay | None = None
    played_frames: int = 0
    repaired: int = 0
    resent: int = 0
    guard_ns: int = 0
    target_ns: int = 0
    needed_ns: int = 0
    reason: Reason | None = None
    drift_ppm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Whom a playback tells: completed when every block of an ended stream is
    settled, played_out when its sound has left, wanted with what to ask the server
    for, enough after --duration."""

    completed: Callable[[], None]
    played_out: Callable[[], None]
    wanted: Callable[[list[Request]], None]
    enough: Callable[[], None]
    failed: Callable[[BaseException], None]


class Playback(Protocol):
    """What the session needs of a playback. All but `close` only post and return."""

    snapshot: Snapshot

    def begin(self, fmt: Format, *, continued: bool, stream: object, sealed: bool = False) -> None:
        """A stream begins, as Begin says. Opens what is needed first; raises what that raises."""

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""

    def row(self, piece: RepairPiece, at_ns: int) -> None:
        """A repair row came."""

    def clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""

    def capture(self, capture: CaptureTime) -> None:
        """The server told when a frame was captured."""

    def end(self, seq: int) -> None:
        """The stream ends before that block."""

    def close(self, hurried: Callable[[], bool]) -> None:
        """Completes the output; `hurried`: whether a slow sink is not waited for."""
