"""The sliding-window erasure code: repair rows from blocks, lost blocks from rows.

A row is the sum, over the last few blocks, of a coefficient times the block's
symbol (its length, time and payload). Any set of rows and blocks is a linear
system over GF(256); each row that arrives is worth one lost block that it covers.

Source: protocol 1, section 7 (layout and coefficients, a Cauchy matrix); Roca et
al., "Sliding Window Random Linear Code (RLC) FEC Schemes", RFC 8681, for the idea.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

from echowarp.media.format import MAX_PAYLOAD_BYTES
from echowarp.media.galois import INVERSE, TIMES, add_scaled, weighted_sum

MIN_WIDTH, MAX_WIDTH = 2, 24
"""Blocks that one row may cover."""

_HEAD = struct.Struct(">HI")
_MAX_SYMBOL_BYTES = _HEAD.size + MAX_PAYLOAD_BYTES
_COUNTER_SPAN = 1 << 32

MAX_ROWS = 32
"""Unsolved rows kept; beyond it the oldest goes. It bounds the work of one call. At
10 % loss at most 18 were open, and only at 40 % did a 33rd have something to give."""

_COLUMNS = 256
"""Blocks that the solver looks at, 640 ms at 2.5 ms each: more than any playout holds."""

_COLUMNS_BEHIND = 192
"""How many of them lie before the newest block; the rest is for rows that overtook it."""

_UNIT = tuple(bytes(at == column for at in range(_COLUMNS)) for column in range(_COLUMNS))

Block = tuple[int, int, bytes]
"""(seq, time in frames, payload), both counters unwrapped."""


def _coefficient(row_seq: int, block_seq: int) -> int:
    return INVERSE[(row_seq % 128) ^ (128 + block_seq % 128)]


def _symbol(time: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), time % _COUNTER_SPAN) + payload


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRow:
    """One repair row: the sum over blocks seq - width + 1 .. seq, width 2..24."""

    seq: int
    width: int
    sum: bytes


class RepairEncoder:
    """Makes the rows of one stream. Holds its last 24 blocks."""

    def __init__(self) -> None:
        self._newest = -1
        self._symbols: deque[bytes] = deque(maxlen=MAX_WIDTH)
        self._rows: dict[int, RepairRow] = {}

    def add(self, seq: int, time: int, payload: bytes) -> None:
        """Takes the stream's next block.

        seq, time: unwrapped counters; payload: at most MAX_PAYLOAD_BYTES, else
        ValueError. When `seq` is not the one after the last, the window begins anew:
        a row cannot leave out a block.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload of {len(payload)} bytes does not fit a repair row")
        if seq != self._newest + 1:
            self._symbols.clear()
        self._newest = seq
        self._symbols.append(_symbol(time, payload))
        self._rows.clear()

    def row(self, width: int) -> RepairRow | None:
        """The row over the newest `width` blocks; made once, however often asked for.

        width: 2..24, else ValueError. Near the beginning of the stream the row is
        narrower, as its `width` tells; None when there are fewer than two blocks.
        """
        if not MIN_WIDTH <= width <= MAX_WIDTH:
            raise ValueError(f"a repair row over {width} blocks")
        width = min(width, len(self._symbols))
        if width < MIN_WIDTH:
            return None
        if width not in self._rows:
            self._rows[width] = self._make(width)
        return self._rows[width]

    def _make(self, width: int) -> RepairRow:
        first = self._newest - width + 1
        symbols = list(self._symbols)[-width:]
        total = weighted_sum(
            (_coefficient(self._newest, first + at), symbol) for at, symbol in enumerate(symbols)
        )
        longest = max(map(len, symbols))
        return RepairRow(seq=self._newest, width=width, sum=total.to_bytes(longest, "little"))


