from __future__ import annotations

import os
import random
import threading
import time

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
        sink = StdoutSink(stream)
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
        sink = StdoutSink(stream)
        sink.write(PCM[:960])
        assert reader.read(2000) == PCM[:960]


def test_a_reader_that_left() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream)
        os.close(read_fd)
        with pytest.raises(ReaderGone):
            sink.write(PCM[:960])


def test_output_that_is_closed() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    stream = os.fdopen(write_fd, "wb", buffering=0)
    sink = StdoutSink(stream)
    stream.close()
    with pytest.raises(ReaderGone):
        sink.write(PCM[:960])
    with pytest.raises(ReaderGone):
        StdoutSink(stream)


def test_output_that_is_full() -> None:
    with open("/dev/full", "wb") as stream:
        sink = StdoutSink(stream)
        with pytest.raises(StorageError, match="No space left"):
            sink.write(PCM[:960])
        sink.close()


def test_closing_frees_a_write_that_waits_for_a_slow_reader() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb"), os.fdopen(write_fd, "wb") as stream:
        sink = StdoutSink(stream)
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
