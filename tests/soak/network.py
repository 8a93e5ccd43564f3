"""The proxy between the server and some of its listeners, whose faults come and go."""

from __future__ import annotations

import random

from tests.impair import Proxy

FILES = 4_096
"""The proxy keeps a socket for each client that ever came."""


def allow_files() -> None:
    """Raises this process's limit of open files to FILES, as far as it may."""
    import resource  # Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Network(Proxy):
    """A network that loses and delays, at random by seed, as it is told to meanwhile."""

    def __init__(self, port: int, server_port: int, rng: random.Random) -> None:
        super().__init__(port, server_port, self._fares)
        self._rng = rng
        self._loss, self._jitter_s = 0.0, 0.0

    def impair(self, *, loss: float, jitter_s: float) -> None:
        """From now on. loss: 0..1 of the datagrams to clients."""
        self._loss, self._jitter_s = loss, jitter_s

    def _fares(self, number: int) -> tuple[float, ...]:
        # A loss of one is the loss of this copy alone: a resend has another number.
        if self._rng.random() < self._loss:
            return ()
        return (self._rng.random() * self._jitter_s,)
