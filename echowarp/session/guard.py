"""How long a missing block may merely be late: the guard before it is asked for."""

from __future__ import annotations

MS = 1_000_000
S = 1_000 * MS

MIN_GUARD_NS = 2 * MS
MAX_GUARD_NS = 30 * MS
SHARE = 0.97
"""So many of the blocks that are not lost come within the guard of being noticed."""
SLICE_NS = S
SLICES = 10
_CELL_NS = MS // 2
_CELLS = MAX_GUARD_NS // _CELL_NS + 1


class ReorderGuard:
    """The 97th percentile of reorder delay over 10 s, between 2 and 30 ms.

    Reorder delay: from the moment a block was noticed to be missing until it came
    by itself; 0 for one that came in its turn.
    """

    def __init__(self) -> None:
        self.guard_ns = MIN_GUARD_NS
        """The guard, renewed each second."""
        self._slices = [[0] * _CELLS]
        self._slice_ends_ns: int | None = None

    def came(self, reorder_ns: int, now_ns: int) -> None:
        """A block came by itself, `reorder_ns` after it was noticed missing, or in its turn."""
        if self._slice_ends_ns is None:
            self._slice_ends_ns = now_ns + SLICE_NS
        elif now_ns >= self._slice_ends_ns:
            self._slice_ends_ns = now_ns + SLICE_NS
            self.guard_ns = self._percentile_ns()
            self._slices = [*self._slices[-(SLICES - 1) :], [0] * _CELLS]
        cell = min(_CELLS - 1, reorder_ns // _CELL_NS) if reorder_ns > 0 else 0
        self._slices[-1][cell] += 1

    def _percentile_ns(self) -> int:
        counts = [sum(cell) for cell in zip(*self._slices, strict=True)]
        beyond = sum(counts) * (1 - SHARE)
        cell = _CELLS - 1
        while cell > 0 and counts[cell] <= beyond:
            beyond -= counts[cell]
            cell -= 1
        return max(MIN_GUARD_NS, min(MAX_GUARD_NS, (cell + 1) * _CELL_NS))
