"""Watches the pace of a device and says which captured blocks are old.

A capture stream fills while it is being opened and while the machine is busy, and
hands out what piled up in a burst. Whatever of it is passed on stays as delay for
ever, or comes too late to be played.
"""

from __future__ import annotations

from echowarp.media.format import NS_PER_S

_SETTLE_NS = 100_000_000
"""From the first block: in this time a device empties what it had."""

_SETTLE_MAX_NS = NS_PER_S
"""Then sound begins whatever its pace."""

_STALE_NS = 500_000_000
"""A block this much later than the quickest ones is of no use to a listener, whose
target is at most 200 ms, and a recording can as well take silence."""

_CAUGHT_UP_NS = 30_000_000
"""After an overflow sound was lost anyway: go on with blocks that are fresh."""

_WINDOW_NS = 5 * NS_PER_S
"""The quickest block of the last one to two windows counts: 200 ppm of drift is 2 ms."""


class Pace:
    """Watches the intervals of a device's callbacks. rate: frames a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._first_ns: int | None = None
        self._previous_ns = 0
        self.in_burst = False
        self.settled = False

    def called(self, frames: int, now_ns: int) -> None:
        """A callback for `frames` frames has come at `now_ns`.

        Afterwards `in_burst` tells whether it came much too soon after the one before,
        and `settled` whether the burst that every start begins with is over.
        """
        if self._first_ns is None:
            self._first_ns = self._previous_ns = now_ns
        self.in_burst = (now_ns - self._previous_ns) * self._rate < frames * NS_PER_S // 2
        self._previous_ns = now_ns
        age_ns = now_ns - self._first_ns
        if age_ns >= _SETTLE_MAX_NS or (age_ns >= _SETTLE_NS and not self.in_burst):
            self.settled = True


class Backlog:
    """Judges each block of a capture stream, in order. rate: frames a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._pace = Pace(rate)
        self._stale = False
        self._overflowed = False
        self._media_frames = 0
        self._lost_frames = 0
        self._quickest_ns: int | None = None
        self._window_quickest_ns: int | None = None
        self._window_start_ns = 0

    def judge(self, frames: int, now_ns: int, overflow: bool) -> int | None:
        """A block of `frames` frames has come at `now_ns`; `overflow`: the device says
        that it lost some before it.

        Returns how many frames are missing before this block, or None when the block
        is to be thrown away.
        """
        self._pace.called(frames, now_ns)
        if not self._pace.settled:
            return None
        self._overflowed = self._overflowed or overflow
        late_ns = self._late_ns(now_ns)
        if late_ns > (_CAUGHT_UP_NS if self._overflowed else _STALE_NS):
            # The first late block does not tell yet: if a burst follows, all of it is
            # old; if the pace is right, time was missed, and this is the new one.
            if self._pace.in_burst or not self._stale:
                self._stale = True
                self._miss(frames)
                return None
            self._miss(late_ns * self._rate // NS_PER_S)
        if not self._pace.in_burst:
            self._stale = self._overflowed = False
        self._media_frames += frames
        lost, self._lost_frames = self._lost_frames, 0
        return lost

    def _miss(self, frames: int) -> None:
        self._lost_frames += frames
        self._media_frames += frames

    def _late_ns(self, now_ns: int) -> int:
        """How much later than the quickest of late this block has come."""
        offset_ns = now_ns - self._media_frames * NS_PER_S // self._rate
        if self._quickest_ns is None or self._window_quickest_ns is None:
            self._quickest_ns = self._window_quickest_ns = offset_ns
            self._window_start_ns = now_ns
        elif now_ns - self._window_start_ns > _WINDOW_NS:
            self._quickest_ns = min(self._window_quickest_ns, offset_ns)
            self._window_quickest_ns = offset_ns
            self._window_start_ns = now_ns
        self._window_quickest_ns = min(self._window_quickest_ns, offset_ns)
        self._quickest_ns = min(self._quickest_ns, offset_ns)
        return offset_ns - self._quickest_ns
