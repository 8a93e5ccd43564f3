from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from echowarp.device.catalogue import DeviceInfo
from echowarp.device.negotiate import Shape, open_input, open_output
from echowarp.errors import DeviceError
from echowarp.media.format import Format
from tests.device.fake_portaudio import BAD_CHANNELS, BAD_RATE, BUSY, FakePyAudio

Takes = Callable[[int, bool, int, int], "Exception | None"]


def info(inputs: int = 32, rate: int = 44100, pulse_source: str | None = None) -> DeviceInfo:
    return DeviceInfo(
        index=3,
        name="Card",
        host_api="ALSA",
        inputs=inputs,
        outputs=inputs,
        default_rate=rate,
        is_default_input=True,
        is_default_output=True,
        is_loopback=False,
        pulse_source=pulse_source,
    )


def only(*formats: tuple[int, int]) -> Takes:
    def takes(index: int, is_input: bool, rate: int, channels: int) -> Exception | None:
        if (rate, channels) in formats:
            return None
        return BAD_RATE if rate not in [each for each, _ in formats] else BAD_CHANNELS

    return takes


def no_callback(data: bytes | None, frames: int, times: Any, status: int) -> tuple[None, int]:
    return None, 0


def capture(
    pa: FakePyAudio, device: DeviceInfo, rate: int | None = None, channels: int | None = None
) -> Format:
    _, found = open_input(pa, device, no_callback, rate=rate, channels=channels, block_ms=5)
    return found


@pytest.mark.parametrize(
    ("taken", "tried"),
    [
        ((48000, 2), [(48000, 2)]),
        ((48000, 1), [(48000, 2), (48000, 1)]),
        ((44100, 2), [(48000, 2), (48000, 1), (44100, 2)]),
        ((44100, 1), [(48000, 2), (48000, 1), (44100, 2), (44100, 1)]),
    ],
)
def test_stereo_at_48_then_fewer_channels_then_another_rate(
    taken: tuple[int, int], tried: list[tuple[int, int]]
) -> None:
    pa = FakePyAudio([], [], only(taken))
    found = capture(pa, info())
    assert (found.rate, found.channels) == taken
    assert found.block_frames == taken[0] // 200
    assert pa.tried == tried
    options = pa.streams[0].options
    assert options["frames_per_buffer"] == found.block_frames
    assert options["format"] == 8
    assert options["start"] is False
    assert options["input_device_index"] == 3


def test_what_the_user_insists_on_is_not_replaced() -> None:
    pa = FakePyAudio([], [], only((44100, 2), (44100, 1)))
    assert capture(pa, info(), rate=44100).rate == 44100
    assert capture(pa, info(), channels=1).channels == 1
    for rate, channels, words in (
        (96000, None, "96000 Hz, stereo"),
        (44100, 3, "44100 Hz, 3 channels"),
    ):
        with pytest.raises(DeviceError) as caught:
            capture(pa, info(), rate=rate, channels=channels)
        assert str(caught.value) == (
            f"device 3 'Card' (ALSA) does not take {words}; it takes 44100 Hz, 2 channels:"
            " ask for that with --sample_rate 44100 --channels 2"
        )


def test_a_device_with_many_channels_only() -> None:
    pa = FakePyAudio([], [], only((48000, 8), (96000, 8)))
    with pytest.raises(DeviceError, match="takes 48000 Hz, 8 channels; 96000 Hz, 8 channels"):
        capture(pa, info(inputs=8, rate=48000))


def test_a_busy_device_is_not_asked_again() -> None:
    pa = FakePyAudio([], [], lambda *_: BUSY)
    with pytest.raises(DeviceError, match="busy"):
        capture(pa, info())
    assert len(pa.tried) == 1
    with pytest.raises(DeviceError, match="busy"):
        play(pa, info(), info())
    assert len(pa.tried) == 2


def test_a_device_that_takes_nothing() -> None:
    pa = FakePyAudio([], [], lambda *_: OSError(-9999, "Unanticipated host error"))
    with pytest.raises(DeviceError, match=r"does not open \(Unanticipated host error\)"):
        capture(pa, info())


def test_a_default_rate_that_no_stream_can_have() -> None:
    pa = FakePyAudio([], [], only((384000, 2)))
    with pytest.raises(DeviceError):
        capture(pa, info(rate=384000))
    assert pa.tried == [(48000, 2), (48000, 1)]


STREAM = Format.for_blocks(rate=48000, channels=2, block_ms=5)


def play(pa: FakePyAudio, device: DeviceInfo, *others: DeviceInfo) -> tuple[int, Shape]:
    _, used, shape = open_output(pa, [device, *others], STREAM, no_callback)
    assert pa.streams[-1].options["output_device_index"] == used.index
    assert pa.streams[-1].options["frames_per_buffer"] == shape.block_frames
    return used.index, shape


@pytest.mark.parametrize(
    ("taken", "outputs", "tried"),
    [
        ((48000, 2), 32, [(48000, 2)]),
        ((48000, 1), 1, [(48000, 2), (48000, 1)]),
        ((48000, 8), 32, [(48000, 2), (48000, 8)]),
        ((44100, 2), 2, [(48000, 2), (48000, 1), (44100, 2)]),
        ((44100, 1), 1, [(48000, 2), (48000, 1), (44100, 1)]),
    ],
)
def test_playback_is_in_the_stream_s_format_or_the_nearest(
    taken: tuple[int, int], outputs: int, tried: list[tuple[int, int]]
) -> None:
    pa = FakePyAudio([], [], only(taken))
    assert play(pa, info(outputs)) == (3, Shape(*taken, taken[0] // 200))
    assert pa.tried == tried


def test_another_host_api_comes_before_a_conversion() -> None:
    """Behind it the system converts, which costs us nothing."""

    def takes(index: int, is_input: bool, rate: int, channels: int) -> Exception | None:
        return None if (index, rate) in ((3, 44100), (5, 48000)) else BAD_RATE

    others = [replace(info(), index=index, host_api=f"API {index}") for index in (4, 5)]
    pa = FakePyAudio([], [], takes)
    assert play(pa, info(), *others) == (5, Shape(48000, 2, 240))
    assert pa.tried == [(48000, 2)] * 3
    assert play(pa, info(), *others[:1]) == (3, Shape(44100, 2, 220))


def test_playback_where_nothing_fits() -> None:
    pa = FakePyAudio([], [], only((96000, 2), (32000, 1)))
    with pytest.raises(DeviceError) as caught:
        play(pa, info())
    assert str(caught.value) == (
        "device 3 'Card' (ALSA) does not take 48000 Hz, stereo; it takes"
        " 96000 Hz, 2 channels; 32000 Hz, 1 channels: choose another with --device, or start"
        " the server with --sample_rate 96000 --channels 2"
    )


def test_playback_at_a_default_rate_that_no_stream_can_have() -> None:
    pa = FakePyAudio([], [], only((384000, 2)))
    with pytest.raises(DeviceError):
        play(pa, info(rate=384000))
    assert {rate for rate, _ in pa.tried} == {48000}


def test_the_source_of_the_sound_server_is_named_only_while_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pa = FakePyAudio([], [])
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    capture(pa, info(pulse_source="a.monitor"))
    assert "PULSE_SOURCE" not in os.environ
    monkeypatch.setenv("PULSE_SOURCE", "mine")
    capture(pa, info(pulse_source="b.monitor"))
    capture(pa, info())
    assert os.environ["PULSE_SOURCE"] == "mine"
    assert pa.pulse_sources == ["a.monitor", "b.monitor", "mine"]
