"""The server's audio thread: takes blocks from the source and gives them out.

It follows the stream: where it is, when its frames were captured, when it ends. What
each listener gets is the work of the outlet, on this thread or in worker processes.
All that others want of either comes through one queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol, TypeAlias

from echowarp.app.sender import Block, Counters, Open, SenderCommand
from echowarp.device.seams import Capture, Source
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.pcm import SILENCE_DB, level_db
from echowarp.session.broadcast import SERVER_STREAM
from echowarp.session.gate import Feedback
from echowarp.wire.records import Anchor, End, EndReason, Stream
from echowarp.wire.serial import wrap

ANCHOR_EVERY_NS = NS_PER_S
METER_EVERY_BLOCKS = 8
MAX_BACKLOG_NS = NS_PER_S // 5
"""Live sound that waits longer than this between device and listener is thrown
away: played, it would be delay for ever."""


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """No block will follow."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Quit:
    """The thread is to end."""


Task: TypeAlias = Callable[[], None]
"""Something that the outlet wants done on the engine's thread."""

Command: TypeAlias = Capture | SenderCommand | SourceEnded | Quit | Task


class Outlet(Protocol):
    """Where blocks go. The engine's thread owns it."""

    @property
    def seq(self) -> int:
        """Unwrapped sequence number of the next block."""

    @property
    def time(self) -> int:
        """Unwrapped time of the next block, in frames."""

    @property
    def listeners(self) -> int:
        """How many are being sent to."""

    @property
    def counters(self) -> Counters:
        """What has been sent so far; only grows."""

    def obey(self, command: SenderCommand) -> None:
        """Does it."""


class Timers(Protocol):
    """What an outlet does that no command asks for. The engine's thread owns it."""

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called, or None."""

    def handle_timeout(self) -> None:
        """Does what is due."""


class Ear(Protocol):
    """Who hears the stream besides the outlet's listeners. The engine's thread calls it."""

    @property
    def listeners(self) -> int:
        """How many that are now."""

    def hear(self, seq: int, time: int, block: Block) -> None:
        """A block went out, with its unwrapped number and the time of its first frame."""


class Report(NamedTuple):
    """What others may know of the engine; replaced whole."""

    next_seq: int
    next_time: int
    level_db: float
    blocks: int
    listeners: int
    sent: Counters


class Engine:
    """Runs one source to many listeners.

    ear: who hears it as well; timers: of the outlet, if it has any; duration_s: of media
    after the first block sent, None for no limit. The callbacks are called on the engine's
    thread: anchored with each ANCHOR, finished once with the END.
    """

    def __init__(
        self,
        source: Source,
        outlet: Outlet,
        *,
        ear: Ear | None = None,
        timers: Timers | None = None,
        duration_s: float | None,
        anchored: Callable[[Anchor], None],
        finished: Callable[[End, BaseException | None], None],
    ) -> None:
        self._source = source
        self._format = source.format
        self._outlet = outlet
        self._ear = ear
        self._timers = timers
        self._queue: SimpleQueue[Command] = SimpleQueue()
        self._limit_frames = None if duration_s is None else round(duration_s * self._format.rate)
        self._anchored = anchored
        self._finished = finished
        self._started = False
        self._sent_frames = 0
        self._dropped_frames = 0
        self._blocks = 0
        self._level_db = SILENCE_DB
        self._anchor_due_ns = 0
        self._over = False
        self.report = self._make_report()

    @property
    def format(self) -> Format:
        """The format of the stream."""
        return self._format

    def post(self, command: Command) -> None:
        """Hands the engine something to do. From any thread."""
        self._queue.put(command)

    def stream(self) -> Stream:
        """The STREAM record for a session that begins now. From any thread."""
        report, fmt = self.report, self._format
        return Stream(
            stream=SERVER_STREAM,
            codec=0,
            rate=fmt.rate,
            channels=fmt.channels,
            block=fmt.block_frames,
            seq=wrap(report.next_seq),
            time=wrap(report.next_time),
            user=0,
        )

    def run(self) -> None:
        """Serves the queue until Quit."""
        try:
            if not self._source.waits_for_listener:
                self._start()
            while not isinstance(command := self._next(), Quit):
                if command is not None:
                    self._obey(command)
        finally:
            self._source.stop()

    def _next(self) -> Command | None:
        """The next command; None when something was due before one came."""
        due_ns = None if self._timers is None else self._timers.timeout_ns()
        if self._timers is None or due_ns is None:
            return self._queue.get()
        patience_ns = due_ns - time.monotonic_ns()
        if patience_ns > 0:
            try:
                return self._queue.get(timeout=patience_ns / NS_PER_S)
            except Empty:
                pass
        self._timers.handle_timeout()
        return None

    @property
    def _listeners(self) -> int:
        return self._outlet.listeners + (0 if self._ear is None else self._ear.listeners)

    def attend(self) -> None:
        """Somebody hears it who is no listener of the outlet. On the engine's thread."""
        self._start()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._source.start(self.post, lambda error: self.post(SourceEnded(error)))

    def _obey(self, command: Capture | SenderCommand | SourceEnded | Task) -> None:
        if isinstance(command, Feedback):
            # It comes by the thousand; the next block tells what it has changed.
            self._outlet.obey(command)
            return
        if isinstance(command, Capture):
            self._on_capture(command)
        elif isinstance(command, SourceEnded):
            self._end(EndReason.SOURCE_ENDED, command.error)
        elif callable(command):
            command()
        else:
            self._outlet.obey(command)
            if isinstance(command, Open):
                self._start()
        self.report = self._make_report()

    def _on_capture(self, capture: Capture) -> None:
        if self._over:
            return
        fmt, frames = self._format, len(capture.pcm) // self._format.frame_bytes
        live = not self._source.waits_for_listener
        if live and time.monotonic_ns() - capture.captured_ns > MAX_BACKLOG_NS:
            self._dropped_frames += capture.lost_frames + frames
            return
        lost_frames, self._dropped_frames = capture.lost_frames + self._dropped_frames, 0
        if self._limit_frames is not None:
            frames = min(frames, self._limit_frames - self._sent_frames)
        payload = capture.pcm[: frames * fmt.frame_bytes]
        self._anchor(capture, lost_frames)
        if self._sent_frames or self._listeners:
            self._sent_frames += frames
        block = Block(payload, frames, lost_frames, capture.captured_ns)
        self._outlet.obey(block)
        if self._ear is not None:
            self._ear.hear(self._outlet.seq - 1, self._outlet.time - frames, block)
        self._blocks += 1
        if self._blocks % METER_EVERY_BLOCKS == 0:
            self._level_db = level_db(payload)
        if self._limit_frames is not None and self._sent_frames >= self._limit_frames:
            self._source.stop()
            self._end(EndReason.STOPPED, None)

    def _anchor(self, capture: Capture, lost_frames: int) -> None:
        if capture.captured_ns >= self._anchor_due_ns:
            self._anchor_due_ns = capture.captured_ns + ANCHOR_EVERY_NS
            first_time = wrap(self._outlet.time + lost_frames)
            self._anchored(
                Anchor(stream=SERVER_STREAM, time=first_time, captured=capture.captured_ns)
            )

    def _end(self, reason: EndReason, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            end = End(stream=SERVER_STREAM, seq=wrap(self._outlet.seq), reason=reason)
            self._finished(end, error)

    def _make_report(self) -> Report:
        return Report(
            next_seq=self._outlet.seq,
            next_time=self._outlet.time,
            level_db=self._level_db,
            blocks=self._blocks,
            listeners=self._listeners,
            sent=self._outlet.counters,
        )
