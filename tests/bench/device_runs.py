"""One run from device to device: what was found, and whether it is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echowarp.config.impair import Impairment
from tests.bench.hearing import HOP, RATE, Heard, Samples, judge, noise
from tests.processes import Program

MOST_OFF_MS = 2.0
"""The delay that is shown is so near to the one that is heard, in the median."""
MOST_CLIENT = 0.05
"""What a client may use of a core."""
SAID_S = 0.1
"""So long before and after a word of the client it is compared with what is heard: the
delay may just have grown."""
TAIL_S = 0.7
"""How long the sound goes on, so that all that is judged has been sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network, what must be reached in it, and the best that any tool did there.

    delay_ms: at most; damaged_percent, glitches a minute: at most.
    """

    name: str
    network: Impairment
    delay_ms: float
    damaged_percent: float = 0.01
    glitches: float = 0
    field: str = "100 ms"
    jack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the client says of the delay, once a second, against what was heard then.

    ms: the median of what it says; off_ms, most_off_ms: the median and the largest
    difference. NaN, and infinite, where it says nothing.
    """

    ms: float = float("nan")
    off_ms: float = float("nan")
    most_off_ms: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was found in one run. start: before it is judged; told: the delays that the
    client shows, beside what was heard then; concealed: blocks, all through; client: its
    share of a core, 0..1; still_ms: how long the machine itself stood still; reason: of
    its target, in its own words."""

    heard: Heard
    start: Heard
    delay_ms: float
    most_ms: float
    told: Told
    concealed: int
    client: float
    still_ms: float
    reason: str

    def missed(self, row: Row) -> list[str]:
        """What is not as good as it has to be."""
        reached = {
            "delay": self.delay_ms <= row.delay_ms,
            "damage": 100 * self.heard.damaged <= row.damaged_percent,
            "glitches": self.heard.glitches_a_minute <= row.glitches,
            "shown": self.told.off_ms <= MOST_OFF_MS,
            "client": self.client <= MOST_CLIENT,
        }
        return [name for name, is_reached in reached.items() if not is_reached]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What was found beside the sound. share: of a core that the client used, 0..1;
    still_ms: the longest time for which the machine stood still."""

    share: float
    still_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long the sound is played before it is judged, and how long it is judged."""

    settle_s: float
    seconds: float

    @property
    def sound(self) -> Samples:
        """What is played."""
        return noise(self.settle_s + self.seconds + TAIL_S)


def judged(
    sound: Samples,
    came: Samples,
    begin: float,
    times: Times,
    client: Program,
    beside: Beside,
    said: Sequence[tuple[float, float]],
) -> Run:
    """begin: when the first frame of `came` was there, in frames after that of `sound`;
    said: when, in seconds after that, the client has told which delay, ms."""
    shift = int(begin)
    came = came[-shift:] if shift < 0 else np.concatenate([np.zeros(shift), came])
    settled = round(times.settle_s * RATE)
    heard = judge(sound, came, first=settled, count=round(times.seconds * RATE))
    start = judge(sound, came, first=RATE // 2, count=settled - RATE // 2)
    rest = begin - shift
    return Run(
        heard=heard,
        start=start,
        delay_ms=(heard.delay_frames + rest) / RATE * 1000,
        most_ms=(heard.most_frames + rest) / RATE * 1000,
        told=compare(said, (heard.lags_frames + rest) / RATE * 1000, times.settle_s),
        concealed=int(client.stream.get("concealed", 0)),
        client=beside.share,
        still_ms=beside.still_ms,
        reason=str(client.stream.get("target_reason", "")),
    )


def compare(said: Sequence[tuple[float, float]], heard_ms: Samples, first_s: float) -> Told:
    """What was said beside what was heard at that time.

    said: seconds and ms; heard_ms: the delay of each 2.5 ms from first_s on, NaN where
    none is known. A word is compared with the nearest that is heard around it; one for
    which nothing was heard is left out.
    """
    told, off = [], []
    for at_s, delay_ms in said:
        middle, reach = round((at_s - first_s) * RATE / HOP), round(SAID_S * RATE / HOP)
        around = heard_ms[max(0, middle - reach) : max(0, middle + reach)]
        known = around[~np.isnan(around)]
        if len(known) and 0 <= middle < len(heard_ms):
            told.append(delay_ms)
            off.append(float(np.abs(known - delay_ms).min()))
    if not told:
        return Told()
    return Told(ms=float(np.median(told)), off_ms=float(np.median(off)), most_off_ms=max(off))
