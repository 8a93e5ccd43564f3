from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.session.people import Displaced, Flooding, Hearing, People
from echowarp.wire.people import (
    NO_TOKEN,
    PEOPLE_TYPES,
    Appear,
    Call,
    CallAction,
    CallNews,
    Enter,
    Left,
    Listed,
    Pair,
    PeopleRecord,
    Room,
    RoomNews,
    User,
    Welcome,
    pack_people,
    parse_people,
)
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Leaving,
    Presence,
    RoomState,
    Wish,
)

S = 1_000_000_000


def token(user: int) -> bytes:
    return user.to_bytes(16, "big")


class Server:
    """People, what each was told last, and who hears whom."""

    def __init__(self) -> None:
        self.people = People(max_people=64)
        self.told: dict[int, list[PeopleRecord]] = {}
        self.hearing: dict[int, frozenset[int]] = {}
        self.events: list[object] = []
        self.now_ns = 0

    def drain(self) -> None:
        self.told = {}
        for user, record in self.people.to_send():
            self.told.setdefault(user, []).append(record)
        self.events = []
        for event in self.people.events():
            if isinstance(event, Hearing):
                self.hearing[event.user] = event.listeners
            else:
                self.events.append(event)

    def enter(
        self,
        user: int,
        name: str,
        *,
        call: str = "",
        room: str = "",
        resume: int = 0,
        wish: Wish | None = None,
    ) -> None:
        self.people.joined(user, token(user), self.now_ns)
        wish = wish or (Wish.CALL if call else Wish.ROOM if room else Wish.PRESENCE)
        record = Enter(
            wish=wish,
            presence=Presence(0),
            resume=token(resume) if resume else NO_TOKEN,
            name=name,
            target=call or room,
        )
        self.say(user, record)

    def say(self, user: int, record: PeopleRecord) -> None:
        self.people.receive(user, record, self.now_ns)
        self.drain()

    def answer(self, user: int, caller: int = 0) -> None:
        self.say(user, CallAction(act=CallAct.ANSWER, user=caller))

    def lose(self, user: int) -> None:
        self.people.left(user, lost=True, now_ns=self.now_ns)
        self.drain()

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        self.people.handle_timeout(self.now_ns)
        self.drain()

    def news(self, user: int) -> list[tuple[CallState, CallReason, int, str]]:
        told = [r for r in self.told.get(user, []) if isinstance(r, CallNews)]
        return [(r.state, r.reason, r.user, r.name) for r in told]


def in_call() -> Server:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "Bo", call="al")
    server.answer(1)
    return server


NONE = CallReason.NONE


def test_a_call_by_name() -> None:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "Bo", call="al")
    assert server.news(1) == [(CallState.INCOMING, NONE, 2, "Bo")]
    assert server.news(2) == [(CallState.RINGING, NONE, 1, "Al")]
    assert server.hearing == {}
    server.answer(1, caller=2)
    assert server.news(1) == [(CallState.CONNECTED, NONE, 2, "Bo")]
    assert server.news(2) == [(CallState.CONNECTED, NONE, 1, "Al")]
    assert server.hearing == {1: {2}, 2: {1}}
    server.say(2, CallAction(act=CallAct.HANG_UP, user=0))
    assert server.news(1) == [(CallState.ENDED, CallReason.HUNG_UP, 2, "Bo")]
    assert server.hearing == {1: frozenset(), 2: frozenset()}


def test_who_is_told_of_a_caller_knows_it_already() -> None:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "Bo", call="al")
    kinds = [type(record) for record in server.told[1]]
    assert kinds == [User, CallNews]
    assert [type(r) for r in server.told[2]] == [Welcome, User, Listed, User, CallNews]


def test_a_call_to_somebody_not_there_yet_and_crossing_calls() -> None:
    server = Server()
    server.enter(1, "Al", call="Bo")
    assert server.news(1) == [(CallState.WAITING, NONE, 0, "Bo")]
    server.enter(2, "Bo", call="Al")
    assert server.news(1) == [(CallState.CONNECTED, NONE, 2, "Bo")]
    assert server.news(2) == [(CallState.CONNECTED, NONE, 1, "Al")]
    assert server.hearing == {1: {2}, 2: {1}}


def test_it_rings_when_they_come() -> None:
    server = Server()
    server.enter(1, "Al", call="Bo")
    server.enter(2, "Bo")
    assert server.news(2) == [(CallState.INCOMING, NONE, 1, "Al")]


def test_an_answer_to_another_call_answers_none() -> None:
    server = Server()
    for user, name in ((1, "Al"), (2, "Bo"), (3, "Cy")):
        server.enter(user, name)
    server.say(3, Call(name="Al"))
    for act in (CallAct.ANSWER, CallAct.DECLINE):
        server.say(1, CallAction(act=act, user=2))
        assert server.told == {}
    server.say(1, CallAction(act=CallAct.DECLINE, user=3))
    assert server.news(3) == [(CallState.ENDED, CallReason.DECLINED, 1, "Al")]


