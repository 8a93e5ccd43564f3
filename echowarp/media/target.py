"""The target delay: how long after the fastest path a block is played.

Measured on availability delay: when a block became usable - received, sent again
or repaired - against the fastest path, so that repair and delay are tuned as one.
All times are ints of nanoseconds.

The fastest path is the least lag of 10 s. Where the source's clock is slower than this
machine's, lags grow all the time, and after 10 s each is late by what that makes: 1 ms
with clocks 100 ppm apart, which the target follows. The playout's correction of the
clocks cannot take it back: that one is between the source and the sound card, while
blocks come by the clock of the system, and the two may be as far apart.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

MS = 1_000_000
S = 1_000 * MS

START_NS = 40 * MS
"""What a lossy network needs; elsewhere it is gone in seconds, at the rate of shrinking."""
FLOOR_MARGIN_NS = 2 * MS
"""Above the period of the device, which takes so much at once."""
CEILING_NS = 200 * MS
BIN_NS = 250 * MS
FASTEST_WINDOW_NS = 10 * S
"""A path that has become longer is the new fastest after so long."""
PAUSE_NS = 200 * MS
"""So long without a block, and the line of their times begins anew."""
OVERTAKEN_NS = 2 * MS
"""A block that is repaired so soon was not lost: its repair row overtook it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """target = percent / 100 x the rank-th largest bin of the last window_ns + margin_ns
    + the period of the device.

    loss_margin_ns comes on top where the window saw losses: the next repair row or
    resend is further off than the next late block.
    """

    window_ns: int
    rank: int
    percent: int
    margin_ns: int
    loss_margin_ns: int


LOW = Policy(window_ns=10 * S, rank=2, percent=100, margin_ns=1 * MS, loss_margin_ns=0)
AUTO = Policy(window_ns=30 * S, rank=2, percent=115, margin_ns=2 * MS, loss_margin_ns=10 * MS)
ROBUST = Policy(window_ns=60 * S, rank=1, percent=125, margin_ns=3 * MS, loss_margin_ns=10 * MS)


class Way(Enum):
    """How a block became usable."""

    RECEIVED = auto()
    RESENT = auto()
    REPAIRED = auto()


class Cause(Enum):
    """What keeps the target where it is."""

    START = auto()
    """Nothing is known yet."""
    FLOOR = auto()
    """The device's period; the network needs less."""
    JITTER = auto()
    """Blocks that came late by themselves."""
    RESENDS = auto()
    """Blocks that had to be sent again."""
    REPAIR = auto()
    """Blocks that had to wait for repair rows."""
    CEILING = auto()
    """The network needs more than is sensible."""
    FIXED = auto()
    """The user's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the target is what it is. worst_ns: the availability delay that counted."""

    cause: Cause
    target_ns: int
    worst_ns: int


_CAUSES = {
    Way.RECEIVED: Cause.JITTER,
    Way.RESENT: Cause.RESENDS,
    Way.REPAIRED: Cause.REPAIR,
}


