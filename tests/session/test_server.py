from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.record import RecordSealer
from echowarp.crypto.suite import Suite
from echowarp.session.address import network_of
from echowarp.session.bans import BanList
from echowarp.session.client_session import Ended, Started
from echowarp.session.endpoint import Received
from echowarp.session.server import MAX_USER
from echowarp.session.server_events import Joined, Left, Said, TurnedAway
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.people import NO_TOKEN, Enter, Listed
from echowarp.wire.people_codes import Presence, Wish
from echowarp.wire.records import Anchor, Close, End, EndReason, Stream, UdpOk, pack_record
from tests.virtual import MS, S, World

STREAM = Stream(stream=0, codec=0, rate=48000, channels=2, block=240, seq=5, time=6, user=0)
END = End(stream=0, seq=99, reason=EndReason.SOURCE_ENDED)


def ended(world: World, connection: int) -> Ended:
    (event,) = [e for e in world.client_events[connection] if isinstance(e, Ended)]
    return event


@pytest.mark.parametrize("password", [None, "correct horse"])
@pytest.mark.parametrize("suite", Suite)
def test_a_client_joins_and_both_know_the_same(password: str | None, suite: Suite) -> None:
    world = World(password=password, suite=suite, streams=[STREAM])
    connection = world.join(password=password)
    (joined,) = world.server_events
    assert isinstance(joined, Joined)
    assert (joined.connection, joined.host, joined.user) == (connection, "192.0.2.1", 1)
    assert world.client_events[connection] == [
        Started(keys=joined.keys, suite=suite, user=1, resume=joined.resume),
        Received(record=STREAM),
    ]
    assert world.server.sessions == 1
    assert not world.server.idle


def test_each_session_has_keys_and_a_user_of_its_own() -> None:
    world = World()
    for k in range(10):
        world.join(f"192.0.2.{k}")
    joined = [event for event in world.server_events if isinstance(event, Joined)]
    assert len({event.keys.session for event in joined}) == 10
    assert [event.user for event in joined] == list(range(1, 11))


def test_user_ids_wrap_past_0_and_skip_those_in_use() -> None:
    world = World()
    first = world.join()
    world.join()
    world.server._last_user = MAX_USER - 1
    world.join()
    world.join()
    world.leave(first)
    world.server._last_user = MAX_USER
    world.join()
    joined = [event for event in world.server_events if isinstance(event, Joined)]
    assert [event.user for event in joined] == [1, 2, MAX_USER, 3, 1]


def test_a_client_that_vanishes_is_noticed_after_15_s_and_its_place_is_free() -> None:
    world = World(max_clients=1)
    connection = world.join()
    del world.clients[connection]
    world.advance(15 * S - 1)
    assert world.server.sessions == 1
    world.advance(1)
    (left,) = world.events_of(Left)
    assert isinstance(left, Left)
    assert left.connection == connection
    assert world.server.sessions == 0
    assert world.server.idle
    world.join()
    assert world.server.sessions == 1


def test_idle_sessions_live_on() -> None:
    world = World()
    for _ in range(3):
        world.join()
    world.advance(600 * S)
    assert world.server.sessions == 3


def test_udp_ok_and_anchors_reach_the_clients() -> None:
    world = World()
    one, two = world.join(), world.join()
    unfinished = world.connect_raw()
    world.server.udp_heard(one, 4, 50_000, world.now_ns)
    world.server.udp_heard(999, 4, 50_000, world.now_ns)
    anchor = Anchor(stream=0, time=1, captured=2)
    world.server.anchor(anchor, world.now_ns)
    world.advance(0)
    world._collect()
    world.pump()
    assert world.client_events[one][1:] == [
        Received(record=UdpOk(number=4, port=50_000)),
        Received(record=anchor),
    ]
    assert world.client_events[two][1:] == [Received(record=anchor)]
    assert len(world.heard[unfinished]) == 25, "only its GREETING"


def test_full_on_arrival() -> None:
    world = World(max_clients=2)
    world.join()
    gone = world.join()
    third = world.join()
    assert bytes(world.heard[third]) == frames.pack_error(Code.FULL)
    assert third in world.closed
    assert ended(world, third).code == 503
    world.leave(gone)
    world.join()
    assert world.server.sessions == 2


def test_full_meanwhile() -> None:
    world = World(max_clients=1)
    late = world.connect()
    world.deliver_down(late)
    world.deliver_up(late)
    world.deliver_down(late)
    quick = world.connect("192.0.2.2")
    for _ in range(2):
        world.deliver_down(quick)
        world.deliver_up(quick)
    assert world.server.sessions == 1
    world.pump()
    event = ended(world, late)
    assert (event.code, event.by_peer, event.unproved) == (503, True, False)
    assert not [e for e in world.client_events[late] if isinstance(e, Started)]
    (away,) = world.events_of(TurnedAway)
    assert isinstance(away, TurnedAway)
    assert away.code is Code.FULL


