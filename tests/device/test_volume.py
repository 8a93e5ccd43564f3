from __future__ import annotations

import struct
from collections.abc import Callable

from echowarp.device.volume import PulledVolume, PushedVolume
from echowarp.media.format import Format

FORMAT = Format(rate=48_000, channels=1, block_frames=4)
BLOCK = struct.pack("<4h", 1000, -1000, 1000, -1000)


class Sink:
    """Both kinds of sink, as it is called."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.done: list[str] = []

    def write(self, pcm: bytes) -> None:
        self.written.append(pcm)

    def close(self) -> None:
        self.done.append("closed")

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull, self.failed = pull, failed

    def delay_ns(self) -> int | None:
        return 7

    def stop(self) -> None:
        self.done.append("stopped")


def test_a_file_gets_what_is_asked_for() -> None:
    sink, gains = Sink(), [1.0]
    volume = PushedVolume(sink, FORMAT, lambda: gains[-1])
    volume.write(BLOCK)
    assert sink.written[0] is BLOCK
    gains.append(0.5)
    for _ in range(2):
        volume.write(BLOCK)
    volume.close()
    assert struct.unpack("<4h", sink.written[1]) == (875, -750, 625, -500)
    assert struct.unpack("<4h", sink.written[2]) == (500, -500, 500, -500)
    assert sink.done == ["closed"]


def test_a_card_gets_what_is_asked_for() -> None:
    sink, gains, asked = Sink(), [0.5], list[int]()
    volume = PulledVolume(sink, FORMAT, lambda: gains[-1])

    def pull(frames: int) -> bytes:
        asked.append(frames)
        return BLOCK

    failed: list[BaseException] = []
    volume.start(pull, failed.append)
    # From the first sample on: nothing fades in.
    assert struct.unpack("<4h", sink.pull(4)) == (500, -500, 500, -500)
    gains.append(1.0)
    sink.pull(4)
    assert sink.pull(4) is BLOCK
    assert asked == [4, 4, 4]
    error = RuntimeError()
    sink.failed(error)
    assert failed == [error]
    assert volume.delay_ns() == 7
    volume.stop()
    assert sink.done == ["stopped"]
