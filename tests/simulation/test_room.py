"""A room of 16 with losses and clocks that run apart. The hour: tests.bench.bench_room."""

from __future__ import annotations

import pytest

from tests.simulation.room import MS, Room

TARGET_NS = 150 * MS


def test_a_room_of_16_with_losses_and_drift_for_some_minutes() -> None:
    """One of them listens; clocks are up to 400 ppm apart, which would be 36 ms by then."""
    room = Room(16, listeners=1, loss=0.01, ppm=200, latency=TARGET_NS)
    room.run(30)
    room.settled = True
    room.run(60)
    counters = room.heard()
    assert counters.received >= 15 * 90 * 50 * 0.99
    # A tenth of what was lost on the two ways, and less.
    assert counters.concealed <= 0.002 * counters.received
    assert len(room.worst_ns) == 15
    assert max(room.worst_ns.values()) <= 2.5 * MS
    ppm = {
        client.talkers[stream]: told.drift_ppm
        for client in room.listening[:1]
        for stream, told in client.playback.talkers.items()
        if isinstance(stream, int)
    }
    for user, told_ppm in ppm.items():
        expected = room.clients[user].ppm - room.clients[1].ppm
        assert told_ppm == pytest.approx(expected, abs=40)


def test_each_of_16_hears_the_15_others_and_not_itself() -> None:
    room = Room(16, listeners=16, ppm=200)
    room.run(3)
    for client in room.listening:
        others = {told.user for told in client.playback.talkers.values()}
        assert others == set(room.clients) - {client.user}
        assert client.playback.snapshot.counters.received >= 15 * 140
    assert room.heard().concealed == 0
