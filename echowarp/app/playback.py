"""The client's end of the way of the sound: blocks in, a sink fed.

Two kinds, as sinks have a clock (`pulled_playback`) or not (`pushed_playback`).
Either owns one queue, and behind it everything about playing: the session's
threads only post to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.pcm import SILENCE_DB
from echowarp.session.inbox import Block

METER_EVERY_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Begin:
    """A stream begins. continued: it is the one that was lost, going on."""

    format: Format
    continued: bool


@dataclass(frozen=True, slots=True)
class Arrived:
    """A block, and when it came."""

    block: Block
    at_ns: int


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """The stream ends before block `seq`, unwrapped."""

    seq: int


Message: TypeAlias = Begin | Arrived | EndOfStream | None
"""None ends a playback's own thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What others may know of the playback; replaced whole. Counters span all streams.

    buffer_ns, device_ns: parts of the delay, None where there is no clock.
    """

    format: Format | None = None
    counters: Counters
    level_db: float = SILENCE_DB
    buffer_ns: int | None = None
    device_ns: int | None = None
    played_frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Whom a playback tells: completed when every block of an ended stream is
    settled, played_out when its sound has left, enough after --duration."""

    completed: Callable[[], None]
    played_out: Callable[[], None]
    enough: Callable[[], None]
    failed: Callable[[BaseException], None]


class Playback(Protocol):
    """What the session needs of a playback. All but `close` only post and return."""

    snapshot: Snapshot

    def begin(self, fmt: Format, *, continued: bool) -> None:
        """A stream begins. Opens what has to be opened first; raises what that raises."""

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""

    def end(self, seq: int) -> None:
        """The stream ends before that block."""

    def close(self, hurried: Callable[[], bool]) -> None:
        """Completes the output; `hurried`: whether a slow sink is not waited for."""


def total(finished: Counters, running: Counters | None) -> Counters:
    """The counters of the streams that are over and of the one that runs, added up."""
    if running is None:
        return finished
    return Counters(
        **{
            name: getattr(finished, name) + getattr(running, name)
            for name in Counters.__dataclass_fields__
        }
    )
