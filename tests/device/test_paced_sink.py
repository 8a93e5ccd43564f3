"""Files and pipes with a clock: paced, never behind, never in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from echowarp.device.paced_sink import PacedSink
from echowarp.errors import StorageError
from echowarp.media.format import Format

FMT = Format(rate=48_000, channels=1, block_frames=240)
MS = 1_000_000


class Recording:
    """What is written, and when it may be."""

    def __init__(self) -> None:
        self.pcm = b""
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_closed = threading.Event()
        self.error: StorageError | None = None

    def write(self, pcm: bytes) -> None:
        while not self.may_write.is_set() and not self.is_closed.is_set():
            time.sleep(0.001)
        if self.error is not None:
            raise self.error
        self.pcm += pcm

    def close(self) -> None:
        self.is_closed.set()

    @property
    def blocks(self) -> int:
        return len(self.pcm) // FMT.block_bytes


class Pulled:
    """A sink that writes into `recording`, and when each of its blocks was due."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.due_ns: list[int] = []
        self.failures: list[BaseException] = []
        self.sink = PacedSink(lambda fmt: self.recording)

    def __enter__(self) -> Pulled:
        self.sink.open(FMT).start(self._pull, self.failures.append)
        return self

    def __exit__(self, *exc: object) -> None:
        self.sink.stop()

    def _pull(self, frames: int) -> bytes:
        self.due_ns.append(self.sink.now_ns())
        return bytes((len(self.due_ns) % 256,)) * frames * FMT.frame_bytes

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.005)
        raise AssertionError("never")


def test_blocks_are_due_a_block_apart_by_the_monotonic_clock() -> None:
    with Pulled() as pulled:
        begun_ns = time.monotonic_ns()
        pulled.wait_until(lambda: pulled.recording.blocks >= 100)
        took_ns = time.monotonic_ns() - begun_ns
    assert took_ns >= 98 * FMT.block_ns
    assert {b - a for a, b in pairwise(pulled.due_ns)} == {FMT.block_ns}
    assert abs(pulled.due_ns[0] - begun_ns) < 200 * MS
    assert pulled.failures == [] and pulled.recording.is_closed.is_set()


def test_after_a_stop_of_the_reader_all_time_is_made_up() -> None:
    with Pulled() as pulled:
        pulled.wait_until(lambda: pulled.recording.blocks >= 10)
        pulled.recording.may_write.clear()
        time.sleep(0.5)
        blocks = pulled.recording.blocks
        pulled.recording.may_write.set()
        pulled.wait_until(lambda: pulled.recording.blocks >= blocks + 100)
        late_ns = time.monotonic_ns() - pulled.due_ns[-1]
    assert late_ns < 400 * MS
    written = pulled.recording.pcm[:: FMT.block_bytes]
    assert written == bytes((k + 1) % 256 for k in range(len(written)))


def test_a_reader_that_takes_nothing_is_not_waited_for() -> None:
    with Pulled() as pulled:
        pulled.recording.may_write.clear()
        time.sleep(0.05)
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 5
    assert not any(thread.name == "paced sink" for thread in threading.enumerate())


def test_what_cannot_be_written_is_told() -> None:
    with Pulled() as pulled:
        pulled.recording.error = StorageError("the disk is full")
        pulled.wait_until(lambda: bool(pulled.failures))
    assert [str(error) for error in pulled.failures] == ["the disk is full"]


def test_a_sink_that_does_not_open_raises() -> None:
    def refuse(fmt: Format) -> Recording:
        raise StorageError("no such folder")

    with pytest.raises(StorageError):
        PacedSink(refuse).open(FMT)


def test_stopping_twice_or_before_the_start_is_nothing() -> None:
    pulled = Pulled()
    pulled.sink.stop()
    with pulled:
        pass
    pulled.sink.stop()
    assert pulled.failures == []
