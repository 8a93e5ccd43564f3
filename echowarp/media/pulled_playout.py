"""Playout into a sink with a clock: a sound card asks, and is always answered.

The delay follows a target that moves, the speed follows the card's clock, and what
is missing is concealed. The delay grows at once when a block is late, for the
concealment that fills the gap takes the place of nothing; it shrinks by playing
faster by 5 cents, which is not heard, and by leaving out blocks of silence.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from echowarp.media.arrivals import MISSING_REMEMBERED_MS, Arrivals, Counters
from echowarp.media.concealment import Concealer
from echowarp.media.drift import DriftLoop
from echowarp.media.fades import fade_out
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import PullLine
from echowarp.media.resampler import MAX_PPM, Resampler

NS_PER_MS = 1_000_000
MOVE_PPM = 3000.0
"""The speed of deliberate moves: 3 ms a second, 5 cents."""
SETTLED_NS = NS_PER_MS // 2
"""The target is reached when it is so near."""
MAX_WAIT_NS = 200 * NS_PER_MS
"""Nothing came for so long beyond the target: an outage, after which sound starts anew."""
QUIET_DB = -50.0
QUIET_NS = 20 * NS_PER_MS
"""Sound below QUIET_DB for so long may be left out, a block at a time."""
SHED_NS = 5 * NS_PER_MS
SURPLUS_NS = 20 * NS_PER_MS
"""At the start so much more than the target may wait, before some of it is left out."""
JUMP_NS = 10 * NS_PER_MS
"""An error of the delay so large comes of no clock: it is taken as the delay that there
is, and the way back to the target as a deliberate move."""
SETTLING_S = 6
"""So long after a start or a cut the fastest path is still being found: what looks like
an error of the clocks is a better knowledge of the delay."""
NOTED_ARRIVALS = 64
"""Arrivals from which the delay is known where sound begins."""
STALL_NS = 200 * NS_PER_MS
"""So much above the target means that the card stood still, and is cut at once."""


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
    after the fastest path blocks are played, at first; line: the sink's.
    """

    def __init__(
        self,
        fmt: Format,
        *,
        first_seq: int,
        first_time: int,
        target_ns: int,
        line: PullLine,
        now_ns: int,
    ) -> None:
        self.counters = Counters()
        self.state = State.FILLING
        self.played_frames = 0
        """Frames given out since the sound began, concealment included."""
        self.drift = DriftLoop(now_ns)
        self._format = fmt
        self._line = line
        self._target_ns = target_ns
        self._intended_ns = target_ns
        remembered = fmt.ns_to_frames(MISSING_REMEMBERED_MS * NS_PER_MS)
        self._arrivals = Arrivals(first_seq, max(1, remembered // fmt.block_frames), self.counters)
        self._position = first_time
        self._ready = bytearray()
        self._concealer = Concealer(fmt)
        self._resampler = Resampler(fmt)
        self._settling = SETTLING_S
        self._last_frame = b""
        self._end_seq: int | None = None
        self._begun = False
        self._noted: deque[tuple[int, int]] = deque(maxlen=NOTED_ARRIVALS)
        self._waited_ns = 0
        self._quiet_ns = 0

    @property
    def buffered_frames(self) -> int:
        """Frames from the playout position to the end of the newest block."""
        ready = len(self._ready) // self._format.frame_bytes + self._resampler.delay_frames
        newest = self._arrivals.peek_newest()
        if newest is None:
            return ready
        time, payload = newest
        ahead = time + len(payload) // self._format.frame_bytes - self._position
        return max(0, ahead) + ready

    @property
    def position(self) -> int:
        """Time of the stream, in frames, of the next frame to be given out."""
        ready = len(self._ready) // self._format.frame_bytes + self._resampler.delay_frames
        return self._position - ready

    @property
    def complete(self) -> bool:
        """Whether the stream has ended and every block of it has come or is given up."""
        if self._end_seq is None:
            return False
        return self._arrivals.next_seq + len(self._arrivals) >= self._end_seq

    @property
    def next_seq(self) -> int:
        """The block whose turn is next."""
        return self._arrivals.next_seq

    def set_target(self, target_ns: int) -> None:
        """How long after the fastest path blocks are to be played from now on."""
        self._target_ns = target_ns

    def put(self, seq: int, time: int, payload: bytes, at_ns: int, *, by_itself: bool) -> None:
        """Takes a block that became usable at `at_ns`; by_itself: as first sent."""
        self._arrivals.put(seq, time, payload)
        if not by_itself:
            return
        if self.state is State.PLAYING:
            level_ns = self._leaves_ns(time) - at_ns
            self.drift.observe(level_ns, self._intended_ns, at_ns)
        else:
            self._noted.append((time, at_ns))

    def end(self, end_seq: int) -> None:
        """The stream ends before block `end_seq`."""
        self._end_seq = end_seq

    def due_ns(self) -> int:
        """When the block whose turn is next leaves."""
        return self._leaves_ns(self._position)

    def pull(self, frames: int, now_ns: int) -> bytes:
        """Exactly `frames` frames of s16le, which the line has not counted yet."""
        self._line.called(now_ns)
        if self.state is State.PLAYING:
            self._tick(now_ns)
            self._cut_after_stall()
        wanted = frames * self._format.frame_bytes
        while len(self._ready) < wanted:
            self._ready += self._next_block()
        pcm = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        if self._begun:
            self.played_frames += frames
        return pcm

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        self._arrivals.finish()

    def _tick(self, now_ns: int) -> None:
        due = now_ns >= self.drift.timeout_ns()
        self.drift.tick(now_ns)
        if not due:
            return
        self._settling = max(0, self._settling - 1)
        if abs(self.drift.error_ns) > (SETTLED_NS if self._settling else JUMP_NS):
            self._intended_ns += self.drift.error_ns
            self.drift.forgive()

    def _leaves_ns(self, time: int) -> int:
        """When the stream's frame `time` leaves, at the present speed."""
        return self._line.leaves_ns(self._line.frames + time - self.position)

    def _next_block(self) -> bytes:
        if self.state is State.FILLING and self._filled():
            self._begin()
        if self.state is State.FINISHED:
            return self._ended()
        if self.state is not State.PLAYING:
            if self._begun:
                self.counters.concealed += 1
            return self._concealed()
        due = self._arrivals.peek()
        if due is not None:
            return self._play(*due)
        if len(self._arrivals) or self._ended_soon():
            return self._miss()
        return self._wait_or_stop()

    def _ended_soon(self) -> bool:
        return self._end_seq is not None and self._arrivals.next_seq < self._end_seq

    def _filled(self) -> bool:
        if self._end_seq is not None:
            return True
        return bool(len(self._arrivals)) and self._waiting_ns() >= self._aim_ns()

    def _aim_ns(self) -> int:
        """The target, and what the card's uneven calls take on top of it."""
        return self._target_ns + self._line.early_ns

    def _waiting_ns(self) -> int:
        """From the earliest block that is here to the end of the newest."""
        earliest, newest = self._arrivals.earliest(), self._arrivals.peek_newest()
        if earliest is None or newest is None:
            return 0
        end = newest[0] + len(newest[1]) // self._format.frame_bytes
        return self._format.frames_to_ns(end - self._arrivals.time_of(earliest))

    def _begin(self) -> None:
        """Starts at the block that lies the target before the newest end."""
        earliest = self._arrivals.earliest()
        if earliest is None:
            self._to(State.FINISHED)
            return
        surplus_ns = self._waiting_ns() - self._aim_ns()
        if self._end_seq is None and surplus_ns > SURPLUS_NS:
            earliest = self._arrivals.first_from(earliest + surplus_ns // self._format.block_ns)
        if self._begun:
            self._arrivals.leave_to(earliest)
        else:
            self._arrivals.start_at(earliest)
        self._position = self._arrivals.time_of(earliest)
        levels = [self._leaves_ns(time) - at_ns for time, at_ns in self._noted]
        self._noted.clear()
        self._intended_ns = max(levels, default=self._aim_ns())
        self._begun = True
        self._waited_ns = 0
        self._settling = SETTLING_S
        self._to(State.PLAYING)

    def _play(self, time: int, payload: bytes) -> bytes:
        missing = time - self._position
        if missing > 0:
            step = min(missing, self._format.block_frames)
            self._position += step
            return self._resampled(self._concealer.conceal(step))
        self._arrivals.take()
        self._position = time + len(payload) // self._format.frame_bytes
        self._waited_ns = 0
        if not payload:
            self._to(State.FILLING)
            return self._concealed()
        if self._may_shed(payload):
            return b""
        self._last_frame = payload[-self._format.frame_bytes :]
        return self._resampled(self._concealer.resume(payload))

    def _miss(self) -> bytes:
        """The block whose turn it is is not here, but later ones are."""
        block_ns = self._format.block_ns
        if self._waited_ns >= block_ns:
            # It was waited for, and that was its concealment.
            self._waited_ns -= block_ns
            self._intended_ns -= block_ns
            self._arrivals.leave_to(self._arrivals.next_seq + 1)
            self._position += self._format.block_frames
            return b""
        if self._aim_ns() - self._intended_ns > block_ns // 2 and self._end_seq is None:
            return self._wait()
        self._arrivals.miss()
        self._position += self._format.block_frames
        return self._concealed()

    def _wait_or_stop(self) -> bytes:
        if self._end_seq is not None:
            self._to(State.FINISHED)
            return self._ended()
        if self._waited_ns > MAX_WAIT_NS:
            self._to(State.FILLING)
        return self._wait()

    def _wait(self) -> bytes:
        """The delay grows by the block of concealment that this inserts."""
        self.counters.concealed += 1
        self._waited_ns += self._format.block_ns
        self._intended_ns += self._format.block_ns
        return self._concealed()

    def _concealed(self) -> bytes:
        return self._resampled(self._concealer.conceal(self._format.block_frames))

    def _ended(self) -> bytes:
        """After the last block: a short fall to silence, and nothing invented."""
        last, self._last_frame = self._last_frame, b""
        pcm = fade_out(last, self._format.block_frames, self._format)
        return self._resampler.process(pcm, self.drift.correction_ppm)

    def _resampled(self, pcm: bytes) -> bytes:
        """At the speed that the drift loop and the way to the target ask for."""
        ahead_ns = self._aim_ns() - self._intended_ns
        move_ppm = 0.0
        if abs(ahead_ns) > SETTLED_NS and self.state is State.PLAYING:
            move_ppm = -MOVE_PPM if ahead_ns > 0 else MOVE_PPM
        ppm = max(-MAX_PPM, min(MAX_PPM, self.drift.correction_ppm + move_ppm))
        moved_ppm = ppm - self.drift.correction_ppm if move_ppm else 0.0
        frames = len(pcm) // self._format.frame_bytes
        self._intended_ns -= round(self._format.frames_to_ns(frames) * moved_ppm / 1e6)
        return self._resampler.process(pcm, ppm)

    def _may_shed(self, payload: bytes) -> bool:
        """Whether a block is left out: it is quiet, so was what came before, and the
        delay is to shrink by as much."""
        block_ns = self._format.block_ns
        surplus_ns = self._intended_ns - self._aim_ns()
        if surplus_ns < max(block_ns, SHED_NS) or self._end_seq is not None:
            return False
        self._quiet_ns = self._quiet_ns + block_ns if level_db(payload) < QUIET_DB else 0
        if self._quiet_ns < QUIET_NS:
            return False
        self._quiet_ns = 0
        self._intended_ns -= block_ns
        return True

    def _cut_after_stall(self) -> None:
        surplus_ns = self._format.frames_to_ns(self.buffered_frames) - self._intended_ns
        if surplus_ns <= STALL_NS or self._end_seq is not None:
            return
        blocks = surplus_ns // self._format.block_ns
        start = min(self._arrivals.next_seq + blocks, self._arrivals.highest)
        self._settling = SETTLING_S
        self._arrivals.skip_to(start)
        due = self._arrivals.peek()
        if due is None:
            self._position += blocks * self._format.block_frames
        else:
            self._position = due[0]
        self._concealer.conceal(0)

    def _to(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
