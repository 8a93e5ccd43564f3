"""The erasure code once more, slowly and plainly, from the protocol's text alone.

No tables, no incremental state: all blocks and rows are kept, and each question
is answered by dense Gaussian elimination from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache


@cache
def multiply(a: int, b: int) -> int:
    """The product in GF(256), 0x11d, by shifting and adding."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return product


@cache
def inverse(a: int) -> int:
    return next(b for b in range(1, 256) if multiply(a, b) == 1)


def coefficient(row_seq: int, block_seq: int) -> int:
    x = (row_seq % 2**32) % 128
    y = 128 + (block_seq % 2**32) % 128
    return inverse(x ^ y)


def symbol(time: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(2, "big") + (time % 2**32).to_bytes(4, "big") + payload


def repair_sum(seq: int, width: int, symbols: dict[int, bytes]) -> bytes:
    covered = range(seq - width + 1, seq + 1)
    total = bytearray(max(len(symbols[k]) for k in covered))
    for k in covered:
        for at, byte in enumerate(symbols[k]):
            total[at] ^= multiply(coefficient(seq, k), byte)
    return bytes(total)


def solve(matrix: Sequence[Sequence[int]], unknowns: int) -> dict[int, bytes]:
    """Which unknowns have one value only, and what it is.

    matrix: rows of `unknowns` coefficients followed by the bytes of the sum.
    """
    rows = [list(row) for row in matrix]
    done = 0
    for column in range(unknowns):
        at = next((i for i in range(done, len(rows)) if rows[i][column]), None)
        if at is None:
            continue
        rows[done], rows[at] = rows[at], rows[done]
        factor = inverse(rows[done][column])
        rows[done] = [multiply(factor, value) for value in rows[done]]
        for i, row in enumerate(rows):
            if i != done and row[column]:
                factor = row[column]
                rows[i] = [
                    value ^ multiply(factor, lead)
                    for value, lead in zip(row, rows[done], strict=True)
                ]
        done += 1
    return {
        next(column for column in range(unknowns) if row[column]): bytes(row[unknowns:])
        for row in rows
        if sum(map(bool, row[:unknowns])) == 1
    }


class SlowSolver:
    """Everything that came, and what follows from it."""

    def __init__(self) -> None:
        self.symbols: dict[int, bytes] = {}
        self.rows: list[tuple[int, int, bytes]] = []

    def block(self, seq: int, time: int, payload: bytes) -> None:
        self.symbols.setdefault(seq, symbol(time, payload))

    def repair(self, seq: int, width: int, total: bytes) -> None:
        self.rows.append((seq, width, total))

    def solved(self) -> dict[int, bytes]:
        """The symbols of the blocks that did not come, as far as they are determined."""
        covered = {k for seq, width, _ in self.rows for k in range(seq - width + 1, seq + 1)}
        unknowns = sorted(covered - set(self.symbols))
        longest = max((len(total) for _, _, total in self.rows), default=0)
        matrix = []
        for seq, width, total in self.rows:
            coefficients = [0] * len(unknowns)
            rest = list(total.ljust(longest, b"\0"))
            for k in range(seq - width + 1, seq + 1):
                if k in self.symbols:
                    for at, byte in enumerate(self.symbols[k]):
                        rest[at] ^= multiply(coefficient(seq, k), byte)
                else:
                    coefficients[unknowns.index(k)] = coefficient(seq, k)
            matrix.append([*coefficients, *rest])
        return {unknowns[at]: data for at, data in solve(matrix, len(unknowns)).items()}
