"""The erasure code: exact on every small loss pattern, and equal to a slow reference."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echowarp.media import galois, repair
from echowarp.media.format import MAX_PAYLOAD_BYTES
from echowarp.media.repair import MAX_ROWS, MAX_WIDTH, Block, RepairEncoder, RepairRow, RepairSolver
from tests.media import slow_repair
from tests.media.hostile_rows import hostile_calls
from tests.media.slow_repair import SlowSolver

WINDOW = 12


def stream(count: int, *, seq: int = 1000, time: int = 77, size: int = 960) -> list[Block]:
    rng = random.Random(seq)
    return [(seq + at, time + at * 240, rng.randbytes(size)) for at in range(count)]


def rows_of(blocks: list[Block], width: int) -> dict[int, RepairRow]:
    """The row of every newest block that has one."""
    encoder = RepairEncoder()
    rows = {}
    for block in blocks:
        encoder.add(*block)
        if (row := encoder.row(width)) is not None:
            rows[block[0]] = row
    return rows


def feed(solver: RepairSolver, row: RepairRow) -> list[Block]:
    return solver.repair(row.seq, row.width, row.sum)


def solver_for(blocks: list[Block]) -> RepairSolver:
    return RepairSolver(blocks[0][0], blocks[0][1])


def test_the_row_is_the_sum_of_the_protocol() -> None:
    blocks = stream(40, size=11)
    symbols = {seq: slow_repair.symbol(time, payload) for seq, time, payload in blocks}
    for width in (2, 12, 16, MAX_WIDTH):
        for seq, row in rows_of(blocks, width).items():
            assert (row.seq, row.width) == (seq, min(width, seq - 999))
            assert row.sum == slow_repair.repair_sum(seq, row.width, symbols)


def test_a_row_by_hand() -> None:
    encoder = RepairEncoder()
    encoder.add(0, 0x01020304, b"\x05")
    encoder.add(1, 0, b"")
    row = encoder.row(12)
    # Row 1 covers block 0 with 1/(1 ^ 128) = 1/129 and block 1 with 1/(1 ^ 129) = 1/128.
    by_129, by_128 = slow_repair.inverse(129), slow_repair.inverse(128)
    lengths = bytes([0, slow_repair.multiply(by_129, 1) ^ slow_repair.multiply(by_128, 0)])
    rest = bytes(slow_repair.multiply(by_129, value) for value in (1, 2, 3, 4, 5))
    assert row == RepairRow(seq=1, width=2, sum=lengths + rest)


def test_no_row_before_there_are_two_blocks() -> None:
    encoder = RepairEncoder()
    assert encoder.row(12) is None
    encoder.add(5, 0, b"a")
    assert encoder.row(12) is None
    encoder.add(6, 1, b"b")
    assert encoder.row(12) is not None


def test_a_row_is_made_once_and_anew_for_the_next_block() -> None:
    encoder = RepairEncoder()
    for block in stream(3):
        encoder.add(*block)
    first = encoder.row(2)
    assert encoder.row(2) is first
    assert encoder.row(3) != first
    encoder.add(1003, 0, b"")
    assert encoder.row(2) != first


def test_after_a_gap_the_window_begins_anew() -> None:
    encoder = RepairEncoder()
    for seq in (1, 2, 3, 7, 8):
        encoder.add(seq, seq, b"x")
    row = encoder.row(12)
    assert row is not None
    assert (row.seq, row.width) == (8, 2)


@pytest.mark.parametrize("width", [-1, 0, 1, 25, 1000])
def test_a_caller_with_an_impossible_width_is_told(width: int) -> None:
    with pytest.raises(ValueError, match="repair row"):
        RepairEncoder().row(width)


def test_a_caller_with_too_long_a_payload_is_told() -> None:
    encoder = RepairEncoder()
    encoder.add(1, 0, bytes(MAX_PAYLOAD_BYTES))
    with pytest.raises(ValueError, match="payload"):
        encoder.add(2, 0, bytes(MAX_PAYLOAD_BYTES + 1))


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("losses", [1, 2, 3, 4])
def test_every_pattern_of_losses(losses: int, rows_first: bool) -> None:
    """As many rows as losses, any of four that cover all 12: always exactly solved."""
    blocks = stream(WINDOW + 3)
    every_row = [rows_of(blocks, WINDOW + at)[1011 + at] for at in range(4)]
    for number, lost in enumerate(combinations(range(WINDOW), losses)):
        choices = list(combinations(every_row, losses))
        rows = choices[number % len(choices)]
        came = [block for at, block in enumerate(blocks) if at not in lost]
        solver, found = solver_for(blocks), []
        for part in (rows, came) if rows_first else (came, rows):
            for item in part:
                found += feed(solver, item) if isinstance(item, RepairRow) else solver.block(*item)
        assert sorted(found) == [blocks[at] for at in lost], lost


@pytest.mark.parametrize("around", [2**32, 2**33, 128, 0])
def test_counters_wrap(around: int) -> None:
    blocks = stream(30, seq=around - 15, time=around - 15 * 240)
    rows = rows_of(blocks, WINDOW)
    solver = solver_for(blocks)
    found = []
    for at, block in enumerate(blocks):
        if at not in (13, 14, 15, 16):
            found += solver.block(*block)
        if at > 16:
            found += feed(solver, rows[block[0]])
    assert found == blocks[13:17]


def test_the_wire_sees_only_32_bits_of_each_counter() -> None:
    low, high = stream(20, seq=7), stream(20, seq=7)
    high = [(seq + 2**32, time + 2**32, payload) for seq, time, payload in high]
    for one, other in zip(rows_of(low, 12).values(), rows_of(high, 12).values(), strict=True):
        assert one.sum == other.sum


@pytest.mark.parametrize("lost", [0, 5, 11])
def test_blocks_of_many_lengths(lost: int) -> None:
    sizes = [960, 0, 1, MAX_PAYLOAD_BYTES, 12, 960, 0, 0, 500, 960, 960, 4]
    blocks = [(seq, seq * 10, bytes([seq]) * size) for seq, size in enumerate(sizes)]
    solver = solver_for(blocks)
    for at, block in enumerate(blocks):
        if at != lost:
            assert solver.block(*block) == []
    assert feed(solver, rows_of(blocks, WINDOW)[11]) == [blocks[lost]]


def test_a_short_last_block_is_given_at_its_length() -> None:
    blocks = [*stream(11), (1011, 77 + 11 * 240, b"tail")]
    solver = solver_for(blocks)
    for block in blocks[:-1]:
        solver.block(*block)
    assert feed(solver, rows_of(blocks, WINDOW)[1011]) == [blocks[-1]]


def test_one_block_can_solve_a_chain() -> None:
    blocks = stream(30)
    rows = rows_of(blocks, 2)
    solver = solver_for(blocks)
    for seq in range(1029, 1000, -1):
        assert feed(solver, rows[seq]) == []
    assert solver.block(*blocks[10]) == blocks[:10] + blocks[11:]


def test_nothing_is_given_twice() -> None:
    blocks = stream(WINDOW)
    rows = rows_of(blocks, WINDOW)
    solver = solver_for(blocks)
    for block in blocks[:-1]:
        solver.block(*block)
    assert feed(solver, rows[1011]) == [blocks[-1]]
    assert feed(solver, rows[1011]) == []
    assert solver.block(*blocks[-1]) == []


def test_what_is_forgotten_still_helps_but_is_not_given() -> None:
    blocks = stream(14)
    rows = rows_of(blocks, WINDOW)
    solver = solver_for(blocks)
    for at, block in enumerate(blocks):
        if at not in (5, 12):
            solver.block(*block)
    solver.forget_before(1010)
    assert feed(solver, rows[1012]) == []
    assert feed(solver, rows[1011]) == [blocks[12]]


def test_it_goes_on_after_everything_was_forgotten() -> None:
    blocks = stream(80)
    rows = rows_of(blocks, WINDOW)
    solver = solver_for(blocks)
    for block in blocks[:20]:
        solver.block(*block)
    solver.forget_before(1060)
    for block in blocks[60:79]:
        solver.block(*block)
    assert feed(solver, rows[1079]) == [blocks[79]]


def test_a_block_far_ahead_moves_the_window() -> None:
    far = stream(24, seq=10_000, time=10**6)
    solver = RepairSolver(0, 0)
    for block in stream(20, seq=0):
        solver.block(*block)
    for block in far[:-1]:
        solver.block(*block)
    assert feed(solver, rows_of(far, WINDOW)[10_023]) == [far[-1]]
    assert solver.block(*far[0]) == []


def test_hours_without_forgetting() -> None:
    """The window follows the stream by itself, and no row falls between."""
    encoder, solver = RepairEncoder(), RepairSolver(2**32 - 700, 2**32 - 5)
    for at in range(1500):
        block = (2**32 - 700 + at, 2**32 - 5 + at * 240, bytes([at % 256]) * 20)
        encoder.add(*block)
        if at % 3 != 1:
            assert solver.block(*block) == []
        row = encoder.row(3)
        if at > 4 and at % 3 == 1:
            assert row is not None
            assert feed(solver, row) == [block]


def test_short_rows_and_long_rows_combine() -> None:
    blocks = [(0, 0, b"a"), (1, 1, b""), (2, 2, bytes(range(200)))]
    solver = solver_for(blocks)
    assert feed(solver, rows_of(blocks, 2)[1]) == []
    assert feed(solver, rows_of(blocks, 2)[2]) == []
    assert feed(solver, rows_of(blocks, 3)[2]) == blocks


def test_rows_that_reach_before_the_first_block_are_not_used() -> None:
    blocks = stream(4, seq=998)
    solver = RepairSolver(1000, 0)
    assert solver.block(*blocks[3]) == []
    assert feed(solver, rows_of(blocks, 2)[1000]) == []
    assert feed(solver, rows_of(blocks, 3)[1001]) == []


def test_rows_far_ahead_are_not_taken_for_others() -> None:
    """Their columns are those of the oldest blocks."""
    blocks = stream(4, seq=1254)
    solver = RepairSolver(1000, 0)
    for width in (2, 3, 4):
        for row in rows_of(blocks, width).values():
            assert row.seq < 1256 or feed(solver, row) == []


def test_blocks_before_the_first_are_ignored() -> None:
    blocks = stream(2)
    solver = solver_for(blocks)
    solver.block(10, 10**9, b"from before")
    solver.block(*blocks[1])
    assert feed(solver, rows_of(blocks, 2)[1001]) == [blocks[0]]


def test_the_oldest_of_too_many_rows_goes() -> None:
    blocks = stream(2 * MAX_ROWS + 2)
    rows = rows_of(blocks, 2)
    solver = solver_for(blocks)
    for at in range(1, len(blocks), 2):
        assert feed(solver, rows[1000 + at]) == []
    assert solver.block(*blocks[0]) == []
    assert solver.block(*blocks[2]) == [blocks[3]]
    assert solver.block(*blocks[-2]) == [blocks[-1]]


def test_time_is_unwrapped_from_what_was_forgotten() -> None:
    blocks = [(93, 2**32 + 230, b"lost"), (94, 2**32 + 470, b"b")]
    solver = RepairSolver(0, 0)
    solver.block(0, 0, b"a")
    solver.block(30, 2**31 - 1, b"a")
    solver.block(60, 2**32 - 10, b"a")
    solver.forget_before(93)
    solver.block(*blocks[1])
    assert feed(solver, rows_of(blocks, 2)[94]) == [blocks[0]]


def test_a_row_that_is_forgotten_does_not_come_back() -> None:
    """256 blocks later its columns belong to other blocks."""
    blocks = stream(258, size=20)
    rows = rows_of(blocks, 2)
    solver = solver_for(blocks)
    assert feed(solver, rows[1001]) == []
    for block in blocks[2:256]:
        solver.block(*block)
    assert feed(solver, rows[1257]) == []
    assert solver.block(*blocks[257]) == [blocks[256]]


def test_forgetting_frees_memory() -> None:
    blocks = stream(190)
    tracemalloc.start()
    try:
        solver = solver_for(blocks)
        for block in blocks:
            solver.block(*block)
        assert tracemalloc.get_traced_memory()[0] > 180_000
        solver.forget_before(1190)
        assert tracemalloc.get_traced_memory()[0] < 40_000
    finally:
        tracemalloc.stop()


def events(draw: st.DrawFn, blocks: list[Block]) -> list[Block | RepairRow | int]:
    """What a lossy, reordering network makes of a stream; a number is forgotten up to."""
    encoder = RepairEncoder()
    width = draw(st.sampled_from([2, 3, 5, 12, 16, 24]))
    every = draw(st.integers(1, 4))
    loss = draw(st.integers(0, 70))
    sent: list[tuple[int, Block | RepairRow | int]] = []
    chance = st.integers(0, 99)
    for at, block in enumerate(blocks):
        encoder.add(*block)
        row = encoder.row(width) if at % every == 0 else None
        sent += [
            (at + draw(st.integers(0, 6)), item)
            for item in (block, row)
            if item is not None and draw(chance) >= loss
        ]
        if draw(chance) < 4:
            sent.append((at, blocks[0][0] + at - draw(st.integers(0, 8))))
    return [item for _, item in sorted(sent, key=lambda pair: pair[0])]


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Block], list[Block | RepairRow | int]]:
    seq = draw(st.sampled_from([0, 1, 120, 2**31, 2**32 - 10]))
    time = draw(st.sampled_from([0, 2**31 - 5, 2**32 - 1000]))
    blocks = []
    for at in range(draw(st.integers(2, 45))):
        payload = draw(st.binary(max_size=5))
        blocks.append((seq + at, time, payload))
        time += draw(st.integers(bool(payload), 300))
    return blocks, events(draw, blocks)


@settings(max_examples=200)
@given(networks())
def test_solves_whatever_can_be_solved(
    network: tuple[list[Block], list[Block | RepairRow | int]],
) -> None:
    blocks, happened = network
    sent = {block[0]: block for block in blocks}
    first = blocks[0][0]
    solver, slow = solver_for(blocks), SlowSolver()
    known: set[int] = set()
    wanted = floor = first
    for number, event in enumerate(happened):
        found: list[Block] = []
        if isinstance(event, int):
            wanted = max(wanted, event)
            floor = max(floor, event - MAX_WIDTH + 1)
            solver.forget_before(event)
        elif isinstance(event, RepairRow):
            found = feed(solver, event)
            if event.seq - event.width + 1 >= floor:
                slow.repair(event.seq, event.width, event.sum)
        else:
            found = solver.block(*event)
            if event[0] >= floor:
                slow.block(*event)
                known.add(event[0])
        for block in found:
            assert block == sent[block[0]], "wrong"
            assert block[0] not in known, "given before"
            assert block[0] >= wanted, "forgotten"
            known.add(block[0])
        if number == len(happened) - 1 or isinstance(event, int):
            could = {seq for seq in slow.solved() if seq >= wanted}
            assert could <= known
            assert {seq for seq in known if seq >= wanted} <= could | set(slow.symbols)


def one_lost(forge: Callable[[bytes], bytes]) -> list[Block]:
    """What the solver gives for the seventh of 12 blocks when its row was forged."""
    blocks = stream(WINDOW)
    solver = solver_for(blocks)
    for at, block in enumerate(blocks):
        if at != 6:
            solver.block(*block)
    row = rows_of(blocks, WINDOW)[1011]
    return solver.repair(row.seq, row.width, forge(row.sum))


def times_coefficient(delta: bytes) -> Callable[[bytes], bytes]:
    """Adds `delta` to the symbol that the row will be solved for."""
    factor = slow_repair.coefficient(1011, 1006)
    return lambda total: galois.add_scaled(total, factor, delta)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(times_coefficient(b"\x80"), id="length beyond the symbol"),
        pytest.param(times_coefficient(b"\x00\x80"), id="sound in the padding"),
        pytest.param(times_coefficient(b"\0\0\x80"), id="time far away"),
        pytest.param(times_coefficient(b"\0\0\0\0\x10"), id="time after the next block"),
        pytest.param(times_coefficient(b"\0\0\0\0\x04"), id="time before the last block"),
        pytest.param(lambda total: total[:-1], id="shorter than its blocks"),
        pytest.param(lambda total: total[:5], id="shorter than a head"),
        pytest.param(lambda total: b"", id="empty"),
        pytest.param(lambda total: total.ljust(6 + MAX_PAYLOAD_BYTES + 1), id="too long"),
    ],
)
def test_a_forged_row_gives_nothing(forge: Callable[[bytes], bytes]) -> None:
    assert one_lost(forge) == []
    assert one_lost(lambda total: total) == [stream(WINDOW)[6]]
    assert one_lost(lambda total: total + b"\0") == [stream(WINDOW)[6]]


@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.parametrize("step", [-1, 0, 1, 2**31 - 1, 2**31])
@pytest.mark.parametrize("lost", [0, 1])
def test_sound_takes_time_and_silence_may_not(payload: bytes, step: int, lost: int) -> None:
    blocks = [(4, 100, payload), (5, 100 + step, b"")]
    solver = solver_for(blocks)
    solver.block(*blocks[1 - lost])
    fits = len(payload) <= step and (lost == 0 or step < 2**31)
    assert feed(solver, rows_of(blocks, 2)[5]) == ([blocks[lost]] if fits else [])


def test_a_dropped_solution_may_still_be_found() -> None:
    blocks = stream(WINDOW + 1)
    rows = rows_of(blocks, WINDOW)
    solver = solver_for(blocks)
    for at, block in enumerate(blocks):
        if at != 6:
            solver.block(*block)
    assert solver.repair(1011, WINDOW, bytes(966)) == []
    assert feed(solver, rows[1012]) == [blocks[6]]


@pytest.mark.parametrize("long", [0, 1])
@pytest.mark.parametrize("row_first", [False, True])
def test_a_row_shorter_than_a_block_it_covers_is_dropped(long: int, row_first: bool) -> None:
    """Even if, as here, all that is cut off is zeros: no encoder makes such a row."""
    blocks = [(seq, seq, b"abc" + bytes(397 if seq == long else 0)) for seq in range(3)]
    row = rows_of(blocks, 3)[2]
    for total, found in ((row.sum, [blocks[2]]), (row.sum[:9], [])):
        solver, given_back = solver_for(blocks), []
        if row_first:
            given_back += solver.repair(2, 3, total)
        given_back += solver.block(*blocks[1]) + solver.block(*blocks[0])
        if not row_first:
            given_back += solver.repair(2, 3, total)
        assert given_back == found


def test_a_block_that_no_datagram_holds_is_ignored() -> None:
    solver = RepairSolver(0, 0)
    assert solver.block(0, 0, bytes(MAX_PAYLOAD_BYTES + 1)) == []
    assert solver.block(0, 0, bytes(70_000)) == []
    encoder = RepairEncoder()
    encoder.add(0, 0, b"right")
    encoder.add(1, 9, b"")
    solver.block(1, 9, b"")
    row = encoder.row(2)
    assert row is not None
    assert feed(solver, row) == [(0, 0, b"right")]


@pytest.mark.parametrize("width", [-5, 0, 1, 25, 255, 10**9])
def test_impossible_widths_give_nothing(width: int) -> None:
    solver = RepairSolver(1000, 0)
    assert solver.repair(1100, width, bytes(20)) == []


@pytest.mark.parametrize("seq", [-(10**12), 0, 1005, 1010, 1256, 5000, 2**32, 10**12])
def test_rows_out_of_reach_give_nothing(seq: int) -> None:
    solver = RepairSolver(1000, 0)
    assert solver.repair(seq, WINDOW, bytes(20)) == []
    blocks = stream(WINDOW)
    for block in blocks[:-1]:
        assert solver.block(*block) == []
    assert feed(solver, rows_of(blocks, WINDOW)[1011]) == [blocks[-1]]


def test_hostile_rows_cost_a_bounded_number_of_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = 0

    def counted(data: bytes, factor: int, other: bytes) -> bytes:
        nonlocal done
        done += 1
        return galois.add_scaled(data, factor, other)

    monkeypatch.setattr(repair, "add_scaled", counted)
    solver, most = RepairSolver(0, 0), 0
    for call in hostile_calls(random.Random(1), 6000):
        done = 0
        call(solver)
        most = max(most, done)
    assert MAX_ROWS // 2 < most <= 2 * MAX_ROWS + MAX_WIDTH


def test_hostile_rows_take_bounded_memory() -> None:
    calls = hostile_calls(random.Random(2), 6000)
    tracemalloc.start()
    try:
        solver = RepairSolver(0, 0)
        for call in calls:
            call(solver)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["block", "repair", "forget"]),
            st.one_of(st.integers(990, 1060), st.integers()),
            st.one_of(st.integers(0, 30), st.integers()),
            st.binary(max_size=12),
        ),
        max_size=60,
    )
)
def test_nothing_raises_and_no_block_is_given_out_of_order(
    calls: list[tuple[str, int, int, bytes]],
) -> None:
    solver = RepairSolver(1000, 5)
    for name, seq, number, data in calls:
        found: list[Block] = []
        if name == "forget":
            solver.forget_before(seq)
        elif name == "repair":
            found = solver.repair(seq, number, data)
        else:
            found = solver.block(seq, number, data)
        assert found == sorted(found)
        for block in found:
            assert block[0] >= 1000
            assert len(block[2]) <= MAX_PAYLOAD_BYTES
