"""The replay window: each number of a session and direction is taken once.

Source: the sliding window of RFC 4303, section 3.4.3, with one integer as its bits.
"""

from __future__ import annotations

WINDOW_NUMBERS = 1024
"""Over a second of audio at 5 ms with its repairs; what comes later is of no use."""

_WINDOW_BITS = (1 << WINDOW_NUMBERS) - 1


class ReplayWindow:
    """Remembers which of the newest 1024 numbers have come.

    max_ahead: how far a number may be above the highest, so that a forged one
    cannot shut out the honest where no tag guards them; None for no limit.
    """

    __slots__ = ("_max_ahead", "_seen", "highest")

    def __init__(self, max_ahead: int | None = None) -> None:
        self._max_ahead = max_ahead
        # Bit k stands for the number highest - k.
        self._seen = 0
        self.highest = -1
        """The largest number accepted, -1 before the first."""

    def is_new(self, number: int) -> bool:
        """Whether a datagram of this number (0..2^64-1) may still be accepted.

        Changes nothing: ask before the tag is checked, accept after it.
        """
        age = self.highest - number
        if age < 0:
            return self._max_ahead is None or -age <= self._max_ahead
        return age < WINDOW_NUMBERS and not self._seen >> age & 1

    def accept(self, number: int) -> None:
        """Marks a number that `is_new` allowed, and moves the window up to it."""
        age = self.highest - number
        assert age < WINDOW_NUMBERS, "only a number that is_new allows is accepted"
        if age >= 0:
            self._seen |= 1 << age
            return
        # A jump past the window starts afresh: shifting that far could eat all memory.
        kept = self._seen << -age & _WINDOW_BITS if -age < WINDOW_NUMBERS else 0
        self._seen = kept | 1
        self.highest = number
