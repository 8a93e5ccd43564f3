from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from echowarp.device import stream as stream_module
from echowarp.device.card import CardSink, CardSource
from echowarp.device.catalogue import DeviceInfo
from echowarp.device.seams import Capture
from echowarp.errors import DeviceError
from echowarp.media.format import Format
from tests.device.fake_portaudio import BAD_CHANNELS, BUSY, FakePyAudio, FakeStream

FORMAT = Format.for_blocks(rate=48000, channels=2, block_ms=5)
BLOCK = bytes(range(240)) * 4
MS = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 10**12

    def monotonic_ns(self) -> int:
        return self.ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that callbacks see; the watchdog keeps the real one."""
    clock = Clock()
    monkeypatch.setattr("echowarp.device.card.time", clock)
    monkeypatch.setattr(stream_module, "_LOOK_S", 0.01)
    return clock


class Told:
    """What an owner is told, once."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []
        self.event = threading.Event()

    def __call__(self, error: BaseException | None) -> None:
        self.errors.append(error)
        self.event.set()

    def only_error(self) -> BaseException | None:
        assert self.event.wait(5)
        time.sleep(0.05)
        assert len(self.errors) == 1
        return self.errors[0]


def info(host_api: str = "ALSA", is_loopback: bool = False) -> DeviceInfo:
    return DeviceInfo(
        index=0,
        name="Card",
        host_api=host_api,
        inputs=2,
        outputs=2,
        default_rate=48000,
        is_default_input=True,
        is_default_output=True,
        is_loopback=is_loopback,
    )


def make_source(pa: FakePyAudio, device: DeviceInfo | None = None) -> CardSource:
    return CardSource(pa, device or info(), rate=None, channels=None, block_ms=5)


class Caller:
    """PortAudio's thread, by hand: calls evenly under the fake clock."""

    def __init__(self, stream: FakeStream, clock: Clock) -> None:
        self.stream = stream
        self.clock = clock
        self.times = {"current_time": 0.0, "input_buffer_adc_time": 0.0}

    def call(self, count: int = 1, status: int = 0) -> list[tuple[Any, int]]:
        answers = []
        for _ in range(count):
            self.clock.ns += 5 * MS
            answers.append(self.stream.callback(BLOCK, 240, self.times, status))
        return answers


