"""Rows and blocks that no honest encoder sends."""

from __future__ import annotations

import random
from collections.abc import Callable

from echowarp.media.format import MAX_PAYLOAD_BYTES
from echowarp.media.repair import RepairSolver


def hostile_calls(rng: random.Random, count: int) -> list[Callable[[RepairSolver], object]]:
    """Rows and blocks meant to keep many rows open and each of them wide."""

    def call(at: int) -> Callable[[RepairSolver], object]:
        kind, near = rng.randrange(40), at // 8 + rng.randrange(250)
        size = rng.choice((6, 700, 6 + MAX_PAYLOAD_BYTES, 6 + MAX_PAYLOAD_BYTES + 1, 3))
        if kind == 0:
            return lambda solver: solver.forget_before(near - 240)
        if kind == 1:
            return lambda solver: solver.repair(rng.randrange(2**40), rng.randrange(300), b"")
        if kind < 8:
            return lambda solver: solver.block(near - 50, rng.randrange(2**40), bytes(size))
        width = rng.choice((2, 3, 24, 24, 24))
        total = rng.choice((bytes(size), rng.randbytes(size)))
        return lambda solver: solver.repair(near, width, total)

    return [call(at) for at in range(count)]
