"""Faults of machines and peers: a second after each, the sound plays on as it did before."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Callable
from functools import partial

import pytest

from echowarp.wire.datagram import DatagramType
from echowarp.wire.feedback import ClockAnswer, Request, pack_request
from tests.simulator import FMT, MS, S, SimClient, Stall, World, payload

DAY_NS = 24 * 3600 * S
NETWORK_NS = 1 * MS
BEGIN_NS = 100 * MS
FAULT_NS = 20 * S
WITHIN_NS = 10 * MS
SAME = 0.5
"""The least correlation of a sound with itself between two frames; of two others: 0.3."""
PIECE_FRAMES = 160
REACH_FRAMES = FMT.ns_to_frames(60 * MS)


def samples(pcm: bytes | bytearray) -> array[int]:
    return array("h", bytes(pcm))


def correlation(one: array[int], other: array[int]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    power = sum(a * a for a in one) * sum(b * b for b in other)
    return float(product / power**0.5) if power else 0.0


def heard_delay_ns(world: World, client: SimClient, at_ns: int) -> int | None:
    """How long after it was sent the sound was played that the card took at `at_ns`,
    by its samples alone; None where it plays nothing that was sent within 60 ms."""
    sent_ns, pulls = world.server.sent_ns, client.pulls
    pulled_ns, frame = pulls[bisect_right(pulls, (at_ns, 0))]
    piece = samples(client.recording[2 * frame : 2 * (frame + PIECE_FRAMES)])
    last = bisect_right(sent_ns, pulled_ns) - 1
    first = max(0, last - REACH_FRAMES // FMT.block_frames)
    source = samples(b"".join(map(payload, range(first, last + 4))))
    most, best = max(
        (correlation(piece, source[lag : lag + PIECE_FRAMES]), lag)
        for lag in range(len(source) - PIECE_FRAMES)
    )
    if most < SAME:
        return None
    block, within = divmod(best, FMT.block_frames)
    return pulled_ns - sent_ns[first + block] - FMT.frames_to_ns(within)


def concealed(client: SimClient) -> int:
    assert client.pulled is not None
    return client.pulled.counters.concealed


def plays_on(world: World, client: SimClient, over_ns: int) -> None:
    """Runs to the fault, through it and on; holds both against each other."""
    clock = world.clock
    clock.run_until(FAULT_NS - MS)
    assert client.reception is not None and concealed(client) == 0
    target_ns = client.reception.target_ns
    before_ns = heard_delay_ns(world, client, FAULT_NS - 200 * MS)
    assert before_ns is not None
    assert abs(before_ns - NETWORK_NS - target_ns) < WITHIN_NS
    clock.run_until(over_ns + S)
    settled = concealed(client)
    clock.run_until(over_ns + 12 * S)
    assert client.reception is not None
    for later_ns in (S, 2 * S, 5 * S, 11 * S):
        delay_ns = heard_delay_ns(world, client, over_ns + later_ns)
        assert delay_ns is not None, f"no sound {later_ns / S} s later"
        assert abs(delay_ns - before_ns) < WITHIN_NS, f"{later_ns / S} s later"
    last_ns = heard_delay_ns(world, client, over_ns + 11 * S)
    assert last_ns is not None
    assert abs(last_ns - NETWORK_NS - client.reception.target_ns) < WITHIN_NS
    assert concealed(client) == settled


def card(world: World, card_stands: Callable[[int], bool] = lambda now_ns: False) -> SimClient:
    return world.add(card_ppm=30, network={"delay_ns": NETWORK_NS}, card_stands=card_stands)


def during(length_ns: int) -> Callable[[int], bool]:
    return lambda now_ns: FAULT_NS <= now_ns < FAULT_NS + length_ns


@pytest.mark.parametrize("stood_ms", [60, 100, 150, 190, 400, 700, 10_000])
def test_a_card_that_stands_still(stood_ms: int) -> None:
    world = World(11)
    client = card(world, card_stands=during(stood_ms * MS))
    world.stream(200 * 60)
    plays_on(world, client, FAULT_NS + stood_ms * MS)


@pytest.mark.parametrize(
    ("stood_ms", "lost"),
    [(150, True), (1_000, True), (1_000, False), (10_000, True), (10_000, False)],
)
def test_a_source_that_stands_still(lost: bool, stood_ms: int) -> None:
    world = World(12)
    client = card(world)
    after = (FAULT_NS - BEGIN_NS) // FMT.block_ns
    world.stream(200 * 60, stall=Stall(after=after, length_ns=stood_ms * MS, lost=lost))
    plays_on(world, client, FAULT_NS + stood_ms * MS)


@pytest.mark.parametrize("slept_s", [3, 60])
def test_a_machine_that_sleeps(slept_s: int) -> None:
    world = World(13)
    asleep = during(slept_s * S)
    client = world.add(card_ppm=30, network={"delay_ns": NETWORK_NS, "cut": asleep}, sleeps=asleep)
    world.stream(200 * 120)
    plays_on(world, client, FAULT_NS + slept_s * S)


@pytest.mark.parametrize("jump_ns", [DAY_NS, 300 * MS])
def test_a_clock_of_the_server_that_jumps(jump_ns: int) -> None:
    world = World(14)
    client = card(world)
    world.stream(200 * 60)

    def jump() -> None:
        world.server.ahead_ns += jump_ns

    world.clock.at(FAULT_NS, jump)
    plays_on(world, client, FAULT_NS)
    told, true_ns = client.delays[-1]
    assert abs(told.total_ns - true_ns) < WITHIN_NS


def test_clock_answers_that_are_absurd() -> None:
    world = World(15)
    client = card(world)
    world.stream(200 * 60)
    rng = random.Random(15)

    def answer() -> None:
        if client.inbox is not None:
            stamps = (rng.choice((0, 1, world.clock.now_ns, 2**64 - 1)) for _ in range(3))
            client.on_clock(ClockAnswer(*stamps), world.clock.now_ns)
        if world.clock.now_ns < FAULT_NS + S:
            world.clock.at(world.clock.now_ns + 3 * MS, answer)

    world.clock.at(FAULT_NS, answer)
    plays_on(world, client, FAULT_NS + S)
    told, true_ns = client.delays[-1]
    assert abs(told.total_ns - true_ns) < MS


@pytest.mark.parametrize("blocks", [40, 300])
def test_sequence_numbers_that_jump(blocks: int) -> None:
    """By no more than a stream can be ahead."""
    world = World(16)
    client = card(world)
    world.stream(200 * 60)

    def jump() -> None:
        world.server.broadcast.seq += blocks
        world.server.broadcast.time += blocks * FMT.block_frames

    world.clock.at(FAULT_NS, jump)
    plays_on(world, client, FAULT_NS)


def test_a_listener_that_asks_for_everything_disturbs_nobody() -> None:
    world = World(17)
    greedy, other = card(world), card(world)
    world.stream(200 * 60)

    def ask() -> None:
        newest = world.server.broadcast.seq
        for base in (newest - 200, newest - 64, newest, newest + 10_000, 0):
            request = Request(base % 2**32, 2**64 - 1)
            greedy.send(DatagramType.REQUEST, 1, pack_request(request))
        if world.clock.now_ns < FAULT_NS + 10 * S:
            world.clock.at(world.clock.now_ns + 2 * MS, ask)

    world.clock.at(FAULT_NS, ask)
    plays_on(world, other, FAULT_NS + 10 * S)
    assert world.server.broadcast.blocks_resent <= 10 * 200 * 0.5 + 20


def plays_on_into_a_file(world: World, client: SimClient, over_ns: int) -> None:
    """A second after the fault the file holds what was sent, to the newest block but one."""
    clock, sent_ns = world.clock, world.server.sent_ns
    clock.run_until(over_ns + S)
    begun = len(sent_ns) - 3
    at = bytes(client.recording).rfind(payload(begun))
    assert at >= 0, "what was just sent is there"
    clock.run_until(over_ns + 6 * S)
    after = b"".join(map(payload, range(begun, len(sent_ns) - 2)))
    assert client.recording[at : at + len(after)] == after


@pytest.mark.parametrize("lost", [True, False], ids=["goes on unheard", "pauses"])
def test_a_file_after_a_source_that_stood_still(lost: bool) -> None:
    world = World(18)
    client = world.add()
    after = (FAULT_NS - BEGIN_NS) // FMT.block_ns
    world.stream(200 * 60, stall=Stall(after=after, length_ns=10 * S, lost=lost))
    plays_on_into_a_file(world, client, FAULT_NS + 10 * S)


@pytest.mark.parametrize("slept_s", [3, 60])
def test_a_file_after_a_machine_that_slept(slept_s: int) -> None:
    world = World(19)
    asleep = during(slept_s * S)
    client = world.add(network={"cut": asleep}, sleeps=asleep)
    world.stream(200 * 120)
    plays_on_into_a_file(world, client, FAULT_NS + slept_s * S)


def test_a_file_through_sequence_numbers_that_jump() -> None:
    world = World(20)
    client = world.add()
    world.stream(200 * 60)
    first = world.server.first_seq
    blocks = (FAULT_NS - BEGIN_NS) // FMT.block_ns + 300
    world.clock.at(FAULT_NS, partial(setattr, world.server.broadcast, "seq", first + blocks))
    plays_on_into_a_file(world, client, FAULT_NS)
