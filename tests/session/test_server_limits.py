"""Caps, bans and tickets of `Server`: what attackers and crowds get."""

from __future__ import annotations

import random

import pytest

from echowarp.session.address import network_of
from echowarp.session.bans import BanList, parse_ban_list
from echowarp.session.client_session import Ended
from echowarp.session.crowding import MAX_UNFINISHED, MAX_UNFINISHED_PER_ADDRESS
from echowarp.session.server_events import TurnedAway, WrongPassword
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from tests.virtual import MS, S, World

BAD = "a guess"
ERRORS = {frames.pack_error(code): code for code in Code}


def answer(world: World, connection: int) -> Code | None:
    """The ERROR that a connection got last, if any."""
    return ERRORS.get(bytes(world.heard[connection][-5:]))


def open_ones(world: World, connections: list[int]) -> list[int]:
    return [connection for connection in connections if connection not in world.closed]


def to_refusing(world: World, host: str) -> int:
    """A client that has guessed wrong and waits for its 401."""
    connection = world.connect(host, BAD)
    for _ in range(2):
        world.deliver_down(connection)
        world.deliver_up(connection)
    assert connection not in world.closed
    return connection


def test_a_wrong_password_waits_1_s_and_is_one_failure() -> None:
    world = World()
    connection = to_refusing(world, "192.0.2.1")
    world.advance(S - 1)
    assert connection not in world.closed
    world.advance(1)
    assert answer(world, connection) is Code.WRONG_PASSWORD
    (ended,) = world.client_events[connection]
    assert isinstance(ended, Ended)
    assert ended.code == 401
    assert world.server_events == [
        WrongPassword(host="192.0.2.1", banned=None),
        TurnedAway(host="192.0.2.1", code=Code.WRONG_PASSWORD, detail="wrong password"),
    ]


def test_the_limit_bans_and_running_sessions_go_on() -> None:
    world = World(limit=2)
    running = world.join()
    for _ in range(2):
        to_refusing(world, "192.0.2.1")
        world.advance(2 * S)
    banned = [e.banned for e in world.server_events if isinstance(e, WrongPassword)]
    assert banned == [None, network_of("192.0.2.1")]
    late = world.join()
    assert bytes(world.heard[late]) == frames.pack_error(Code.BANNED)
    world.advance(60 * S)
    assert running not in world.closed
    assert world.server.sessions == 1
    assert world.join("192.0.2.2") not in world.closed


@pytest.mark.parametrize(
    ("guesser", "banned", "free"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("fe80::1%eth0", "fe80::2%eth1", "fe81::1"),
    ],
)
def test_what_one_ban_covers(guesser: str, banned: str, free: str) -> None:
    world = World(limit=1)
    to_refusing(world, guesser)
    world.advance(2 * S)
    assert answer(world, world.join(banned)) is Code.BANNED
    assert answer(world, world.join(free)) is None


def test_a_ban_from_the_file_is_kept_and_ignored_without_limit_or_password() -> None:
    bans, _ = parse_ban_list("192.0.2.1\n")
    world = World(bans=bans)
    assert answer(world, world.join()) is Code.BANNED
    open_to_all = World(bans=bans, limit=None)
    assert answer(open_to_all, open_to_all.join()) is None
    no_password = World(bans=bans, password=None)
    assert answer(no_password, no_password.join(password=None)) is None


def test_success_forgives() -> None:
    world = World(limit=2)
    for _ in range(5):
        to_refusing(world, "192.0.2.1")
        world.advance(2 * S)
        world.leave(world.join())
    assert answer(world, world.join()) is None


def test_without_a_limit_100_wrong_guesses_ban_nobody() -> None:
    world = World(limit=None)
    for _ in range(100):
        to_refusing(world, "192.0.2.1")
        world.advance(S)
    assert len(world.events_of(WrongPassword)) == 100
    assert answer(world, world.join()) is None
    assert len(world.admission.bans) == 0


