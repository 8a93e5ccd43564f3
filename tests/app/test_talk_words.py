from __future__ import annotations

import pytest

from echowarp.app.talk_words import CALL, DENIED, ENDED, LEFT, ROOM, TRUST, call_news, told
from echowarp.session.company_events import RoomChanged
from echowarp.session.pairing import State
from echowarp.wire.people_codes import CallReason, CallState, Denial, Leaving, RoomState


def test_there_are_words_for_everything() -> None:
    assert set(DENIED) == set(Denial)
    assert set(LEFT) == set(Leaving)
    assert set(ENDED) == set(CallReason)
    assert set(ROOM) == set(RoomState)
    assert set(CALL) == set(CallState) - {CallState.ENDED, CallState.REFUSED}
    assert set(TRUST) > {State.PAIRED, State.FAILED, State.GIVEN_UP}


def test_ends_are_told_apart() -> None:
    words = {call_news(CallState.ENDED, reason, "bob") for reason in CallReason}
    assert len(words) == len(CallReason)


def test_who_declined_is_told_apart() -> None:
    declined = (CallState.ENDED, CallReason.DECLINED, "bob")
    assert call_news(*declined) == "bob declined"
    assert call_news(*declined, by_us=True) == "the call of bob is declined"


@pytest.mark.parametrize(
    ("state", "name", "words"),
    [
        (RoomState.JOINED, "hall", "in room hall"),
        (RoomState.LEFT, "hall", "out of room hall"),
        (RoomState.LEFT, "", "you are in no room"),
    ],
)
def test_rooms(state: RoomState, name: str, words: str) -> None:
    assert told(RoomChanged(state=state, name=name)) == words
