"""A buffer between two clocks that run apart, with the drift loop closed around it."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.media.drift import DriftLoop

MS = 1_000_000
BLOCK_NS = 5 * MS
BLOCKS_A_S = 200


class DriftingBuffer:
    """The server's clock is `ppm` faster than the device's. jitter: ms, per block."""

    def __init__(self, ppm: float, jitter: Callable[[], float] = lambda: 0.0) -> None:
        self.loop = DriftLoop(0)
        self.ppm = ppm
        self.now_ns = 0
        self.level_ns = 0.0
        self.intended_ns = 0
        self._jitter = jitter

    def run(self, seconds: float, *, blocks: bool = True) -> float:
        """Returns the largest error of the buffer meanwhile, ms. blocks: whether any come."""
        worst = 0.0
        for _ in range(round(seconds * BLOCKS_A_S)):
            self.now_ns += BLOCK_NS
            self.level_ns += BLOCK_NS * (self.ppm - self.loop.correction_ppm) * 1e-6
            if blocks:
                level_ns = int(self.level_ns - self._jitter() * MS)
                self.loop.observe(level_ns, self.intended_ns, self.now_ns)
            self.loop.tick(self.now_ns)
            worst = max(worst, abs(self.level_ns - self.intended_ns))
        return worst / MS
