"""A sink with a clock, under a virtual one: formats that change, pauses, what is told."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.app.playback import Listener
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.media import resampler
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.target import AUTO
from echowarp.session.inbox import Block

FMT = Format(rate=48_000, channels=1, block_frames=240)
SLOW = Format(rate=8_000, channels=1, block_frames=40)
MS = 1_000_000


class Card:
    """A sound card that asks when it is told to."""

    pull: Callable[[int], bytes]

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull = pull

    def delay_ns(self) -> int:
        return 0

    def stop(self) -> None:
        pass


class Stage:
    """A playback whose card is pulled; told: what it says, by name."""

    def __init__(self, limit_s: float | None = None) -> None:
        self.now_ns = NS_PER_S
        self.told: list[str] = []
        self.opening: Callable[[], None] = lambda: None
        self._fmt = FMT
        self._card = Card()
        self._stream: object = None
        self._seq = self._time = 0
        self.playback = PulledPlayback(
            self._open,
            latency=AUTO,
            limit_s=limit_s,
            listener=Listener(
                completed=lambda: self.told.append("completed"),
                played_out=lambda: self.told.append("played out"),
                wanted=lambda requests: None,
                enough=lambda: self.told.append("enough"),
                failed=lambda error: self.told.append(str(error)),
            ),
            monotonic_ns=lambda: self.now_ns,
        )

    def _open(self, fmt: Format) -> Card:
        self.opening()
        return self._card

    def begin(self, fmt: Format) -> None:
        self._fmt, self._stream = fmt, object()
        self._seq = self._time = 0
        self.playback.begin(fmt, continued=False, stream=self._stream)

    def send(self) -> None:
        """The next block comes."""
        fmt, loud = self._fmt, b"\x10\x27" * self._fmt.block_frames
        self.playback.arrived(
            Block(self._stream, self._seq, self._time, loud, 0, False), self.now_ns
        )
        self._seq += 1
        self._time += fmt.block_frames

    def pull(self) -> bytes:
        """A block's time passes; the card asks."""
        self.now_ns += self._fmt.block_ns
        return self._card.pull(self._fmt.block_frames)

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * NS_PER_S) // self._fmt.block_ns):
            self.send()
            self.pull()

    @property
    def delay_ms(self) -> float | None:
        delay = self.playback.snapshot.delay
        return None if delay is None else delay.total_ns / MS


def test_the_duration_is_of_all_formats_together() -> None:
    stage = Stage(limit_s=10)
    stage.begin(FMT)
    stage.play(4)
    stage.begin(SLOW)
    stage.play(5.5)
    assert stage.told == []
    stage.play(1)
    assert "enough" in stage.told


def test_the_tables_are_made_before_the_card_asks() -> None:
    stage, made = Stage(), []
    resampler._phase_table.cache_clear()
    stage.opening = lambda: made.append(resampler._phase_table.cache_info().currsize)
    stage.begin(FMT)
    assert made == [1]


def test_what_waits_of_another_format_begins_nothing() -> None:
    stage = Stage()
    stage.begin(FMT)
    stage.play(1)
    received = stage.playback.snapshot.counters.received
    for _ in range(20):
        stage.send()
    stage.begin(SLOW)
    assert not any(b"".join(stage.pull() for _ in range(40)))
    stage.play(1)
    assert stage.playback.snapshot.counters.received == received + 200 - 200 % 8
    assert stage.told == []


def test_an_end_that_waits_ends_no_other_format() -> None:
    stage = Stage()
    stage.begin(FMT)
    stage.play(1)
    stage.playback.end(200)
    stage.begin(SLOW)
    stage.play(1)
    assert stage.told == []


def test_a_capture_time_that_comes_before_the_first_block_is_kept() -> None:
    stage = Stage()
    stage.begin(FMT)
    stage.playback.clock(ServerClock(srtt_ns=MS, rto_ns=10 * MS, offset_ns=0))
    stage.playback.capture(CaptureTime(time=0, captured_ns=stage.now_ns - 5 * MS))
    stage.pull()
    stage.play(0.2)
    assert stage.delay_ms is not None and 5 < stage.delay_ms < 60


def test_a_capture_time_of_another_stream_is_not() -> None:
    stage = Stage()
    stage.begin(FMT)
    stage.playback.clock(ServerClock(srtt_ns=MS, rto_ns=10 * MS, offset_ns=0))
    stage.playback.capture(CaptureTime(time=0, captured_ns=stage.now_ns))
    stage.pull()
    stage.begin(FMT)
    stage.play(0.2)
    assert stage.delay_ms is None


def test_while_the_source_is_silent_the_delay_is_unknown() -> None:
    stage = Stage()
    stage.begin(FMT)
    stage.playback.clock(ServerClock(srtt_ns=MS, rto_ns=10 * MS, offset_ns=0))
    stage.playback.capture(CaptureTime(time=0, captured_ns=stage.now_ns - 5 * MS))
    stage.play(1)
    assert stage.delay_ms is not None
    for _ in range(100):
        stage.pull()
    assert stage.delay_ms is None
