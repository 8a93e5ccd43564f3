from __future__ import annotations

from echowarp.session.pace import Pace

S = 1_000_000_000


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    pace = Pace(every_ns=S // 10, burst_ns=2 * S)
    assert sum(pace.affords(5 * S) for _ in range(100)) == 20
    assert sum(pace.affords(5 * S + n * S // 100) for n in range(1, 301)) == 30


def test_what_was_not_used_is_not_kept_for_ever() -> None:
    pace = Pace(every_ns=S, burst_ns=3 * S)
    assert sum(pace.affords(1000 * S) for _ in range(10)) == 3
