"""One of the talkers in a mix: its repair, its jitter buffer, its clock, its volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from echowarp.app.playback import Snapshot
from echowarp.app.reception import (
    SEAL_BYTES,
    CaptureTime,
    Delay,
    OpenPayload,
    Reception,
    ServerClock,
    Usable,
    fits,
)
from echowarp.media.arrivals import Counters
from echowarp.media.fader import Fader
from echowarp.media.format import Format
from echowarp.media.pcm import SILENCE_DB, level_db
from echowarp.media.pull_converter import PullConverter
from echowarp.media.pull_line import ConvertedLine, PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.resampler import Resampler
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece
from echowarp.wire.feedback import Request

PERIODS = 2
"""What a card may take at once, in blocks: a sound server calls twice in a row at times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkerSnapshot(Snapshot):
    """What others may know of a talker; a Snapshot of its stream alone.

    user: whose stream it is; unopened: payloads for which there was no key.
    """

    user: int
    unopened: int = 0


class Talker:
    """One stream in a mix. Made by any thread, then owned by that of the sink.

    mix: the format that it is converted to; line: on which the mix leaves; gain: at first;
    sealed: its payloads are sealed end to end; the rest as for MixedPlayback. Raises
    ValueError for a format that cannot be converted.
    """

    def __init__(
        self,
        user: int,
        fmt: Format,
        *,
        mix: Format,
        latency: Policy | int,
        sealed: bool,
        open_payload: OpenPayload,
        new_resampler: Callable[[Format], Resampler],
    ) -> None:
        self.user = user
        self.format = fmt
        self.complete = False
        """Every block of the ended stream has come or is given up."""
        self._mix = mix
        self._latency = latency
        self.sealed = sealed
        self._open_payload = open_payload
        self._new_resampler = new_resampler
        self._converter: PullConverter | None = None
        if (fmt.rate, fmt.channels) != (mix.rate, mix.channels):
            self._converter = PullConverter(fmt, mix.rate, mix.channels)
        self._converted: ConvertedLine | None = None
        self._fader: Fader | None = None
        self._playout: PulledPlayout | None = None
        self._reception: Reception | None = None
        self._capture: CaptureTime | None = None
        self._gain: float | None = None
        """How loud it stays, once its user may be called otherwise."""
        self._known_seq = 0
        """One past the last block that has come, of whatever kind."""
        self._newest: tuple[int, int] | None = None
        """The time of the newest block that came by itself, and when it did."""
        self._end_seq: int | None = None
        self._leaving_frames: int | None = None
        self._tail_frames = self._converter_frames
        """What the converter still holds back when all else has been played."""
        self._pcm = b""
        self._unopened = 0

    @property
    def _converter_frames(self) -> int:
        if self._converter is None:
            return 0
        return self._mix.ns_to_frames(self._converter.delay_ns) + 1

    @property
    def counters(self) -> Counters:
        """What became of its blocks."""
        return Counters() if self._playout is None else self._playout.counters

    @property
    def repaired(self) -> int:
        """As of Reception."""
        return 0 if self._reception is None else self._reception.repaired

    @property
    def resent(self) -> int:
        """As of Reception."""
        return 0 if self._reception is None else self._reception.resent

    @property
    def ending(self) -> bool:
        """Whether it has ended or leaves, and is only played out."""
        return self._end_seq is not None or self._leaving_frames is not None

    @property
    def over(self) -> bool:
        """Whether nothing of it will be heard any more."""
        if self._leaving_frames is not None and self._leaving_frames <= 0:
            return True
        if self._playout is None:
            return self.ending
        return self._has_ended(self._playout) and self._tail_frames <= 0

    def block(
        self, stream: object, block: Block, at_ns: int, line: PullLine, clock: ServerClock | None
    ) -> None:
        """A block came. line: of the mix; clock: the server's, as far as it is known."""
        if self._reception is None:
            self._begin(block, at_ns, line, clock)
        reception = self._reception
        assert reception is not None
        original = None if block.resent else block.seq
        if not block.resent and (self._newest is None or block.time > self._newest[0]):
            self._newest = block.time, at_ns
        self._play(stream, reception.block(block, at_ns), at_ns, original)

    def expected_ns(self, time: int | None) -> int | None:
        """When a block of that time comes if it is under way for as long as the newest was;
        what has no time of its own, None, may have come with that. None before the first."""
        if self._newest is None:
            return None
        newest_time, at_ns = self._newest
        return at_ns if time is None else at_ns + self.format.frames_to_ns(time - newest_time)

    def row(self, stream: object, piece: RepairPiece, at_ns: int) -> None:
        """A repair row came."""
        if self._reception is not None:
            self._play(stream, self._reception.repair(piece, at_ns), at_ns, None)

    def set_clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""
        if self._reception is not None:
            self._reception.set_clock(clock)

    def set_capture(self, capture: CaptureTime) -> None:
        """It was told when a frame was captured."""
        self._capture = capture
        if self._reception is not None:
            self._reception.set_capture(capture)

    def end(self, seq: int) -> None:
        """The stream ends before that block, and is played out."""
        self._end_seq = seq
        if self._playout is not None:
            self._playout.end(seq)

    def sign_off(self, gain: float) -> None:
        """Its session is over: what has come of it is played out, as loud as that."""
        self._gain = gain
        if not self.ending:
            self.end(self._known_seq)

    def leave(self) -> None:
        """It is to be heard no more, at once: it is faded out."""
        if self._leaving_frames is None:
            self._leaving_frames = self._mix.block_frames

    def pull(self, frames: int, now_ns: int, gain: float) -> bytes:
        """Its next `frames` frames in the mix's format, b"" for silence."""
        playout, reception = self._playout, self._reception
        self._pcm = b""
        if playout is None or reception is None:
            return b""
        if self._gain is not None:
            gain = self._gain
        if self._leaving_frames is not None:
            self._leaving_frames -= frames
            gain = 0.0
        ringing = self._has_ended(playout) and self._tail_frames > 0
        if ringing:
            self._tail_frames -= frames
        elif playout.silent:
            if self._converted is not None:
                self._converted.passed(frames)
            return b""
        playout.set_target(reception.target_ns)
        if self._converter is None:
            self._pcm = playout.pull(frames, now_ns)
        else:
            self._pcm = self._converter.pull(frames, lambda n: self._pull(playout, n, now_ns))
        reception.set_playout(playout.next_seq, playout.due_ns())
        self.complete = playout.complete or playout.state is State.FINISHED
        if self._fader is None:
            self._fader = Fader(self._mix, gain)
        return self._fader.process(self._pcm, gain)

    def _has_ended(self, playout: PulledPlayout) -> bool:
        return playout.state is State.FINISHED and playout.silent

    def _pull(self, playout: PulledPlayout, frames: int, now_ns: int) -> bytes:
        pcm = playout.pull(frames, now_ns)
        if self._converted is not None:
            self._converted.pulled(frames)
        return pcm

    def requests(self, now_ns: int) -> list[Request]:
        """What to ask its sender for."""
        reception = self._reception
        if reception is None:
            return []
        due_ns = reception.timeout_ns()
        return [] if due_ns is None or now_ns < due_ns else reception.requests(now_ns)

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        if self._playout is not None and self._reception is not None:
            self._playout.finish()
            self._reception.finish()

    def snapshot(self, line: PullLine, device_ns: int) -> TalkerSnapshot:
        """What there is to know of it. device_ns: from a pull of the mix until it is heard."""
        playout, reception = self._playout, self._reception
        if playout is None or reception is None:
            return TalkerSnapshot(user=self.user, format=self.format, counters=Counters())
        return TalkerSnapshot(
            user=self.user,
            format=self.format,
            counters=_copy(playout.counters),
            level_db=level_db(self._pcm) if self._pcm else SILENCE_DB,
            delay=self._delay(playout, reception, line, device_ns),
            played_frames=playout.played_frames,
            repaired=reception.repaired,
            resent=reception.resent,
            guard_ns=reception.guard_ns,
            target_ns=reception.target_ns,
            needed_ns=reception.needed_ns,
            reason=reception.reason,
            drift_ppm=playout.drift.correction_ppm,
            unopened=self._unopened,
        )

    def _delay(
        self, playout: PulledPlayout, reception: Reception, line: PullLine, device_ns: int
    ) -> Delay | None:
        if playout.state is not State.PLAYING:
            return None
        own = self._converted or line
        converter_ns = 0 if self._converter is None else self._converter.delay_ns
        leaves_ns = own.leaves_ns(own.frames)
        return reception.delay(playout.position, leaves_ns, device_ns + converter_ns)

    def _begin(self, block: Block, at_ns: int, line: PullLine, clock: ServerClock | None) -> None:
        """The first block came; the stream may have begun before it."""
        fmt, mix = self.format, self._mix
        first_time = block.time - (block.seq - block.first_seq) * fmt.block_frames
        converter_ns = 0 if self._converter is None else self._converter.delay_ns
        reception = self._reception = Reception(
            fmt,
            first_seq=block.first_seq,
            first_time=first_time,
            latency=self._latency,
            period_ns=PERIODS * mix.block_ns + converter_ns,
            now_ns=at_ns,
            seal_bytes=SEAL_BYTES if self.sealed else 0,
        )
        if clock is not None:
            reception.set_clock(clock)
        if self._capture is not None:
            reception.set_capture(self._capture)
        if fmt.rate != mix.rate:
            self._converted = ConvertedLine(line, rate=fmt.rate, line_rate=mix.rate)
        self._playout = PulledPlayout(
            fmt,
            first_seq=block.first_seq,
            first_time=first_time,
            target_ns=reception.target_ns,
            fixed=isinstance(self._latency, int),
            line=self._converted or line,
            resampler=self._new_resampler(fmt),
            now_ns=at_ns,
        )
        if self._end_seq is not None:
            self._playout.end(self._end_seq)

    def _play(
        self, stream: object, usable: Iterable[Usable], at_ns: int, original: int | None
    ) -> None:
        playout, fmt = self._playout, self.format
        assert playout is not None
        for seq, time_frames, payload in usable:
            self._known_seq = max(self._known_seq, seq + 1)
            if self.sealed:
                opened = self._open_payload(stream, seq, time_frames, payload)
                if opened is None or not fits(opened, fmt):
                    self._unopened += 1
                    continue
                payload = opened
            playout.put(seq, time_frames, payload, at_ns, by_itself=seq == original)


def _copy(counters: Counters) -> Counters:
    """Counters that stay as they are."""
    return Counters(
        received=counters.received,
        late=counters.late,
        lost=counters.lost,
        duplicate=counters.duplicate,
        reordered=counters.reordered,
        concealed=counters.concealed,
    )
