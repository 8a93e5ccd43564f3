from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from echowarp.device import returning
from echowarp.device.opening import SinkOpener, SourceOpener
from echowarp.device.returning import Presence
from echowarp.device.seams import Capture, Reason, Watch
from echowarp.device.standing import StandingSink, StandingSource
from echowarp.errors import DeviceError
from echowarp.media.format import Format
from tests.processes import wait_until

FORMAT = Format.for_blocks(rate=48000, channels=2, block_ms=5)
SOUND = b"\1" * FORMAT.block_bytes
GONE = DeviceError("device 0 'Card' (ALSA) has gone: unplugged, or its server ended")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    monkeypatch.setattr(returning, "_RETRY_S", 0.02)
    monkeypatch.setattr(returning, "_LOOK_S", 0.02)
    caplog.set_level(logging.INFO)
    before = threading.active_count()
    yield
    wait_until(lambda: threading.active_count() <= before, "all threads have ended")


class Card:
    """A sound card, played by the test."""

    format = FORMAT

    def __init__(self, start_error: DeviceError | None = None) -> None:
        self.started = threading.Event()
        self.stopped = False
        self.start_error = start_error

    def start(self, give: Callable[..., Any], failed: Callable[[BaseException], None]) -> None:
        if self.start_error is not None:
            raise self.start_error
        self.give, self.fail = give, failed
        self.started.set()

    def stop(self) -> None:
        self.stopped = True

    def delay_ns(self) -> int:
        return 7

    def captures(self, count: int) -> None:
        for _ in range(count):
            time.sleep(0.005)
            self.give(Capture(SOUND, time.monotonic_ns() - FORMAT.block_ns, 0))


class Opening:
    """The device can be opened unless there is an error."""

    def __init__(self) -> None:
        self.cards: list[Card] = []
        self.error: DeviceError | None = None
        self.start_error: DeviceError | None = None
        self.attempts = 0
        self.had: str | None = None

    def open(self, fmt: Format = FORMAT) -> Card:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.had = "0 'Card' (ALSA)"
        self.cards.append(Card(self.start_error))
        return self.cards[-1]

    def next(self, number: int) -> Card:
        """The card of that opening, started."""
        wait_until(lambda: len(self.cards) > number, "opened again")
        assert self.cards[number].started.wait(20)
        return self.cards[number]


class Owner:
    """Who has a source or a sink."""

    def __init__(self) -> None:
        self.presence = Presence()
        self.got: list[Capture] = []
        self.pulls: list[tuple[int, str]] = []
        self.errors: list[BaseException | None] = []

    def source(
        self, opener: Opening, make_watch: Callable[[], Watch | None] = lambda: None
    ) -> StandingSource:
        source = StandingSource(
            cast(SourceOpener, opener), presence=self.presence, make_watch=make_watch
        )
        source.start(self.got.append, self.errors.append)
        return source

    def sink(self, opener: Opening) -> StandingSink:
        sink = StandingSink(cast(SinkOpener, opener), FORMAT, presence=self.presence)
        sink.start(self.pull, self.errors.append)
        return sink

    def pull(self, frames: int) -> bytes:
        self.pulls.append((time.monotonic_ns(), threading.current_thread().name))
        return b"\2" * frames * FORMAT.frame_bytes


def away(owner: Owner) -> None:
    wait_until(lambda: owner.presence.is_away, "the device is away")


def back(owner: Owner) -> None:
    wait_until(lambda: not owner.presence.is_away, "the device is back")


def test_a_source_goes_on_with_silence_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    owner, opener = Owner(), Opening()
    source = owner.source(opener)
    first = opener.cards[0]
    first.captures(20)
    assert [capture.pcm for capture in owner.got] == [SOUND] * 20
    opener.error = DeviceError("busy")
    first.fail(GONE)
    away(owner)
    wait_until(lambda: len(owner.got) > 60, "silence")
    assert first.stopped
    first.captures(1)  # too late
    assert SOUND not in [capture.pcm for capture in owner.got[20:]]
    wait_until(lambda: opener.attempts > 4, "several attempts")
    assert caplog.messages == [f"{GONE}; waiting for it"]
    opener.error = None
    second = opener.next(1)
    assert owner.presence.is_away
    second.captures(40)
    back(owner)
    second.captures(5)
    source.stop()
    source.stop()
    assert second.stopped
    assert [capture.pcm for capture in owner.got[-5:]] == [SOUND] * 5
    assert caplog.messages[1:] == ["device 0 'Card' (ALSA) is back"]
    assert owner.errors == []
    first_ns, frames = owner.got[0].captured_ns, 0
    for capture in owner.got:
        frames += capture.lost_frames
        late_ns = capture.captured_ns - first_ns - FORMAT.frames_to_ns(frames)
        assert abs(late_ns) < 100_000_000, "a busy machine, at most"
        frames += FORMAT.block_frames


def test_a_source_may_go_again_at_once(caplog: pytest.LogCaptureFixture) -> None:
    owner, opener = Owner(), Opening()
    source = owner.source(opener)
    opener.cards[0].fail(GONE)
    second = opener.next(1)
    second.fail(GONE)  # before it gave anything
    third = opener.next(2)
    assert owner.presence.is_away
    third.captures(40)
    back(owner)
    third.fail(GONE)
    away(owner)
    opener.next(3).captures(40)
    back(owner)
    source.stop()
    gone, returned = f"{GONE}; waiting for it", "device 0 'Card' (ALSA) is back"
    assert caplog.messages == [gone, returned, gone, returned]


