"""The whole program under a virtual clock: what goes in is what comes out."""

from __future__ import annotations

import pytest

from echowarp.crypto.suite import Suite
from echowarp.wire.codes import Code
from tests.simulator import FMT, MS, S, World, payload

BLOCK = FMT.block_bytes


def sent(blocks: range) -> bytes:
    return b"".join(payload(k) for k in blocks)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("password", [None, "secret"])
def test_a_recording_is_what_was_sent(suite: Suite, password: str | None) -> None:
    world = World(1, password=password, suite=suite)
    client = world.add(password=password)
    world.stream(2000)
    world.clock.run_until(20 * S)
    assert client.recording == sent(range(2000))
    assert client.finished and world.server.server.idle


def test_jitter_reordering_and_duplicates_change_nothing() -> None:
    world = World(2)
    client = world.add(network={"jitter_ns": 40 * MS, "duplicates": 0.1})
    world.stream(3000)
    world.clock.run_until(30 * S)
    assert client.recording == sent(range(3000))
    assert client.pushed is not None
    assert client.pushed.counters.reordered > 100


def test_what_is_lost_is_a_gap_and_the_rest_keeps_its_place() -> None:
    world = World(3)
    client = world.add(network={"loss": 0.05, "jitter_ns": 5 * MS})
    world.stream(4000)
    world.clock.run_until(40 * S)
    assert client.pushed is not None
    client.pushed.finish()
    counters = client.pushed.counters
    got = bytes(client.recording)
    first = 4000 - len(got) // BLOCK
    assert first < 50
    pieces = {k: got[(k - first) * BLOCK :][:BLOCK] for k in range(first, 4000)}
    exact = sum(piece == payload(k) for k, piece in pieces.items())
    assert exact == counters.received
    assert 0.03 < counters.lost / 4000 < 0.07
    assert client.finished


def test_as_many_listeners_as_allowed_hear_the_same() -> None:
    world = World(4)
    clients = [world.add(network={"delay_ns": (1 + i) * MS}) for i in range(8)]
    late = world.add(network={"delay_ns": 20 * MS})
    world.stream(600, begin_ns=200 * MS)
    world.clock.run_until(10 * S)
    assert all(c.recording == sent(range(600)) for c in clients)
    assert late.outcomes[0].code == Code.FULL and late.gave_up is not None
    assert late.gave_up.refused


@pytest.mark.parametrize("outage_s", [2, 8, 20, 70])
def test_after_an_outage_the_recording_is_aligned_with_the_source(outage_s: int) -> None:
    world = World(5)
    world_cut = lambda now: 5 * S < now < (5 + outage_s) * S  # noqa: E731
    client = world.add(network={"cut": world_cut}, attempts=0)
    total = (outage_s + 20) * 200
    world.stream(total)
    world.clock.run_until((outage_s + 40) * S)
    got = bytes(client.recording)
    assert len(got) == total * BLOCK
    assert got[: 900 * BLOCK] == sent(range(900))
    back = (5 + outage_s + 8) * 200
    assert got[back * BLOCK :] == sent(range(back, total))
    during = got[1100 * BLOCK : (5 + outage_s - 1) * 200 * BLOCK]
    assert not any(during)
    assert client.finished


def test_a_wrong_password_is_final() -> None:
    world = World(6)
    client = world.add(password="guess")
    world.stream(600)
    world.clock.run_until(5 * S)
    assert [o.code for o in client.outcomes] == [Code.WRONG_PASSWORD]
    assert client.gave_up is not None and client.gave_up.refused
    assert not client.recording


@pytest.mark.parametrize(("ours", "theirs"), [(None, "secret"), ("secret", None)])
def test_a_password_on_one_side_only_is_refused(ours: str | None, theirs: str | None) -> None:
    world = World(7, password=theirs)
    client = world.add(password=ours)
    world.stream(200)
    world.clock.run_until(5 * S)
    assert [o.code for o in client.outcomes] == [Code.WRONG_PASSWORD]


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_card_of_another_speed_plays_ten_minutes(ppm: int) -> None:
    world = World(8)
    client = world.add(card_ppm=ppm, network={"jitter_ns": 10 * MS})
    blocks = 200 * 600
    world.stream(blocks)
    world.clock.run_until(610 * S)
    assert client.pulled is not None and client.finished
    drift_blocks = abs(ppm) * 1e-6 * blocks
    assert client.pulled.counters.concealed <= drift_blocks * 2 + 15
    if ppm == 0:
        assert client.pulled.counters.concealed == 0
        start = client.recording.index(payload(0))
        assert client.recording[start : start + blocks * BLOCK] == sent(range(blocks))


def test_the_same_seed_is_the_same_run() -> None:
    def run() -> bytes:
        world = World(9)
        client = world.add(network={"loss": 0.1, "jitter_ns": 30 * MS, "duplicates": 0.05})
        world.stream(1000)
        world.clock.run_until(10 * S)
        return bytes(client.recording)

    assert run() == run()
