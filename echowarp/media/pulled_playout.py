"""Playout into a sink with a clock: a sound card asks, and is always answered.

The delay follows a target that moves, the speed follows the card's clock, and what
is missing is concealed. The delay grows at once when a block is late, for the
concealment that fills the gap takes the place of nothing; it shrinks by playing
faster by 5 cents, which is not heard, and by leaving out blocks of silence.
"""

from __future__ import annotations

from enum import Enum, auto

from echowarp.media.arrivals import Counters, NotedArrivals
from echowarp.media.drift import DriftLoop
from echowarp.media.format import Format
from echowarp.media.playout_delay import PlayoutDelay
from echowarp.media.playout_sound import PlayoutSound
from echowarp.media.playout_turns import Turns
from echowarp.media.pull_line import Line
from echowarp.media.resampler import Resampler

NS_PER_MS = 1_000_000
SURPLUS_NS = 20 * NS_PER_MS
"""So much more than the target may wait when a stream begins, before its first sound is
left out for it."""


class State(Enum):
    """What the next frames will be."""

    FILLING = auto()
    """Silence, until the target is buffered."""
    PLAYING = auto()
    FINISHED = auto()
    """The stream has ended and is played out."""


TRANSITIONS = {
    State.FILLING: {State.PLAYING, State.FINISHED},
    State.PLAYING: {State.FILLING, State.FINISHED},
    State.FINISHED: set[State](),
}


