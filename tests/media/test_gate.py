from __future__ import annotations

from echowarp.media.format import Format
from echowarp.media.gate import HOLD_NS, NoiseGate
from echowarp.media.pcm import level_db
from tests.media.test_agc import tone

FMT = Format(rate=48000, channels=2, block_frames=240)
BLOCK_NS = 5_000_000


def test_noise_is_silenced_and_speech_is_bit_exact() -> None:
    gate = NoiseGate(FMT)
    noise, speech = tone(-55, 1)[0], tone(-25, 1)[0]
    for _ in range(10):
        assert gate.process(noise) == bytes(960)
    assert not gate.is_open
    first = gate.process(speech)
    assert len(first) == 960
    assert first[:4] == bytes(4) and first[-40:] != bytes(40), "it fades in over one block"
    for _ in range(10):
        assert gate.process(speech) is speech


def test_it_holds_and_then_fades_out() -> None:
    gate = NoiseGate(FMT)
    noise, speech = tone(-55, 1)[0], tone(-25, 1)[0]
    for _ in range(3):
        gate.process(speech)
    passed = 0
    while gate.process(noise) is noise:
        passed += 1
    assert passed == HOLD_NS // BLOCK_NS - 1
    assert gate.process(noise) == bytes(960)


def test_it_does_not_flutter() -> None:
    gate = NoiseGate(FMT)
    between = tone(-48, 1)[0]
    for _ in range(200):
        assert gate.process(between) == bytes(960)
    gate.process(tone(-40, 1)[0])
    gate.process(between)
    for _ in range(200):
        assert gate.process(between) is between


def test_off_it_is_open() -> None:
    gate = NoiseGate(FMT, on=False)
    noise = tone(-70, 1)[0]
    assert gate.is_open
    assert gate.process(noise) is noise
    gate.on = True
    for _ in range(2):
        gate.process(noise)
    assert gate.process(noise) == bytes(960)
    gate.on = False
    gate.process(noise)
    assert gate.process(noise) is noise
    assert level_db(noise) < -50


def test_short_blocks_and_none() -> None:
    gate = NoiseGate(FMT)
    speech = tone(-25, 1)[0]
    for at in range(0, 960, 40):
        assert len(gate.process(speech[at : at + 40])) == 40
    assert gate.process(b"") == b""
