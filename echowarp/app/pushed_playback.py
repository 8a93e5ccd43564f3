"""Playback into files and pipes, from a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable

from echowarp.app.playback import Listener
from echowarp.app.reception import OpenPayload, Reception, Usable
from echowarp.app.stream_playback import (
    PUBLISH_EVERY_BLOCKS,
    Arrived,
    Begin,
    StreamPlayback,
    no_key,
)
from echowarp.device.seams import PushedSink
from echowarp.errors import StorageError
from echowarp.media.fades import gap
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.pcm import level_db
from echowarp.media.pushed_playout import PushedPlayout
from echowarp.media.target import Policy
from echowarp.session.inbox import Block

MIN_PATIENCE_NS = 80_000_000
"""Nobody hears a file late, and a lost packet wants time to be sent again."""
MAX_BEHIND_NS = 60 * NS_PER_S
"""A sink that takes nothing for so long is as good as gone; memory is not for ever."""
LOOK_UP_S = 0.1
HURRY_S = 0.5


class PushedPlayback(StreamPlayback[PushedPlayout]):
    """Feeds files and pipes from a thread of its own.

    open_sink(format, n): makes the sink of the n-th format, from 1; the rest as for
    StreamPlayback: the target is how long a missing block is waited for.
    """

    def __init__(
        self,
        open_sink: Callable[[Format, int], PushedSink],
        *,
        latency: Policy | int,
        limit_s: float | None,
        listener: Listener,
        opener: OpenPayload = no_key,
    ) -> None:
        super().__init__(latency=latency, limit_s=limit_s, listener=listener, opener=opener)
        self._open_sink = open_sink
        self._sink: PushedSink | None = None
        self._sinks = 0
        self._heard_ns: int | None = None
        self._written_frames = 0
        self._left_frames: int | None = None
        self._blocks = 0
        self._told = False
        self._thread: threading.Thread | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._block_ns = 0
        self._patient_for_ns = 0
        """The target that the playout's patience is of."""
        self._last_frame = b""

    def begin(self, fmt: Format, *, continued: bool, stream: object, sealed: bool = False) -> None:
        """A stream begins."""
        with self._opening:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._guarded, name="playback", daemon=True)
                self._thread.start()
        self._messages.put(Begin(fmt, continued, stream, sealed))

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""
        if self._messages.qsize() * self._block_ns > MAX_BEHIND_NS:
            reason = "the sink has stood still for a minute; the sound after that is lost"
            self._listener.failed(StorageError(reason))
            return
        self._messages.put(Arrived(block, at_ns))

    def close(self, hurried: Callable[[], bool]) -> None:
        """Writes what has come, completes the file. Waits for a sink that is slow until
        `hurried` says that nobody wants to wait any more."""
        with self._opening:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        self._messages.put(None)
        while thread.is_alive() and not hurried():
            thread.join(LOOK_UP_S)
        thread.join(HURRY_S)
        sink = self._sink
        if thread.is_alive() and sink is not None:
            sink.close()
            thread.join(HURRY_S)

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._listener.failed(error)
        finally:
            self._close_sink()

    def _close_sink(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.close()
        except BaseException as error:
            self._listener.failed(error)

    def _run(self) -> None:
        while True:
            try:
                message = self._messages.get(timeout=self._patience_s())
            except queue.Empty:
                self._on_timeout()
                continue
            if message is None:
                self._settle()
                self._publish()
                return
            self._obey(message)
            self._after()

    def _patience_s(self) -> float | None:
        if self._playout is None or self._reception is None:
            return None
        due_ns, asks_ns = self._playout.timeout_ns(), self._reception.timeout_ns()
        if due_ns is None or (asks_ns is not None and asks_ns < due_ns):
            due_ns = asks_ns
        return None if due_ns is None else max(0, due_ns - time.monotonic_ns()) / NS_PER_S

    def _on_timeout(self) -> None:
        if self._playout is not None:
            self._write(self._playout.handle_timeout(time.monotonic_ns()))
            self._publish()
            self._after()

    def _on_begin(self, begin: Begin) -> None:
        self._told = False
        if begin.continued and self._playout is not None and not self._playout.finished:
            return
        self._settle()
        if begin.format != self._format:
            self._close_sink()
            self._heard_ns = None
            if self._limit_s is not None and self._format is not None:
                self._limit_s -= self._written_frames / self._format.rate
            self._format = begin.format
            self._block_ns = begin.format.block_ns
            self._last_frame = b""
            self._written_frames = 0
            if self._limit_s is not None:
                self._left_frames = round(self._limit_s * begin.format.rate)
            self._sinks += 1
            self._sink = self._open_sink(begin.format, self._sinks)
        self._publish()

    def _on_end(self, playout: PushedPlayout, seq: int) -> None:
        playout.end(seq, time.monotonic_ns())

    def _on_end_of_nothing(self) -> None:
        self._tell_finished()

    def _on_arrived(self, block: Block, at_ns: int) -> None:
        super()._on_arrived(block, at_ns)
        self._heard_ns = at_ns
        if self._blocks % PUBLISH_EVERY_BLOCKS == 0:
            self._publish()
        self._blocks += 1

    def _make_playout(
        self, fmt: Format, reception: Reception, *, first_seq: int, first_time: int, now_ns: int
    ) -> PushedPlayout:
        self._fill_outage(fmt, now_ns)
        self._patient_for_ns = reception.target_ns
        return PushedPlayout(
            fmt,
            first_seq=first_seq,
            first_time=first_time,
            patience_ns=self._patience_ns(reception.target_ns),
            now_ns=now_ns,
        )

    @property
    def _period_ns(self) -> int:
        return 0

    @property
    def _played_frames(self) -> int:
        return self._written_frames

    def _patience_ns(self, target_ns: int) -> int:
        fixed = isinstance(self._latency, int)
        return target_ns if fixed else max(MIN_PATIENCE_NS, target_ns)

    def _play(self, usable: Iterable[Usable], at_ns: int, original: int | None) -> None:
        playout, reception = self._playout, self._reception
        assert playout is not None and reception is not None
        target_ns = reception.target_ns
        if target_ns != self._patient_for_ns:
            self._patient_for_ns = target_ns
            playout.set_patience(self._patience_ns(target_ns))
        for seq, time_frames, payload in usable:
            self._write(playout.put(seq, time_frames, payload, at_ns))

    def _fill_outage(self, fmt: Format, now_ns: int) -> None:
        """Between two streams a recording holds silence for the wall time missed."""
        if self._heard_ns is not None:
            missed_ns = now_ns - self._heard_ns - fmt.block_ns
            self._write(gap(max(0, fmt.ns_to_frames(missed_ns)), self._last_frame, b"", fmt))

    def _settle(self) -> None:
        if self._playout is not None:
            self._write(self._playout.flush())
        super()._settle()

    def _write(self, pieces: Iterable[bytes]) -> None:
        for pcm in pieces:
            assert self._format is not None and self._sink is not None
            frame_bytes = self._format.frame_bytes
            if self._left_frames is not None:
                pcm = pcm[: self._left_frames * frame_bytes]
                self._left_frames -= len(pcm) // frame_bytes
            if pcm:
                self._sink.write(pcm)
                self._last_frame = pcm[-frame_bytes:]
                self._written_frames += len(pcm) // frame_bytes
                if self._blocks % PUBLISH_EVERY_BLOCKS == 0:
                    self._level_db = level_db(pcm)
        if self._left_frames == 0:
            self._listener.enough()

    def _after(self) -> None:
        playout, reception = self._playout, self._reception
        if playout is None or reception is None:
            return
        reception.set_playout(playout.next_seq, None)
        self._ask(reception, time.monotonic_ns())
        if playout.finished:
            self._tell_finished()

    def _tell_finished(self) -> None:
        if not self._told:
            self._told = True
            self._publish()
            self._listener.completed()
            self._listener.played_out()