def test_the_deadline_closes_who_only_connects() -> None:
    world = World()
    connection = world.connect_raw()
    world.advance(5 * S - 1)
    assert connection not in world.closed
    world.advance(1)
    assert answer(world, connection) is Code.TIMEOUT
    assert world.server.idle


def test_17_handshakes_of_one_address_close_its_oldest() -> None:
    world = World()
    other = world.connect_raw("192.0.2.9")
    own = [world.connect_raw() for _ in range(MAX_UNFINISHED_PER_ADDRESS)]
    assert open_ones(world, own) == own
    newest = world.connect_raw()
    assert open_ones(world, [*own, newest, other]) == [*own[1:], newest, other]
    assert answer(world, own[0]) is Code.TOO_MANY


def test_a_64_is_one_address_for_the_cap() -> None:
    world = World()
    own = [world.connect_raw(f"2001:db8::{k:x}") for k in range(1, 18)]
    assert open_ones(world, own) == own[1:]


def test_33_handshakes_close_the_oldest_of_the_busiest() -> None:
    world = World()
    lonely = [world.connect_raw(f"198.51.100.{k}") for k in range(MAX_UNFINISHED - 15)]
    busy = [world.connect_raw("192.0.2.1") for _ in range(15)]
    assert open_ones(world, lonely + busy) == lonely + busy
    newest = world.connect_raw("203.0.113.1")
    assert open_ones(world, [*lonely, *busy, newest]) == [*lonely, *busy[1:], newest]


def test_sessions_take_no_place_of_handshakes() -> None:
    world = World()
    sessions = [world.join() for _ in range(40)]
    own = [world.connect_raw() for _ in range(MAX_UNFINISHED_PER_ADDRESS)]
    assert open_ones(world, sessions + own) == sessions + own


def test_wrong_guesses_keep_their_place() -> None:
    world = World(limit=None)
    guesses = [to_refusing(world, "192.0.2.1") for _ in range(4)]
    others = [world.connect_raw() for _ in range(MAX_UNFINISHED_PER_ADDRESS - 4)]
    newest = world.connect_raw()
    assert open_ones(world, [*guesses, *others]) == [*guesses, *others[1:]]
    assert newest not in world.closed


def test_16_wrong_guesses_under_way_leave_no_place_for_their_address() -> None:
    world = World(limit=None)
    guesses = [to_refusing(world, "192.0.2.1") for _ in range(MAX_UNFINISHED_PER_ADDRESS)]
    for connection in guesses[:8]:
        world.leave(connection)
    assert answer(world, world.connect_raw()) is Code.TOO_MANY
    assert answer(world, world.connect_raw("192.0.2.2")) is None
    world.advance(S)
    assert answer(world, world.connect_raw()) is None


def test_guessing_is_bounded_to_32_a_second_over_all_addresses() -> None:
    world = World(limit=None)
    for k in range(300):
        connection = world.connect(f"198.51.{k // 200}.{k % 200}", BAD)
        for _ in range(2):
            world.deliver_down(connection)
            world.deliver_up(connection)
        world.send(connection, bytes(5000))
        world.leave(connection)
    assert len(world.events_of(WrongPassword)) == MAX_UNFINISHED
    world.advance(S)
    to_refusing(world, "192.0.2.1")


def test_100_parallel_wrong_guesses_are_exactly_the_limit() -> None:
    world = World(limit=5)
    early = [world.connect("192.0.2.1", BAD) for _ in range(100)]
    assert [answer(world, c) for c in early].count(Code.TOO_MANY) == 84
    world.pump()
    assert len(world.events_of(WrongPassword)) == 5
    late = [world.join("192.0.2.1", BAD) for _ in range(100)]
    world.advance(10 * S)
    assert len(world.events_of(WrongPassword)) == 5
    answers = [answer(world, connection) for connection in early]
    assert answers.count(Code.WRONG_PASSWORD) == 5
    assert answers.count(Code.BANNED) == 11
    assert [answer(world, connection) for connection in late] == [Code.BANNED] * 100
    assert world.server.idle


