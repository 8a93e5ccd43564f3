from __future__ import annotations

import pytest

from echowarp.session.company import CALL_KEPT_NS, Company, Stage
from echowarp.session.company_events import (
    CallChanged,
    Came,
    Changed,
    CompanyEvent,
    Entered,
    Message,
    Refused,
    RoomChanged,
    Went,
)
from echowarp.wire.people import (
    NO_TOKEN,
    Appear,
    Call,
    CallAction,
    CallNews,
    Denied,
    Enter,
    Left,
    Listed,
    Pair,
    PeopleRecord,
    Room,
    RoomNews,
    User,
    Welcome,
)
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Denial,
    Leaving,
    Presence,
    RoomState,
    Wish,
)
from tests.virtual import S

OURS, ANN, BOB = 1, 2, 3
TOKENS = [bytes((n,)) * 16 for n in range(4)]
NOTHING = Presence(0)


def user(number: int, name: str, room: str = "", presence: Presence = NOTHING) -> User:
    return User(presence=presence, user=number, name=name, room=room)


def news(
    state: CallState, number: int = 0, name: str = "", reason: CallReason = CallReason.NONE
) -> CallNews:
    return CallNews(state=state, reason=reason, user=number, name=name)


def told(company: Company, *records: PeopleRecord) -> list[CompanyEvent]:
    """What happens when the server says so."""
    for record in records:
        company.receive(record)
    return company.events()


def here(*, call: str = "", room: str = "", users: tuple[User, ...] = ()) -> Company:
    """Somebody who has a name, and has said what for."""
    company = Company(name="me", call=call, room=room)
    come(company, OURS, TOKENS[0], users)
    return company


def come(
    company: Company,
    number: int,
    token: bytes,
    users: tuple[User, ...] = (),
    *,
    resumed: bool = False,
) -> Enter:
    """A session begins: what is asked for in it."""
    company.begin(number, token)
    company.enter()
    (enter,) = company.to_send()
    assert isinstance(enter, Enter)
    told(company, Welcome(resumed=resumed, user=number, name="me"), *users)
    told(company, Listed(users=len(users)))
    return enter


def in_call() -> Company:
    company = here(call="ann", users=(user(ANN, "ann"), user(BOB, "bob")))
    told(company, news(CallState.RINGING, ANN, "ann"), news(CallState.CONNECTED, ANN, "ann"))
    assert company.stage is Stage.CONNECTED
    return company


class TestWhatItComesFor:
    @pytest.mark.parametrize(
        ("call", "room", "wish", "target"),
        [
            ("", "", Wish.PRESENCE, ""),
            ("ann", "", Wish.CALL, "ann"),
            ("", "hall", Wish.ROOM, "hall"),
            ("ann", "hall", Wish.CALL, "ann"),
        ],
    )
    def test_is_said_with_the_name(self, call: str, room: str, wish: Wish, target: str) -> None:
        company = Company(name="me", call=call, room=room)
        assert come(company, OURS, TOKENS[0]) == Enter(
            wish=wish, presence=NOTHING, resume=NO_TOKEN, name="me", target=target
        )

    def test_the_name_is_the_one_that_the_server_gives(self) -> None:
        company = Company(name="Me")
        company.begin(OURS, TOKENS[0])
        events = told(company, Welcome(resumed=False, user=OURS, name="me"))
        assert events == [Entered(name="me", resumed=False)]
        assert (company.user, company.name) == (OURS, "me")

    def test_a_refusal_is_handed_on_and_nothing_may_be_said_yet(self) -> None:
        company = Company(name="me")
        company.begin(OURS, TOKENS[0])
        events = told(company, Denied(reason=Denial.TAKEN, suggestion="me 2"))
        assert events == [Refused(reason=Denial.TAKEN, suggestion="me 2")]
        company.appear(Presence.MUTED)
        company.call("ann")
        company.say(ANN, b"data")
        company.go("hall")
        assert (company.user, company.to_send()) == (0, [])

    def test_what_was_set_before_the_name_is_said_with_it(self) -> None:
        company = Company(name="me")
        company.appear(Presence.MUTED)
        company.go("hall")
        enter = come(company, OURS, TOKENS[0])
        assert (enter.presence, enter.wish, enter.target) == (Presence.MUTED, Wish.ROOM, "hall")


