from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echowarp.session.resends import BlockRing, Resends
from echowarp.wire.feedback import Request

MS = 1_000_000
S = 1_000 * MS
BLOCK = 5 * MS
ALL = (1 << 64) - 1


def filled(blocks: int = 300, first: int = 0) -> BlockRing:
    ring = BlockRing(block_ns=BLOCK)
    for seq in range(first, first + blocks):
        ring.put(seq, seq.to_bytes(8, "big"))
    return ring


def test_the_ring_keeps_one_second() -> None:
    ring = filled()
    assert ring.get(99) is None and ring.get(300) is None
    assert ring.get(100) == (100).to_bytes(8, "big")
    assert ring.highest == 299


def test_answers_what_is_kept_in_order() -> None:
    resends = Resends(filled(), block_ns=BLOCK, now_ns=0)
    answers = resends.answer(Request(98, 0b1111), 0)
    assert [(each.seq, each.body) for each in answers] == [
        (seq, seq.to_bytes(8, "big")) for seq in (100, 101)
    ]


def test_numbers_on_the_wire_wrap() -> None:
    resends = Resends(filled(first=2**32 - 100), block_ns=BLOCK, now_ns=0)
    answers = resends.answer(Request(5, 1), 0)
    assert [each.seq for each in answers] == [2**32 + 5]


def test_repeats_within_half_a_round_trip_are_dropped() -> None:
    resends = Resends(filled(), block_ns=BLOCK, now_ns=0)
    resends.set_round_trip(40 * MS)
    sent = [len(resends.answer(Request(200, 1), now * MS)) for now in (0, 10, 19, 20, 39, 40)]
    assert sent == [1, 0, 0, 1, 0, 1]


def test_twenty_at_once_and_then_half_the_media_rate() -> None:
    resends = Resends(filled(), block_ns=BLOCK, now_ns=0)
    assert len(resends.answer(Request(150, ALL), 0)) == 20
    assert len(resends.answer(Request(150, ALL), 9 * MS)) == 0
    assert len(resends.answer(Request(150, ALL), 10 * MS)) == 1
    assert len(resends.answer(Request(150, ALL), 60 * S)) == 20


def test_asking_for_everything_for_ever_gets_the_budget_and_nobody_else_pays() -> None:
    ring = filled()
    greedy = Resends(ring, block_ns=BLOCK, now_ns=0)
    honest = Resends(ring, block_ns=BLOCK, now_ns=0)
    got = 0
    for now in range(0, 10 * S, MS):
        for base in range(100, 300, 64):
            got += len(greedy.answer(Request(base, ALL), now))
    assert got <= 20 + 10 * S // BLOCK // 2
    assert len(greedy._last_ns) <= ring.capacity_blocks + 1
    assert len(honest.answer(Request(250, 1), 10 * S)) == 1


def test_blocks_that_never_were_cost_nothing() -> None:
    resends = Resends(filled(), block_ns=BLOCK, now_ns=0)
    for seq in range(0, 2**32, 2**24):
        far = (seq + 1000) % 2**32
        assert resends.answer(Request(far, ALL), 0) == []
    assert len(resends.answer(Request(150, ALL), 0)) == 20


def test_an_empty_ring_answers_nothing() -> None:
    resends = Resends(BlockRing(block_ns=BLOCK), block_ns=BLOCK, now_ns=0)
    assert resends.answer(Request(0, ALL), 0) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1), st.integers(0, ALL), st.integers(-S, S), st.integers(0, S)
        ),
        max_size=50,
    )
)
def test_any_requests_at_any_time_stay_within_the_budget(
    asks: list[tuple[int, int, int, int]],
) -> None:
    resends = Resends(filled(), block_ns=BLOCK, now_ns=0)
    now = newest = got = 0
    for seq, bits, later, round_trip in asks:
        now = max(0, now + later)
        newest = max(newest, now)
        resends.set_round_trip(round_trip)
        got += len(resends.answer(Request(seq % 400, bits), now))
        assert got <= 20 + newest // (2 * BLOCK)
