"""A room of 16 with losses and clocks that run apart. The hour: tests.bench.bench_rooms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echowarp.media.resampler import Resampler
from tests.simulation.room import COARSE, LAN, MS, Room

TARGET_NS = 150 * MS
LOSSY = replace(LAN, loss=0.01)


def test_a_room_of_16_with_losses_and_drift() -> None:
    """One of them listens; clocks are up to 400 ppm apart."""
    room = Room(16, listeners=1, up=LOSSY, down=LOSSY, ppm=200, latency=TARGET_NS)
    room.run(18)
    room.settled = True
    room.run(8)
    counters = room.blocks()
    assert counters.received >= 15 * 26 * 50 * 0.98
    # A tenth of what was lost on the two ways, and less.
    assert counters.concealed <= 0.002 * counters.received
    assert len(room.delays) == 15
    assert max(delays.worst_ns for delays in room.delays.values()) <= 2.5 * MS
    (listener,) = room.listening
    for told in listener.playback.talkers.values():
        expected_ppm = room.clients[told.user].ppm - listener.ppm
        # It swings over before it settles.
        assert told.drift_ppm == pytest.approx(expected_ppm, abs=130)


def level(user: int) -> int:
    """Each has a bit of its own, so that a sum tells who is in it, and none saturates."""
    return 1 << user - 1 if user < 16 else -(1 << 15)


def test_each_of_16_hears_exactly_the_15_others() -> None:
    room = Room(
        16,
        listeners=16,
        up=replace(LAN, loss=0.02),
        down=replace(LAN, loss=0.02),
        latency=TARGET_NS,
        sound=lambda user: level(user).to_bytes(2, "little", signed=True) * COARSE.block_frames,
        new_resampler=Resampler,
    )
    # Before the first correction of a clock every sample is as it was sent.
    room.run(0.6)
    everybody = sum(map(level, room.clients))
    for client in room.listening:
        others = (everybody - level(client.user)).to_bytes(2, "little", signed=True)
        assert client.heard == others * COARSE.block_frames
    assert room.blocks().concealed == 0
