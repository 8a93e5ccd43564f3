"""Arithmetic on counters that wrap."""

from __future__ import annotations

SEQ_BITS = 32
SEQ_SPAN = 1 << SEQ_BITS


def unwrap(value: int, reference: int) -> int:
    """The integer nearest to `reference` that is `value` modulo 2^32.

    value: 0..2^32-1 as read from the wire; reference: any unwrapped counter of
    the same kind. At exactly half the span the lower one is taken.
    """
    ahead = (value - reference) % SEQ_SPAN
    if ahead >= SEQ_SPAN >> 1:
        ahead -= SEQ_SPAN
    return reference + ahead


def wrap(value: int) -> int:
    """The 32 bits of an unwrapped counter that go on the wire."""
    return value % SEQ_SPAN
