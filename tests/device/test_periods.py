from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from echowarp.device.negotiate import open_input
from echowarp.device.periods import period_frames, whole_periods
from echowarp.media.format import Format
from tests.device.fake_portaudio import BAD_RATE, FakePyAudio, FakeStream
from tests.device.test_negotiate import info, no_callback

JACK = replace(info(rate=48000, inputs=2), host_api="JACK Audio Connection Kit")


class CallingPyAudio(FakePyAudio):
    """Calls back once with its own period whoever leaves the length of a block to it."""

    period: int | None = 256

    def open(self, **options: Any) -> FakeStream:
        stream = super().open(**options)
        if not options["frames_per_buffer"] and self.period is not None:
            options["stream_callback"](b"", self.period, {}, 0)
        return stream


def test_jack_is_asked_for_its_period() -> None:
    pa = CallingPyAudio([], [])
    assert period_frames(pa, JACK) == 256
    assert pa.streams[0].closed
    assert pa.streams[0].options["channels"] == 2


def test_other_devices_are_not_asked() -> None:
    pa = CallingPyAudio([], [])
    assert period_frames(pa, info()) is None
    assert not pa.streams


def test_a_device_that_does_not_open_or_call_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert period_frames(CallingPyAudio([], [], lambda *_: BAD_RATE), JACK) is None
    monkeypatch.setattr("echowarp.device.periods._FIRST_CALL_S", 0.0)
    silent = CallingPyAudio([], [])
    silent.period = None
    assert period_frames(silent, JACK) is None
    assert silent.streams[0].closed


@pytest.mark.parametrize(
    ("block_ms", "period", "frames"),
    [
        (5, 256, 256),
        (5, 128, 256),
        (5, 64, 256),
        (5, 240, 240),
        (5, 480, 240),  # a block of 10 ms does not fit
        (5, 1024, 240),
        (2.5, 128, 128),
        (2.5, 256, 120),  # twice of what was asked for
        (6, 256, 256),
    ],
)
def test_blocks_are_whole_periods_that_are_near(block_ms: float, period: int, frames: int) -> None:
    asked = Format.for_blocks(rate=48_000, channels=2, block_ms=block_ms)
    assert whole_periods(asked, period).block_frames == frames


def test_capture_from_jack_has_blocks_of_its_periods() -> None:
    pa = CallingPyAudio([], [])
    stream, fmt = open_input(pa, JACK, no_callback, rate=None, channels=None, block_ms=5)
    assert fmt == Format(rate=48_000, channels=2, block_frames=256)
    assert stream.options["frames_per_buffer"] == 256