@pytest.mark.parametrize("seed", range(10))
def test_no_interleaving_buys_an_extra_guess(seed: int) -> None:
    """One address with many connections, each step at a random one, at random times."""
    choose = random.Random(seed)
    limit = choose.randint(1, 6)
    world = World(limit=limit, seed=seed)
    for _ in range(250):
        kind = choose.random()
        if kind < 0.3:
            world.connect("192.0.2.1", BAD)
        elif kind < 0.9 and world.clients:
            connection = choose.choice(list(world.clients))
            world.deliver_down(connection)
            world.deliver_up(connection)
        elif kind < 0.95 and world.clients:
            world.leave(choose.choice(list(world.clients)))
        else:
            world.advance(choose.randint(0, 700) * MS, pump=False)
    world.pump()
    world.advance(20 * S)
    guesses = world.events_of(WrongPassword)
    assert len(guesses) <= limit
    banned = [e for e in guesses if isinstance(e, WrongPassword) and e.banned is not None]
    assert len(banned) == (1 if len(guesses) == limit else 0)
    assert world.server.idle
    if not banned:
        free = limit - len(guesses)
        assert [world.admission.take_ticket("192.0.2.1") for _ in range(limit)] == (
            [True] * free + [False] * (limit - free)
        )


def silent_ticket_holder(world: World, host: str = "192.0.2.1") -> int:
    """A client that has got REPLY and says no more."""
    connection = world.connect(host)
    world.deliver_down(connection)
    world.deliver_up(connection)
    return connection


def test_honest_clients_behind_a_taken_ticket_queue_and_get_in() -> None:
    world = World(limit=1)
    holder = silent_ticket_holder(world)
    waiting = world.connect()
    world.deliver_down(waiting)
    world.deliver_up(waiting)
    assert len(world.heard[waiting]) == 25, "no REPLY yet"
    world.advance(2 * S, pump=False)
    world.leave(holder)
    assert len(world.heard[waiting]) == 25 + 35
    world.pump()
    assert world.server.sessions == 1
    assert not world.events_of(WrongPassword)


def test_a_right_password_hands_its_ticket_on_at_once() -> None:
    world = World(limit=1)
    crowd = [world.connect() for _ in range(10)]
    world.pump()
    assert world.server.sessions == 10
    assert open_ones(world, crowd) == crowd


def test_a_ticket_that_does_not_come_free_is_429_after_3_s() -> None:
    world = World(limit=1)
    silent_ticket_holder(world)
    waiting = world.connect()
    world.deliver_down(waiting)
    world.deliver_up(waiting)
    world.advance(3 * S - 1, pump=False)
    assert waiting not in world.closed
    world.advance(1, pump=False)
    assert answer(world, waiting) is Code.TOO_MANY
    world.advance(2 * S, pump=False)
    assert world.server.idle
    assert world.admission.take_ticket("192.0.2.1")


def test_port_scanners_and_old_clients_are_never_banned() -> None:
    world = World(limit=1)
    old = frames.pack_hello(frames.Hello(version=0, nonce=bytes(16), public=bytes(32)))
    low = frames.pack_hello(frames.Hello(version=1, nonce=bytes(16), public=bytes(32)))
    for data in (b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", old, low, old[:30]) * 20:
        connection = world.connect_raw()
        if data:
            world.send(connection, data)
        world.leave(connection)
    for _ in range(20):
        world.leave(silent_ticket_holder(world))
    assert not world.events_of(WrongPassword)
    assert len(world.admission.bans) == 0
    assert world.join() not in world.closed
    assert isinstance(world.admission.bans, BanList)


def test_without_a_password_there_is_nothing_to_queue_for() -> None:
    world = World(limit=1, password=None)
    holders = [silent_ticket_holder(world) for _ in range(10)]
    assert [len(world.heard[holder]) for holder in holders] == [25 + 35] * 10
