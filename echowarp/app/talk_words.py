"""What happens between people, in words for the one at this client."""

from __future__ import annotations

from echowarp.session.company_events import Came, Changed, Entered, RoomChanged, Went
from echowarp.session.pairing import State
from echowarp.wire.people import User
from echowarp.wire.people_codes import (
    CallReason,
    CallState,
    Denial,
    Leaving,
    Presence,
    RoomState,
)

DENIED = {
    Denial.NOT_HERE: "this server takes no talkers: it needs --talkback, or --source none",
    Denial.BAD_NAME: "the server does not take this nickname",
    Denial.TAKEN: "somebody is called so already",
    Denial.LOOKS_LIKE: "somebody has a nickname that looks the same",
    Denial.CROWDED: "the server has no place for another nickname: try again later",
}
LEFT = {
    Leaving.LEFT: "has left",
    Leaving.LOST: "was lost",
    Leaving.RETURNED: "is coming back",
}
CALL = {
    CallState.WAITING: "{name} is not there yet: waiting (/hangup gives up)",
    CallState.RINGING: "calling {name}",
    CallState.INCOMING: "{name} is calling: a or /answer answers, d or /hangup declines",
    CallState.CONNECTED: "in a call with {name}",
}
ANSWERED = "{name} is calling: answered"
GOES_ON = "the call with {name} goes on"
ENDED = {
    CallReason.NONE: "the call with {name} is over",
    CallReason.HUNG_UP: "the call with {name} is over: hung up",
    CallReason.DECLINED: "{name} declined",
    CallReason.BUSY: "{name} is busy: in another call",
    CallReason.NOT_ANSWERED: "{name} did not answer",
    CallReason.LOST: "the call with {name} is over: the connection was lost",
    CallReason.GONE: "{name} has left",
    CallReason.ONESELF: "that is your own name: nobody can call themselves",
    CallReason.BAD_NAME: "nobody can be called so: {name}",
    CallReason.TOO_FAST: "too many calls at once: wait a moment",
}
YOU_DECLINED = "the call of {name} is declined"
IN_A_CALL = "you are in a call already: /hangup ends it"
ROOM = {
    RoomState.JOINED: "in room {name}",
    RoomState.LEFT: "out of room {name}",
    RoomState.FULL: "room {name} is full",
    RoomState.BAD_NAME: "no room can be called so: {name}",
    RoomState.LOOKS_LIKE: "that looks like another room, {name}: join it, or choose another name",
    RoomState.TOO_FAST: "too many rooms at once: wait a moment",
}
_UNANSWERED = (
    "{name} does not compare codes: they need --e2e with the same one, or /retry if it has "
    "failed before"
)
NO_ROOM = "you are in no room"
TRUST = {
    State.AWAIT_OPEN: _UNANSWERED,
    State.AWAIT_SHARE: _UNANSWERED,
    State.PAIRED: "end to end: {name} has the same code",
    State.FAILED: "{name} has another code: nothing is said to them; compare --e2e on both sides",
    State.GIVEN_UP: "{name} has another code, five times: /retry tries again",
}

SHUT = (
    "what comes from {name} was not sealed so by them, and is not heard: it is changed on its way"
)
SERVERS_OWN = "what the server itself sends is not encrypted end to end"


def denied(reason: Denial, suggestion: str) -> str:
    """Why there is no name for us."""
    hint = f"; --nickname {suggestion} is free" if suggestion else ""
    return DENIED[reason] + hint


def call_news(
    state: CallState,
    reason: CallReason,
    name: str,
    *,
    by_us: bool = False,
    auto_answer: bool = False,
) -> str:
    """Where our call is. by_us: we have declined it, not they; auto_answer: nobody needs to."""
    if by_us and state is CallState.ENDED and reason is CallReason.DECLINED:
        return YOU_DECLINED.format(name=name)
    if state is CallState.REFUSED and reason is CallReason.BUSY:
        return IN_A_CALL
    if auto_answer and state is CallState.INCOMING:
        return ANSWERED.format(name=name)
    known = CALL.get(state)
    return (ENDED[reason] if known is None else known).format(name=name or "nobody")


def told(event: Entered | RoomChanged | Came | Changed | Went) -> str:
    """What has happened among people; "" for what need not be said."""
    if isinstance(event, Entered):
        return f"here as {event.name}{', back again' if event.resumed else ''}"
    if isinstance(event, RoomChanged):
        if event.state is RoomState.LEFT and not event.name:
            return NO_ROOM
        return ROOM[event.state].format(name=event.name)
    if isinstance(event, Went):
        return f"{event.person.name} {LEFT[event.reason]}"
    person = event.person
    if isinstance(event, Came):
        return f"{person.name} is there{f', in {person.room}' if person.room else ''}"
    if person.room != event.before.room:
        where = f"has gone to room {person.room}" if person.room else "has left its room"
        return f"{person.name} {where}"
    if person.presence & ~event.before.presence & Presence.AWAY:
        return f"the connection of {person.name} was lost"
    return ""


def unheard(name: str, *, sealed: bool) -> str:
    """Why somebody is not heard. sealed: they are encrypted end to end, and we are not."""
    needs = "give --e2e and their code" if sealed else "they need --e2e too"
    how = "end to end encrypted" if sealed else "not encrypted end to end"
    return f"{name} is {how}, and so not heard: {needs}"


def described(person: User) -> str:
    """Somebody, in a line of the list."""
    words = [person.room and f"in {person.room}"]
    words += [
        word
        for flag, word in (
            (Presence.TALKING, "talking"),
            (Presence.MUTED, "muted"),
            (Presence.AWAY, "connection lost"),
        )
        if person.presence & flag
    ]
    return ", ".join([person.name, *filter(None, words)])
