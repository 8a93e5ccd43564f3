from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from echowarp.device.continuity import Continuity
from echowarp.device.seams import Capture
from echowarp.media.format import Format

MS = 1_000_000
FORMATS = (
    Format.for_blocks(rate=48000, channels=2, block_ms=5),
    Format.for_blocks(rate=44100, channels=1, block_ms=2.5),
)


class Card:
    """A device whose first block begins at `begins_ns`; each comes up to `late_ns` late."""

    def __init__(self, fmt: Format, begins_ns: int, late_ns: int = 0) -> None:
        self.fmt = fmt
        self.begins_ns = begins_ns
        self.late_ns = late_ns
        self.frames = 0
        self.random = Random(7)

    def blocks(self, count: int) -> Iterator[Capture]:
        for _ in range(count):
            late_ns = self.random.randrange(self.late_ns + 1)
            captured_ns = self.begins_ns + self.fmt.frames_to_ns(self.frames) + late_ns
            self.frames += self.fmt.block_frames
            yield Capture(b"\1" * self.fmt.block_bytes, captured_ns, 0)


class Stream:
    """What was delivered, and how far its time is from the clock."""

    def __init__(self, fmt: Format) -> None:
        self.fmt = fmt
        self.kept = Continuity(fmt)
        self.got: list[Capture] = []

    def hear(self, card: Card, count: int) -> None:
        self.got += filter(None, map(self.kept.captured, card.blocks(count)))

    def wait(self, now_ns: int, until_ns: int) -> int:
        """Silence for so long; returns when the next is due."""
        while (due_ns := self.kept.silence_due_ns(now_ns)) <= until_ns:
            now_ns = max(now_ns, due_ns)
            self.got.append(self.kept.silence(now_ns))
        return due_ns

    def worst_ns(self, begins_ns: int) -> int:
        """The most by which a block's time differs from its place in the stream."""
        frames, worst = 0, 0
        for capture in self.got:
            frames += capture.lost_frames
            place_ns = begins_ns + self.fmt.frames_to_ns(frames)
            worst = max(worst, abs(capture.captured_ns - place_ns))
            frames += len(capture.pcm) // self.fmt.frame_bytes
        return worst


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("away_ms", [0, 4, 100, 1100, 10_000])
@pytest.mark.parametrize("noticed_ms", [6, 130, 2100])
def test_no_time_is_lost_or_twice(fmt: Format, away_ms: int, noticed_ms: int) -> None:
    stream, ended_ns = Stream(fmt), 10**12 + 100 * fmt.block_ns
    stream.hear(Card(fmt, 10**12), 100)
    for _ in range(3):
        stream.kept.fall_silent()
        assert stream.kept.is_silent
        noticed_ns = ended_ns + noticed_ms * MS
        back_ns = noticed_ns + away_ms * MS + 77_777
        stream.wait(noticed_ns, back_ns + 20 * fmt.block_ns)
        stream.hear(Card(fmt, back_ns), 60)
        assert not stream.kept.is_silent
        ended_ns = back_ns + fmt.frames_to_ns(60 * fmt.block_frames)
    assert stream.worst_ns(10**12) < 0.2 * MS


def test_blocks_that_come_late_do_not_shift_the_stream() -> None:
    fmt, stream = FORMATS[0], Stream(FORMATS[0])
    stream.hear(Card(fmt, 0, late_ns=15 * MS), 200)
    stream.kept.fall_silent()
    due_ns = stream.wait(200 * fmt.block_ns + 100 * MS, 10**9 * 3)
    stream.hear(Card(fmt, due_ns - 100 * MS, late_ns=15 * MS), 100)
    silence = [capture for capture in stream.got if not any(capture.pcm)]
    sound = stream.got[200 + len(silence) :]
    frames = sum(len(c.pcm) // 4 + c.lost_frames for c in stream.got[: 200 + len(silence)])
    assert abs(silence[-1].captured_ns + fmt.block_ns - fmt.frames_to_ns(frames)) < 2 * MS
    place_ns = fmt.frames_to_ns(frames + sound[0].lost_frames)
    assert -2 * MS < sound[0].captured_ns - place_ns < 17 * MS
    assert sum(c.lost_frames for c in sound[1:]) == 0


def test_sound_from_before_the_end_of_the_silence_is_left_out() -> None:
    fmt, stream = FORMATS[0], Stream(FORMATS[0])
    stream.hear(Card(fmt, 0), 10)
    stream.kept.fall_silent()
    due_ns = stream.wait(10 * fmt.block_ns, 10**9)
    # Its blocks are three blocks old when they come.
    stream.hear(Card(fmt, due_ns - 23 * fmt.block_ns), 40)
    assert stream.worst_ns(0) < 0.1 * MS
    assert [c.lost_frames for c in stream.got[-3:]] == [0, 0, 0]
    assert stream.got[-1].pcm[0] == 1


def test_a_burst_of_silence_is_left_out() -> None:
    """The machine slept, or was busy."""
    fmt, stream = FORMATS[0], Stream(FORMATS[0])
    stream.hear(Card(fmt, 0), 10)
    stream.kept.fall_silent()
    stream.wait(10 * fmt.block_ns, 10**9)
    before = len(stream.got)
    stream.wait(5 * 10**9, 5 * 10**9)
    assert len(stream.got) == before + 1
    assert stream.got[-1].lost_frames == pytest.approx(4 * 48000, abs=480)
    assert stream.worst_ns(0) < 0.1 * MS


def test_a_device_that_never_gave_a_block() -> None:
    fmt, stream = FORMATS[0], Stream(FORMATS[0])
    stream.kept.fall_silent()
    stream.wait(10**9, 2 * 10**9)
    assert len(stream.got) == 201
    assert stream.got[0].captured_ns == 10**9 - fmt.block_ns
    assert {capture.lost_frames for capture in stream.got} == {0}
