"""The talkers that are heard and their sum, as the thread of the sink has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from echowarp.app.playback import Snapshot
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.app.stream_playback import PUBLISH_EVERY_BLOCKS, Arrived, RowArrived, sum_counters
from echowarp.app.talker_playback import Talker, TalkerSnapshot
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.mix import MAX_TALKERS, mix
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import PullLine
from echowarp.wire.feedback import Request

log = logging.getLogger(__name__)

MAX_HEARD = 2 * MAX_TALKERS
"""Streams at once, those that are only played out included: more than any room has."""


class Heard(NamedTuple):
    """A talker's stream is announced. continued: it is the user's lost one going on."""

    stream: object
    talker: Talker
    continued: bool


class Captured(NamedTuple):
    """It was told when a frame of a stream was captured."""

    stream: object
    capture: CaptureTime


class Ended(NamedTuple):
    """The stream ends before block `seq`, unwrapped."""

    stream: object
    seq: int


class SessionOver(NamedTuple):
    """No block of what is heard now will come any more, and what was a user's number may
    be another's."""


class Finish(NamedTuple):
    """Nobody else will be heard. done: told when all that has come has left."""

    done: Callable[[], None]


class Gain(NamedTuple):
    """How loud a user is to be; a part that is None stays."""

    user: int
    gain: float | None
    muted: bool | None


Message: TypeAlias = (
    Arrived | RowArrived | ServerClock | Heard | Captured | Ended | Gain | SessionOver | Finish
)


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


class TalkerMix:
    """Up to 16 talkers and those that are on their way out. One thread owns it.

    fmt: of the mix; listener: whom it tells.
    """

    def __init__(self, fmt: Format, listener: MixListener) -> None:
        self.talkers: Mapping[object, TalkerSnapshot] = {}
        """Of each stream that is heard; replaced whole, every few blocks."""
        self.snapshot = Snapshot(format=fmt, counters=Counters())
        """Of the sum: counters span all talkers there were."""
        self._format = fmt
        self._listener = listener
        self._line = PullLine(fmt)
        self._heard: dict[object, Talker] = {}
        self._incomplete: set[object] = set()
        """Streams of which `completed` has not been told."""
        self._gains: dict[int, float] = {}
        self._muted: set[int] = set()
        self._clock: ServerClock | None = None
        self._pulls = 0
        self._finish: Finish | None = None
        self._after_frames = 0
        """Frames that were given out since the last talker was gone."""
        self._over = Snapshot(counters=Counters())
        """Sums of the talkers that are gone."""

    @property
    def played_frames(self) -> int:
        """Frames that were given out."""
        return self._line.frames

    def in_time(self, message: Arrived | RowArrived) -> Arrived | RowArrived:
        """As if it had come when it would have, had its stream gone on at its pace; later
        than that the machine was late in reading it, or it was held up under way."""
        if isinstance(message, RowArrived):
            stream, time = message.piece.stream, None
        else:
            block = message.block
            stream, time = block.stream, None if block.resent else block.time
        talker = self._heard.get(stream)
        expected_ns = None if talker is None else talker.expected_ns(time)
        if expected_ns is None or expected_ns >= message.at_ns:
            return message
        return message._replace(at_ns=expected_ns)

    def obey(self, message: Message) -> None:
        """Takes in what was posted."""
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
        elif isinstance(message, Heard):
            self._on_heard(message)
        elif isinstance(message, Gain):
            self._on_gain(message)
        elif isinstance(message, SessionOver):
            for each in self._heard.values():
                each.sign_off(self._gain(each.user))
        elif isinstance(message, Finish):
            self._finish, self._after_frames = message, 0
        else:
            self._on_change(message)

    def pull(self, frames: int, now_ns: int, delay_ns: Callable[[], int | None]) -> bytes:
        """Exactly `frames` frames. delay_ns: gives how long from now until they are heard."""
        line = self._line
        line.called(now_ns)
        if self._finish is not None and not self._heard:
            self._watch_silence(frames, delay_ns)
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
        self._publish_some(pcm, delay_ns)
        self._pulls += 1
        return pcm

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        for stream in tuple(self._heard):
            self._remove(stream)
        self._publish_sum(None)

    def _sum(self, sounds: list[bytes], frames: int) -> bytes:
        if not sounds:
            return bytes(frames * self._format.frame_bytes)
        total = mix(sounds[:MAX_TALKERS])
        # Some may be on their way out, beside as many as there may be.
        return mix([total, *sounds[MAX_TALKERS:]]) if len(sounds) > MAX_TALKERS else total

    def _gain(self, user: int) -> float:
        return 0.0 if user in self._muted else self._gains.get(user, 1.0)

    def _on_heard(self, heard: Heard) -> None:
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

    def _on_gain(self, message: Gain) -> None:
        if message.gain is not None:
            self._gains[message.user] = message.gain
        if message.muted is not None:
            (self._muted.add if message.muted else self._muted.discard)(message.user)

    def _on_change(self, message: Captured | Ended) -> None:
        talker = self._heard.get(message.stream)
        if talker is None:
            if isinstance(message, Ended):
                # Of a stream that is not heard nothing is left to come.
                self._listener.completed(message.stream)
                self._listener.played_out(message.stream)
        elif isinstance(message, Captured):
            talker.set_capture(message.capture)
        else:
            talker.end(message.seq)

    def _watch_end(self, stream: object, talker: Talker) -> None:
        over = talker.over
        if (talker.complete or over) and stream in self._incomplete:
            self._incomplete.discard(stream)
            self._listener.completed(stream)
        if over:
            self._remove(stream)
            self._listener.played_out(stream)

    def _watch_silence(self, frames: int, delay_ns: Callable[[], int | None]) -> None:
        """The last sound has been given out. The device has it for a while still."""
        self._after_frames += frames
        left = self._after_frames - frames >= self._format.ns_to_frames(delay_ns() or 0)
        if left and self._finish is not None:
            self._finish.done()
            self._finish = None

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

    def _publish_some(self, pcm: bytes, delay_ns: Callable[[], int | None]) -> None:
        """Each block a part, that no block has to pay for all."""
        turn = self._pulls % PUBLISH_EVERY_BLOCKS
        due = tuple(self._heard.items())[turn::PUBLISH_EVERY_BLOCKS]
        if due:
            device_ns = delay_ns() or 0
            told = {stream: each.snapshot(self._line, device_ns) for stream, each in due}
            self.talkers = {**self.talkers, **told}
        if turn == PUBLISH_EVERY_BLOCKS - 1:
            self._publish_sum(pcm)

    def _publish_sum(self, pcm: bytes | None) -> None:
        counters, over, heard = self._over.counters, self._over, self._heard.values()
        for talker in heard:
            counters = sum_counters(counters, talker.counters)
        self.snapshot = replace(
            self.snapshot,
            counters=counters,
            level_db=self.snapshot.level_db if pcm is None else level_db(pcm),
            played_frames=self._line.frames,
            repaired=over.repaired + sum(each.repaired for each in heard),
            resent=over.resent + sum(each.resent for each in heard),
        )