class TargetDelay:
    """The target of one stream. One thread owns it.

    policy: LOW, AUTO or ROBUST, or the fixed target in nanoseconds; period_ns: what
    the sink takes at once, 0 for one without a period.
    """

    def __init__(self, policy: Policy | int, *, period_ns: int, now_ns: int) -> None:
        self._fixed_ns = policy if isinstance(policy, int) else None
        self._policy = AUTO if isinstance(policy, int) else policy
        self._period_ns = period_ns
        self._floor_ns = period_ns + FLOOR_MARGIN_NS
        self._bin_start_ns = now_ns
        self._cured_ns: int | None = None
        self._worst: deque[tuple[int, int, Way]] = deque([(now_ns, 0, Way.RECEIVED)])
        self._largest: list[tuple[int, Way]] = []
        """As many as the rank says of the bins that are over, the largest first."""
        self._fastest: deque[tuple[int, int]] = deque()
        self._reason = Reason(cause=Cause.START, target_ns=START_NS, worst_ns=0)

    @property
    def target_ns(self) -> int:
        """How long after the fastest path blocks are to be played."""
        return self._reason.target_ns if self._fixed_ns is None else self._fixed_ns

    @property
    def needed_ns(self) -> int:
        """What the network needs, also where the target is fixed and cannot follow; 0
        while nothing is known."""
        return 0 if self._reason.cause is Cause.START else self._reason.target_ns

    @property
    def reason(self) -> Reason:
        """Why the target is what it is, as data for words."""
        if self._fixed_ns is None:
            return self._reason
        worst_ns = self._reason.worst_ns
        return Reason(cause=Cause.FIXED, target_ns=self._fixed_ns, worst_ns=worst_ns)

    @property
    def fastest_ns(self) -> int | None:
        """The least lag of the last 10 s, None before the first block."""
        return self._fastest[0][1] if self._fastest else None

    def usable(self, lag_ns: int, now_ns: int, way: Way = Way.RECEIVED) -> int:
        """A block became usable. Returns its availability delay.

        lag_ns: `now_ns` minus the time of the block on any steady line, for instance
        its media time on the drift-corrected clock; only differences matter.
        """
        if way is Way.RECEIVED:
            self._follow_fastest(lag_ns, now_ns)
        delay_ns = max(0, lag_ns - self._fastest[0][1]) if self._fastest else 0
        if way is not Way.RECEIVED and delay_ns > OVERTAKEN_NS:
            self._cured_ns = now_ns
        if now_ns - self._bin_start_ns >= BIN_NS:
            self._next_bin(now_ns)
        if delay_ns > self._worst[-1][1]:
            self._worst[-1] = (self._worst[-1][0], delay_ns, way)
            if delay_ns > self._reason.worst_ns:
                self._renew()
        return delay_ns

    def _follow_fastest(self, lag_ns: int, now_ns: int) -> None:
        """A sliding minimum: lags ascend, and whoever is older and not less is gone."""
        fastest = self._fastest
        if fastest and now_ns - fastest[-1][0] > PAUSE_NS:
            # The source stood still: where its line was says nothing of where it is.
            fastest.clear()
        while fastest and fastest[-1][1] >= lag_ns:
            fastest.pop()
        fastest.append((now_ns, lag_ns))
        while fastest[0][0] <= now_ns - FASTEST_WINDOW_NS:
            fastest.popleft()

    def _next_bin(self, now_ns: int) -> None:
        self._bin_start_ns = now_ns
        self._renew()
        self._worst.append((now_ns, 0, Way.RECEIVED))
        while self._worst[0][0] <= now_ns - self._policy.window_ns:
            self._worst.popleft()
        over = [each[1:] for each in self._worst][:-1]
        self._largest = sorted(over, key=_by_size)[: self._policy.rank]

    def _renew(self) -> None:
        policy = self._policy
        _, delay_ns, way = self._worst[-1]
        largest = sorted([*self._largest, (delay_ns, way)], key=_by_size)
        worst_ns, way = largest[min(policy.rank, len(largest)) - 1]
        # A block must be here when the device takes it, up to a period before it is heard.
        wanted_ns = worst_ns * policy.percent // 100 + policy.margin_ns + self._period_ns
        if self._cured_ns is not None and self._bin_start_ns - self._cured_ns < policy.window_ns:
            wanted_ns += policy.loss_margin_ns
        cause = _CAUSES[way]
        if wanted_ns <= self._floor_ns:
            cause = Cause.FLOOR
        elif wanted_ns >= CEILING_NS:
            cause = Cause.CEILING
        target_ns = max(self._floor_ns, min(CEILING_NS, wanted_ns))
        self._reason = Reason(cause=cause, target_ns=target_ns, worst_ns=worst_ns)


def _by_size(worst: tuple[int, Way]) -> int:
    return -worst[0]