def test_capture(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    captures: list[Capture] = []
    ended = Told()
    source.start(captures.append, ended)
    caller = Caller(pa.streams[0], clock)
    assert set(caller.call(100)) == {(None, 0)}
    assert 75 <= len(captures) < 100
    assert captures[-1] == Capture(BLOCK, clock.ns - 5 * MS, 0)
    source.stop()
    source.stop()
    before = len(captures)
    caller.call(3)
    assert len(captures) == before
    assert pa.streams[0].closed
    assert pa.terminated == 1
    assert ended.errors == []


@pytest.mark.parametrize(
    ("said_s", "age_ms"), [(0.012, 12), (0.005, 5), (0.001, 5), (0.3, 5), (-1.0, 5), (1.8e9, 5)]
)
def test_the_age_of_a_block_is_believed_where_it_makes_sense(
    clock: Clock, said_s: float, age_ms: int
) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    captures: list[Capture] = []
    source.start(captures.append, Told())
    caller = Caller(pa.streams[0], clock)
    caller.times = {"current_time": said_s, "input_buffer_adc_time": 0.0}
    caller.call(50)
    assert captures[-1].captured_ns == clock.ns - age_ms * MS
    source.stop()


def test_an_overflow_is_counted(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    captures: list[Capture] = []
    source.start(captures.append, Told())
    caller = Caller(pa.streams[0], clock)
    caller.call(50)
    clock.ns += 100 * MS
    caller.call(1, status=2)
    caller.call(50)
    assert sum(capture.lost_frames for capture in captures) in range(4800, 4800 + 480)
    source.stop()


def test_an_error_in_the_callback_reaches_the_owner(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    failure = RuntimeError("queue broken")

    def deliver(capture: Capture) -> None:
        raise failure

    ended = Told()
    source.start(deliver, ended)
    assert Caller(pa.streams[0], clock).call(50)[-1] == (None, 2)
    assert ended.only_error() is failure
    source.stop()


def test_a_stream_that_ends_by_itself(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    ended = Told()
    source.start(lambda capture: None, ended)
    pa.streams[0].active = False
    error = ended.only_error()
    assert isinstance(error, DeviceError)
    assert "'Card' (ALSA) has gone" in str(error)
    source.stop()


def test_the_owner_may_stop_from_within_the_news(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    source = make_source(pa)
    stopped = threading.Event()

    def ended(error: BaseException | None) -> None:
        source.stop()
        stopped.set()

    source.start(lambda capture: None, ended)
    pa.streams[0].active = False
    assert stopped.wait(5)
    assert pa.terminated == 1


@pytest.mark.parametrize(("host_api", "dies"), [("ALSA", True), ("Windows WASAPI", False)])
def test_silence_is_death_but_where_nothing_plays(
    monkeypatch: pytest.MonkeyPatch, host_api: str, dies: bool
) -> None:
    monkeypatch.setattr(stream_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(stream_module, "_FIRST_CALL_NS", 100 * MS)
    ended = Told()
    source = make_source(FakePyAudio([], []), info(host_api, is_loopback=True))
    source.start(lambda capture: None, ended)
    assert ended.event.wait(0.5) is dies
    if dies:
        assert "has stopped" in str(ended.only_error())
    source.stop()


def make_sink(pa: FakePyAudio) -> CardSink:
    return CardSink(pa, info(), FORMAT)


def test_playback(clock: Clock) -> None:
    pa = FakePyAudio([], [])
    sink = make_sink(pa)
    pulled: list[int] = []

    def pull(frames: int) -> bytes:
        pulled.append(frames)
        return BLOCK

    failed = Told()
    sink.start(pull, failed)
    caller = Caller(pa.streams[0], clock)
    answers = caller.call(60)
    assert 35 <= len(pulled) < 60
    assert set(pulled) == {240}
    assert answers[0] == (bytes(960), 0)  # not before the device calls evenly
    assert answers[-1] == (BLOCK, 0)
    sink.stop()
    sink.stop()
    assert caller.call() == [(bytes(960), 0)]
    assert pa.terminated == 1
    assert failed.errors == []


def answering(rate: int, channels: int) -> FakePyAudio:
    """A card that takes but this."""
    taken = (rate, channels)
    return FakePyAudio(
        [], [], lambda index, is_input, *asked: None if asked == taken else BAD_CHANNELS
    )


def test_playback_in_another_format(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The card gets all its frames, the stream gives no more than it should."""
    pa = answering(44100, 1)
    with caplog.at_level(logging.INFO):
        sink = CardSink(pa, replace(info(), default_rate=44100), FORMAT)
    assert caplog.messages == [
        "device 0 'Card' (ALSA) does not take 48000 Hz, stereo: converted to 44100 Hz, 1 channels"
    ]
    pulled: list[int] = []

    def pull(frames: int) -> bytes:
        pulled.append(frames)
        return struct.pack("<2h", 1000, 3000) * frames

    sink.start(pull, Told())
    frames = pa.streams[0].options["frames_per_buffer"]
    assert frames == 220
    answers = []
    for _ in range(420):
        clock.ns += frames * 10**9 // 44100
        answers.append(pa.streams[0].callback(None, frames, {}, 0))
    played = b"".join(pcm for pcm, _ in answers[-len(pulled) :])
    assert {code for _, code in answers} == {0}
    assert len(played) == 2 * frames * len(pulled)
    assert abs(sum(pulled) - len(played) / 2 * 48000 / 44100) < 20
    assert set(pulled[1:]) == {239, 240}
    assert set(struct.unpack(f"<{len(played) // 2}h", played)[40:]) == {2000}
    delay_ns = sink.delay_ns()
    assert delay_ns is not None
    assert 10 * MS < delay_ns < 10.5 * MS
    sink.stop()


def test_playback_through_another_host_api(caplog: pytest.LogCaptureFixture) -> None:
    other = replace(info("MME"), index=7)
    pa = FakePyAudio([], [], lambda index, *_: None if index == 7 else BAD_CHANNELS)
    with caplog.at_level(logging.INFO):
        sink = CardSink(pa, info("Windows WASAPI"), FORMAT, [other])
    assert caplog.messages == [
        "device 0 'Card' (Windows WASAPI) does not take 48000 Hz, stereo:"
        " played through 7 'Card' (MME)"
    ]
    sink.stop()


def test_playback_where_nothing_fits() -> None:
    pa = answering(96000, 2)
    with pytest.raises(DeviceError, match="does not take 48000 Hz, stereo; it takes 96000 Hz"):
        make_sink(pa)
    assert pa.terminated == 1


def bad_pulls() -> list[Callable[[int], bytes]]:
    def fails(frames: int) -> bytes:
        raise RuntimeError("nothing to play")

    return [fails, lambda frames: b"short"]


@pytest.mark.parametrize("pull", bad_pulls())
@pytest.mark.parametrize("channels", [2, 1])
def test_a_pull_that_fails_reaches_the_owner(
    clock: Clock, pull: Callable[[int], bytes], channels: int
) -> None:
    pa = answering(48000, channels)
    sink = make_sink(pa)
    failed = Told()
    sink.start(pull, failed)
    assert Caller(pa.streams[0], clock).call(50)[-1] == (bytes(480 * channels), 2)
    assert failed.only_error() is not None
    sink.stop()


@pytest.mark.parametrize(
    ("latency_s", "delay_ns"), [(0.01, 10 * MS), (0.0, None), (-1.0, None), (3.0, None)]
)
def test_the_delay_is_believed_where_it_makes_sense(
    monkeypatch: pytest.MonkeyPatch, latency_s: float, delay_ns: int | None
) -> None:
    monkeypatch.setattr(FakeStream, "get_output_latency", lambda self: latency_s)
    sink = make_sink(FakePyAudio([], []))
    assert sink.delay_ns() == delay_ns
    sink.stop()


def test_what_cannot_be_opened_or_started_is_let_go() -> None:
    pa = FakePyAudio([], [], lambda *_: BUSY)
    with pytest.raises(DeviceError):
        make_source(pa)
    with pytest.raises(DeviceError):
        make_sink(pa)
    assert pa.terminated == 2
    pa = FakePyAudio([], [])
    pa.start_error = OSError(-9999, "Unanticipated host error")
    sink = make_sink(pa)
    with pytest.raises(DeviceError, match="cannot start"):
        sink.start(lambda frames: b"", Told())
    sink.stop()
    assert pa.terminated == 1


def test_a_close_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(FakeStream, "close", lambda self: release.wait(10))
    pa = FakePyAudio([], [])
    source = make_source(pa)
    before = time.monotonic()
    source.stop()
    assert time.monotonic() - before < 1.5
    assert pa.terminated == 0
    release.set()
