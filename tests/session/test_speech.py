from __future__ import annotations

from collections import Counter

import pytest

from echowarp.session.speech import HANG_OVER_NS, QUIET_NS, Mode, Send, Speech

MS = 1_000_000
S = 1_000 * MS
LOUD, SOFT = 0.2, 0.001


def run(speech: Speech, level: float, ms: int, start_ns: int = 0) -> list[Send]:
    return [speech.block(level, start_ns + at * MS) for at in range(0, ms, 5)]


def test_an_open_microphone_sends_everything() -> None:
    speech = Speech()
    assert set(run(speech, SOFT, 1000) + run(speech, LOUD, 1000, S)) == {Send.SOUND}


def test_muted_it_says_so_at_once_and_each_second() -> None:
    speech = Speech()
    run(speech, LOUD, 1000)
    speech.muted = True
    sent = run(speech, LOUD, 3000, S)
    assert [at for at, each in enumerate(sent) if each is Send.SILENCE] == [0, 200, 400]
    assert Counter(sent)[Send.SOUND] == 0
    assert not speech.talking(4 * S)
    speech.muted = False
    assert speech.block(LOUD, 4 * S) is Send.SOUND


def test_one_that_starts_muted_says_so_first() -> None:
    speech = Speech(muted=True)
    assert run(speech, LOUD, 15) == [Send.SILENCE, Send.NOTHING, Send.NOTHING]


def test_push_to_talk() -> None:
    speech = Speech(Mode.PUSH)
    assert speech.block(LOUD, 0) is Send.SILENCE
    speech.pushed = True
    assert speech.block(SOFT, 5 * MS) is Send.SOUND
    speech.pushed = False
    assert speech.block(LOUD, 10 * MS) is Send.SILENCE
    speech.pushed = speech.muted = True
    assert speech.block(LOUD, 15 * MS) is Send.NOTHING


@pytest.mark.parametrize("hang_over_ns", [100 * MS, HANG_OVER_NS])
def test_voice_activation_hangs_over(hang_over_ns: int) -> None:
    speech = Speech(Mode.VOICE, threshold=0.05, hang_over_ns=hang_over_ns)
    assert run(speech, 0.049, 10)[0] is Send.SILENCE
    assert speech.block(0.05, 100 * MS) is Send.SOUND
    sent = run(speech, SOFT, 1000, 105 * MS)
    assert sent.count(Send.SOUND) == hang_over_ns // (5 * MS) - 1
    assert sent[sent.count(Send.SOUND)] is Send.SILENCE


def test_silence_sends_only_keep_alives() -> None:
    speech = Speech(Mode.VOICE)
    counts = Counter(run(speech, SOFT, 60_000))
    assert counts == {Send.SILENCE: 60, Send.NOTHING: 12_000 - 60}


def test_others_are_shown_who_talks() -> None:
    speech = Speech()
    speech.block(SOFT, 0)
    assert not speech.talking(0)
    speech.block(LOUD, 5 * MS)
    assert speech.talking(5 * MS + HANG_OVER_NS - 1)
    assert not speech.talking(5 * MS + HANG_OVER_NS)


def test_a_silent_microphone_is_told_once_until_it_is_heard() -> None:
    speech = Speech()
    warned = []
    for at in range(0, 100 * 1000, 5):
        speech.block(0.009, at * MS)
        if speech.take_warning():
            warned.append(at * MS)
    assert warned == [QUIET_NS]
    speech.block(0.01, 100 * S)
    run(speech, SOFT, 20_000, 100 * S + 5 * MS)
    assert not speech.take_warning()
    run(speech, SOFT, 20_000, 120 * S)
    assert speech.take_warning()


@pytest.mark.parametrize("speech", [Speech(muted=True), Speech(Mode.PUSH)])
def test_who_does_not_expect_to_be_heard_is_not_warned(speech: Speech) -> None:
    run(speech, 0.0, 100_000)
    assert not speech.take_warning()
