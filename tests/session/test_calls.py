from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from echowarp.session.calls import EXIT_STATUS, RING_NS, TRANSITIONS, Calls, State
from echowarp.session.names import Name, parse_name
from echowarp.wire.people_codes import CallReason, CallState

S = 1_000_000_000
WAITING, RINGING, INCOMING = CallState.WAITING, CallState.RINGING, CallState.INCOMING
CONNECTED, ENDED, REFUSED = CallState.CONNECTED, CallState.ENDED, CallState.REFUSED


def name(seat: int) -> Name:
    return parse_name(f"user {chr(96 + seat)}")


class House:
    """Calls, and who is there."""

    def __init__(self, *seats: int) -> None:
        self.there = set(seats)
        self.calls = Calls(self.find)

    def find(self, key: str) -> int | None:
        return next((seat for seat in self.there if name(seat).key == key), None)

    def call(self, seat: int, other: int, now_ns: int = 0) -> list[tuple[int, CallState]]:
        self.calls.call(seat, name(other), now_ns)
        return self.told()

    def come(self, seat: int, now_ns: int = 0) -> list[tuple[int, CallState]]:
        self.there.add(seat)
        self.calls.came(seat, name(seat).key, now_ns)
        return self.told()

    def told(self) -> list[tuple[int, CallState]]:
        return [(news.seat, news.state) for news in self.calls.news()]

    def ends(self) -> list[tuple[int, CallReason]]:
        news = self.calls.news()
        assert {each.state for each in news} <= {ENDED}
        return [(each.seat, each.reason) for each in news]


def connected() -> House:
    house = House(1, 2, 3)
    house.call(1, 2)
    house.calls.answer(2)
    house.told()
    return house


def test_a_call_rings_is_answered_and_hung_up() -> None:
    house = House(1, 2)
    assert house.call(1, 2) == [(1, RINGING), (2, INCOMING)]
    assert house.calls.ringing_from(2) == 1
    assert house.calls.partner(1) is None
    house.calls.answer(2)
    assert house.told() == [(1, CONNECTED), (2, CONNECTED)]
    assert (house.calls.partner(1), house.calls.partner(2)) == (2, 1)
    assert house.calls.timeout_ns() is None
    house.calls.hang_up(2)
    assert house.ends() == [(1, CallReason.HUNG_UP), (2, CallReason.HUNG_UP)]
    assert len(house.calls) == 0


def test_news_name_the_other() -> None:
    house = House(1, 2)
    house.calls.call(1, name(2), 0)
    caller, callee = house.calls.news()
    assert (caller.peer, caller.name) == (2, "user b")
    assert (callee.peer, callee.name) == (1, "")


def test_declined() -> None:
    house = House(1, 2)
    house.call(1, 2)
    house.calls.decline(2)
    assert house.ends() == [(1, CallReason.DECLINED), (2, CallReason.DECLINED)]


def test_not_answered_within_45_s() -> None:
    house = House(1, 2)
    house.call(1, 2, 5 * S)
    assert house.calls.timeout_ns() == 50 * S
    house.calls.handle_timeout(50 * S - 1)
    assert house.told() == []
    house.calls.handle_timeout(50 * S)
    assert house.ends() == [(1, CallReason.NOT_ANSWERED), (2, CallReason.NOT_ANSWERED)]
    assert RING_NS == 45 * S


def test_busy_tells_the_caller_alone() -> None:
    house = connected()
    assert house.call(3, 1) == [(3, ENDED)]
    assert house.calls.partner(1) == 2
    ringing = House(1, 2, 3)
    ringing.call(1, 2)
    ringing.calls.call(3, name(2), 0)
    assert ringing.ends() == [(3, CallReason.BUSY)]
    ringing.calls.call(3, name(1), 0)
    assert ringing.ends() == [(3, CallReason.BUSY)]


def test_a_second_call_is_refused_and_the_first_goes_on() -> None:
    house = connected()
    house.calls.call(1, name(3), 0)
    assert [(n.seat, n.state, n.reason) for n in house.calls.news()] == [
        (1, REFUSED, CallReason.BUSY)
    ]
    assert house.calls.partner(1) == 2


def test_a_call_to_oneself_is_refused() -> None:
    house = House(1)
    house.calls.call(1, name(1), 0)
    assert [(n.state, n.reason) for n in house.calls.news()] == [(REFUSED, CallReason.ONESELF)]
    assert len(house.calls) == 0


def test_waiting_for_somebody_who_comes() -> None:
    house = House(1, 3)
    assert house.call(1, 2) == [(1, WAITING)]
    assert house.calls.timeout_ns() is None, "it waits as long as it likes"
    assert house.come(3) == []
    assert house.come(2) == [(1, RINGING), (2, INCOMING)]


def test_of_two_who_wait_for_one_the_first_rings() -> None:
    house = House(1, 3)
    house.call(1, 2)
    house.call(3, 2)
    assert house.come(2) == [(1, RINGING), (2, INCOMING), (3, ENDED)]


def test_waiting_is_given_up() -> None:
    house = House(1)
    house.call(1, 2)
    house.calls.hang_up(1)
    assert house.ends() == [(1, CallReason.HUNG_UP)]
    assert house.come(2) == []


def test_who_takes_the_name_it_waits_for_calls_itself() -> None:
    house = House(1)
    house.call(1, 2)
    house.calls.came(1, name(2).key, 0)
    assert house.ends() == [(1, CallReason.ONESELF)]


