"""Lets through so many a second and no more.

Source: the virtual scheduling algorithm of ITU-T I.371, annex A.
"""

from __future__ import annotations


class Pace:
    """One every `every_ns`, and as many at once as `burst_ns` brings."""

    __slots__ = ("_burst_ns", "_every_ns", "_paid_until_ns")

    def __init__(self, *, every_ns: int, burst_ns: int) -> None:
        self._every_ns = every_ns
        self._burst_ns = burst_ns
        self._paid_until_ns = 0

    def affords(self, now_ns: int) -> bool:
        """Whether one more may pass; if so it is counted."""
        paid_until_ns = max(self._paid_until_ns, now_ns) + self._every_ns
        if paid_until_ns > now_ns + self._burst_ns:
            return False
        self._paid_until_ns = paid_until_ns
        return True
