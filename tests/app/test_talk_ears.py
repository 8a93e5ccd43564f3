"""What a talker hears of which stream, without a network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from echowarp.app.run_client import latency_of
from echowarp.app.talk_ears import MAX_KNOWN, TalkEars
from echowarp.app.talk_sinks import Told
from echowarp.app.volume import Volume
from echowarp.config.settings import Settings
from echowarp.device.seams import PulledSink
from echowarp.media.format import Format
from echowarp.wire.records import Stream


def no_card(fmt: Format) -> PulledSink:
    raise AssertionError("the sink is no device")


def fail(error: BaseException) -> None:
    raise error


def stream(byte: int, user: int) -> Stream:
    return Stream(
        stream=byte, codec=0, rate=48_000, channels=1, block=240, seq=7, time=0, user=user
    )


@pytest.fixture
def ears() -> Iterator[TalkEars]:
    told = Told(
        asked=lambda stream, requests: None,
        settled=lambda stream: None,
        enough=lambda: None,
        failed=fail,
        opener=lambda user, seq, at, payload: None,
    )
    made = TalkEars(
        Settings(sink="null"),
        latency=latency_of(Settings()),
        volume=Volume(100),
        card=no_card,
        own_format=lambda: None,
        told=told,
    )
    yield made
    made.close(lambda: True)


def test_a_call_is_the_other_end_alone(ears: TalkEars) -> None:
    ears.announced(stream(0, 0), 0)
    ears.announced(stream(1, 5), 0)
    ears.call(5)
    ears.announced(stream(2, 6), 0)
    assert list(ears.talkers) == [5]


def test_while_the_other_end_is_away_the_server_does_not_speak_for_it(ears: TalkEars) -> None:
    """Users have ids from 1 on: 0 is the server's own stream, and says that nobody is there."""
    ears.announced(stream(1, 5), 0)
    ears.call(5)
    ears.session_over()
    ears.announced(stream(0, 0), 0)
    assert 0 not in ears.talkers
    ears.call(0)
    assert 0 not in ears.talkers
    ears.announced(stream(1, 9), 0)
    ears.call(9)
    assert list(ears.talkers) == [9]


def test_streams_that_come_and_go_for_ever_leave_nothing_behind(ears: TalkEars) -> None:
    ears.announced(stream(1, 5), 0)
    for n in range(10 * MAX_KNOWN):
        ears.ended(ears.announced(stream(2, 6), n), 7)
    assert len(ears._users) <= MAX_KNOWN + 2
    ears.call(5)
    assert list(ears.talkers) == [5], "the one that has run all the time"
