"""How far behind the fastest path a stream is played: what the delay is and is to be.

Deliberate moves are at 5 cents and not heard. What came of a card that stood still, or
of waiting for blocks, was never asked for: beyond what is worth a seam it is cut out.
"""

from __future__ import annotations

from echowarp.media.drift import DriftLoop
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from echowarp.media.pull_line import Line
from echowarp.media.resampler import MAX_PPM

NS_PER_MS = 1_000_000
MOVE_PPM = 3000.0
"""The speed of deliberate moves: 3 ms a second, 5 cents."""
SETTLED_NS = NS_PER_MS // 2
"""The target is reached when it is so near."""
JUMP_NS = 10 * NS_PER_MS
"""An error of the delay so large comes of no clock: it is taken as the delay that there
is, and the way back to the target as a deliberate move."""
CUT_NS = 40 * NS_PER_MS
"""So much that nobody asked for is worth a seam; the rest goes in 13 s, unheard."""
STALL_NS = 200 * NS_PER_MS
"""So much above the delay means that the card stood still, and is cut at once."""
QUIET_DB = -50.0
QUIET_NS = 20 * NS_PER_MS
"""Sound below QUIET_DB for so long may be left out, a block at a time."""
SHED_NS = 5 * NS_PER_MS
WATCH_NS = 200 * NS_PER_MS
"""The highest level of so long shows the delay through jitter; two of them must agree."""
SETTLING_S = 6
"""So long after a start or a cut the fastest path is still being found: what looks like
an error of the clocks is a better knowledge of the delay."""
HOLD_S = 2
"""So long after a start the delay does not shrink: a short sound keeps its speed."""


class PlayoutDelay:
    """The delay of one stream and the speed that holds it. The playout owns it.

    target_ns: how long after the fastest path blocks are played, at first; fixed: that
    is the user's number, and no block is worth waiting for beyond it.
    """

    def __init__(
        self, fmt: Format, *, target_ns: int, fixed: bool, line: Line, now_ns: int
    ) -> None:
        self.drift = DriftLoop(now_ns)
        self.target_ns = target_ns
        self.known_ns = target_ns
        """The delay above the fastest path, as far as it is known."""
        self.moving = False
        """Whether the delay may move towards the target."""
        self._format = fmt
        self._fixed = fixed
        self._line = line
        self._settling = SETTLING_S
        self._unasked_ns = 0
        self._highest_ns: int | None = None
        self._last_highest_ns: int | None = None
        self._watched_ns = now_ns
        self._quiet_ns = 0

    @property
    def aim_ns(self) -> int:
        """The target, and what the card's uneven calls take on top of it."""
        return self.target_ns + self._line.early_ns

    @property
    def surplus_ns(self) -> int:
        """How much the delay is above what it is to be; negative for below."""
        return self.known_ns - self.target_ns - self._line.early_ns

    @property
    def is_short(self) -> bool:
        """Whether a block that is not here is to be waited for, so that the delay grows."""
        return -self.surplus_ns > self._format.block_ns // 2

    @property
    def unwanted_ns(self) -> int:
        """What of the delay is not worth having, now that a seam is heard anyway."""
        if self._fixed:
            return max(0, self.surplus_ns + self._format.block_ns // 2)
        unasked_ns = min(self._unasked_ns, self.surplus_ns)
        return unasked_ns if unasked_ns > CUT_NS else 0

    def begin(self, delay_ns: int) -> None:
        """Sound begins with this delay."""
        self.known_ns = delay_ns
        self._unasked_ns = 0
        self._settle()

    def observe(self, level_ns: int, at_ns: int) -> None:
        """A block came by itself at `at_ns`, and is to be played `level_ns` later."""
        self.drift.observe(level_ns, self.known_ns, at_ns)
        error_ns = level_ns - self.known_ns
        if self._highest_ns is None or error_ns > self._highest_ns:
            self._highest_ns = error_ns

    def tick(self, now_ns: int) -> None:
        """Takes an error of the delay as known where it is none of the clocks."""
        due = now_ns >= self.drift.timeout_ns()
        if due:
            self.drift.tick(now_ns)
        if now_ns - self._watched_ns >= WATCH_NS:
            self._watch(now_ns)
        if not due:
            return
        self._settling = max(0, self._settling - 1)
        error_ns = self.drift.error_ns
        if abs(error_ns) > (SETTLED_NS if self._settling else JUMP_NS):
            self._learn(error_ns)

    def waited(self, duration_ns: int) -> None:
        """The delay has grown by waiting."""
        self.known_ns += duration_ns
        self._unasked_ns += duration_ns

    def left_out(self, duration_ns: int) -> None:
        """The delay has shrunk by what was left out."""
        self.known_ns -= duration_ns
        self._unasked_ns = max(0, self._unasked_ns - duration_ns)

    def cut(self, buffered_ns: int) -> int:
        """How much to leave out at once; 0 for nothing, as nearly always.

        buffered_ns: from the frame that leaves next to the end of the newest block.
        """
        stood_ns = buffered_ns - self.known_ns
        if stood_ns > STALL_NS:
            self.waited(stood_ns)
            self._settle()
        if not self._unasked_ns:
            return 0
        self._unasked_ns = max(0, min(self._unasked_ns, self.surplus_ns))
        if self._unasked_ns <= CUT_NS:
            return 0
        # Once: what then cannot be left out was not there.
        cut_ns, self._unasked_ns = self._unasked_ns, 0
        return cut_ns

    def speed_ppm(self, frames: int) -> float:
        """How much faster than the card's clock the next `frames` frames are played."""
        correction_ppm, surplus_ns = self.drift.correction_ppm, self.surplus_ns
        held = surplus_ns > 0 and self._settling > SETTLING_S - HOLD_S
        if not self.moving or held or abs(surplus_ns) <= SETTLED_NS:
            return correction_ppm
        move_ppm = MOVE_PPM if surplus_ns > 0 else -MOVE_PPM
        ppm = max(-MAX_PPM, min(MAX_PPM, correction_ppm + move_ppm))
        self.known_ns -= round(self._format.frames_to_ns(frames) * (ppm - correction_ppm) / 1e6)
        return ppm

    def sheds(self, payload: bytes) -> bool:
        """Whether a block is left out: it is quiet, so was what came before, and the
        delay is to shrink by as much."""
        block_ns = self._format.block_ns
        if not self.moving or self.surplus_ns < max(block_ns, SHED_NS):
            return False
        self._quiet_ns = self._quiet_ns + block_ns if level_db(payload) < QUIET_DB else 0
        if self._quiet_ns < QUIET_NS:
            return False
        self._quiet_ns = 0
        self.left_out(block_ns)
        return True

    def _watch(self, now_ns: int) -> None:
        self._watched_ns = now_ns
        last_ns, self._last_highest_ns = self._last_highest_ns, self._highest_ns
        highest_ns, self._highest_ns = self._highest_ns, None
        if last_ns is None or highest_ns is None or abs(highest_ns - last_ns) > JUMP_NS:
            return
        error_ns = min(highest_ns, last_ns)
        if error_ns > JUMP_NS and error_ns + self._unasked_ns > CUT_NS:
            self._learn(highest_ns)
            self._settle()

    def _learn(self, error_ns: int) -> None:
        """The delay is not what was known, and it is by no fault of the clocks."""
        self.known_ns += error_ns
        if error_ns > JUMP_NS:
            self._unasked_ns += error_ns
        self.drift.forgive()
        self._highest_ns = self._last_highest_ns = None

    def _settle(self) -> None:
        self._settling = SETTLING_S
        self.drift.forgive()
        self._highest_ns = self._last_highest_ns = None
