"""The calls of a server: who rings whom, and how each call ends.

Everybody has one call at a time. A caller or callee is a `seat`: a number that stays the
same when its person comes back from a lost session, and that is never given again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from echowarp.session.names import Name
from echowarp.wire.people_codes import CallReason, CallState

NS_PER_S = 1_000_000_000
RING_NS = 45 * NS_PER_S
"""So long it rings; then it is not answered."""


class State(Enum):
    """Where one call is."""

    BEGUN = auto()
    WAITING = auto()
    """Nobody is called so yet."""
    RINGING = auto()
    CONNECTED = auto()
    ENDED = auto()


TRANSITIONS: dict[State, set[State]] = {
    State.BEGUN: {State.WAITING, State.RINGING, State.CONNECTED, State.ENDED},
    State.WAITING: {State.RINGING, State.CONNECTED, State.ENDED},
    State.RINGING: {State.CONNECTED, State.ENDED},
    State.CONNECTED: {State.ENDED},
    State.ENDED: set(),
}
"""Two who call each other are connected without a ring."""

EXIT_STATUS: dict[CallReason, int] = {
    CallReason.NONE: 0,
    CallReason.HUNG_UP: 0,
    CallReason.DECLINED: 3,
    CallReason.BUSY: 3,
    CallReason.NOT_ANSWERED: 3,
    CallReason.GONE: 3,
    CallReason.ONESELF: 3,
    CallReason.BAD_NAME: 3,
    CallReason.TOO_FAST: 3,
    CallReason.LOST: 4,
}
"""How a program exits whose only call ended so."""


class News(NamedTuple):
    """What a seat is told of its call. peer: the other's seat, None where nobody has it;
    name: as the caller spelt it, for want of a peer's."""

    seat: int
    state: CallState
    reason: CallReason
    peer: int | None
    name: str


class _Call:
    """One call. deadline_ns: when it has rung long enough."""

    __slots__ = ("callee", "caller", "deadline_ns", "name", "state")

    def __init__(self, caller: int, name: Name) -> None:
        self.caller = caller
        self.name = name
        self.callee: int | None = None
        self.state = State.BEGUN
        self.deadline_ns: int | None = None

    def to(self, state: State) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
        self.deadline_ns = None

    def other(self, seat: int) -> int | None:
        return self.callee if seat == self.caller else self.caller


