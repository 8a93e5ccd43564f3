from __future__ import annotations

import io
import logging
import math
import os
import random
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest

from echowarp.device.file_source import PacedSource, PipeSource, ToneSource, WavSource
from echowarp.device.seams import Capture
from echowarp.errors import ConfigError
from echowarp.media.format import Format
from echowarp.media.pcm import level_db
from tests.device.wavs import wav

FORMAT = Format.for_blocks(rate=8000, channels=2, block_ms=5)
BLOCK_NS = 5_000_000
PCM = random.Random(4).randbytes(4 * 1110)  # 27 blocks of 40 frames and 30 frames


class Listener:
    """Takes what a source delivers."""

    def __init__(self, source: PacedSource, enough: int | None = None) -> None:
        self.source = source
        self.enough = enough
        self.captures: list[Capture] = []
        self.ends: list[BaseException | None] = []
        self.over = threading.Event()

    def deliver(self, capture: Capture) -> None:
        self.captures.append(capture)
        if len(self.captures) == self.enough:
            self.over.set()

    def ended(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self.over.set()

    def hear(self, timeout_s: float = 10) -> bytes:
        self.source.start(self.deliver, self.ended)
        assert self.over.wait(timeout_s)
        self.source.stop()
        return b"".join(capture.pcm for capture in self.captures)

    def spaces_ns(self) -> list[int]:
        times = [capture.captured_ns for capture in self.captures]
        return [after - before for before, after in pairwise(times)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "a.wav"
    file.write_bytes(wav(PCM, rate=8000))
    return str(file)


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as reader, os.fdopen(write_fd, "wb", buffering=0) as writer:
        yield reader, writer


def test_a_file_once(path: str) -> None:
    source = WavSource(path, block_ms=5, loop=False)
    assert source.format == FORMAT
    assert source.waits_for_listener
    assert (source.frames, source.truncated) == (1110, False)
    listener = Listener(source)
    started_ns = time.monotonic_ns()
    assert listener.hear() == PCM
    took_ns = time.monotonic_ns() - started_ns
    assert listener.ends == [None]
    assert [len(capture.pcm) for capture in listener.captures] == [160] * 27 + [120]
    assert listener.spaces_ns() == [BLOCK_NS] * 27
    assert {capture.lost_frames for capture in listener.captures} == {0}
    assert 27 * BLOCK_NS <= took_ns < 27 * BLOCK_NS + 500_000_000
    assert started_ns <= listener.captures[0].captured_ns < started_ns + 100_000_000


def test_a_file_again_and_again_without_a_seam(path: str) -> None:
    listener = Listener(WavSource(path, block_ms=5, loop=True), enough=70)
    heard = listener.hear()
    assert heard == (PCM * 3)[: len(heard)]
    assert {len(capture.pcm) for capture in listener.captures} == {160}
    assert listener.ends == []


def test_a_file_shorter_than_a_block(tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    short.write_bytes(wav(PCM[:12], rate=8000))
    assert Listener(WavSource(str(short), block_ms=5, loop=False)).hear() == PCM[:12]
    heard = Listener(WavSource(str(short), block_ms=5, loop=True), enough=3).hear()
    assert heard[:480] == PCM[:12] * 40


def test_a_looped_file_that_is_emptied_ends(path: str) -> None:
    source = WavSource(path, block_ms=10, loop=True)
    os.truncate(path, 44)
    listener = Listener(source)
    listener.hear()
    assert listener.ends == [None]


def test_stopping_twice_and_before_starting(path: str) -> None:
    threads = threading.active_count()
    source = WavSource(path, block_ms=5, loop=True)
    source.stop()
    source.stop()
    listener = Listener(WavSource(path, block_ms=5, loop=True), enough=2)
    listener.hear()
    count = len(listener.captures)
    listener.source.stop()
    assert len(listener.captures) == count
    assert threading.active_count() == threads


def test_a_listener_that_fails_is_the_end(path: str) -> None:
    listener = Listener(WavSource(path, block_ms=5, loop=True))
    failure = RuntimeError("no room")

    def deliver(capture: Capture) -> None:
        raise failure

    listener.source.start(deliver, listener.ended)
    assert listener.over.wait(5)
    listener.source.stop()
    assert listener.ends == [failure]


def test_stopped_by_its_own_listener(path: str) -> None:
    source = WavSource(path, block_ms=5, loop=True)
    stopped = threading.Event()

    def deliver(capture: Capture) -> None:
        source.stop()
        stopped.set()

    source.start(deliver, lambda error: None)
    assert stopped.wait(5)


def test_a_fast_writer_is_held_to_real_time(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    source = PipeSource(reader, format=FORMAT)
    assert source.waits_for_listener
    writer.write(PCM)
    writer.close()
    listener = Listener(source)
    started_ns = time.monotonic_ns()
    assert listener.hear() == PCM
    assert time.monotonic_ns() - started_ns >= 27 * BLOCK_NS
    assert listener.ends == [None]
    assert len(listener.captures[-1].pcm) == 120
    assert not reader.closed


def test_a_slow_writer_is_followed_and_a_pause_makes_no_burst(
    pipe: tuple[BinaryIO, BinaryIO],
) -> None:
    reader, writer = pipe
    listener = Listener(PipeSource(reader, format=FORMAT), enough=28)
    listener.source.start(listener.deliver, listener.ended)
    writer.write(PCM[:160])
    time.sleep(0.3)
    resumed_ns = time.monotonic_ns()
    writer.write(PCM[160:])
    writer.close()
    assert listener.over.wait(5)
    listener.source.stop()
    times = [capture.captured_ns for capture in listener.captures]
    assert times[1] >= resumed_ns
    # The rest in real time, but for the 20 ms that may be caught up.
    assert times[-1] - times[1] >= 26 * BLOCK_NS - 20_000_000
    assert b"".join(capture.pcm for capture in listener.captures) == PCM


def test_bytes_one_at_a_time(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    listener = Listener(PipeSource(reader, format=FORMAT))
    listener.source.start(listener.deliver, listener.ended)
    for byte in PCM[:330]:
        writer.write(bytes([byte]))
    writer.close()
    assert listener.over.wait(5)
    listener.source.stop()
    assert [len(capture.pcm) for capture in listener.captures] == [160, 160, 8]


@pytest.mark.parametrize(("extra", "dropped"), [(163, 3), (162, 2), (3, 3)])
def test_part_of_a_frame_at_the_end_is_dropped_and_said(
    pipe: tuple[BinaryIO, BinaryIO], caplog: pytest.LogCaptureFixture, extra: int, dropped: int
) -> None:
    reader, writer = pipe
    writer.write(PCM[: 320 + extra])
    writer.close()
    listener = Listener(PipeSource(reader, format=FORMAT))
    with caplog.at_level(logging.WARNING):
        assert listener.hear() == PCM[: 320 + extra - dropped]
    assert listener.ends == [None]
    assert [record.getMessage() for record in caplog.records] == [
        f"the input ended inside a frame: its last {dropped} bytes were dropped"
    ]


def test_an_empty_pipe_is_the_end(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    writer.close()
    listener = Listener(PipeSource(reader, format=FORMAT))
    assert listener.hear() == b""
    assert listener.ends == [None]


def test_stopping_while_the_pipe_is_silent(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    threads = threading.active_count()
    reader, writer = pipe
    listener = Listener(PipeSource(reader, format=FORMAT))
    listener.source.start(listener.deliver, listener.ended)
    writer.write(b"abc")
    time.sleep(0.05)
    before = time.monotonic()
    listener.source.stop()
    listener.source.stop()
    assert time.monotonic() - before < 1
    assert listener.ends == []
    assert listener.captures == []
    assert threading.active_count() == threads


def test_a_pipe_that_cannot_be_read(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as only_writable:
        listener = Listener(PipeSource(only_writable, format=FORMAT))
        listener.hear()
    assert isinstance(listener.ends[0], ConfigError)


def test_no_pipe_at_all() -> None:
    with pytest.raises(io.UnsupportedOperation):
        PipeSource(io.BytesIO(), format=FORMAT)


@pytest.mark.parametrize(
    ("rate", "channels", "hz"), [(8000, 2, 437), (44100, 1, 1000), (48000, 8, 440.5)]
)
def test_a_tone_goes_on_for_ever_without_a_seam(rate: int, channels: int, hz: float) -> None:
    format = Format.for_blocks(rate=rate, channels=channels, block_ms=5)
    source = ToneSource(hz, format=format)
    assert not source.waits_for_listener
    # Faster than real time: the blocks themselves, past two turns of the longest table.
    blocks = 5 * rate // format.block_frames
    pcm = b"".join(source._next_block() for _ in range(blocks))
    frames = blocks * format.block_frames
    heard = struct.unpack(f"<{frames * channels}h", pcm)
    step = 2 * math.pi * hz / rate
    amplitude = 32768 * 10 ** (-12 / 20)
    for n in range(0, frames, 7):
        wanted = amplitude * math.sin(step * n)
        frame = heard[n * channels : (n + 1) * channels]
        assert all(abs(sample - wanted) < 0.51 for sample in frame)


def test_a_tone_is_delivered_in_real_time() -> None:
    listener = Listener(ToneSource(440, format=FORMAT), enough=10)
    heard = listener.hear()
    assert listener.spaces_ns()[:9] == [BLOCK_NS] * 9
    assert level_db(heard) == pytest.approx(-15, abs=0.7)


@pytest.mark.parametrize("hz", [0.01, 0.3, 123.456, 3999.9])
def test_an_odd_tone_has_no_step_either(hz: float) -> None:
    source = ToneSource(hz, format=Format.for_blocks(rate=8000, channels=1, block_ms=5))
    pcm = b"".join(source._next_block() for _ in range(900))
    heard = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    steepest = 8231 * 2 * math.pi * max(hz, 0.5) / 8000 + 1
    assert all(abs(b - a) <= steepest for a, b in pairwise(heard))


@pytest.mark.parametrize("hz", [0, -1, 4000, 5000, math.nan, math.inf])
def test_a_tone_that_cannot_be(hz: float) -> None:
    with pytest.raises(ConfigError):
        ToneSource(hz, format=FORMAT)
