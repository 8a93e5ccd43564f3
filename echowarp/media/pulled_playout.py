"""Playout into a sink with a clock: a sound card asks, and is always answered.

The target is fixed: sound begins when so much is buffered. A missing block is
a faded gap. When nothing is there at all the sound pauses until the target is
filled again, so that the delay stays what it was. When the buffer has been
fuller than it needs to be for a while (the card's clock is slower than the
server's), the surplus is cut out with a crossfade.
"""

from __future__ import annotations

from enum import Enum, auto

from echowarp.media.arrivals import MISSING_REMEMBERED_MS, Arrivals, Counters
from echowarp.media.fades import crossfade, fade_in, fade_out
from echowarp.media.format import NS_PER_S, Format

SURPLUS_MS = 20
"""Tolerated above the target: the bursts in which cards and networks deliver."""
STALL_MS = 200
"""So much above the target means that the card stood still, and is cut at once."""
SURPLUS_WATCH_MS = 5000
"""The buffer's lowest level over so long decides whether there is a surplus."""


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

    first_seq, first_time: the first block to expect, unwrapped; target_ns: how
    much is buffered before sound begins.
    """

    def __init__(self, fmt: Format, *, first_seq: int, first_time: int, target_ns: int) -> None:
        self.counters = Counters()
        self.state = State.FILLING
        self.played_frames = 0
        """Frames of the stream given out, concealment included, lead-in silence not."""
        self._format = fmt
        self._target_frames = fmt.ns_to_frames(target_ns)
        self._slack_frames = fmt.rate * SURPLUS_MS // 1000
        remembered = fmt.ns_to_frames(MISSING_REMEMBERED_MS * NS_PER_S // 1000)
        self._arrivals = Arrivals(first_seq, max(1, remembered // fmt.block_frames), self.counters)
        self._position = first_time
        self._ready = bytearray()
        self._last_frame = b""
        self._fade_next = False
        self._end_seq: int | None = None
        self._begun = False
        self._lowest: int | None = None
        self._watched_frames = 0

    @property
    def buffered_frames(self) -> int:
        """Frames from the playout position to the end of the newest block."""
        newest = self._arrivals.peek_newest()
        if newest is None:
            return len(self._ready) // self._format.frame_bytes
        time, payload = newest
        ahead = time + len(payload) // self._format.frame_bytes - self._position
        return max(0, ahead) + len(self._ready) // self._format.frame_bytes

    @property
    def complete(self) -> bool:
        """Whether the stream has ended and every block of it has come or is given up."""
        if self._end_seq is None:
            return False
        held = len(self._arrivals)
        return self._arrivals.next_seq + held >= self._end_seq

    def put(self, seq: int, time: int, payload: bytes) -> None:
        """Takes a block."""
        self._arrivals.put(seq, time, payload)

    def end(self, end_seq: int) -> None:
        """The stream ends before block `end_seq`."""
        self._end_seq = end_seq

    def pull(self, frames: int) -> bytes:
        """Exactly `frames` frames of s16le."""
        wanted = frames * self._format.frame_bytes
        while len(self._ready) < wanted:
            self._ready += self._next_block()
        pcm = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        if self._begun:
            self.played_frames += frames
        if self.state is State.PLAYING:
            self._trim_surplus(frames)
        return pcm

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        self._arrivals.finish()

    def _next_block(self) -> bytes:
        if self.state is State.FILLING and self._filled():
            self._begin()
        if self.state is not State.PLAYING:
            if self._begun and self.state is State.FILLING:
                self.counters.concealed += 1
            return self._fall_silent(self._format.block_frames)
        due = self._arrivals.peek()
        if due is not None:
            return self._play(*due)
        if len(self._arrivals):
            self._arrivals.miss()
            self._position += self._format.block_frames
            return self._fall_silent(self._format.block_frames)
        return self._run_dry()

    def _filled(self) -> bool:
        if self._end_seq is not None:
            return True
        return bool(len(self._arrivals)) and self._waiting_frames() >= self._target_frames

    def _waiting_frames(self) -> int:
        """From the earliest block that is here to the end of the newest."""
        earliest, newest = self._arrivals.earliest(), self._arrivals.peek_newest()
        if earliest is None or newest is None:
            return 0
        end = newest[0] + len(newest[1]) // self._format.frame_bytes
        return end - self._arrivals.time_of(earliest)

    def _begin(self) -> None:
        """Starts at the block that lies the target before the newest end."""
        earliest = self._arrivals.earliest()
        if earliest is None:
            self._to(State.FINISHED)
            return
        surplus = self._waiting_frames() - self._target_frames
        if self._end_seq is None and surplus > self._slack_frames:
            earliest = self._arrivals.first_from(earliest + surplus // self._format.block_frames)
        if self._begun:
            self._arrivals.leave_to(earliest)
        else:
            self._arrivals.start_at(earliest)
        self._position = self._arrivals.time_of(earliest)
        self._fade_next = self._begun
        self._begun = True
        self._lowest = None
        self._to(State.PLAYING)

    def _play(self, time: int, payload: bytes) -> bytes:
        missing = time - self._position
        if missing > 0:
            step = min(missing, self._format.block_frames)
            self._position += step
            return self._fall_silent(step)
        self._arrivals.take()
        frame_bytes = self._format.frame_bytes
        self._position = time + len(payload) // frame_bytes
        pcm = fade_in(payload, self._format) if self._fade_next else payload
        self._fade_next = not payload
        self._last_frame = payload[-frame_bytes:]
        if not payload:
            self._to(State.FILLING)
        return pcm

    def _run_dry(self) -> bytes:
        if self._end_seq is None:
            self._to(State.FILLING)
            self.counters.concealed += 1
        elif self._arrivals.next_seq < self._end_seq:
            self._arrivals.miss()
        else:
            self._to(State.FINISHED)
        return self._fall_silent(self._format.block_frames)

    def _fall_silent(self, frames: int) -> bytes:
        pcm = fade_out(self._last_frame, frames, self._format)
        self._last_frame = b""
        self._fade_next = True
        return pcm

    def _trim_surplus(self, frames: int) -> None:
        level = self.buffered_frames
        if level - self._target_frames > self._format.rate * STALL_MS // 1000:
            self._cut((level - self._target_frames) // self._format.block_frames)
            return
        self._lowest = level if self._lowest is None else min(level, self._lowest)
        self._watched_frames += frames
        if self._watched_frames < self._format.rate * SURPLUS_WATCH_MS // 1000:
            return
        surplus = self._lowest - self._target_frames
        self._watched_frames, self._lowest = 0, None
        if surplus > self._slack_frames and self._end_seq is None:
            self._cut(surplus // self._format.block_frames)

    def _cut(self, blocks: int) -> None:
        skipped, target_seq = self._arrivals.peek(), self._arrivals.next_seq + blocks
        if skipped is None or target_seq > self._arrivals.highest:
            return
        self._arrivals.skip_to(target_seq)
        due = self._arrivals.peek()
        if due is None:
            self._position += blocks * self._format.block_frames
            return
        time, payload = due
        self._arrivals.take()
        frame_bytes = self._format.frame_bytes
        self._position = time + len(payload) // frame_bytes
        self._last_frame = payload[-frame_bytes:]
        self._ready += crossfade(skipped[1], payload, self._format)

    def _to(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