def test_a_session_ends_from_either_side() -> None:
    world = World()
    one, two, three = world.join(), world.join(), world.join()
    world.clients[one].close(world.now_ns)
    world.pump()
    world.leave(two)
    world.server.close_session(three, Code.TOO_MANY, "does not read", world.now_ns)
    world.server.close_session(999, Code.TOO_MANY, "nobody", world.now_ns)
    world._collect()
    world.pump()
    left = [event.connection for event in world.server_events if isinstance(event, Left)]
    assert left == [one, two, three]
    assert ended(world, three).code == 429
    assert world.closed == {one, two, three}
    assert world.server.idle
    assert world.server.timeout_ns() is None


def test_close_all_says_410_to_everybody_and_takes_no_more() -> None:
    world = World()
    running = world.join()
    waiting = world.connect()
    world.server.close_all(Code.CLOSING, world.now_ns)
    world._collect()
    world.pump()
    assert ended(world, running).code == 410
    assert ended(world, waiting).code == 410
    assert world.server.idle
    late = world.connect_raw()
    assert bytes(world.heard[late]) == frames.pack_error(410)
    assert late in world.closed


def finish(world: World, end: End | None) -> None:
    world.server.finish(end, world.now_ns)
    world._collect()
    world.pump()


def test_finish_waits_for_the_clients_end_then_says_200() -> None:
    world = World()
    quick, slow = world.join(), world.join()
    finish(world, END)
    assert world.client_events[quick][-1] == Received(record=END)
    assert not world.closed
    world.advance(1 * S)
    world.clients[quick].send(END, world.now_ns)
    world.pump()
    assert ended(world, quick).code == 200
    assert world.closed == {quick}
    world.advance(2 * S - 1)
    assert world.closed == {quick}
    world.advance(1)
    assert ended(world, slow).code == 200
    assert world.server.idle


def test_an_end_before_the_servers_own_is_not_a_goodbye() -> None:
    world = World()
    connection = world.join()
    world.clients[connection].send(END, world.now_ns)
    world.pump()
    assert world.server.sessions == 1


def test_finish_without_a_stream_is_at_once() -> None:
    world = World()
    connection = world.join()
    finish(world, None)
    assert ended(world, connection).code == 200
    assert world.server.idle


def test_finish_turns_unfinished_and_new_connections_away() -> None:
    world = World()
    world.join()
    unfinished = world.connect_raw()
    finish(world, END)
    assert bytes(world.heard[unfinished]).endswith(frames.pack_error(410))
    late = world.connect_raw()
    assert bytes(world.heard[late]) == frames.pack_error(410)


def test_who_leaves_during_the_farewell_is_forgotten() -> None:
    world = World()
    gone, closed = world.join(), world.join()
    finish(world, END)
    world.leave(gone)
    world.clients[closed].close(world.now_ns)
    world.pump()
    assert world.server.idle
    assert world.server.timeout_ns() is None
    world.advance(5 * S)


def test_two_ends_in_one_segment_are_one_goodbye() -> None:
    world = World()
    connection = world.join()
    finish(world, END)
    world.clients[connection].send(END, world.now_ns)
    world.clients[connection].send(END, world.now_ns)
    world.pump()
    assert world.server.idle
    assert len(world.events_of(Left)) == 1


def test_close_all_ends_a_farewell() -> None:
    world = World()
    connection = world.join()
    finish(world, END)
    world.server.close_all(Code.CLOSING, world.now_ns)
    world._collect()
    world.pump()
    assert ended(world, connection).code == 410
    world.advance(5 * S)
    assert world.server.idle


def test_a_new_ban_list_is_for_new_connections() -> None:
    world = World()
    world.join()
    bans = BanList()
    bans.add(network_of("192.0.2.99"))
    world.server.replace_bans(bans)
    connection = world.connect("192.0.2.99")
    world.pump()
    assert ended(world, connection).code == Code.BANNED
    world.join()
    assert world.server.sessions == 2


@pytest.mark.parametrize("seed", range(8))
def test_clients_come_and_go_at_any_byte(seed: int) -> None:
    """Connections are cut after any number of bytes; nothing is left behind."""
    world = World(max_clients=4, seed=seed)
    sizes = (25, 52, 35, 35, 35, 48)
    for cut in range(0, sum(sizes), 3):
        connection = world.connect(f"192.0.2.{cut % 7}")
        left = cut
        while left > 0:
            world.deliver_down(connection)
            data = world.clients[connection].to_send() if connection in world.clients else b""
            if not data:
                break
            world.send(connection, data[:left])
            left -= len(data)
        world.leave(connection)
        world.advance(10 * MS)
    assert world.server.idle
    assert world.server.sessions == 0
    joined, left_again = world.events_of(Joined), world.events_of(Left)
    assert len(joined) == len(left_again)
    for k in range(7):
        assert [world.admission.take_ticket(f"192.0.2.{k}") for _ in range(5)] == [True] * 5


