"""The fates of packets in a made-up network, one direction of it."""

from __future__ import annotations

import random

from echowarp.config.impair import Impairment

NS_PER_MS = 1_000_000


class ImpairedPath:
    """Decides for one packet after the other.

    Losses come in runs of exactly `burst_packets`, begun at random so often that the
    share of lost packets is the one asked for. direction: tells the paths of one
    network, and one seed, from each other.
    """

    def __init__(self, impairment: Impairment, direction: str) -> None:
        loss, burst = impairment.loss_percent / 100, impairment.burst_packets
        self._draw = random.Random(f"{impairment.seed} {direction}").random
        self._run_begins = loss / (burst * (1 - loss) + loss)
        self._duplicate = impairment.duplicate_percent / 100
        self._burst = burst
        self._lost_left = 0
        self._delay_ns = round(impairment.delay_ms * NS_PER_MS)
        self._jitter_ns = round(impairment.jitter_ms * NS_PER_MS)
        self._even = (self._delay_ns,)

    def delays_ns(self) -> tuple[int, ...]:
        """How long each copy of the next packet is under way; empty when it is lost."""
        if self._lost_left:
            self._lost_left -= 1
            return ()
        if self._run_begins and self._draw() < self._run_begins:
            self._lost_left = self._burst - 1
            return ()
        if self._duplicate and self._draw() < self._duplicate:
            return self._one_copy() + self._one_copy()
        return self._one_copy()

    def _one_copy(self) -> tuple[int, ...]:
        if not self._jitter_ns:
            return self._even
        return (self._delay_ns + int(self._draw() * self._jitter_ns),)
