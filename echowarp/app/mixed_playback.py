"""Playback of many talkers at once: each has its own jitter buffer and clock, one sink
takes their sum."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from echowarp.app.playback import Snapshot
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.app.stream_playback import PUBLISH_EVERY_BLOCKS, Arrived, RowArrived, sum_counters
from echowarp.app.talker_playback import OpenPayload, Talker, TalkerSnapshot
from echowarp.device.seams import PulledSink
from echowarp.errors import StorageError
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.gain import MAX_GAIN
from echowarp.media.mix import MAX_TALKERS, mix
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import PullLine
from echowarp.media.resampler import Resampler
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece
from echowarp.wire.feedback import Request

log = logging.getLogger(__name__)

MAX_HEARD = 2 * MAX_TALKERS
"""Streams at once, those that are only played out included: more than any room has."""
MAX_WAITING = 16_384
"""Blocks that wait for a sink which stands still: five seconds of a full room."""


class _Heard(NamedTuple):
    """A talker's stream is announced."""

    stream: object
    talker: Talker
    continued: bool


class _Captured(NamedTuple):
    stream: object
    capture: CaptureTime


class _Ended(NamedTuple):
    """The stream ends before block `seq`; None: it is gone."""

    stream: object
    seq: int | None


class _Gain(NamedTuple):
    """How loud a user is to be; a part that is None stays."""

    user: int
    gain: float | None
    muted: bool | None


_Message: TypeAlias = Arrived | RowArrived | ServerClock | _Heard | _Captured | _Ended | _Gain


