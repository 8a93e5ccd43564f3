"""What of a microphone is sent, with real processes: checked by the samples that come."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.app.sounds import recorded_bytes
from tests.app.test_calls import PATIENT, say, talker
from tests.processes import Program, Stage, wait_until
from tests.recordings import read_pcm, speech_wav

Samples = npt.NDArray[np.int16]
RATE, BLOCK = 48_000, 240
MOST_FADE = 2_400 + BLOCK
"""A fade out is over within 50 ms and a block."""


def said(path: Path, *parts: tuple[float, float]) -> Samples:
    """Writes mono noise as a source: (seconds, level) one after another, with a level that is
    a share of full scale."""
    chance = np.random.RandomState(3)
    samples = np.concatenate(
        [chance.uniform(-1, 1, round(seconds * RATE)) * level * 3**0.5 for seconds, level in parts]
    )
    written = np.asarray((samples * 32767).round(), "<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(written.tobytes())
    return written


def heard(path: Path) -> Samples:
    rate, channels, pcm = read_pcm(path)
    assert (rate, channels) == (RATE, 1)
    return np.frombuffer(pcm, "<i2")


def call(stage: Stage, *arguments: str, **options: Any) -> tuple[Program, Program]:
    """bob says what is in bob.wav to anna, who says nothing and records it."""
    stage.server("--ssl", source="none")
    words = ("--auto_answer", *arguments)
    bob = talker(stage, "bob", *words, source="bob.wav", **options)
    bob.says("here as bob")
    anna = talker(*(stage, "anna", "--call", "bob", *PATIENT), source="none", sink="heard.wav")
    return bob, anna


def is_faded(part: Samples, before: Samples) -> None:
    """What follows a sound that ended: no more than a short fade, then silence."""
    assert not np.any(part[MOST_FADE:])
    assert np.abs(part).max() <= np.abs(before).max()


def test_one_talker_at_full_volume_is_bit_exact(stage: Stage) -> None:
    pcm = speech_wav(stage.folder / "bob.wav", 2, channels=1)
    bob, anna = call(stage)
    wait_until(lambda: recorded_bytes(stage.folder / "heard.wav") >= len(pcm), "all has come")
    assert anna.leave() == 0
    assert bob.leave() == 0
    assert heard(stage.folder / "heard.wav").tobytes() == pcm


def test_voice_activation(stage: Stage) -> None:
    """The soft part goes with the hang-over and no further; the loud ones are as they were."""
    pcm = said(stage.folder / "bob.wav", (1, 0.2), (1, 0.005), (1, 0.2))
    bob, anna = call(stage, "--voice_activation", "0.05", "--hang_over", "250")
    wait_until(lambda: recorded_bytes(stage.folder / "heard.wav") >= 2 * len(pcm), "all has come")
    assert anna.leave() == 0
    assert bob.leave() == 0
    got = heard(stage.folder / "heard.wav")
    kept = int(1.25 * RATE)
    assert np.array_equal(got[: kept - BLOCK], pcm[: kept - BLOCK])
    # The next sound is faded in, from a moment before its first block.
    is_faded(got[kept : 2 * RATE - BLOCK], pcm[:kept])
    loud = slice(2 * RATE + 2 * BLOCK, 3 * RATE)
    assert np.array_equal(got[loud], pcm[loud])
    assert anna.stats[-1]["streams"][0]["concealed"] == 0


def test_the_gate_silences_what_is_softer_than_speech(stage: Stage) -> None:
    pcm = said(stage.folder / "bob.wav", (1, 0.2), (1, 0.0005), (1, 0.2))
    bob, anna = call(stage, "--gate")
    wait_until(lambda: recorded_bytes(stage.folder / "heard.wav") >= 2 * len(pcm), "all has come")
    assert anna.leave() == 0
    assert bob.leave() == 0
    got = heard(stage.folder / "heard.wav")
    opened = slice(2 * BLOCK, RATE)
    assert np.array_equal(got[opened], pcm[opened])
    assert not np.any(got[int(1.6 * RATE) : 2 * RATE])
    assert np.any(got[RATE : int(1.1 * RATE)]), "it holds a moment"
    loud = slice(int(2.1 * RATE), 3 * RATE)
    assert np.array_equal(got[loud], pcm[loud])


def test_automatic_gain(stage: Stage) -> None:
    """A soft voice becomes louder, a loud one softer."""
    pcm = said(stage.folder / "bob.wav", (6, 0.02), (2, 0.5))
    bob, anna = call(stage, "--agc")
    wait_until(lambda: recorded_bytes(stage.folder / "heard.wav") >= 2 * len(pcm), "all has come")
    assert anna.leave() == 0
    assert bob.leave() == 0
    got = heard(stage.folder / "heard.wav").astype(float)

    def level(samples: npt.NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean(samples**2)) / 32768)

    soft, loud = level(got[5 * RATE : 6 * RATE]), level(got[7 * RATE : 8 * RATE])
    assert soft > 0.04
    assert loud < 0.4
    assert loud / soft < 4


@pytest.mark.parametrize("how", ["muted", "push to talk"])
def test_nothing_is_sent_until_one_speaks_and_the_end_is_faded(stage: Stage, how: str) -> None:
    pcm = said(stage.folder / "bob.wav", (2, 0.2)).tobytes()
    option, speak, stop = {
        "muted": ("--muted", "/unmute", "/mute"),
        "push to talk": ("--push_to_talk", "/push", "/release"),
    }[how]
    bob, anna = call(stage, option, "--loop", stdin=subprocess.PIPE)
    path = stage.folder / "heard.wav"
    # Half a second of a source that nobody is to hear, then half a second that they are.
    wait_until(lambda: recorded_bytes(path) > RATE, "silence comes")
    say(bob, speak)
    wait_until(lambda: bob.stats[-1]["streams"][-1]["sent"] > 150, "it is heard")
    say(bob, stop)
    silent = recorded_bytes(path)
    wait_until(lambda: recorded_bytes(path) > silent + 2 * RATE, "silence comes again")
    bob_sent = bob.stats[-1]["streams"][-1]["sent"]
    assert anna.leave() == 0
    assert bob.leave() == 0
    got = heard(path)
    (sounding,) = np.nonzero(got)
    first, last = sounding[0], sounding[-1]
    assert first > RATE / 2 - BLOCK
    # Exactly a piece of what was said, but for the fades at both its ends.
    whole = got[first + BLOCK : last - MOST_FADE].tobytes()
    assert len(whole) > RATE / 2
    assert whole in pcm + pcm + pcm
    assert not np.any(got[last + 1 :])
    assert len(got) - last > RATE / 2
    assert anna.stats[-1]["streams"][0]["concealed"] == 0
    # Silence is said once a second, not block by block.
    assert bob_sent < (last - first) / BLOCK + 30