class TestTheOthers:
    def test_come_change_and_go(self) -> None:
        company = here()
        ann, muted = user(ANN, "ann"), user(ANN, "ann", "hall", Presence.MUTED)
        assert told(company, ann) == [Came(person=ann)]
        assert told(company, muted) == [Changed(person=muted, before=ann)]
        assert company.users == {ANN: muted}
        left = Left(reason=Leaving.LOST, user=ANN)
        assert told(company, left) == [Went(person=muted, reason=Leaving.LOST)]
        assert told(company, left) == [], "nobody goes twice"
        assert company.users == {}

    def test_ourselves_are_not_among_them_but_tell_where_we_are(self) -> None:
        company = here()
        assert told(company, user(OURS, "me", "hall")) == []
        assert (company.users, company.room) == ({}, "hall")

    @pytest.mark.parametrize("name", ["Bo\u202ebo", "Bo\nbo", " ", "x" * 33])
    def test_names_that_no_server_should_tell_are_shown_as_a_question(self, name: str) -> None:
        company = here()
        told(company, user(ANN, name, name))
        assert (company.users[ANN].name, company.users[ANN].room) == ("?", "?")
        assert told(company, news(CallState.INCOMING, ANN, name)) == [
            CallChanged(state=CallState.INCOMING, reason=CallReason.NONE, name="?")
        ]

    def test_messages_about_the_code_are_handed_on(self) -> None:
        company = here()
        assert told(company, Pair(user=ANN, data=b"x")) == [Message(user=ANN, data=b"x")]
        company.say(ANN, b"y")
        assert company.to_send() == [Pair(user=ANN, data=b"y")]

    def test_what_only_clients_say_is_ignored(self) -> None:
        company = here()
        assert told(company, Call(name="ann"), Room(name="hall"), Appear(presence=NOTHING)) == []
        assert company.to_send() == []


class TestWhoHearsUs:
    def test_all_of_the_room_that_are_there(self) -> None:
        company = here(
            room="hall",
            users=(
                user(ANN, "ann", "hall"),
                user(BOB, "bob"),
                user(4, "cy", "hall", Presence.AWAY),
            ),
        )
        assert company.hearers == frozenset(), "we are in no room yet"
        told(company, RoomNews(state=RoomState.JOINED, name="hall"))
        assert company.hearers == {ANN}
        told(company, user(4, "cy", "hall"))
        assert company.hearers == {ANN, 4}

    def test_in_a_call_its_other_end_alone(self) -> None:
        company = in_call()
        told(company, RoomNews(state=RoomState.JOINED, name="hall"), user(BOB, "bob", "hall"))
        assert company.hearers == {ANN}
        told(company, user(ANN, "ann", presence=Presence.AWAY))
        assert company.hearers == frozenset()
        told(company, Left(reason=Leaving.LEFT, user=ANN))
        assert company.hearers == frozenset()

    def test_nobody_while_it_rings(self) -> None:
        company = here(call="ann", users=(user(ANN, "ann"),))
        told(company, news(CallState.RINGING, ANN, "ann"))
        assert company.hearers == frozenset()


