"""The target delay and why it is what it is, in words."""

from __future__ import annotations

import math

from echowarp.media.target import Cause, Reason
from echowarp.session.rate_policy import rounds_that_fit

NUMBERS = ("no", "one", "two", "three", "four")


def target_words(reason: Reason, *, loss: float, rounds: int) -> str:
    """Why the target is what it is. loss: share of packets lost lately, 0..1; rounds:
    how many times a lost packet can be asked for within the target."""
    late = f"packets come up to {reason.worst_ns / 1e6:.0f} ms late"
    count = NUMBERS[rounds] if rounds < len(NUMBERS) else str(rounds)
    resends = f"{count} resend fits" if rounds == 1 else f"{count} resends fit"
    lost = f"{loss:.0%} loss".replace("%", " %")
    return {
        Cause.START: "getting to know the network",
        Cause.FLOOR: "a quiet network",
        Cause.JITTER: late,
        Cause.RESENDS: f"{lost}, {resends}",
        Cause.REPAIR: f"{lost}, repaired",
        Cause.CEILING: f"{late}, and no more delay than this is sensible",
        Cause.FIXED: "as --latency asks",
    }[reason.cause]


def target_line(
    reason: Reason, *, target_ns: int, guard_ns: int, rto_ns: int | None, loss: float
) -> str:
    """The target and why. guard_ns: before a block is asked for; rto_ns: what its answer
    may take, None where unknown; loss: share of packets lost lately, 0..1."""
    rounds = 0
    if rto_ns is not None:
        rounds = rounds_that_fit(target_ns=target_ns, guard_ns=guard_ns, rto_ns=rto_ns)
    return f"{target_ns / 1e6:.0f} ms: {target_words(reason, loss=loss, rounds=rounds)}"


def too_small(*, target_ns: int, needed_ns: int) -> str:
    """That the user's number is below what the network needs, and one that is not."""
    would_do_ms = math.ceil(needed_ns / 1e6)
    return f"--latency {target_ns / 1e6:g} is too small for this network: {would_do_ms} would do"
