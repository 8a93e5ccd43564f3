"""A mix that is recorded, under a virtual clock: what holds up the machine or the disk is not
heard in it."""

from __future__ import annotations

import struct
import threading
from array import array
from collections.abc import Callable, Iterable

import pytest

from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.reception import ServerClock
from echowarp.app.talker_mix import MixListener
from echowarp.device.paced_sink import MAX_BEHIND_NS, PacedSink
from echowarp.media.mix import mix
from echowarp.media.target import AUTO, Policy
from tests.app.mixing import LATENCY_NS, MS, STEREO, S, Talking, noise

BLOCK = STEREO.block_bytes
BEGIN_NS = 10 * S


class World:
    """A sink that writes into `pcm` by a virtual clock, and talkers who are read from the
    network whenever the sink waits.

    stops: when the whole process stands still, and for how long, in nanoseconds; slow: the
    same for a disk that takes nothing while the process goes on.
    """

    def __init__(
        self,
        *talking: Talking,
        latency: Policy | int = LATENCY_NS,
        stops: Iterable[tuple[int, int]] = (),
        slow: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.pcm = bytearray()
        self.now_ns = BEGIN_NS
        self.behind_ns = 0
        """How much older than now the oldest block was that was asked for."""
        self._talking = talking
        self._stops, self._slow = list(stops), list(slow)
        self._until_ns = 0
        self._begun, self._ended = threading.Event(), threading.Event()
        self._failures: list[BaseException] = []
        self._sink = PacedSink(lambda fmt: self, clock_ns=self._clock_ns, wait=self._wait)
        self.playback = MixedPlayback(
            self._sink.open,
            fmt=STEREO,
            latency=latency,
            listener=MixListener(wanted=lambda stream, requests: None, failed=self._fail),
            opener=lambda stream, seq, time, payload: payload,
            monotonic_ns=self._due_ns,
        )
        self.playback.clock(ServerClock(srtt_ns=10 * MS, rto_ns=30 * MS, offset_ns=0))

    def run(self, seconds: float) -> bytes:
        """What has been written when so many seconds are over."""
        self._until_ns = BEGIN_NS + round(seconds * S)
        for each in self._talking:
            self.playback.hear(each.stream, each.user, each.fmt, continued=False)
        self._begun.set()
        assert self._ended.wait(30), "never"
        self.playback.close(lambda: True)
        assert self._failures == []
        return bytes(self.pcm)

    def _fail(self, error: BaseException) -> None:
        self._failures.append(error)
        self._ended.set()

    def _clock_ns(self) -> int:
        self._begun.wait()
        return self.now_ns

    def _due_ns(self) -> int:
        due_ns = self._sink.now_ns()
        self.behind_ns = max(self.behind_ns, self.now_ns - due_ns)
        return due_ns

    def _wait(self, seconds: float) -> bool:
        until_ns = self.now_ns + max(1, round(seconds * S))
        if self._stops and until_ns >= self._stops[0][0]:
            at_ns, for_ns = self._stops.pop(0)
            # The sink's thread is the first to go on.
            self.now_ns = max(until_ns, at_ns + for_ns)
            return False
        self._read(until_ns)
        self.now_ns = until_ns
        if until_ns >= self._until_ns:
            self._ended.set()
            return True
        return False

    def _read(self, until_ns: int) -> None:
        """What came before now was not read until now."""
        come = [each for talker in self._talking for each in talker.come(until_ns)]
        for at_ns, block in sorted(come, key=lambda each: each[0]):
            self.playback.arrived(block, max(at_ns, self.now_ns))

    def write(self, pcm: bytes) -> None:
        """As of PushedSink."""
        self.pcm += pcm
        if self._slow and self.now_ns >= self._slow[0][0]:
            _, for_ns = self._slow.pop(0)
            while for_ns > 0:
                self._read(self.now_ns + MS)
                self.now_ns += MS
                for_ns -= MS

    def close(self) -> None:
        """As of PushedSink."""


def sound(user: int) -> Callable[[int], bytes]:
    """Another block each time."""
    return lambda k: noise(1000 * user + k % 997, BLOCK)


def talkers() -> list[Talking]:
    return [
        Talking(1, begin_ns=BEGIN_NS, sound=sound(1)),
        Talking(2, begin_ns=BEGIN_NS, way_ns=12 * MS, sound=sound(2)),
    ]


HALF_S = 500 * MS
HELD_UP: dict[str, dict[str, list[tuple[int, int]]]] = {
    "a stop": {"stops": [(BEGIN_NS + 2 * S, HALF_S)]},
    "stops": {"stops": [(BEGIN_NS + k * S, 100 * k * MS) for k in range(1, 5)]},
    "a slow disk": {"slow": [(BEGIN_NS + 2 * S, HALF_S)]},
    "a disk that takes nothing for long": {"slow": [(BEGIN_NS + S, 4 * S)]},
    "both": {"slow": [(BEGIN_NS + S, HALF_S)], "stops": [(BEGIN_NS + 2 * S, HALF_S)]},
}


@pytest.mark.parametrize("latency", [LATENCY_NS, AUTO], ids=["fixed", "auto"])
@pytest.mark.parametrize("how", HELD_UP)
def test_what_held_up_the_machine_is_not_heard(
    how: str, latency: Policy | int, caplog: pytest.LogCaptureFixture
) -> None:
    expected = World(*talkers(), latency=latency).run(6)
    assert not caplog.records
    times = HELD_UP[how]
    held_up = World(
        *talkers(), latency=latency, stops=times.get("stops", ()), slow=times.get("slow", ())
    )
    got = held_up.run(6)
    assert held_up.behind_ns >= HALF_S - 200 * MS
    length = min(len(expected), len(got))
    assert length > 5.9 * STEREO.rate * STEREO.frame_bytes
    assert got[:length] == expected[:length]
    counters = held_up.playback.snapshot.counters
    assert (counters.concealed, counters.late, counters.lost) == (0, 0, 0)
    assert caplog.text.count("was held up for") == 1
    assert "silence" not in caplog.text


@pytest.mark.parametrize("what", ["stops", "slow"])
def test_what_was_due_too_long_ago_is_silence_and_keeps_its_time(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The bound of what is caught up: then sound goes on where it is."""
    gap_ns = 60 * S
    times = [(BEGIN_NS + 2 * S, gap_ns)]
    stops, slow = (times, []) if what == "stops" else ([], times)
    # As loud as the second in which it is said.
    talker = Talking(1, begin_ns=BEGIN_NS, sound=lambda k: struct.pack("<h", k // 200 * 100) * 480)
    world = World(talker, stops=stops, slow=slow)
    pcm = array("h", world.run(66))
    second = STEREO.rate * STEREO.channels
    assert len(pcm) == pytest.approx(66 * second, rel=1e-3)
    assert world.behind_ns <= MAX_BEHIND_NS
    assert caplog.text.count("a silence of 60.0 s") == 1
    assert not any(pcm[round(2.1 * second) : round(61.9 * second)])
    for n in (1, 63, 64, 65):
        assert set(pcm[round((n + 0.2) * second) : round((n + 0.9) * second)]) == {n * 100}


def test_a_machine_that_is_too_slow_sheds_what_it_cannot_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each block takes longer than it lasts: it does not fall behind for ever."""
    slow = [(0, 7 * MS) for _ in range(20_000)]
    world = World(Talking(1, begin_ns=BEGIN_NS, sound=sound(1)), slow=slow)
    pcm = world.run(40)
    assert world.behind_ns <= MAX_BEHIND_NS + 7 * MS
    assert len(pcm) > 34 * STEREO.rate * STEREO.frame_bytes
    assert caplog.text.count("a silence of") == caplog.text.count("was held up:") <= 3


def test_the_sum_of_both_is_what_is_recorded() -> None:
    """The measure of the others: that what they compare is sound."""
    alone = [World(talker).run(2) for talker in talkers()]
    both = World(*talkers()).run(2)
    length = min(map(len, [*alone, both]))
    assert both[:length] == mix([each[:length] for each in alone])
    assert any(both[length // 2 :])