@given(
    pieces=st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=60)), max_size=12)
)
def test_random_bytes_from_strangers_never_raise(pieces: list[tuple[int, bytes]]) -> None:
    world = World()
    for _ in range(4):
        world.connect_raw()
    for connection, data in pieces:
        world.send(connection + 1, data)
        world.advance(300 * MS)
    world.advance(10 * S)
    assert world.server.idle
    assert world.server.sessions == 0


ENTER = Enter(wish=Wish.PRESENCE, presence=Presence(0), resume=NO_TOKEN, name="Ann", target="")


def test_what_clients_say_of_people_and_of_their_streams_is_handed_on_in_order() -> None:
    world = World()
    one, two = world.join(), world.join()
    anchor = Anchor(stream=0, time=1, captured=2)
    for record in (ENTER, STREAM, UdpOk(number=1, port=2), anchor, END):
        world.clients[one].send(record, world.now_ns)
    world.clients[two].send(ENTER, world.now_ns)
    world.pump()
    said = [event for event in world.server_events if isinstance(event, Said)]
    assert [(event.connection, event.user) for event in said] == [(one, 1)] * 4 + [(two, 2)]
    assert [event.record for event in said] == [ENTER, STREAM, anchor, END, ENTER]


def test_who_joins_is_told_the_token_to_come_back_with() -> None:
    world = World()
    world.join()
    (joined,) = world.events_of(Joined)
    assert isinstance(joined, Joined)
    assert len(joined.resume) == 16
    assert str(joined.resume) not in repr(joined)


def test_records_go_to_those_that_they_are_for() -> None:
    world = World()
    one, two = world.join(), world.join()
    unfinished = world.connect_raw()
    told = [(two, Listed(users=0)), (one, Listed(users=1)), (unfinished, ENTER), (999, ENTER)]
    world.server.send([*told, (two, Listed(users=2))], world.now_ns)
    world._collect()
    world.pump()
    assert world.client_events[one][1:] == [Received(record=Listed(users=1))]
    assert world.client_events[two][1:] == [
        Received(record=Listed(users=0)),
        Received(record=Listed(users=2)),
    ]
    assert len(world.heard[unfinished]) == 25, "only its GREETING"


def test_a_talkers_own_end_is_no_farewell() -> None:
    world = World()
    connection = world.join()
    finish(world, END)
    own = End(stream=3, seq=7, reason=EndReason.STOPPED)
    world.clients[connection].send(own, world.now_ns)
    world.pump()
    assert not world.closed
    (said,) = world.events_of(Said)
    assert isinstance(said, Said)
    assert said.record == own
    world.clients[connection].send(END, world.now_ns)
    world.pump()
    assert ended(world, connection).code == 200


def test_records_that_come_with_the_confirmation_are_said_by_a_session_or_by_nobody() -> None:
    world = World(max_clients=1)
    for _ in range(2):
        world.connect()
    for connection in (1, 2):
        world.deliver_down(connection)
        world.deliver_up(connection)
        world.deliver_down(connection)
    for connection in (1, 2):
        client = world.clients[connection]
        confirm = client.to_send()
        keys = client._exchange.keys() if client._exchange is not None else None
        assert keys is not None
        world.send(connection, confirm + RecordSealer(keys.control_client).seal(pack_record(END)))
    assert [type(event) for event in world.server_events] == [Joined, Said, TurnedAway]


@pytest.mark.parametrize(
    ("how", "lost"),
    [
        ("goodbye", False),
        ("eof", True),
        ("silence", True),
        ("nonsense", True),
        ("its client gives up", True),
        ("spent", True),
        ("displaced", False),
        ("finished", False),
    ],
)
def test_who_is_lost_may_come_back_and_who_said_goodbye_does_not(how: str, lost: bool) -> None:
    world = World()
    connection = world.join()
    client = world.clients[connection]
    if how == "goodbye":
        client.close(world.now_ns)
    elif how == "eof":
        world.leave(connection)
    elif how == "silence":
        del world.clients[connection]
        world.advance(15 * S)
    elif how == "nonsense":
        world.send(connection, bytes((0, 17)) + bytes(17))
    elif how == "its client gives up":
        client.send(Close(code=Code.TIMEOUT), world.now_ns)
    elif how == "finished":
        world.server.finish(None, world.now_ns)
    else:
        code = Code.CLOSING if how == "spent" else Code.DISPLACED
        world.server.close_session(connection, code, how, world.now_ns)
    world._collect()
    world.pump()
    (left,) = world.events_of(Left)
    assert isinstance(left, Left)
    assert (left.user, left.lost) == (1, lost)
