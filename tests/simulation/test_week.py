"""A week of sessions under the virtual clock: nothing grows, nothing wraps visibly, nothing
is left."""

from __future__ import annotations

import pytest

from echowarp.wire.codes import Code
from tests.simulation.week import Week
from tests.simulation.week_sessions import DAY_NS, EVERY_TWO_HOURS, STAYS_NS, WEEK_NS


@pytest.fixture(scope="module")
def week() -> Week:
    week = Week(1)
    week.run()
    return week


def test_whoever_should_play_plays(week: Week) -> None:
    """Every block of every window, through moves, outages and keys that are used up."""
    assert week.wrong == []
    assert week.played["events"] >= 20
    assert week.played[EVERY_TWO_HOURS] >= 40
    assert week.clock.now_ns > WEEK_NS


def test_counters_wrap_and_nobody_notices(week: Week) -> None:
    assert week.played["times wrap"] >= 2 * 5
    assert week.played["sequence numbers wrap"] >= 3
    broadcast = week.server.broadcast
    assert broadcast.time - week.server.first_time > 6 << 32
    assert week.server.first_seq < 1 << 32 < broadcast.seq


def test_keys_that_are_used_up_are_made_anew(week: Week) -> None:
    assert week.codes.count(Code.CLOSING) >= 4


def test_guesses_are_refused_and_then_banned(week: Week) -> None:
    """Sixty, from twelve addresses, three each: the others are turned away."""
    assert week.codes.count(Code.WRONG_PASSWORD) == 12 * 3
    assert week.codes.count(Code.BANNED) == 12 * 2
    assert len(week.server.admission.bans) == 12


def test_nothing_grows(week: Week) -> None:
    """At midnight there is at most the listener that stays. Objects become fewer, as does
    what is planned."""
    nights = range(1, 7)
    staying = [n for n, day in enumerate(nights) if day * DAY_NS in STAYS_NS]
    alone = [n for n in range(len(week.heaps)) if n not in staying]
    assert len(week.heaps) == len(nights) and len(staying) >= 3 and len(alone) >= 2
    for group in (staying, alone):
        objects = [week.heaps[n][0] for n in group]
        assert max(objects) <= objects[0] + 50, week.heaps
    assert max(waiting for _, waiting in week.heaps) <= 10, week.heaps


def test_nothing_is_left(week: Week) -> None:
    server = week.server
    assert week.here == [] and server.links == {} and server.server.idle
    assert (server.server.sessions, server.broadcast.open_listeners) == (0, 0)
    assert not server.gate._guests and not server.gate._sessions
    assert not server.broadcast._listeners
    assert not server.admission._tickets and not server.admission._failures
    assert server.server.timeout_ns() is None
    assert week.clock._agenda == []
