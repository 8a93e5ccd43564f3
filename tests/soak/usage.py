"""What processes hold, as Linux's /proc tells it, and whether that grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.proc import family, rss_kib

ALLOWED_KIB = 3 * 1024
"""Memory that comes and goes with what happens to be under way: a process's heap has
holes, and a few seconds of a stream are kept."""
ALLOWED_KIB_A_MINUTE = 20
"""Beside that: 1.2 MiB an hour. A block of 5 ms that is never let go is 190 KiB a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one process and its children hold, at `at_s` of the run."""

    at_s: float
    rss_kib: int
    descriptors: int
    threads: int


def usage(pid: int, at_s: float) -> Usage:
    """Of a process and all that it has started. Raises OSError when it is gone."""
    pids = family(pid)
    return Usage(
        at_s=at_s,
        rss_kib=sum(rss_kib(each) for each in pids),
        descriptors=sum(len(os.listdir(f"/proc/{each}/fd")) for each in pids),
        threads=sum(len(os.listdir(f"/proc/{each}/task")) for each in pids),
    )


def allowed_kib(minutes: float) -> float:
    """By how much memory may be more after so long."""
    return ALLOWED_KIB + ALLOWED_KIB_A_MINUTE * minutes


def growth(name: str, seen: Sequence[Usage]) -> list[str]:
    """What grew, in words, between the first and the last of what was seen; all of it was
    seen when equally little was going on, after a while of warming up."""
    if len(seen) < 2:
        return []
    first, last = seen[0], seen[-1]
    minutes = (last.at_s - first.at_s) / 60
    found = [
        f"{name} has {now} {what}, {then} at {first.at_s:.0f} s"
        for what, then, now in (
            ("descriptors", first.descriptors, last.descriptors),
            ("threads", first.threads, last.threads),
        )
        if now > then
    ]
    grown_kib = last.rss_kib - first.rss_kib
    if grown_kib > allowed_kib(minutes):
        found.append(
            f"{name} takes {grown_kib} KiB more memory than at {first.at_s:.0f} s"
            f" (allowed: {allowed_kib(minutes):.0f} KiB)"
        )
    return found
