"""Playback of many talkers at once: each has its own jitter buffer and clock, one sink
takes their sum."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping

from echowarp.app.playback import Snapshot
from echowarp.app.reception import CaptureTime, OpenPayload, ServerClock
from echowarp.app.stream_playback import Arrived, RowArrived
from echowarp.app.talker_mix import (
    Captured,
    Ended,
    Finish,
    Gain,
    Heard,
    Message,
    MixListener,
    SessionOver,
    TalkerMix,
)
from echowarp.app.talker_playback import Talker, TalkerSnapshot
from echowarp.device.seams import PulledSink
from echowarp.errors import StorageError
from echowarp.media.format import Format
from echowarp.media.gain import MAX_GAIN
from echowarp.media.resampler import Resampler
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece

log = logging.getLogger(__name__)

MAX_WAITING = 16_384
"""Blocks that wait for a sink which stands still: five seconds of a full room."""


class MixedPlayback:
    """Plays up to 16 talkers into one sink.

    open_sink(format): opens the sink, when the first talker is heard of: a card, or
    `PacedSink.open` for what has no clock; fmt: of the mix; latency: a policy for each
    talker's target, or a fixed one in nanoseconds; listener: whom it tells;
    opener(stream, seq, time, payload): opens payloads that are sealed end to end, None to
    drop one; limit_s: of sound to play, None for all; monotonic_ns: the clock of the
    sink's pulls, `PacedSink.now_ns` for such a one; new_resampler: what changes the speed
    of a talker's sound.

    The methods only post, but for `hear` and `close`, which belong to the control thread.
    """

    def __init__(
        self,
        open_sink: Callable[[Format], PulledSink],
        *,
        fmt: Format,
        latency: Policy | int,
        listener: MixListener,
        opener: OpenPayload,
        limit_s: float | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        new_resampler: Callable[[Format], Resampler] = Resampler,
    ) -> None:
        self._open_sink = open_sink
        self._format = fmt
        self._latency = latency
        self._listener = listener
        self._open_payload = opener
        self._limit_s = limit_s
        self._monotonic_ns = monotonic_ns
        self._new_resampler = new_resampler
        self._mix = TalkerMix(fmt, listener)
        self._sink: PulledSink | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._next_message: Message | None = None
        self._stands_still = False

    @property
    def talkers(self) -> Mapping[object, TalkerSnapshot]:
        """Of each stream that is heard; replaced whole, every few blocks."""
        return self._mix.talkers

    @property
    def snapshot(self) -> Snapshot:
        """Of the sum: counters span all talkers there were. Replaced whole as well."""
        return self._mix.snapshot

    def hear(
        self, stream: object, user: int, fmt: Format, *, continued: bool, sealed: bool = False
    ) -> None:
        """A talker's stream is announced: what its blocks are known by, whose it is, its
        format, whether it is the user's lost one going on, and whether its payloads are
        sealed end to end. May take a tenth of a second where its rate is not the mix's.

        Opens the sink unless it is open; raises what that raises.
        """
        talker = Talker(
            user,
            fmt,
            mix=self._format,
            latency=self._latency,
            sealed=sealed,
            open_payload=self._open_payload,
            new_resampler=self._new_resampler,
        )
        with self._opening:
            if self._closed:
                return
            sink = self._sink or self._open_sink(self._format)
            self._messages.put(Heard(stream, talker, continued))
            if self._sink is None:
                self._sink = sink
                sink.start(self._pull, self._listener.failed)

    def arrived(self, block: Block, at_ns: int) -> None:
        """A block came."""
        self._post_sound(Arrived(block, at_ns))

    def row(self, piece: RepairPiece, at_ns: int) -> None:
        """A repair row came."""
        self._post_sound(RowArrived(piece, at_ns))

    def clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""
        self._messages.put(clock)

    def capture(self, stream: object, capture: CaptureTime) -> None:
        """The server told when a frame of a stream was captured."""
        self._messages.put(Captured(stream, capture))

    def end(self, stream: object, seq: int) -> None:
        """A stream ends before that block, unwrapped, and is played out."""
        self._messages.put(Ended(stream, seq))

    def session_over(self) -> None:
        """Nothing more comes of the streams that are heard, and users may be called
        otherwise from now on: what has come is played out, each as loud as it is."""
        self._messages.put(SessionOver())

    def finish(self, done: Callable[[], None]) -> None:
        """Nobody else will be heard. done: told, on the sink's thread, when all has been
        played."""
        with self._opening:
            if self._sink is not None and not self._closed:
                self._messages.put(Finish(done))
                return
        done()

    def set_volume(self, user: int, percent: float) -> None:
        """How loud a user is played, 0 to 1600 %. Raises ValueError for anything else."""
        if not 0 <= percent <= 100 * MAX_GAIN:
            raise ValueError(f"a volume of {percent} % is outside 0..{100 * MAX_GAIN:g} %")
        self._messages.put(Gain(user, percent / 100, None))

    def set_muted(self, user: int, muted: bool) -> None:
        """Whether a user is not played; the volume stays what it is."""
        self._messages.put(Gain(user, None, muted))

    def close(self, hurried: Callable[[], bool]) -> None:
        """Stops the sink, for good. Nothing is waited for; `hurried` is as for others."""
        with self._opening:
            self._closed = True
            if self._sink is None:
                return
            try:
                self._sink.stop()
            except StorageError as error:
                self._listener.failed(error)
        self._mix.finish()

    def _post_sound(self, message: Arrived | RowArrived) -> None:
        """Beside a sink that stands still nothing is kept without bound."""
        waiting = self._messages.qsize()
        if waiting < MAX_WAITING:
            # Not told again for each that is taken.
            self._stands_still = self._stands_still and waiting > MAX_WAITING // 2
            self._messages.put(message)
        elif not self._stands_still:
            self._stands_still = True
            log.warning("the sink takes no sound: what is said meanwhile is lost")

    def _pull(self, frames: int) -> bytes:
        """The next frames, on the sink's thread."""
        now_ns, mix, sink = self._monotonic_ns(), self._mix, self._sink
        assert sink is not None
        self._read_messages(now_ns)
        pcm = mix.pull(frames, now_ns, sink.delay_ns)
        if self._limit_s is not None and mix.played_frames >= self._limit_s * self._format.rate:
            self._listener.enough()
        return pcm

    def _read_messages(self, now_ns: int) -> None:
        """Obeys what was posted. Sound that came after `now_ns`, which a sink that is late
        sets back, has to wait, so that it gives what it would have given in time: the
        machine may have been late in reading it too, so it counts as of when it would have
        come by its stream's own time."""
        while True:
            message = self._next_message
            if message is None:
                if self._messages.empty():
                    return
                message = self._messages.get()
            if isinstance(message, (Arrived, RowArrived)) and message.at_ns > now_ns:
                in_time = self._mix.in_time(message)
                if in_time.at_ns > now_ns:
                    self._next_message = message
                    return
                message = in_time
            self._next_message = None
            self._mix.obey(message)
