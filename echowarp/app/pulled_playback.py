"""Playback on a sound card, on the card's own thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from echowarp.app.playback import (
    METER_EVERY_BLOCKS,
    Arrived,
    Begin,
    EndOfStream,
    Listener,
    Message,
    Snapshot,
    total,
)
from echowarp.device.seams import PulledSink
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.session.inbox import Block


class PulledPlayback:
    """Answers a sound card, on the card's own thread.

    open_sink(format): opens the device; target_ns: see PulledPlayout; limit_s:
    of media to play, None for all.
    """

    def __init__(
        self,
        open_sink: Callable[[Format], PulledSink],
        *,
        target_ns: int,
        limit_s: float | None,
        listener: Listener,
    ) -> None:
        self.snapshot = Snapshot(counters=Counters())
        self._open_sink = open_sink
        self._target_ns = target_ns
        self._limit_s = limit_s
        self._listener = listener
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._settled = Counters()
        self._settled_frames = 0
        self._sink: PulledSink | None = None
        self._sink_format: Format | None = None
        self._playout: PulledPlayout | None = None
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
            self._sink = self._open_sink(fmt)
            self._messages.put(Begin(fmt, continued))
            self._sink.start(self._pull, self._listener.failed)

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""
        self._messages.put(Arrived(block, at_ns))

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
        fmt = self._sink_format
        assert fmt is not None
        while not self._messages.empty():
            self._obey(self._messages.get(), fmt)
        playout = self._playout
        if playout is None:
            return bytes(frames * fmt.frame_bytes)
        pcm = playout.pull(frames)
        self._pulls += 1
        if self._pulls % METER_EVERY_BLOCKS == 0:
            self.snapshot = replace(self.snapshot, level_db=level_db(pcm))
        self._publish(playout)
        self._notify(playout)
        return pcm

    def _obey(self, message: Message, fmt: Format) -> None:
        if isinstance(message, Begin):
            self._completed = self._played_out = False
            if not message.continued or self._playout is None:
                self._settle()
        elif isinstance(message, Arrived):
            block = message.block
            if self._playout is None:
                behind = (block.seq - block.first_seq) * fmt.block_frames
                self._playout = PulledPlayout(
                    fmt,
                    first_seq=block.first_seq,
                    first_time=block.time - behind,
                    target_ns=self._target_ns,
                )
            self._playout.put(block.seq, block.time, block.payload)
        elif isinstance(message, EndOfStream):
            if self._playout is not None:
                self._playout.end(message.seq)
            else:
                self._listener.completed()
                self._listener.played_out()

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

    def _publish(self, playout: PulledPlayout) -> None:
        fmt, sink = self._sink_format, self._sink
        assert fmt is not None
        self.snapshot = replace(
            self.snapshot,
            format=fmt,
            counters=total(self._settled, playout.counters),
            buffer_ns=fmt.frames_to_ns(playout.buffered_frames),
            device_ns=None if sink is None else sink.delay_ns(),
            played_frames=self._settled_frames + playout.played_frames,
        )
