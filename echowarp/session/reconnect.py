"""When a client tries again, and when it gives up.

Source: protocol 1, sections 3 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass

from echowarp.session.exchange import RandomBytes
from echowarp.wire.codes import Code

NS_PER_MS = 1_000_000
FIRST_DELAY_NS = 500 * NS_PER_MS
MAX_DELAY_NS = 2_000 * NS_PER_MS
MAX_BUSY_DELAY_NS = 30_000 * NS_PER_MS
"""The longest wait after 429 and 503: the server asked to be left alone."""
SPREAD_PERCENT = 20
MAX_UNPROVED = 5
"""So many connections lost between our tag and the server's, without one that
played in between: it may be a false server that tests one guess on each."""

FINAL_CODES = frozenset({Code.WRONG_PASSWORD, Code.BANNED, Code.VERSION, Code.DISPLACED})
BUSY_CODES = frozenset({Code.TOO_MANY, Code.FULL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a connection went.

    code: the peer's reason, None when it gave none; played: it received audio;
    brief: it lasted less than a second; unproved: it was lost after our tag went out
    and before the server's came.
    """

    code: int | None
    played: bool = False
    unproved: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after `delay_ns`."""

    delay_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Stop. refused: the server's final answer, else too many failures;
    false_server: five unproved connections and none that played."""

    refused: bool
    false_server: bool = False


class Reconnector:
    """Counts what failed.

    attempts: consecutive failed connections before giving up, 0 for never.
    """

    def __init__(self, *, attempts: int, random_bytes: RandomBytes) -> None:
        self._attempts = attempts
        self._random_bytes = random_bytes
        self._unproved = 0
        self._has_played = False
        self._delay_ns = FIRST_DELAY_NS
        self.failures = 0
        """Consecutive failed connections."""

    def next_step(self, outcome: Outcome) -> Retry | GiveUp:
        """What to do after a connection that ended, or did not come about."""
        if outcome.code in FINAL_CODES:
            return GiveUp(refused=True)
        if outcome.played:
            self._has_played = True
            self.failures = self._unproved = 0
            self._delay_ns = FIRST_DELAY_NS
            # One that ended as soon as it had begun would be tried again without pause.
            return Retry(delay_ns=self._backoff(MAX_DELAY_NS) if outcome.brief else 0)
        # Only a session that played clears this: else a false server could put a
        # failure of another kind between its guesses and go on for ever.
        self._unproved += outcome.unproved
        if self._unproved >= MAX_UNPROVED:
            return GiveUp(refused=True, false_server=True)
        if outcome.code in BUSY_CODES:
            # Whoever starts a client at a full server wants to know; one that has
            # played, or must always come back, waits for a place.
            if outcome.code == Code.FULL and not self._has_played and self._attempts:
                return GiveUp(refused=True)
            return Retry(delay_ns=self._backoff(MAX_BUSY_DELAY_NS))
        self.failures += 1
        if self._attempts and self.failures >= self._attempts:
            return GiveUp(refused=False)
        return Retry(delay_ns=self._backoff(MAX_DELAY_NS))

    def _backoff(self, ceiling_ns: int) -> int:
        delay_ns = min(self._delay_ns, ceiling_ns)
        self._delay_ns = min(self._delay_ns * 2, ceiling_ns)
        spread = int.from_bytes(self._random_bytes(2), "big") * 2 / 0xFFFF - 1
        return round(delay_ns * (1 + spread * SPREAD_PERCENT / 100))