def test_bad_calls() -> None:
    server = Server()
    server.enter(1, "Al")
    server.say(1, Call(name="AL"))
    assert server.news(1) == [(CallState.REFUSED, CallReason.ONESELF, 0, "AL")]
    server.say(1, Call(name="\u202e"))
    assert server.news(1) == [(CallState.REFUSED, CallReason.BAD_NAME, 0, "")]


def test_a_call_outlives_a_lost_session_by_15_s() -> None:
    server = in_call()
    server.lose(1)
    assert server.hearing[2] == frozenset()
    server.wait(14)
    server.enter(3, "Al", resume=1, call="Bo")
    assert server.news(3) == [(CallState.CONNECTED, NONE, 2, "Bo")]
    assert server.news(2) == [(CallState.CONNECTED, NONE, 3, "Al")]
    assert Left(user=1, reason=Leaving.RETURNED) in server.told[2]
    assert server.hearing[2] == {3}
    assert server.hearing[3] == {2}


def test_a_call_that_is_lost() -> None:
    server = in_call()
    server.lose(1)
    server.wait(15)
    assert server.news(2) == [(CallState.ENDED, CallReason.LOST, 1, "Al")]
    server.enter(3, "Al", resume=1, call="Bo")
    assert server.news(2) == [(CallState.INCOMING, NONE, 3, "Al")]


def test_hung_up_while_the_other_was_away() -> None:
    server = in_call()
    server.lose(1)
    server.say(2, CallAction(act=CallAct.HANG_UP, user=0))
    assert 1 not in server.told
    server.enter(3, "Al", resume=1)
    assert server.news(3) == [(CallState.ENDED, CallReason.HUNG_UP, 2, "Bo")]


def test_both_come_back_to_a_server_that_knows_nothing() -> None:
    server = Server()
    server.enter(1, "Al", resume=7, call="Bo")
    server.enter(2, "Bo", resume=8, call="Al")
    assert server.hearing == {1: {2}, 2: {1}}


def test_a_ghost_is_displaced() -> None:
    server = in_call()
    server.enter(3, "Al", resume=1)
    assert server.events == [Displaced(user=1)]
    assert server.hearing[2] == {3}
    server.people.left(1, lost=False, now_ns=0)
    server.drain()
    assert server.told == {}


def test_a_name_that_leaves_while_it_rings() -> None:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "Bo", call="Al")
    server.people.left(1, lost=False, now_ns=0)
    server.drain()
    assert server.news(2) == [(CallState.ENDED, CallReason.GONE, 1, "Al")]


def test_not_answered() -> None:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "Bo", call="Al")
    server.wait(45)
    assert server.news(2) == [(CallState.ENDED, CallReason.NOT_ANSWERED, 1, "Al")]


def test_a_room() -> None:
    server = Server()
    for user, name in ((1, "Al"), (2, "Bo"), (3, "Cy")):
        server.enter(user, name, room="Hall")
    assert isinstance(server.told[3][0], Welcome), "that it is here, before where"
    assert RoomNews(state=RoomState.JOINED, name="Hall") in server.told[3]
    assert server.hearing == {1: {2, 3}, 2: {1, 3}, 3: {1, 2}}
    server.say(2, Room(name=""))
    assert server.told[2][-1] == RoomNews(state=RoomState.LEFT, name="Hall")
    assert server.hearing == {1: {3}, 2: frozenset(), 3: {1}}
    server.wait(1)
    users = [r for r in server.told[1] if isinstance(r, User)]
    assert [(r.user, r.room) for r in users] == [(2, "")]


def test_a_room_outlives_a_lost_session() -> None:
    server = Server()
    server.enter(1, "Al", room="Hall")
    server.enter(2, "Bo", room="Hall")
    server.lose(1)
    assert server.hearing[2] == frozenset()
    server.enter(3, "Al", resume=1, room="Hall")
    assert server.hearing[2] == {3}
    assert server.hearing[3] == {2}
    server.lose(3)
    server.wait(15)
    server.wait(1)
    assert server.people.rooms.others(2) == ()


def test_who_is_in_a_call_hears_only_that() -> None:
    server = Server()
    for user, name in ((1, "Al"), (2, "Bo"), (3, "Cy")):
        server.enter(user, name, room="Hall")
    server.say(1, Call(name="Bo"))
    assert server.hearing[3] == {1, 2}
    server.answer(2)
    assert server.hearing == {1: {2}, 2: {1}, 3: frozenset()}
    server.say(1, CallAction(act=CallAct.HANG_UP, user=0))
    assert server.hearing == {1: {2, 3}, 2: {1, 3}, 3: {1, 2}}


