"""The server's audio thread: takes blocks from the source, sends them to listeners.

It owns the stream's position and every listener's key and numbers. All that
others want of it comes through one queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from echowarp.device.seams import Capture, Source
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.pcm import SILENCE_DB, level_db
from echowarp.media.repair import RepairEncoder
from echowarp.net.udp_server import UdpServer, Way
from echowarp.session.broadcast import SERVER_STREAM, Broadcast, Outgoing
from echowarp.session.datagrams import DatagramSender
from echowarp.session.gate import Feedback
from echowarp.wire.feedback import Report as ListenerReport
from echowarp.wire.feedback import Request
from echowarp.wire.records import Anchor, End, EndReason, Stream
from echowarp.wire.serial import wrap

ANCHOR_EVERY_NS = NS_PER_S
METER_EVERY_BLOCKS = 8
MAX_BACKLOG_NS = NS_PER_S // 5
"""Live sound that waits longer than this between device and engine is thrown
away: played, it would be delay for ever."""


@dataclass(frozen=True, slots=True)
class Join:
    """A session began; nothing is sent before Open."""

    connection: int
    sender: DatagramSender


@dataclass(frozen=True, slots=True)
class Open:
    """Stream to that listener by that way."""

    connection: int
    way: Way


@dataclass(frozen=True, slots=True)
class Pause:
    """That listener is silent."""

    connection: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A session ended."""

    connection: int


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """No block will follow."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Quit:
    """The thread is to end."""


Command: TypeAlias = Capture | Feedback | Join | Open | Pause | Leave | SourceEnded | Quit


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What others may know of the engine; replaced whole."""

    next_seq: int
    next_time: int
    level_db: float
    blocks: int
    datagrams: int
    resent: int
    rows: int
    listeners: int


class Engine:
    """Runs one source to many listeners.

    first_seq, first_time: where the stream begins, drawn at random; duration_s:
    of media after the first block sent, None for no limit. The callbacks are
    called on the engine's thread: anchored with each ANCHOR, exhausted with a
    connection whose numbers are spent, finished once with the END.
    """

    def __init__(
        self,
        source: Source,
        udp: UdpServer,
        *,
        first_seq: int,
        first_time: int,
        duration_s: float | None,
        anchored: Callable[[Anchor], None],
        exhausted: Callable[[int], None],
        finished: Callable[[End, BaseException | None], None],
    ) -> None:
        self._source = source
        self._format = source.format
        self._udp = udp
        self._broadcast: Broadcast[Way] = Broadcast(
            first_seq=first_seq,
            first_time=first_time,
            block_ns=self._format.block_ns,
            rows=RepairEncoder(),
        )
        self._queue: SimpleQueue[Command] = SimpleQueue()
        self._limit_frames = None if duration_s is None else round(duration_s * self._format.rate)
        self._anchored = anchored
        self._exhausted = exhausted
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
            while not isinstance(command := self._queue.get(), Quit):
                self._obey(command)
        finally:
            self._source.stop()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._source.start(self.post, lambda error: self.post(SourceEnded(error)))

    def _obey(self, command: Command) -> None:
        if isinstance(command, Capture):
            self._on_capture(command)
        elif isinstance(command, Join):
            self._broadcast.add(command.connection, command.sender, time.monotonic_ns())
        elif isinstance(command, Feedback):
            self._on_feedback(command)
        elif isinstance(command, Open):
            self._broadcast.open(command.connection, command.way)
            self._start()
        elif isinstance(command, Pause):
            self._broadcast.pause(command.connection)
        elif isinstance(command, Leave):
            self._broadcast.remove(command.connection)
        elif isinstance(command, SourceEnded):
            self._end(EndReason.SOURCE_ENDED, command.error)
        if not isinstance(command, Feedback):
            # Feedback comes by the thousand; the next block tells what it has changed.
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
        sent = self._broadcast.block(payload, frames=frames, lost_frames=lost_frames)
        if self._send(sent) or self._sent_frames:
            self._sent_frames += frames
        self._blocks += 1
        if self._blocks % METER_EVERY_BLOCKS == 0:
            self._level_db = level_db(payload)
        if self._limit_frames is not None and self._sent_frames >= self._limit_frames:
            self._source.stop()
            self._end(EndReason.STOPPED, None)

    def _on_feedback(self, feedback: Feedback) -> None:
        connection, message, now_ns = feedback.connection, feedback.message, time.monotonic_ns()
        if isinstance(message, ListenerReport):
            self._broadcast.report(connection, message, now_ns)
        elif isinstance(message, Request):
            if feedback.stream == SERVER_STREAM:
                self._send(self._broadcast.request(connection, message, now_ns))
        else:
            answer = self._broadcast.clock(
                connection, message, received_ns=feedback.at_ns, now_ns=now_ns
            )
            self._send(answer)

    def _send(self, outgoing: Iterable[Outgoing[Way]]) -> bool:
        """Sends; whether there was anybody to send to."""
        heard = False
        for connection, way, datagram in outgoing:
            if datagram:
                self._udp.send(datagram, way)
                heard = True
            else:
                self._broadcast.pause(connection)
                self._exhausted(connection)
        return heard

    def _anchor(self, capture: Capture, lost_frames: int) -> None:
        if capture.captured_ns >= self._anchor_due_ns:
            self._anchor_due_ns = capture.captured_ns + ANCHOR_EVERY_NS
            first_time = wrap(self._broadcast.time + lost_frames)
            self._anchored(
                Anchor(stream=SERVER_STREAM, time=first_time, captured=capture.captured_ns)
            )

    def _end(self, reason: EndReason, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            end = End(stream=SERVER_STREAM, seq=wrap(self._broadcast.seq), reason=reason)
            self._finished(end, error)

    def _make_report(self) -> Report:
        return Report(
            next_seq=self._broadcast.seq,
            next_time=self._broadcast.time,
            level_db=self._level_db,
            blocks=self._blocks,
            datagrams=self._broadcast.blocks_sent,
            resent=self._broadcast.blocks_resent,
            rows=self._broadcast.rows_sent,
            listeners=self._broadcast.open_listeners,
        )
