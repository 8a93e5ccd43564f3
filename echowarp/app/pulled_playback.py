"""Playback on a sound card, on the card's own thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from echowarp.app.playback import (
    METER_EVERY_BLOCKS,
    Arrived,
    Begin,
    EndOfStream,
    Listener,
    Message,
    RowArrived,
    Snapshot,
    total,
)
from echowarp.app.reception import CaptureTime, Delay, Reception, ServerClock, Usable
from echowarp.device.seams import PulledSink
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece

PERIODS = 2
"""What a card may take at once, in blocks: a sound server calls twice in a row at times."""


class PulledPlayback:
    """Answers a sound card, on the card's own thread.

    open_sink(format): opens the device; latency: a policy for the target, or a fixed
    one in nanoseconds; limit_s: of media to play, None for all; monotonic_ns: the clock.
    """

    def __init__(
        self,
        open_sink: Callable[[Format], PulledSink],
        *,
        latency: Policy | int,
        limit_s: float | None,
        listener: Listener,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.snapshot = Snapshot(counters=Counters())
        self._open_sink = open_sink
        self._latency = latency
        self._limit_s = limit_s
        self._listener = listener
        self._monotonic_ns = monotonic_ns
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._settled = Counters()
        self._settled_frames = 0
        self._settled_repaired = self._settled_resent = 0
        self._sink: PulledSink | None = None
        self._sink_format: Format | None = None
        self._line: PullLine | None = None
        self._playout: PulledPlayout | None = None
        self._reception: Reception | None = None
        self._clock: ServerClock | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._pulls = 0
        self._completed = self._played_out = False

    def begin(self, fmt: Format, *, continued: bool) -> None:
        """A stream begins; opens the device unless it is open in that format."""
        with self._opening:
            if self._closed:
                return
            if self._sink is not None and fmt == self._sink_format:
                self._messages.put(Begin(fmt, continued))
                return
            self._stop_sink()
            self._sink_format = fmt
            self._line = PullLine(fmt)
            self._sink = self._open_sink(fmt)
            self._messages.put(Begin(fmt, continued))
            self._sink.start(self._pull, self._listener.failed)

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

    def close(self, hurried: Callable[[], bool]) -> None:
        """Stops the device, for good. Nothing is slow there."""
        with self._opening:
            self._closed = True
            self._stop_sink()

    def _stop_sink(self) -> None:
        if self._sink is not None:
            self._sink.stop()
            self._sink = None
            self._settle()
            # The delay stays what it was: the last word of a run tells it.
            self.snapshot = replace(self.snapshot, counters=self._settled)

    def _pull(self, frames: int) -> bytes:
        fmt, line, now_ns = self._sink_format, self._line, self._monotonic_ns()
        assert fmt is not None and line is not None
        while not self._messages.empty():
            self._obey(self._messages.get(), fmt)
        playout, reception = self._playout, self._reception
        if playout is None or reception is None:
            line.pulled(frames, now_ns)
            return bytes(frames * fmt.frame_bytes)
        playout.set_target(reception.target_ns)
        pcm = playout.pull(frames, now_ns)
        line.pulled(frames, now_ns)
        reception.set_playout(playout.next_seq, playout.due_ns())
        requests = reception.requests(now_ns)
        if requests:
            self._listener.wanted(requests)
        self._pulls += 1
        if self._pulls % METER_EVERY_BLOCKS == 0:
            self.snapshot = replace(self.snapshot, level_db=level_db(pcm))
        self._publish(playout, reception)
        self._notify(playout)
        return pcm

    def _obey(self, message: Message, fmt: Format) -> None:
        if isinstance(message, Begin):
            self._completed = self._played_out = False
            if not message.continued or self._playout is None:
                self._settle()
        elif isinstance(message, Arrived):
            self._on_arrived(message.block, message.at_ns, fmt)
        elif isinstance(message, RowArrived):
            if self._reception is not None:
                solved = self._reception.repair(message.piece, message.at_ns)
                self._put(solved, message.at_ns, None)
        elif isinstance(message, ServerClock):
            self._clock = message
            if self._reception is not None:
                self._reception.set_clock(message)
        elif isinstance(message, CaptureTime):
            if self._reception is not None:
                self._reception.set_capture(message)
        elif isinstance(message, EndOfStream):
            if self._playout is not None:
                self._playout.end(message.seq)
            else:
                self._listener.completed()
                self._listener.played_out()

    def _on_arrived(self, block: Block, at_ns: int, fmt: Format) -> None:
        if self._reception is None or self._playout is None:
            self._start(block, at_ns, fmt)
        assert self._reception is not None
        original = None if block.resent else block.seq
        self._put(self._reception.block(block, at_ns), at_ns, original)

    def _start(self, block: Block, at_ns: int, fmt: Format) -> None:
        assert self._line is not None
        first_time = block.time - (block.seq - block.first_seq) * fmt.block_frames
        self._reception = Reception(
            fmt,
            first_seq=block.first_seq,
            first_time=first_time,
            latency=self._latency,
            period_ns=PERIODS * fmt.block_ns,
            now_ns=at_ns,
        )
        if self._clock is not None:
            self._reception.set_clock(self._clock)
        self._playout = PulledPlayout(
            fmt,
            first_seq=block.first_seq,
            first_time=first_time,
            target_ns=self._reception.target_ns,
            line=self._line,
            now_ns=at_ns,
        )

    def _put(self, usable: Iterable[Usable], at_ns: int, original: int | None) -> None:
        """original: the block that came by itself; the others were sent again or solved."""
        assert self._playout is not None
        for block in usable:
            self._playout.put(
                block.seq, block.time, block.payload, at_ns, by_itself=block.seq == original
            )

    def _notify(self, playout: PulledPlayout) -> None:
        finished = playout.state is State.FINISHED
        if not self._completed and (playout.complete or finished):
            self._completed = True
            self._listener.completed()
        if not self._played_out and finished:
            self._played_out = True
            self._listener.played_out()
        if self._limit_s is not None and self._sink_format is not None:
            played = self._settled_frames + playout.played_frames
            if played >= self._limit_s * self._sink_format.rate:
                self._listener.enough()

    def _settle(self) -> None:
        playout, self._playout = self._playout, None
        if playout is not None:
            playout.finish()
            self._settled = total(self._settled, playout.counters)
            self._settled_frames += playout.played_frames
        reception, self._reception = self._reception, None
        if reception is not None:
            self._settled_repaired += reception.repaired
            self._settled_resent += reception.resent

    def _publish(self, playout: PulledPlayout, reception: Reception) -> None:
        fmt = self._sink_format
        self.snapshot = replace(
            self.snapshot,
            format=fmt,
            counters=total(self._settled, playout.counters),
            delay=self._delay(playout, reception),
            played_frames=self._settled_frames + playout.played_frames,
            repaired=self._settled_repaired + reception.repaired,
            resent=self._settled_resent + reception.resent,
            guard_ns=reception.guard_ns,
            target_ns=reception.target_ns,
            needed_ns=reception.needed_ns,
            reason=reception.reason,
            drift_ppm=playout.drift.correction_ppm,
        )

    def _delay(self, playout: PulledPlayout, reception: Reception) -> Delay | None:
        if playout.state is not State.PLAYING or self._sink is None or self._line is None:
            return self.snapshot.delay
        leaves_ns = self._line.leaves_ns(self._line.frames)
        return reception.delay(playout.position, leaves_ns, self._sink.delay_ns() or 0)