def _nothing(stream: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixListener:
    """Whom a mix tells, on the sink's thread: wanted with what to ask for of a stream,
    completed when every block of an ended stream is settled, played_out when its sound
    has left, enough after the limit."""

    wanted: Callable[[object, list[Request]], None]
    failed: Callable[[BaseException], None]
    completed: Callable[[object], None] = _nothing
    played_out: Callable[[object], None] = _nothing
    enough: Callable[[], None] = lambda: None


class MixedPlayback:
    """Plays up to 16 talkers into one sink.

    open_sink(format): opens the sink, when the first talker is heard of: a card, or
    `PacedSink.open` for what has no clock; fmt: of the mix; latency: a policy for each
    talker's target, or a fixed one in nanoseconds; listener: whom it tells;
    opener(stream, seq, time, payload): opens payloads that are sealed end to end, None to
    drop one; limit_s: of sound to play, None for all; monotonic_ns: the clock of the
    sink's pulls, `PacedSink.now_ns` for such a one; new_resampler: what changes the speed
    of a talker's sound.

    The methods without an underscore only post, but for `hear` and `close`, which belong
    to the control thread. The others belong to the sink's.
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
        self.talkers: Mapping[object, TalkerSnapshot] = {}
        """Of each stream that is heard; replaced whole, every few blocks."""
        self.snapshot = Snapshot(format=fmt, counters=Counters())
        """Of the mix: counters span all talkers there were, the level is the sum's."""
        self._open_sink = open_sink
        self._format = fmt
        self._latency = latency
        self._listener = listener
        self._open_payload = opener
        self._limit_s = limit_s
        self._monotonic_ns = monotonic_ns
        self._new_resampler = new_resampler
        self._sink: PulledSink | None = None
        self._opening = threading.Lock()
        self._closed = False
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._next_message: _Message | None = None
        self._stands_still = False
        self._line = PullLine(fmt)
        self._heard: dict[object, Talker] = {}
        self._incomplete: set[object] = set()
        """Streams of which `completed` has not been told."""
        self._gains: dict[int, float] = {}
        self._muted: set[int] = set()
        self._clock: ServerClock | None = None
        self._pulls = 0
        self._over = Snapshot(counters=Counters())
        """Sums of the talkers that are gone."""

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
            self._messages.put(_Heard(stream, talker, continued))
            if self._sink is None:
                self._sink = self._open_sink(self._format)
                self._sink.start(self._pull, self._listener.failed)

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
        self._messages.put(_Captured(stream, capture))

    def end(self, stream: object, seq: int) -> None:
        """A stream ends before that block, unwrapped, and is played out."""
        self._messages.put(_Ended(stream, seq))

    def forget(self, stream: object) -> None:
        """A stream is to be heard no more, at once: it is faded out."""
        self._messages.put(_Ended(stream, None))

    def set_volume(self, user: int, percent: float) -> None:
        """How loud a user is played, 0 to 1600 %. Raises ValueError for anything else."""
        if not 0 <= percent <= 100 * MAX_GAIN:
            raise ValueError(f"a volume of {percent} % is outside 0..{100 * MAX_GAIN:g} %")
        self._messages.put(_Gain(user, percent / 100, None))

    def set_muted(self, user: int, muted: bool) -> None:
        """Whether a user is not played; the volume stays what it is."""
        self._messages.put(_Gain(user, None, muted))

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
        for stream in tuple(self._heard):
            self._remove(stream)
        self._publish_mix(None)

    def _post_sound(self, message: Arrived | RowArrived) -> None:
        """Beside a sink that stands still nothing is kept without bound."""
        if self._messages.qsize() < MAX_WAITING:
            self._stands_still = False
            self._messages.put(message)
        elif not self._stands_still:
            self._stands_still = True
            log.warning("the sink takes no sound: what is said meanwhile is lost")

    def _pull(self, frames: int) -> bytes:
        now_ns, line = self._monotonic_ns(), self._line
        self._read_messages(now_ns)
        line.called(now_ns)
        sounds = []
        for stream, talker in tuple(self._heard.items()):
            pcm = talker.pull(frames, now_ns, self._gain(talker.user))
            if pcm:
                sounds.append(pcm)
            requests = talker.requests(now_ns)
            if requests:
                self._listener.wanted(stream, requests)
            if talker.ending:
                self._watch_end(stream, talker)
        line.pulled(frames, now_ns)
        pcm = self._sum(sounds, frames)
        self._publish_some(pcm)
        self._pulls += 1
        if self._limit_s is not None and line.frames >= self._limit_s * self._format.rate:
            self._listener.enough()
        return pcm

    def _sum(self, sounds: list[bytes], frames: int) -> bytes:
        if not sounds:
            return bytes(frames * self._format.frame_bytes)
        total = mix(sounds[:MAX_TALKERS])
        # Some may be on their way out, beside as many as there may be.
        return mix([total, *sounds[MAX_TALKERS:]]) if len(sounds) > MAX_TALKERS else total

    def _gain(self, user: int) -> float:
        return 0.0 if user in self._muted else self._gains.get(user, 1.0)

    def _read_messages(self, now_ns: int) -> None:
        """Obeys what was posted. Sound that came after `now_ns`, which a sink that is late
        sets back, has to wait, so that it gives what it would have given in time."""
        while True:
            message = self._next_message
            if message is None:
                if self._messages.empty():
                    return
                message = self._messages.get()
            if isinstance(message, (Arrived, RowArrived)) and message.at_ns > now_ns:
                self._next_message = message
                return
            self._next_message = None
            self._obey(message)

    def _obey(self, message: _Message) -> None:
        if isinstance(message, Arrived):
            stream = message.block.stream
            talker = self._heard.get(stream)
            if talker is not None:
                talker.block(stream, message.block, message.at_ns, self._line, self._clock)
        elif isinstance(message, RowArrived):
            stream = message.piece.stream
            talker = self._heard.get(stream)
            if talker is not None:
                talker.row(stream, message.piece, message.at_ns)
        elif isinstance(message, ServerClock):
            self._clock = message
            for each in self._heard.values():
                each.set_clock(message)
        elif isinstance(message, _Heard):
            self._on_heard(message)
        elif isinstance(message, _Gain):
            self._on_gain(message)
        else:
            talker = self._heard.get(message.stream)
            if talker is None:
                return
            if isinstance(message, _Captured):
                talker.set_capture(message.capture)
            elif message.seq is None:
                talker.leave()
            else:
                talker.end(message.seq)

    def _on_heard(self, heard: _Heard) -> None:
        user, talker = heard.talker.user, heard.talker
        for stream, other in tuple(self._heard.items()):
            if other.user != user or other.ending:
                continue
            alike = (other.format, other.sealed) == (talker.format, talker.sealed)
            if heard.continued and alike:
                self._drop(stream)
                talker = other
            else:
                other.leave()
        active = sum(not each.ending for each in self._heard.values())
        if active >= MAX_TALKERS or len(self._heard) >= MAX_HEARD:
            log.warning("more than %d talkers at once: one is not heard", MAX_TALKERS)
            return
        self._heard[heard.stream] = talker
        self._incomplete.add(heard.stream)

    def _on_gain(self, message: _Gain) -> None:
        if message.gain is not None:
            self._gains[message.user] = message.gain
        if message.muted is not None:
            (self._muted.add if message.muted else self._muted.discard)(message.user)

    def _watch_end(self, stream: object, talker: Talker) -> None:
        over = talker.over
        if (talker.complete or over) and stream in self._incomplete:
            self._incomplete.discard(stream)
            self._listener.completed(stream)
        if over:
            self._remove(stream)
            self._listener.played_out(stream)

    def _remove(self, stream: object) -> None:
        talker = self._drop(stream)
        talker.finish()
        over = self._over
        self._over = replace(
            over,
            counters=sum_counters(over.counters, talker.counters),
            repaired=over.repaired + talker.repaired,
            resent=over.resent + talker.resent,
        )

    def _drop(self, stream: object) -> Talker:
        self._incomplete.discard(stream)
        self.talkers = {each: told for each, told in self.talkers.items() if each != stream}
        return self._heard.pop(stream)

    def _publish_some(self, pcm: bytes) -> None:
        """Each block a part, that no block has to pay for all."""
        turn = self._pulls % PUBLISH_EVERY_BLOCKS
        due = tuple(self._heard.items())[turn::PUBLISH_EVERY_BLOCKS]
        if due:
            device_ns = (self._sink.delay_ns() if self._sink is not None else None) or 0
            told = {stream: each.snapshot(self._line, device_ns) for stream, each in due}
            self.talkers = {**self.talkers, **told}
        if turn == PUBLISH_EVERY_BLOCKS - 1:
            self._publish_mix(pcm)

    def _publish_mix(self, pcm: bytes | None) -> None:
        counters, over = self._over.counters, self._over
        for talker in self._heard.values():
            counters = sum_counters(counters, talker.counters)
        self.snapshot = replace(
            self.snapshot,
            counters=counters,
            level_db=self.snapshot.level_db if pcm is None else level_db(pcm),
            played_frames=self._line.frames,
            repaired=over.repaired + sum(each.repaired for each in self._heard.values()),
            resent=over.resent + sum(each.resent for each in self._heard.values()),
        )