def test_crossing_calls_connect() -> None:
    ringing = House(1, 2)
    ringing.call(1, 2)
    assert ringing.call(2, 1) == [(1, CONNECTED), (2, CONNECTED)]
    assert (len(ringing.calls), ringing.calls.partner(2)) == (1, 1)
    waiting = House(1)
    waiting.call(1, 2)
    waiting.there.add(2)
    assert waiting.call(2, 1) == [(1, CONNECTED), (2, CONNECTED)]
    assert (len(waiting.calls), waiting.calls.partner(1)) == (1, 2)


def test_only_who_is_called_can_answer() -> None:
    house = House(1, 2, 3)
    house.call(1, 2)
    for seat in (1, 3):
        house.calls.answer(seat)
        house.calls.decline(seat)
    house.calls.hang_up(2)
    house.calls.hang_up(3)
    assert house.told() == []
    assert house.calls.ringing_from(2) == 1


@pytest.mark.parametrize("lost", [True, False])
def test_a_caller_who_goes(lost: bool) -> None:
    reason = CallReason.LOST if lost else CallReason.HUNG_UP
    for house in (House(1, 2), connected()):
        house.call(1, 2)
        house.told()
        house.calls.gone(1, lost=lost)
        assert house.ends() == [(2, reason)]
        assert len(house.calls) == 0


@pytest.mark.parametrize("lost", [True, False])
def test_who_leaves_while_it_rings_there(lost: bool) -> None:
    house = House(1, 2)
    house.call(1, 2)
    house.calls.gone(2, lost=lost)
    assert house.ends() == [(1, CallReason.GONE)]


def test_who_comes_back_is_told_again() -> None:
    house = connected()
    house.calls.back(1)
    assert house.told() == [(1, CONNECTED), (2, CONNECTED)]
    ringing = House(1, 2)
    ringing.call(1, 2)
    ringing.calls.back(2)
    assert ringing.told() == [(1, RINGING), (2, INCOMING)]
    waiting = House(1)
    waiting.call(1, 2)
    waiting.calls.back(1)
    assert waiting.told() == [(1, WAITING)]


def test_who_comes_back_too_late_is_told_how_it_ended() -> None:
    house = connected()
    house.calls.hang_up(2)
    house.told()
    house.calls.back(1)
    assert house.ends() == [(1, CallReason.HUNG_UP)]
    house.call(1, 3)
    house.calls.gone(3, lost=False)
    house.told()
    house.calls.back(1)
    assert house.ends() == [(1, CallReason.GONE)]
    house.calls.gone(1, lost=False)
    house.calls.back(1)
    assert house.told() == []


def test_reasons_and_exit_statuses() -> None:
    assert set(EXIT_STATUS) == set(CallReason)
    assert EXIT_STATUS[CallReason.HUNG_UP] == 0
    assert EXIT_STATUS[CallReason.LOST] == 4
    for reason in (CallReason.DECLINED, CallReason.BUSY, CallReason.NOT_ANSWERED):
        assert EXIT_STATUS[reason] == 3


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(State)
    assert TRANSITIONS[State.ENDED] == set()


SEATS = st.integers(1, 5)


class CallMachine(RuleBasedStateMachine):
    """Anything in any order: calls stay pairs, and what seats are told agrees with them."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.now_ns = 0
        self.state: dict[int, CallState] = {}

    def _listen(self) -> None:
        for news in self.house.calls.news():
            assert news.seat in self.house.there, "nobody is told who is not there"
            if news.state is not REFUSED:
                self.state[news.seat] = news.state

    @rule(seat=SEATS)
    def come(self, seat: int) -> None:
        if seat not in self.house.there:
            self.house.there.add(seat)
            self.house.calls.came(seat, name(seat).key, self.now_ns)
        self._listen()

    @rule(seat=SEATS, other=SEATS)
    def call(self, seat: int, other: int) -> None:
        if seat in self.house.there:
            self.house.calls.call(seat, name(other), self.now_ns)
        self._listen()

    @rule(seat=SEATS, act=st.sampled_from(["answer", "decline", "hang_up", "back"]))
    def act(self, seat: int, act: str) -> None:
        if seat in self.house.there:
            getattr(self.house.calls, act)(seat)
        self._listen()

    @rule(seat=SEATS, lost=st.booleans())
    def go(self, seat: int, lost: bool) -> None:
        if seat in self.house.there:
            self.house.there.discard(seat)
            self.house.calls.gone(seat, lost=lost)
            self.state.pop(seat, None)
        self._listen()

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * S
        self.house.calls.handle_timeout(self.now_ns)
        self._listen()

    @invariant()
    def what_they_are_told_is_so(self) -> None:
        calls = self.house.calls
        for seat in self.house.there:
            partner = calls.partner(seat)
            assert (self.state.get(seat) is CONNECTED) == (partner is not None)
            if partner is not None:
                assert calls.partner(partner) == seat
                assert partner in self.house.there and partner != seat
            assert (self.state.get(seat) is INCOMING) == (calls.ringing_from(seat) is not None)
            assert (self.state.get(seat, ENDED) is not ENDED) == calls.has(seat)
        due_ns = calls.timeout_ns()
        assert due_ns is None or due_ns > self.now_ns


CallMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCallMachine = CallMachine.TestCase
