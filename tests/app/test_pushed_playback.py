"""A sink without a clock, fed from a thread: what it asks for and what it says."""

from __future__ import annotations

import threading
import time

from echowarp.app.playback import Listener
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.app.reception import ServerClock
from echowarp.media.format import Format
from echowarp.session.inbox import Block
from echowarp.wire.feedback import Request
from tests.processes import wait_until

FMT = Format(rate=48_000, channels=1, block_frames=240)
MS = 1_000_000


class Recording:
    """A sink in memory."""

    def __init__(self) -> None:
        self.pcm = b""

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    def close(self) -> None:
        pass


class Stage:
    """A playback whose sink is `recording`; wanted: what it asked for."""

    def __init__(self, latency: int) -> None:
        self.recording = Recording()
        self.wanted: set[int] = set()
        self.failures: list[BaseException] = []
        self.completed = threading.Event()
        self.playback = PushedPlayback(
            lambda fmt, n: self.recording,
            latency=latency,
            limit_s=None,
            listener=Listener(
                completed=self.completed.set,
                played_out=lambda: None,
                wanted=self._want,
                enough=lambda: None,
                failed=self.failures.append,
            ),
        )
        self.playback.begin(FMT, continued=False, stream=0)
        self.playback.clock(ServerClock(srtt_ns=MS, rto_ns=10 * MS, offset_ns=0))

    def _want(self, requests: list[Request]) -> None:
        self.wanted |= {each.seq + k for each in requests for k in each.offsets()}

    def come(self, *seqs: int) -> None:
        for seq in seqs:
            block = Block(0, seq, seq * 240, payload(seq), 0, False)
            self.playback.arrived(block, time.monotonic_ns())

    def close(self) -> None:
        self.playback.close(lambda: False)
        assert self.failures == []


def payload(seq: int) -> bytes:
    return bytes((seq + 1,)) * FMT.block_bytes


def test_what_has_been_given_up_is_not_asked_for() -> None:
    playing = Stage(0)
    playing.come(0, 1, 3, 4)
    # The blocks after the last are asked for, a block time later than 2 would have been.
    wait_until(lambda: playing.wanted, "something is asked for")
    playing.close()
    assert 2 not in playing.wanted


def test_what_is_waited_for_is_asked_for() -> None:
    playing = Stage(1_000 * MS)
    playing.come(0, 1, 3, 4)
    wait_until(lambda: 2 in playing.wanted, "the missing block is asked for")
    playing.come(2)
    wait_until(lambda: len(playing.recording.pcm) == 5 * FMT.block_bytes, "all is written")
    playing.close()
    assert playing.recording.pcm == b"".join(map(payload, range(5)))


def test_the_last_word_counts_every_block() -> None:
    """Between, it is told only every few blocks."""
    playing = Stage(0)
    playing.come(*range(11), 12)
    playing.playback.end(13)
    assert playing.completed.wait(5)
    counters = playing.playback.snapshot.counters
    assert (counters.received, counters.concealed) == (12, 1)
    playing.close()
    snapshot = playing.playback.snapshot
    assert (snapshot.counters.received, snapshot.counters.lost) == (12, 1)
    assert snapshot.played_frames == 13 * 240
    assert snapshot.format == FMT