class Calls:
    """All calls. find: the seat that has the name of a key, or None."""

    def __init__(self, find: Callable[[str], int | None]) -> None:
        self._find = find
        self._of: dict[int, _Call] = {}
        self._news: list[News] = []
        self._ended: dict[int, News] = {}
        """The last end that a seat was told of: it may have been away."""

    def __len__(self) -> int:
        return len(set(self._of.values()))

    def has(self, seat: int) -> bool:
        """Whether a seat has a call, answered or not."""
        return seat in self._of

    def partner(self, seat: int) -> int | None:
        """Who hears that seat and is heard by it, or None."""
        call = self._of.get(seat)
        return call.other(seat) if call is not None and call.state is State.CONNECTED else None

    def call(self, seat: int, name: Name, now_ns: int) -> None:
        """A seat calls a name."""
        callee = self._find(name.key)
        held = self._of.get(seat)
        if callee == seat:
            self.refuse(seat, CallReason.ONESELF, name.shown)
        elif held is not None and self._crosses(held, seat, callee):
            self._connect(held, seat)
        elif held is not None:
            self.refuse(seat, CallReason.BUSY, name.shown)
        else:
            call = self._of[seat] = _Call(seat, name)
            if callee is None:
                call.to(State.WAITING)
                self._tell(call, CallState.WAITING)
            else:
                self._reach(call, callee, now_ns)

    def refuse(self, seat: int, reason: CallReason, name: str) -> None:
        """Tells a seat that a call to `name` was not begun."""
        self._news.append(News(seat, CallState.REFUSED, reason, None, name))

    def came(self, seat: int, key: str, now_ns: int) -> None:
        """Somebody has come, or has a new name: whoever waits for it is put through."""
        waiting = [c for c in self._of.values() if c.state is State.WAITING and c.name.key == key]
        for call in waiting:
            # Two that wait for each other: the first connects both.
            if call.state is State.WAITING:
                self._reach(call, seat, now_ns)

    def back(self, seat: int) -> None:
        """Somebody has come back from a lost session: both are told again where they are."""
        call = self._of.get(seat)
        if call is None:
            if seat in self._ended:
                self._news.append(self._ended[seat])
        elif call.state is State.RINGING:
            self._tell_ringing(call)
        else:
            state = CallState.WAITING if call.state is State.WAITING else CallState.CONNECTED
            self._tell(call, state)

    def ringing_from(self, seat: int) -> int | None:
        """Who calls that seat and is not answered yet, or None."""
        call = self._of.get(seat)
        rings = call is not None and call.state is State.RINGING and call.callee == seat
        return call.caller if call is not None and rings else None

    def answer(self, seat: int) -> None:
        """A seat answers whoever calls it."""
        if self.ringing_from(seat) is not None:
            call = self._of[seat]
            call.to(State.CONNECTED)
            self._tell(call, CallState.CONNECTED)

    def decline(self, seat: int) -> None:
        """A seat declines whoever calls it."""
        if self.ringing_from(seat) is not None:
            self._end(self._of[seat], CallReason.DECLINED)

    def hang_up(self, seat: int) -> None:
        """A seat ends its call. One that rings at it is not its own yet: see `decline`."""
        call = self._of.get(seat)
        if call is not None and (call.state is State.CONNECTED or call.caller == seat):
            self._end(call, CallReason.HUNG_UP)

    def gone(self, seat: int, *, lost: bool) -> None:
        """A seat is empty for good. lost: nobody said goodbye."""
        call = self._of.get(seat)
        if call is not None:
            ringing_at_it = call.state is State.RINGING and call.callee == seat
            ended = CallReason.LOST if lost else CallReason.HUNG_UP
            self._end(call, CallReason.GONE if ringing_at_it else ended)
        self._news = [news for news in self._news if news.seat != seat]
        self._ended.pop(seat, None)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        due = [c.deadline_ns for c in self._of.values() if c.deadline_ns is not None]
        return min(due, default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Ends the calls that nobody answers."""
        for call in set(self._of.values()):
            if call.deadline_ns is not None and now_ns >= call.deadline_ns:
                self._end(call, CallReason.NOT_ANSWERED)

    def news(self) -> list[News]:
        """Drains what seats are to be told."""
        news, self._news = self._news, []
        return news

    def _reach(self, call: _Call, callee: int, now_ns: int) -> None:
        held = self._of.get(callee)
        if callee == call.caller:
            self._end(call, CallReason.ONESELF)
        elif held is not None and self._crosses(held, call.caller, callee):
            del self._of[call.caller]
            self._connect(held, call.caller)
        elif held is not None:
            call.callee = callee
            self._end(call, CallReason.BUSY)
        else:
            call.callee = callee
            self._of[callee] = call
            call.to(State.RINGING)
            call.deadline_ns = now_ns + RING_NS
            self._tell_ringing(call)

    def _crosses(self, held: _Call, seat: int, caller: int | None) -> bool:
        """Whether `held` is a call of `caller` that is not answered yet, to `seat`."""
        if caller is None or held.caller != caller:
            return False
        if held.state is State.WAITING:
            return self._find(held.name.key) == seat
        return held.state is State.RINGING and held.callee == seat

    def _connect(self, call: _Call, callee: int) -> None:
        call.callee = callee
        self._of[callee] = call
        call.to(State.CONNECTED)
        self._tell(call, CallState.CONNECTED)

    def _tell_ringing(self, call: _Call) -> None:
        name, none = call.name.shown, CallReason.NONE
        self._news.append(News(call.caller, CallState.RINGING, none, call.callee, name))
        assert call.callee is not None
        self._news.append(News(call.callee, CallState.INCOMING, none, call.caller, ""))

    def _tell(self, call: _Call, state: CallState, reason: CallReason = CallReason.NONE) -> None:
        for seat in (call.caller, call.callee):
            # A callee that was busy has heard nothing of this call.
            if seat is not None and self._of.get(seat) is call:
                name = call.name.shown if seat == call.caller else ""
                news = News(seat, state, reason, call.other(seat), name)
                self._news.append(news)
                if state is CallState.ENDED:
                    self._ended[seat] = news
                else:
                    self._ended.pop(seat, None)

    def _end(self, call: _Call, reason: CallReason) -> None:
        call.to(State.ENDED)
        self._tell(call, CallState.ENDED, reason)
        for seat in (call.caller, call.callee):
            if seat is not None and self._of.get(seat) is call:
                del self._of[seat]