class RepairSolver:
    """Finds the lost blocks of one stream from the blocks and rows that came.

    first_seq, first_time: unwrapped position of the first block that is wanted;
    rows that reach before it are not used.

    Nothing raises, whatever comes in, and work and memory of a call are bounded.
    What cannot be right is dropped: a row of impossible width or length, one that
    contradicts the others, a solution that is no block or whose time does not lie
    between those of its neighbours.

    Rows are held as bytes: one coefficient for each of 256 columns, a block in
    column seq mod 256, then the sum; so one multiplication and one XOR treat both.
    They are kept fully reduced (Gauss-Jordan), each led by its *oldest* unknown: a
    row is solved exactly when only that is left, and to forget a block it is enough
    to drop the row it leads, which takes nothing from what the others say.
    """

    def __init__(self, first_seq: int, first_time: int) -> None:
        self._wanted = first_seq
        self._floor = first_seq
        self._floor_time = first_time
        self._known: dict[int, tuple[int, bytes]] = {}
        self._order: list[int] = []
        self._rows: dict[int, bytes] = {}

    @property
    def has_rows(self) -> bool:
        """Whether a row waits for blocks: until then they may be given later, in order."""
        return bool(self._rows)

    def block(self, seq: int, time: int, payload: bytes) -> list[Block]:
        """Takes a block that was received; gives the blocks that are solved by it.

        seq, time: unwrapped counters; a block far ahead moves the window on.
        """
        if seq < self._floor or seq in self._known or len(payload) > MAX_PAYLOAD_BYTES:
            return []
        if seq - _COLUMNS_BEHIND > self._floor:
            self._raise_floor(seq - _COLUMNS_BEHIND)
        symbol = _symbol(time, payload)
        self._know(seq, time, symbol)
        if not self._rows:
            return []
        lead = self._rows.pop(seq, None)
        block = _UNIT[seq % _COLUMNS] + symbol
        self._eliminate(seq, block)
        # A shorter one contradicts the block: a sum is as long as its longest symbol.
        if lead is not None and len(lead) >= len(block):
            self._insert(add_scaled(lead, 1, block))
        return self._solved()

    def repair(self, seq: int, width: int, total: bytes) -> list[Block]:
        """Takes a repair row; gives the blocks that are solved by it.

        seq: unwrapped number of the newest block that it covers; width: how many it
        covers; total: the sum.
        """
        if not MIN_WIDTH <= width <= MAX_WIDTH:
            return []
        if not _HEAD.size <= len(total) <= _MAX_SYMBOL_BYTES:
            return []
        first = seq - width + 1
        if first < self._floor or seq >= self._floor + _COLUMNS:
            return []
        if all(map(self._known.__contains__, range(first, seq + 1))):
            return []
        coefficients = bytearray(_COLUMNS)
        received = []
        for each in range(first, seq + 1):
            factor = _coefficient(seq, each)
            if each in self._known:
                received.append((factor, self._known[each][1]))
            else:
                coefficients[each % _COLUMNS] = factor
        if any(len(symbol) > len(total) for _, symbol in received):
            return []
        rest = weighted_sum([*received, (1, total)])
        self._insert(bytes(coefficients) + rest.to_bytes(len(total), "little"))
        return self._solved()

    def forget_before(self, seq: int) -> None:
        """Blocks before `seq` are not wanted any more and never given again.

        As far as a row over wanted blocks can reach back, they are still used.
        """
        if seq > self._wanted:
            self._wanted = seq
            self._raise_floor(seq - MAX_WIDTH + 1)

    def _raise_floor(self, seq: int) -> None:
        if seq <= self._floor:
            return
        self._floor = seq
        gone = bisect_left(self._order, seq)
        if gone:
            self._floor_time = self._known[self._order[gone - 1]][0]
        for each in self._order[:gone]:
            del self._known[each]
        del self._order[:gone]
        if self._rows:
            self._rows = {lead: row for lead, row in self._rows.items() if lead >= seq}

    def _know(self, seq: int, time: int, symbol: bytes) -> None:
        self._known[seq] = (time, symbol)
        if self._order and seq < self._order[-1]:
            insort(self._order, seq)
        else:
            self._order.append(seq)

    def _insert(self, row: bytes) -> None:
        """Reduces a row by the others and them by it, unless nothing of it is left."""
        for unknown, other in self._rows.items():
            if factor := row[unknown % _COLUMNS]:
                row = add_scaled(row, factor, other)
        lead = self._oldest(row)
        if lead is None:
            return
        row = row.translate(TIMES[INVERSE[row[lead % _COLUMNS]]])
        self._eliminate(lead, row)
        self._rows[lead] = row
        if len(self._rows) > MAX_ROWS:
            del self._rows[min(self._rows)]

    def _eliminate(self, seq: int, row: bytes) -> None:
        """Takes the unknown `seq`, whose factor in `row` is 1, out of all rows.

        When `row` is a received block, a shorter row that claims to cover it is false.
        """
        known = seq in self._known
        column = seq % _COLUMNS
        for lead, other in list(self._rows.items()):
            if factor := other[column]:
                if known and len(other) < len(row):
                    del self._rows[lead]
                else:
                    self._rows[lead] = add_scaled(other, factor, row)

    def _oldest(self, row: bytes) -> int | None:
        start = self._floor % _COLUMNS
        unknowns = (row[start:_COLUMNS] + row[:start]).lstrip(b"\0")
        return self._floor + _COLUMNS - len(unknowns) if unknowns else None

    def _solved(self) -> list[Block]:
        found = []
        for lead, row in sorted(self._rows.items()):
            if row.startswith(_UNIT[lead % _COLUMNS]):
                del self._rows[lead]
                block = self._parse(lead, row[_COLUMNS:])
                if block is not None:
                    self._know(lead, block[1], _symbol(block[1], block[2]))
                    if lead >= self._wanted:
                        found.append(block)
        return found

    def _parse(self, seq: int, symbol: bytes) -> Block | None:
        length, time_bits = _HEAD.unpack_from(symbol)
        payload = symbol[_HEAD.size : _HEAD.size + length]
        if length > len(symbol) - _HEAD.size or symbol[_HEAD.size + length :].strip(b"\0"):
            return None
        at = bisect_left(self._order, seq)
        time, before = self._floor_time, b""
        if at:
            time, before = self._known[self._order[at - 1]]
        # A block that holds sound ends later than it begins, an empty one may not.
        passed = (time_bits - time) % _COUNTER_SPAN
        if passed >= _COUNTER_SPAN >> 1 or passed < (len(before) > _HEAD.size):
            return None
        time += passed
        if at < len(self._order):
            after = self._known[self._order[at]][0]
            if time + bool(payload) > after:
                return None
        return seq, time, payload
