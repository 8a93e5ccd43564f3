from __future__ import annotations

from echowarp.app.target_words import target_line, too_small
from echowarp.media.target import Cause, Reason

MS = 1_000_000


def line(cause: Cause, *, rto_ms: int | None = 10) -> str:
    reason = Reason(cause=cause, target_ns=32 * MS, worst_ns=25 * MS)
    rto_ns = None if rto_ms is None else rto_ms * MS
    return target_line(reason, target_ns=32 * MS, guard_ns=2 * MS, rto_ns=rto_ns, loss=0.05)


def test_the_target_and_why() -> None:
    assert line(Cause.FLOOR) == "32 ms: a quiet network"
    assert line(Cause.JITTER) == "32 ms: packets come up to 25 ms late"
    assert line(Cause.REPAIR) == "32 ms: 5 % loss, repaired"


def test_the_resends_that_fit_are_told() -> None:
    assert line(Cause.RESENDS) == "32 ms: 5 % loss, three resends fit"
    assert line(Cause.RESENDS, rto_ms=20) == "32 ms: 5 % loss, one resend fits"
    assert line(Cause.RESENDS, rto_ms=5) == "32 ms: 5 % loss, 6 resends fit"
    for rto_ms in (31, None):
        assert line(Cause.RESENDS, rto_ms=rto_ms) == "32 ms: 5 % loss, no resends fit"


def test_what_would_do_is_more_than_what_is_too_small() -> None:
    words = too_small(target_ns=20 * MS, needed_ns=20 * MS + 354_000)
    assert words == "--latency 20 is too small for this network: 21 would do"
    assert too_small(target_ns=2 * MS + 500_000, needed_ns=7 * MS).startswith("--latency 2.5 is")