class PulledPlayout:
    """The jitter buffer of one stream. One thread, the device's, owns it.

    first_seq, first_time: the first block to expect, unwrapped; target_ns: how long
    after the fastest path blocks are played, at first; fixed: that is the user's number,
    and what comes later than that is too late; line: the sink's.
    """

    def __init__(
        self,
        fmt: Format,
        *,
        first_seq: int,
        first_time: int,
        target_ns: int,
        line: Line,
        now_ns: int,
        fixed: bool = False,
        resampler: Resampler | None = None,
    ) -> None:
        self.state = State.FILLING
        self.played_frames = 0
        """Frames given out since the sound began, concealment included."""
        self._format = fmt
        self._line = line
        self._delay = PlayoutDelay(fmt, target_ns=target_ns, fixed=fixed, line=line, now_ns=now_ns)
        self._turns = Turns(fmt, self._delay, first_seq=first_seq, first_time=first_time)
        self._arrivals = self._turns.arrivals
        self._sound = PlayoutSound(fmt, self._delay, resampler or Resampler(fmt))
        self._end_seq: int | None = None
        self._begun = False
        self._resting = False
        """The source has said that it is silent until its next block."""
        self._noted = NotedArrivals(fmt)

    @property
    def counters(self) -> Counters:
        """What became of the blocks."""
        return self._turns.counters

    @property
    def drift(self) -> DriftLoop:
        """The correction of the clocks."""
        return self._delay.drift

    @property
    def buffered_frames(self) -> int:
        """Frames from the playout position to the end of the newest block."""
        return self._turns.ahead_frames + self._sound.held_frames

    @property
    def position(self) -> int:
        """Time of the stream, in frames, of the next frame to be given out."""
        return self._turns.position - self._sound.held_frames

    @property
    def complete(self) -> bool:
        """Whether the stream has ended and every block of it has come or is given up."""
        if self._end_seq is None:
            return False
        return self._arrivals.next_seq + len(self._arrivals) >= self._end_seq

    @property
    def silent(self) -> bool:
        """Whether all that could be pulled is silence, until the next block or the end.
        It need not be pulled then."""
        if not self._sound.ended:
            return False
        if self.state is State.FINISHED:
            return True
        return self._resting and not len(self._arrivals) and self._end_seq is None

    @property
    def next_seq(self) -> int:
        """The block whose turn is next."""
        return self._arrivals.next_seq

    def set_target(self, target_ns: int) -> None:
        """How long after the fastest path blocks are to be played from now on."""
        self._delay.target_ns = target_ns

    def put(self, seq: int, time: int, payload: bytes, at_ns: int, *, by_itself: bool) -> None:
        """Takes a block that became usable at `at_ns`; by_itself: as first sent."""
        self._arrivals.put(seq, time, payload)
        if self.state is not State.PLAYING:
            # That the source is silent still says little of how fast the path will be.
            if payload or not self._resting:
                self._noted.note(time, at_ns)
        elif by_itself:
            self._delay.observe(self._leaves_ns(time) - at_ns, at_ns)

    def end(self, end_seq: int) -> None:
        """The stream ends before block `end_seq`."""
        self._end_seq = end_seq
        self._delay.moving = False

    def due_ns(self) -> int:
        """When the block whose turn is next leaves."""
        return self._leaves_ns(self._turns.position)

    def pull(self, frames: int, now_ns: int) -> bytes:
        """Exactly `frames` frames of s16le, which the line has not counted yet."""
        self._line.called(now_ns)
        if self.state is State.PLAYING:
            self._delay.tick(now_ns)
            if self._end_seq is None and self._turns.cut_surplus(self._sound.held_frames):
                self._sound.splice()
        while self._sound.ready_frames < frames:
            self._next()
        if self._begun:
            self.played_frames += frames
        return self._sound.take(frames)

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        self._arrivals.finish()

    def _leaves_ns(self, time: int) -> int:
        """When the stream's frame `time` leaves, at the present speed."""
        return self._line.leaves_ns(self._line.frames + time - self.position)

    def _next(self) -> None:
        """Makes what leaves next, or leaves something out."""
        if self.state is State.FINISHED:
            self._sound.end()
        elif self.state is State.FILLING:
            self._fill()
        elif self._turns.give_up_waited(ends=self._end_seq is not None):
            return
        elif (due := self._arrivals.peek()) is not None:
            self._play(*due)
        elif len(self._arrivals) or self._ends_later():
            self._miss()
        elif self._end_seq is not None:
            self._to(State.FINISHED)
        else:
            self._wait()

    def _ends_later(self) -> bool:
        return self._end_seq is not None and self._arrivals.next_seq < self._end_seq

    def _fill(self) -> None:
        """Silence up to the very frame with which the delay is the target."""
        while self._resting and self._turns.skip_silence():
            pass
        earliest = self._arrivals.earliest()
        if earliest is None:
            if self._end_seq is not None:
                self._to(State.FINISHED)
                return
            early_frames = self._format.block_frames
        else:
            early_frames = self._format.ns_to_frames(self._early_ns(earliest))
            if early_frames <= 0:
                self._begin(earliest, -early_frames)
                return
        self._sound.conceal(min(early_frames, self._format.block_frames))

    def _early_ns(self, seq: int) -> int:
        """How much too early it were, to begin with that block now; negative for too late."""
        start = self._arrivals.time_of(seq)
        fastest_ns = self._noted.fastest_ns(start)
        if fastest_ns is None:
            return 0  # it only says that the source is silent still
        return fastest_ns + self._delay.aim_ns - self._leaves_ns(self._turns.position)

    def _begin(self, seq: int, late_frames: int) -> None:
        """Starts with block `seq`, or so many frames after it where sound may be left out."""
        keep = not self._begun and late_frames <= self._format.ns_to_frames(SURPLUS_NS)
        if keep or self._end_seq is not None:
            late_frames = 0
        self._turns.begin_at(seq, late_frames, anew=not self._begun)
        levels = [self._leaves_ns(time) - at_ns for time, at_ns in self._noted]
        self._noted.clear()
        self._delay.begin(max(levels, default=self._delay.aim_ns))
        self._begun = True
        self._resting = False
        self._to(State.PLAYING)

    def _play(self, time: int, payload: bytes) -> None:
        turns, missing = self._turns, time - self._turns.position
        if missing > 0:
            step = min(missing, self._format.block_frames)
            turns.position += step
            self._sound.conceal(step)
            return
        turns.take()
        if not payload:
            self._rest()
            return
        self._resting = False
        if not self._delay.sheds(payload):
            # Where sound begins in the midst of a block, its head is left out.
            self._sound.play(payload[-missing * self._format.frame_bytes :] or payload)

    def _rest(self) -> None:
        """The source is silent from here on. Where its next block is here already, its
        time tells for how long; else sound begins anew with that."""
        due = self._arrivals.peek()
        if not self._resting and (due is None or due[0] > self._turns.position):
            self._resting = True
            self._sound.end()
            self._turns.position += self._format.block_frames
        self._pause()

    def _pause(self) -> None:
        """Sound begins anew after a silence, unless its blocks are here already."""
        if not len(self._arrivals):
            self._to(State.FILLING)

    def _miss(self) -> None:
        """The block whose turn it is is not here, but later ones are."""
        if self._delay.is_short and self._end_seq is None and not self._resting:
            self._wait()
            return
        self._turns.miss()
        self._sound.conceal(self._format.block_frames)

    def _wait(self) -> None:
        """The delay grows by the block of concealment that this inserts."""
        if self._turns.wait():
            self._pause()
        self._sound.conceal(self._format.block_frames)

    def _to(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
        self._delay.moving = state is State.PLAYING and self._end_seq is None
