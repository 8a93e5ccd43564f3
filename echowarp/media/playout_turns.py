"""Whose turn it is: the blocks that wait, and what of them is waited for or left out."""

from __future__ import annotations

from echowarp.media.arrivals import MISSING_REMEMBERED_MS, Arrivals, Counters
from echowarp.media.format import Format
from echowarp.media.playout_delay import PlayoutDelay

NS_PER_MS = 1_000_000
MAX_WAIT_NS = 200 * NS_PER_MS
"""Nothing came for so long beyond the target: an outage, after which sound starts anew."""


class Turns:
    """The place in a stream from which sound is made. The playout owns it.

    first_seq, first_time: the first block to expect, unwrapped; delay: of the stream, which
    is told what is waited for and what is left out.
    """

    def __init__(
        self, fmt: Format, delay: PlayoutDelay, *, first_seq: int, first_time: int
    ) -> None:
        self.counters = Counters()
        remembered = fmt.ns_to_frames(MISSING_REMEMBERED_MS * NS_PER_MS)
        self.arrivals = Arrivals(first_seq, max(1, remembered // fmt.block_frames), self.counters)
        self.position = first_time
        """Time of the stream of the frame whose turn is next."""
        self._format = fmt
        self._delay = delay
        self._waited_ns = 0
        """Concealment that was heard in place of nothing, before the block whose turn it is."""

    @property
    def ahead_frames(self) -> int:
        """From the position to the end of the newest block; 0 where none waits."""
        newest = self.arrivals.peek_newest()
        if newest is None:
            return 0
        time, payload = newest
        return max(0, time + len(payload) // self._format.frame_bytes - self.position)

    def begin_at(self, seq: int, late_frames: int, *, anew: bool) -> None:
        """Goes on with block `seq`, or so many frames after it, if a later block is here.

        anew: nothing was heard before, so nothing was missed.
        """
        arrivals = self.arrivals
        goal = arrivals.time_of(seq) + late_frames
        seq = arrivals.first_from(seq + late_frames // self._format.block_frames)
        if anew:
            arrivals.start_at(seq)
        else:
            arrivals.skip_to(seq)
        self._enter(goal)
        self._waited_ns = 0

    def take(self) -> None:
        """The block whose turn it is is played now."""
        due = self.arrivals.peek()
        assert due is not None
        time, payload = due
        self.arrivals.take()
        self.position = time + len(payload) // self._format.frame_bytes
        # The turns of these are played now, after what was heard in their place.
        self.counters.concealed += self._waited_ns // self._format.block_ns
        self._waited_ns = 0

    def skip_silence(self) -> bool:
        """Takes a block that only says that the source is silent still; whether there was one."""
        due = self.arrivals.peek()
        if due is None or due[1]:
            return False
        self.arrivals.take()
        self.position = due[0]
        return True

    def miss(self) -> None:
        """The block whose turn it is is not here: it is given up."""
        self.arrivals.miss()
        self.position += self._format.block_frames

    def wait(self) -> bool:
        """A block of concealment is heard in place of nothing, by which the delay grows.
        Whether that has been so for longer than sound can be held up."""
        self._waited_ns += self._format.block_ns
        self._delay.waited(self._format.block_ns)
        return self._waited_ns > MAX_WAIT_NS

    def give_up_waited(self, *, ends: bool) -> bool:
        """Gives up turns that were waited for, if they are lost or not worth the delay:
        what was heard meanwhile was their concealment. Whether there were any.

        ends: the stream does, and nothing is gained by being in time.
        """
        arrivals, fmt, block_ns = self.arrivals, self._format, self._format.block_ns
        if not self._waited_ns or not len(arrivals):
            return False
        blocks = self._waited_ns // block_ns
        due = arrivals.peek()
        if due is not None and due[0] > self.position:
            # The source missed this time itself.
            self._pass_waited(min(due[0] - self.position, fmt.ns_to_frames(self._waited_ns)))
            return True
        if due is None:
            blocks = min(blocks, 1)
        elif ends or not due[1]:
            # Silence that is said takes no time of its own.
            blocks = 0
        else:
            left = arrivals.highest + 1 - arrivals.next_seq
            blocks = min(blocks, left, self._delay.unwanted_ns // block_ns)
        if not blocks:
            return False
        arrivals.skip_to(arrivals.next_seq + blocks)
        self._pass_waited(blocks * fmt.block_frames)
        return True

    def cut_surplus(self, held_frames: int) -> bool:
        """Leaves out at once what is too much to be played away; whether there was any.

        held_frames: of the stream, that have come in and not gone out.
        """
        arrivals, fmt, before = self.arrivals, self._format, self.position
        if self._waited_ns or not len(arrivals):
            return False
        cut_ns = self._delay.cut(fmt.frames_to_ns(self.ahead_frames + held_frames))
        if not cut_ns:
            return False
        frames = fmt.ns_to_frames(cut_ns)
        turns = min(frames // fmt.block_frames, arrivals.highest - arrivals.next_seq)
        arrivals.skip_to(arrivals.next_seq + turns)
        # Within a block that is missing there is nothing to leave out.
        here = arrivals.peek() is not None
        self._enter(before + (frames if here else turns * fmt.block_frames))
        self._delay.left_out(fmt.frames_to_ns(self.position - before))
        return True

    def _enter(self, goal: int) -> None:
        """Goes on at frame `goal` as far as that lies in the block whose turn it is."""
        due = self.arrivals.peek()
        if due is not None:
            time, payload = due
            goal = max(time, min(goal, time + len(payload) // self._format.frame_bytes))
        self.position = goal

    def _pass_waited(self, frames: int) -> None:
        passed_ns = self._format.frames_to_ns(frames)
        # Less than a frame is nothing.
        self._waited_ns = max(0, self._waited_ns - passed_ns) if frames else 0
        self._delay.left_out(passed_ns)
        self.position += frames