class TestCalls:
    def test_one_that_comes_is_answered_or_declined(self) -> None:
        for act in (CallAct.ANSWER, CallAct.DECLINE):
            company = here()
            told(company, news(CallState.INCOMING, ANN, "ann"))
            assert (company.stage, company.call_name, company.partner) == (
                Stage.INCOMING,
                "ann",
                ANN,
            )
            company.answer() if act is CallAct.ANSWER else company.hang_up()
            assert company.to_send() == [CallAction(act=act, user=ANN)]

    def test_without_one_there_is_nothing_to_answer_or_to_hang_up(self) -> None:
        company = here()
        company.answer()
        company.hang_up()
        assert (company.to_send(), company.events()) == ([], [])

    def test_ours_is_hung_up_whoever_the_other_is(self) -> None:
        company = here()
        company.call("ann")
        assert (company.to_send(), company.stage) == ([Call(name="ann")], Stage.ASKED)
        told(company, news(CallState.WAITING, 0, "ann"))
        company.hang_up()
        assert company.to_send() == [CallAction(act=CallAct.HANG_UP, user=0)]
        ended = news(CallState.ENDED, ANN, "ann", CallReason.HUNG_UP)
        assert told(company, ended) == [
            CallChanged(state=CallState.ENDED, reason=CallReason.HUNG_UP, name="ann")
        ]
        assert (company.stage, company.call_name, company.partner) == (Stage.NONE, "", 0)

    def test_one_that_was_not_begun_leaves_another_as_it_is(self) -> None:
        company = in_call()
        company.call("bob")
        assert company.to_send() == [Call(name="bob")]
        told(company, news(CallState.REFUSED, BOB, "bob", CallReason.BUSY))
        assert (company.stage, company.call_name, company.partner) == (
            Stage.CONNECTED,
            "ann",
            ANN,
        )

    def test_ours_is_over_when_it_is_refused(self) -> None:
        company = here(call="me")
        refused = news(CallState.REFUSED, 0, "me", CallReason.ONESELF)
        assert told(company, refused) == [
            CallChanged(state=CallState.REFUSED, reason=CallReason.ONESELF, name="me")
        ]
        assert company.stage is Stage.NONE


class TestALostSession:
    def test_a_call_is_asked_for_anew_with_the_token_of_the_last_session(self) -> None:
        company = in_call()
        company.session_lost(10 * S)
        assert company.call_is_lost
        assert (company.user, company.users, company.partner) == (0, {}, 0)
        enter = come(company, 9, TOKENS[1], resumed=True)
        assert (enter.resume, enter.wish, enter.target) == (TOKENS[0], Wish.CALL, "ann")
        assert told(company, news(CallState.CONNECTED, ANN, "ann")) == [
            CallChanged(state=CallState.CONNECTED, reason=CallReason.NONE, name="ann", again=True)
        ]
        assert not company.call_is_lost
        company.session_lost(20 * S)
        assert come(company, 10, TOKENS[2]).resume == TOKENS[1]

    def test_a_session_that_gave_no_name_leaves_the_token_as_it_was(self) -> None:
        company = in_call()
        company.session_lost(10 * S)
        company.begin(9, TOKENS[1])
        company.enter()
        company.session_lost(11 * S)
        assert come(company, 10, TOKENS[2]).resume == TOKENS[0]

    @pytest.mark.parametrize("session", [False, True])
    def test_the_call_is_given_up_after_15_s(self, session: bool) -> None:
        company = in_call()
        company.session_lost(10 * S)
        company.session_lost(12 * S)
        assert company.timeout_ns() == 10 * S + CALL_KEPT_NS
        if session:
            come(company, 9, TOKENS[1])
        company.handle_timeout(10 * S + CALL_KEPT_NS - 1)
        assert company.events() == []
        company.handle_timeout(10 * S + CALL_KEPT_NS)
        assert company.events() == [
            CallChanged(state=CallState.ENDED, reason=CallReason.LOST, name="ann")
        ]
        hung_up = [CallAction(act=CallAct.HANG_UP, user=0)]
        assert company.to_send() == (hung_up if session else [])
        assert (company.stage, company.timeout_ns()) == (Stage.NONE, None)

    def test_it_can_be_hung_up_meanwhile(self) -> None:
        company = in_call()
        company.session_lost(10 * S)
        company.hang_up()
        assert company.events() == [
            CallChanged(state=CallState.ENDED, reason=CallReason.HUNG_UP, name="ann")
        ]
        company.begin(9, TOKENS[1])
        company.enter()
        enter, *_ = company.to_send()
        assert isinstance(enter, Enter)
        assert enter.wish is Wish.PRESENCE

    def test_what_was_hung_up_meanwhile_stays_so(self) -> None:
        """The server still has the call, and connects us to it again."""
        company = in_call()
        company.session_lost(10 * S)
        company.hang_up()
        company.events()
        company.begin(9, TOKENS[1])
        company.enter()
        assert company.to_send()[1:] == [CallAction(act=CallAct.HANG_UP, user=0)]
        told(company, Welcome(resumed=True, user=9, name="me"), user(ANN, "ann"))
        assert told(company, news(CallState.CONNECTED, ANN, "ann")) == []
        assert company.stage is Stage.NONE
        over = news(CallState.ENDED, ANN, "ann", CallReason.HUNG_UP)
        assert told(company, over) == []
        assert told(company, news(CallState.CONNECTED, ANN, "ann")) != []

    def test_another_call_may_be_asked_for_meanwhile(self) -> None:
        company = in_call()
        company.session_lost(10 * S)
        company.hang_up()
        company.call("bob")
        company.begin(9, TOKENS[1])
        company.enter()
        assert company.to_send()[1:] == [
            CallAction(act=CallAct.HANG_UP, user=0),
            Call(name="bob"),
        ]
        told(company, Welcome(resumed=False, user=9, name="me"), user(BOB, "bob"))
        told(company, news(CallState.RINGING, BOB, "bob"))
        assert (company.stage, company.call_name) == (Stage.RINGING, "bob")

    def test_a_call_that_rings_here_is_gone_and_ours_rings_on(self) -> None:
        company = here()
        told(company, news(CallState.INCOMING, ANN, "ann"))
        company.session_lost(10 * S)
        assert company.events() == [
            CallChanged(state=CallState.ENDED, reason=CallReason.GONE, name="ann")
        ]
        company = here(call="ann")
        told(company, news(CallState.RINGING, ANN, "ann"))
        company.session_lost(10 * S)
        assert (company.events(), company.timeout_ns()) == ([], None)
        assert come(company, 9, TOKENS[1]).wish is Wish.CALL

    def test_what_was_to_be_said_is_not_said_in_the_next(self) -> None:
        company = here()
        company.say(ANN, b"x")
        company.session_lost(10 * S)
        assert company.to_send() == []


