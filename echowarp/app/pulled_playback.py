"""Playback on a sound card, on the card's own thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from echowarp.app.playback import Listener
from echowarp.app.reception import Delay, OpenPayload, Reception, Usable
from echowarp.app.stream_playback import (
    PUBLISH_EVERY_BLOCKS,
    Begin,
    StreamPlayback,
    no_key,
)
from echowarp.device.seams import PulledSink
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.resampler import Resampler
from echowarp.media.target import Policy

PERIODS = 2
"""What a card may take at once, in blocks: a sound server calls twice in a row at times."""


class PulledPlayback(StreamPlayback[PulledPlayout]):
    """Answers a sound card, on the card's own thread.

    open_sink(format): opens the device; monotonic_ns: the clock; new_resampler: what
    changes the speed of a stream's sound; the rest as for StreamPlayback.
    """

    def __init__(
        self,
        open_sink: Callable[[Format], PulledSink],
        *,
        latency: Policy | int,
        limit_s: float | None,
        listener: Listener,
        opener: OpenPayload = no_key,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        new_resampler: Callable[[Format], Resampler] = Resampler,
    ) -> None:
        super().__init__(latency=latency, limit_s=limit_s, listener=listener, opener=opener)
        self._open_sink = open_sink
        self._monotonic_ns = monotonic_ns
        self._new_resampler = new_resampler
        self._sink: PulledSink | None = None
        self._line: PullLine | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._pulls = 0
        self._over_frames = 0
        self._completed = self._played_out = False

    def begin(self, fmt: Format, *, continued: bool, stream: object, sealed: bool = False) -> None:
        """A stream begins; opens the device unless it is open in that format."""
        with self._opening:
            if self._closed:
                return
            if self._sink is not None and fmt == self._format:
                self._messages.put(Begin(fmt, continued, stream, sealed))
                return
            self._stop_sink()
            if self._limit_s is not None and self._format is not None:
                self._limit_s -= self._over_frames / self._format.rate
            self._over_frames = 0
            self._format = fmt
            self._line = PullLine(fmt)
            # The first makes what all have in common: not beside running sound.
            self._new_resampler(fmt)
            self._sink = self._open_sink(fmt)
            self._messages.put(Begin(fmt, continued, stream, sealed))
            self._sink.start(self._pull, self._listener.failed)

    def close(self, hurried: Callable[[], bool]) -> None:
        """Stops the device, for good. Nothing is slow there."""
        with self._opening:
            self._closed = True
            self._stop_sink()

    def _stop_sink(self) -> None:
        if self._sink is not None:
            self._sink.stop()
            self._sink = None
            # What is still in the queue is of another format than what comes next.
            self._stream = None
            self._settle()
            self._publish()

    def _pull(self, frames: int) -> bytes:
        fmt, line, messages = self._format, self._line, self._messages
        assert fmt is not None and line is not None
        now_ns = self._monotonic_ns()
        while not messages.empty():
            message = messages.get()
            assert message is not None
            self._obey(message)
        playout, reception = self._playout, self._reception
        if playout is None or reception is None:
            line.pulled(frames, now_ns)
            return bytes(frames * fmt.frame_bytes)
        playout.set_target(reception.target_ns)
        pcm = playout.pull(frames, now_ns)
        line.pulled(frames, now_ns)
        reception.set_playout(playout.next_seq, playout.due_ns())
        self._ask(reception, now_ns)
        if self._pulls % PUBLISH_EVERY_BLOCKS == 0:
            self._level_db = level_db(pcm)
            self._publish(
                delay=self._delay(playout, reception), drift_ppm=playout.drift.correction_ppm
            )
        self._pulls += 1
        self._notify(playout, fmt)
        return pcm

    def _on_begin(self, begin: Begin) -> None:
        self._completed = self._played_out = False
        if not begin.continued or self._playout is None:
            self._settle()

    def _on_end(self, playout: PulledPlayout, seq: int) -> None:
        playout.end(seq)

    def _on_end_of_nothing(self) -> None:
        self._listener.completed()
        self._listener.played_out()

    def _make_playout(
        self, fmt: Format, reception: Reception, *, first_seq: int, first_time: int, now_ns: int
    ) -> PulledPlayout:
        assert self._line is not None
        return PulledPlayout(
            fmt,
            first_seq=first_seq,
            first_time=first_time,
            target_ns=reception.target_ns,
            fixed=isinstance(self._latency, int),
            line=self._line,
            resampler=self._new_resampler(fmt),
            now_ns=now_ns,
        )

    def _play(self, usable: Iterable[Usable], at_ns: int, original: int | None) -> None:
        assert self._playout is not None
        for seq, time_frames, payload in usable:
            self._playout.put(seq, time_frames, payload, at_ns, by_itself=seq == original)

    @property
    def _period_ns(self) -> int:
        assert self._format is not None
        return PERIODS * self._format.block_ns

    @property
    def _played_frames(self) -> int:
        playout = self._playout
        return self._over_frames + (0 if playout is None else playout.played_frames)

    def _notify(self, playout: PulledPlayout, fmt: Format) -> None:
        finished = playout.state is State.FINISHED
        if not self._completed and (playout.complete or finished):
            self._completed = True
            self._listener.completed()
        if not self._played_out and finished:
            self._played_out = True
            self._listener.played_out()
        if self._limit_s is not None and self._played_frames >= self._limit_s * fmt.rate:
            self._listener.enough()

    def _settle(self) -> None:
        if self._playout is not None:
            self._over_frames += self._playout.played_frames
        super()._settle()

    def _delay(self, playout: PulledPlayout, reception: Reception) -> Delay | None:
        if playout.state is State.FILLING:
            return None
        if playout.state is State.FINISHED or self._sink is None or self._line is None:
            return self.snapshot.delay
        leaves_ns = self._line.leaves_ns(self._line.frames)
        return reception.delay(playout.position, leaves_ns, self._sink.delay_ns() or 0)
