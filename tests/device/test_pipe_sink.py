from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from echowarp.device.pipe_sink import NullSink, StdoutSink
from echowarp.errors import ReaderGone, StorageError

PCM = random.Random(5).randbytes(300_000)


def test_everything_arrives_also_through_a_small_pipe() -> None:
    read_fd, write_fd = os.pipe()
    got = bytearray()

    def read() -> None:
        with os.fdopen(read_fd, "rb", buffering=0) as reader:
            while piece := reader.read(1000):
                got.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True)
        for start in range(0, len(PCM), 960):
            sink.write(PCM[start : start + 960])
        sink.close()
        sink.close()
    thread.join()
    assert got == PCM


@pytest.mark.parametrize("blocking", [True, False])
def test_each_write_is_through_at_once(blocking: bool) -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, blocking)
    with os.fdopen(read_fd, "rb", buffering=0) as reader, os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True)
        sink.write(PCM[:960])
        assert reader.read(2000) == PCM[:960]


class Pipe:
    """A pipe whose reader takes so many bytes a second of a clock that stands still otherwise."""

    def __init__(self, stream: BinaryIO, reader: BinaryIO, bytes_per_s: int) -> None:
        self.got = bytearray()
        self.now_s = 0.0
        self._reader = reader
        self._bytes_per_s = bytes_per_s
        self.sink = StdoutSink(stream, frame_bytes=12, is_live=True, monotonic_s=lambda: self.now_s)
        write = self.sink._write

        def slow(pcm: bytes) -> None:
            write(pcm)
            self.now_s += len(pcm) / bytes_per_s
            self.got += self._reader.read(len(pcm))

        self.sink._write = slow  # type: ignore[method-assign]


@pytest.mark.parametrize(("times", "is_whole"), [(1, False), (2, False), (100, True)])
def test_the_silence_of_an_outage(times: int, is_whole: bool) -> None:
    """Who plays what comes is not delayed by it; who keeps it gets all of it, and whole frames
    in any case."""
    a_second = 48_000 * 12
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb", buffering=0) as reader, os.fdopen(write_fd, "wb") as stream:
        pipe = Pipe(stream, reader, times * a_second)
        for _ in range(2):
            del pipe.got[:]
            pipe.sink.write(PCM[:960])
            for _ in range(5):
                pipe.sink.write(bytes(a_second))
            pipe.sink.write(PCM[960:1920])
            silence = pipe.got[960:-960]
            assert pipe.got == PCM[:960] + bytes(len(silence)) + PCM[960:1920]
            assert len(silence) % 12 == 0
            if is_whole:
                assert len(silence) == 5 * a_second
            else:
                assert len(silence) <= times * 0.11 * a_second


def test_a_reader_that_left() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True)
        os.close(read_fd)
        with pytest.raises(ReaderGone):
            sink.write(PCM[:960])


def test_output_that_is_closed() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    stream = os.fdopen(write_fd, "wb", buffering=0)
    sink = StdoutSink(stream, frame_bytes=4, is_live=True)
    stream.close()
    with pytest.raises(ReaderGone):
        sink.write(PCM[:960])
    with pytest.raises(ReaderGone):
        StdoutSink(stream, frame_bytes=4, is_live=True)


def test_output_that_is_full() -> None:
    with open("/dev/full", "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True)
        with pytest.raises(StorageError, match="No space left"):
            sink.write(PCM[:960])
        sink.close()


def test_closing_frees_a_write_that_waits_for_a_slow_reader() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb"), os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True)
        thread = threading.Thread(target=sink.write, args=(PCM,))
        thread.start()
        time.sleep(0.05)
        assert thread.is_alive()
        sink.close()
        thread.join(2)
        assert not thread.is_alive()


def test_nothing_is_kept() -> None:
    sink = NullSink()
    sink.write(PCM)
    sink.close()
    sink.close()


def test_a_file_gets_all_of_a_silence(tmp_path: Path) -> None:
    """However long the disk takes for it."""
    seconds = iter(range(10_000))
    with (tmp_path / "raw").open("wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=True, monotonic_s=lambda: next(seconds))
        sink.write(bytes(192_000))
    assert (tmp_path / "raw").read_bytes() == bytes(192_000)


def test_the_silence_within_a_file_that_is_played_is_part_of_it() -> None:
    seconds = iter(range(10_000))
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb", buffering=0) as reader, os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream, frame_bytes=4, is_live=False, monotonic_s=lambda: next(seconds))
        sink.write(bytes(19_200))
        sink.write(bytes(19_200))
        assert len(reader.read(100_000)) == 38_400
