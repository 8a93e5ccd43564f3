from __future__ import annotations

import random

from echowarp.session.guard import ReorderGuard

MS = 1_000_000
S = 1_000 * MS


def feed(guard: ReorderGuard, start_ns: int, seconds: int, late_share: float, late_ns: int) -> None:
    rng = random.Random(1)
    for k in range(200 * seconds):
        late = rng.random() < late_share
        guard.came(late_ns if late else 0, start_ns + k * 5 * MS)


def test_without_reordering_the_guard_is_the_least() -> None:
    guard = ReorderGuard()
    feed(guard, 0, 5, 0.0, 0)
    assert guard.guard_ns == 2 * MS


def test_rare_reordering_does_not_count_and_common_does() -> None:
    guard = ReorderGuard()
    feed(guard, 0, 12, 0.015, 20 * MS)
    assert guard.guard_ns == 2 * MS
    feed(guard, 12 * S, 12, 0.06, 20 * MS)
    assert guard.guard_ns == 20.5 * MS


def test_it_is_at_most_thirty_ms_and_forgets_after_ten_seconds() -> None:
    guard = ReorderGuard()
    feed(guard, 0, 5, 0.5, 900 * MS)
    assert guard.guard_ns == 30 * MS
    feed(guard, 5 * S, 8, 0.0, 0)
    assert guard.guard_ns == 30 * MS
    feed(guard, 13 * S, 5, 0.0, 0)
    assert guard.guard_ns == 2 * MS