class TestRooms:
    def test_we_are_where_the_server_says(self) -> None:
        company = here()
        company.go("Hall")
        assert (company.to_send(), company.room) == ([Room(name="Hall")], "")
        assert told(company, RoomNews(state=RoomState.JOINED, name="hall")) == [
            RoomChanged(state=RoomState.JOINED, name="hall")
        ]
        assert company.room == "hall"
        company.session_lost(S)
        enter = come(company, 9, TOKENS[1])
        assert (enter.wish, enter.target) == (Wish.ROOM, "hall")

    def test_a_room_that_was_left_is_not_asked_for_again(self) -> None:
        company = here(room="hall")
        told(company, RoomNews(state=RoomState.JOINED, name="hall"))
        company.go("")
        told(company, RoomNews(state=RoomState.LEFT, name="hall"))
        assert company.room == ""
        company.session_lost(S)
        company.begin(9, TOKENS[1])
        company.enter()
        enter, *_ = company.to_send()
        assert isinstance(enter, Enter)
        assert enter.wish is Wish.PRESENCE

    @pytest.mark.parametrize("state", [RoomState.FULL, RoomState.BAD_NAME, RoomState.TOO_FAST])
    def test_one_that_does_not_take_us_leaves_us_where_we_are(self, state: RoomState) -> None:
        company = here(room="hall")
        told(company, RoomNews(state=RoomState.JOINED, name="hall"))
        company.go("cellar")
        assert told(company, RoomNews(state=state, name="cellar")) == [
            RoomChanged(state=state, name="cellar")
        ]
        assert company.room == "hall"
        company.session_lost(S)
        assert come(company, 9, TOKENS[1]).target == "hall"

    def test_where_the_server_was_started_anew_we_are_in_no_room_yet(self) -> None:
        company = here(room="hall")
        told(company, RoomNews(state=RoomState.JOINED, name="hall"))
        company.session_lost(S)
        come(company, 9, TOKENS[1], resumed=True)
        assert company.room == "hall"
        company.session_lost(2 * S)
        come(company, 10, TOKENS[2])
        assert company.room == ""


class TestPresence:
    def test_a_change_is_told_once(self) -> None:
        company = here()
        for presence in (Presence.TALKING, Presence.TALKING, NOTHING):
            company.appear(presence)
        assert company.to_send() == [Appear(presence=Presence.TALKING), Appear(presence=NOTHING)]
