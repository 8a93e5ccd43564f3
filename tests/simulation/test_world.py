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
    """But for the first blocks: until the jitter is known they may be given up too soon."""
    world = World(2)
    client = world.add(network={"jitter_ns": 40 * MS, "duplicates": 0.1})
    world.stream(3000)
    world.clock.run_until(30 * S)
    assert len(client.recording) == 3000 * BLOCK
    assert client.recording[20 * BLOCK :] == sent(range(20, 3000))
    assert client.pushed is not None and client.reception is not None
    assert client.pushed.counters.reordered > 100
    assert client.pushed.counters.concealed <= 4
    assert client.reception.target_ns < 65 * MS


def test_what_is_lost_is_repaired_or_sent_again() -> None:
    world = World(3)
    client = world.add(network={"loss": 0.05, "jitter_ns": 5 * MS})
    world.stream(6000)
    world.clock.run_until(50 * S)
    assert client.pushed is not None and client.reception is not None
    client.pushed.finish()
    counters = client.pushed.counters
    got = bytes(client.recording)
    first = 6000 - len(got) // BLOCK
    assert first < 50
    differing = [k for k in range(first, 6000) if got[(k - first) * BLOCK :][:BLOCK] != payload(k)]
    assert len(differing) <= 6, "of 6000, 300 of which never came by themselves"
    assert counters.lost + counters.late == counters.concealed == len(differing)
    assert client.reception.repaired + client.reception.resent > 200
    assert client.reception.target_ns <= 45 * MS
    assert client.finished


def test_where_the_round_trip_is_long_repair_rows_do_it_alone() -> None:
    world = World(3)
    client = world.add(network={"loss": 0.05, "jitter_ns": 5 * MS, "delay_ns": 40 * MS})
    world.stream(6000, begin_ns=S)
    world.clock.run_until(50 * S)
    assert client.pushed is not None
    assert client.pushed.counters.concealed <= 6
    assert world.server.broadcast.rows_sent > 2000


def test_repair_ceases_where_nothing_is_lost() -> None:
    world = World(3)
    world.add()
    world.stream(12_000)
    world.clock.run_until(30 * S)
    rows = world.server.broadcast.rows_sent
    world.clock.run_until(70 * S)
    assert world.server.broadcast.rows_sent == rows < 3000
    assert world.server.broadcast.blocks_resent == 0


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
    assert got[: 980 * BLOCK] == sent(range(980))
    back = (5 + outage_s + 8) * 200
    assert got[back * BLOCK :] == sent(range(back, total))
    # A gap begins with 50 ms of what was there before.
    begin, end = 980 + 12, (5 + outage_s - 1) * 200
    assert not any(got[begin * BLOCK : end * BLOCK])
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
def test_a_card_of_another_speed_plays_two_minutes(ppm: int) -> None:
    world = World(8)
    client = world.add(card_ppm=ppm, network={"jitter_ns": 10 * MS})
    world.stream(200 * 120)
    world.clock.run_until(130 * S)
    assert client.pulled is not None and client.finished
    assert client.pulled.counters.received == 200 * 120
    assert client.pulled.counters.concealed <= 2
    # The jitter, two periods, the margins, and the block itself.
    assert all(true_ns <= 35 * MS for _, true_ns in client.delays[60:])


def test_a_card_hears_hardly_any_of_the_losses() -> None:
    world = World(8)
    client = world.add(card_ppm=50, network={"jitter_ns": 5 * MS, "loss": 0.05})
    world.stream(200 * 60)
    world.clock.run_until(70 * S)
    assert client.pulled is not None and client.finished
    assert client.pulled.counters.concealed <= 6
    assert all(true_ns <= 60 * MS for _, true_ns in client.delays[20:])


@pytest.mark.parametrize("delay_ms", [1, 40])
def test_the_delay_that_is_told_is_true(delay_ms: int) -> None:
    world = World(8)
    client = world.add(card_ppm=30, network={"delay_ns": delay_ms * MS})
    world.stream(200 * 30)
    world.clock.run_until(29 * S)
    assert len(client.delays) >= 25
    for told, true_ns in client.delays:
        assert abs(told.total_ns - true_ns) < 0.5 * MS
        assert told.capture_ns == FMT.block_ns
        assert abs(told.network_ns - delay_ms * MS) < 0.5 * MS


def test_the_same_seed_is_the_same_run() -> None:
    def run() -> bytes:
        world = World(9)
        client = world.add(network={"loss": 0.1, "jitter_ns": 30 * MS, "duplicates": 0.05})
        world.stream(1000)
        world.clock.run_until(10 * S)
        return bytes(client.recording)

    assert run() == run()
