from __future__ import annotations

import math
from array import array

import pytest

from echowarp.media.agc import AIM_DB, MAX_DB, AutomaticGain
from echowarp.media.format import Format
from echowarp.media.pcm import level_db

FMT = Format(rate=48000, channels=2, block_frames=240)


def tone(db: float, blocks: int) -> list[bytes]:
    """Blocks of a sine of that RMS level."""
    peak = 32768 * math.sqrt(2) * 10 ** (db / 20)
    wave = [round(peak * math.sin(math.tau * 1000 * n / 48000)) for n in range(240)]
    stereo = array("h", [value for value in wave for _ in range(2)])
    return [stereo.tobytes()] * blocks


@pytest.mark.parametrize("db", [-40.0, -30.0, -20.0, -12.0])
def test_speech_is_brought_to_one_level(db: float) -> None:
    gain = AutomaticGain(FMT)
    out = [gain.process(block) for block in tone(db, 2000)]
    assert level_db(out[-1]) == pytest.approx(AIM_DB, abs=0.5)
    assert {len(each) for each in out} == {960}


def test_it_rises_slowly_and_falls_soon() -> None:
    gain = AutomaticGain(FMT)
    for block in tone(-40, 200):
        gain.process(block)
    assert 2 < gain.gain_db < 4
    for block in tone(-40, 2000):
        gain.process(block)
    assert gain.gain_db == pytest.approx(20, abs=0.5)
    for block in tone(-10, 300):
        gain.process(block)
    assert gain.gain_db < -9


def test_noise_and_silence_change_nothing() -> None:
    gain = AutomaticGain(FMT)
    quiet = tone(-60, 1)[0]
    for _ in range(1000):
        assert gain.process(quiet) is quiet
        assert gain.process(bytes(960)) == bytes(960)
    assert gain.process(b"") == b""


def test_the_gain_has_a_bound() -> None:
    gain = AutomaticGain(FMT)
    for block in tone(-49, 4000):
        gain.process(block)
    assert gain.gain_db == MAX_DB


def test_a_shout_is_not_clipped_for_longer_than_a_block() -> None:
    gain = AutomaticGain(FMT)
    for block in tone(-40, 2000):
        gain.process(block)
    shout = [gain.process(block) for block in tone(-6, 3)]
    for block in shout[1:]:
        samples = array("h", block)
        assert max(samples) < 32767 and min(samples) > -32767


@pytest.mark.parametrize("frames", [240, 100, 7])
def test_off_it_returns_to_one_and_is_bit_exact(frames: int) -> None:
    gain = AutomaticGain(FMT)
    for block in tone(-30, 1000):
        gain.process(block)
    gain.on = False
    block = tone(-30, 1)[0][: frames * 4]
    for _ in range(50):
        gain.process(block)
    assert gain.process(block) is block
    never = AutomaticGain(FMT, on=False)
    loud = tone(-3.1, 1)[0]
    assert all(never.process(loud) is loud for _ in range(10))