def test_messages_go_to_those_one_hears_and_to_nobody_else() -> None:
    server = in_call()
    server.enter(3, "Cy")
    server.say(1, Pair(user=2, data=b"opaque"))
    assert server.told == {2: [Pair(user=1, data=b"opaque")]}
    for user, to in ((1, 3), (3, 1), (1, 99), (1, 1)):
        server.say(user, Pair(user=to, data=b"opaque"))
        assert server.told == {}


def test_the_list_alone_makes_nobody() -> None:
    server = Server()
    server.enter(1, "Al")
    server.enter(2, "", wish=Wish.LIST)
    assert [type(record) for record in server.told[2]] == [User, Listed]
    server.say(1, Appear(presence=Presence.MUTED))
    assert 2 not in server.told
    server.people.left(2, lost=True, now_ns=0)


@pytest.mark.parametrize("record", [Call(name="Al"), Room(name="Hall"), Pair(user=1, data=b"x")])
def test_without_a_name_there_is_nothing_to_say(record: PeopleRecord) -> None:
    server = Server()
    server.enter(1, "Al")
    server.people.joined(2, token(2), 0)
    server.say(2, record)
    server.say(2, CallAction(act=CallAct.ANSWER, user=0))
    server.say(9, record)
    assert server.told == {}


def test_what_only_a_server_says_is_ignored() -> None:
    server = in_call()
    for record in (Listed(users=3), Left(user=2, reason=Leaving.LOST)):
        server.say(1, record)
        assert server.told == {}


def test_a_flood_is_told_once_a_second_and_harms_nobody() -> None:
    server = in_call()
    refused = floods = 0
    for k in range(5000):
        server.now_ns += S // 1000
        server.say(1, Room(name=f"room {k}x"))
        refused += RoomNews(state=RoomState.TOO_FAST, name="") in server.told.get(1, [])
        floods += Flooding(user=1) in server.events
        assert len(server.told.get(2, [])) <= 1
    assert refused == floods == 5
    assert len(server.people.rooms) == 1
    assert server.hearing == {1: {2}, 2: {1}}
    # Hanging up is always allowed.
    server.say(1, CallAction(act=CallAct.HANG_UP, user=0))
    assert server.news(2) == [(CallState.ENDED, CallReason.HUNG_UP, 1, "Al")]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(sorted(PEOPLE_TYPES)), st.binary(max_size=60)),
        max_size=40,
    )
)
def test_nothing_that_clients_say_breaks_it(said: list[tuple[int, int, bytes]]) -> None:
    server = Server()
    for user in (1, 2):
        server.enter(user, f"{user}x")
    server.people.joined(3, token(3), 0)
    for user, kind, body in said:
        server.now_ns += S // 50
        try:
            record = parse_people(bytes((kind,)) + body)
        except ProtocolError:
            continue
        if record is not None:
            server.say(user, record)
        for told in server.told.values():
            for each in told:
                assert parse_people(pack_people(each)) == each
    server.wait(100)


USERS = st.integers(1, 5)
WORDS = st.sampled_from(["al", "bo", "cy", "di", "A1", "hall", "", " "])
WISHES = st.sampled_from(Wish)
SAID = st.one_of(
    st.builds(
        Enter,
        wish=WISHES,
        presence=st.just(Presence(0)),
        resume=st.builds(token, USERS),
        name=WORDS,
        target=WORDS,
    ),
    st.builds(Call, name=WORDS),
    st.builds(Room, name=WORDS),
    st.builds(CallAction, act=st.sampled_from(CallAct), user=st.integers(0, 5)),
)
LOSE, LEAVE, WAIT = "lose", "leave", "wait"


@given(
    st.lists(st.tuples(USERS, st.one_of(SAID, st.sampled_from([LOSE, LEAVE, WAIT]))), max_size=60)
)
def test_whatever_they_do_hearing_is_mutual_and_of_those_who_are_here(
    done: list[tuple[int, PeopleRecord | str]],
) -> None:
    server, here = Server(), set[int]()
    for user, what in done:
        if what == WAIT:
            server.wait(7)
        elif what in (LOSE, LEAVE):
            server.people.left(user, lost=what == LOSE, now_ns=server.now_ns)
            server.drain()
            here.discard(user)
        elif isinstance(what, PeopleRecord):
            if user not in here:
                server.people.joined(user, token(user), server.now_ns)
                server.hearing.pop(user, None)
                here.add(user)
            server.say(user, what)
        for event in server.events:
            if isinstance(event, Displaced):
                here.discard(event.user)
        hearing = server.people._hearing
        assert set(hearing) <= here
        for one, listeners in hearing.items():
            assert one not in listeners
            assert all(one in hearing[other] for other in listeners)
            assert server.hearing.get(one, frozenset()) == listeners
        assert set(server.told) <= here
        assert len(server.people.rooms) <= len(server.people.roster)