def test_a_card_that_opens_but_does_not_start_is_waited_for() -> None:
    owner, opener = Owner(), Opening()
    source = owner.source(opener)
    opener.start_error = DeviceError("cannot start")
    opener.cards[0].fail(GONE)
    wait_until(lambda: len(opener.cards) > 3, "several attempts")
    assert all(card.stopped for card in opener.cards[1:3])
    opener.start_error = None
    wait_until(lambda: opener.cards[-1].started.is_set(), "it starts")
    opener.cards[-1].captures(40)
    back(owner)
    source.stop()


def test_an_error_of_ours_is_told() -> None:
    owner, opener = Owner(), Opening()
    source = owner.source(opener)
    failure = RuntimeError("broken")
    opener.cards[0].fail(failure)
    assert owner.errors == [failure]
    source.stop()


def test_a_device_that_is_missing_at_start() -> None:
    opener = Opening()
    opener.error = DeviceError("no such device")
    with pytest.raises(DeviceError):
        Owner().source(opener)
    with pytest.raises(DeviceError):
        Owner().sink(opener)


def test_stop_while_away() -> None:
    owner, opener = Owner(), Opening()
    source = owner.source(opener)
    opener.error = DeviceError("gone")
    opener.cards[0].fail(GONE)
    away(owner)
    source.stop()
    assert not owner.presence.is_away
    before = len(owner.got)
    time.sleep(0.03)
    assert len(owner.got) == before


class OneMove:
    """A watch that tells of one move."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.opened_times = 0
        self.closed = False

    def opened(self) -> None:
        self.opened_times += 1

    def look(self) -> Reason | None:
        reason, self.reason = self.reason, None
        return reason

    def close(self) -> None:
        self.closed = True


def test_a_move(caplog: pytest.LogCaptureFixture) -> None:
    owner, opener, watch = Owner(), Opening(), OneMove()
    source = owner.source(opener, lambda: watch)
    opener.cards[0].captures(3)
    watch.reason = Reason("the default device is now B: following it", is_move=True)
    opener.next(1).captures(40)
    back(owner)
    assert opener.cards[0].stopped
    source.stop()
    assert watch.opened_times == 2
    assert watch.closed
    assert caplog.messages == [
        "the default device is now B: following it",
        "going on with device 0 'Card' (ALSA)",
    ]


def test_a_move_to_a_device_that_does_not_open(caplog: pytest.LogCaptureFixture) -> None:
    owner, opener, watch = Owner(), Opening(), OneMove()
    source = owner.source(opener, lambda: watch)
    opener.error = DeviceError("device B is busy")
    watch.reason = Reason("the default device is now B: following it", is_move=True)
    wait_until(lambda: opener.attempts > 3, "several attempts")
    opener.error = None
    opener.next(1).captures(40)
    back(owner)
    source.stop()
    assert caplog.messages[1:] == [
        "device B is busy; waiting for it",
        "device 0 'Card' (ALSA) is back",
    ]


def test_a_sink_goes_on_pulling_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    owner, opener = Owner(), Opening()
    sink = owner.sink(opener)
    first = opener.cards[0]
    assert first.give(240) == b"\2" * 960
    opener.error = DeviceError("busy")
    first.fail(GONE)
    away(owner)
    wait_until(lambda: len(owner.pulls) > 60, "pulls")
    assert first.give(240) == bytes(960)  # too late
    assert sink.delay_ns() is None
    paced = [at_ns for at_ns, _ in owner.pulls[1:]]
    assert len(paced) / ((paced[-1] - paced[0]) / FORMAT.block_ns + 1) == pytest.approx(1, abs=0.4)
    opener.error = None
    second = opener.next(1)
    assert owner.presence.is_away  # it has not asked for anything yet
    assert second.give(240) == b"\2" * 960
    back(owner)
    before = len(owner.pulls)
    time.sleep(0.03)
    assert len(owner.pulls) == before
    assert sink.delay_ns() == 7
    sink.stop()
    assert second.stopped
    assert caplog.messages == [f"{GONE}; waiting for it", "device 0 'Card' (ALSA) is back"]


def test_a_sink_that_was_there_once_is_waited_for() -> None:
    """The stream begins anew in another format while the device is away."""
    owner, opener = Owner(), Opening()
    owner.sink(opener).stop()
    opener.error = GONE
    sink = owner.sink(opener)
    away(owner)
    wait_until(lambda: len(owner.pulls) > 3, "pulls")
    opener.error = None
    opener.next(1).give(240)
    back(owner)
    sink.stop()


def test_a_pull_that_fails_while_away_is_told() -> None:
    owner, opener = Owner(), Opening()
    sink = owner.sink(opener)
    failure = RuntimeError("nothing to play")

    def fail(frames: int) -> bytes:
        raise failure

    sink._pull = fail
    opener.error = GONE
    opener.cards[0].fail(GONE)
    wait_until(lambda: owner.errors == [failure], "it is told")
    sink.stop()
