"""The pushed playout under a virtual clock: what a recording holds."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from echowarp.media.format import Format
from echowarp.media.pushed_playout import END_PATIENCE_NS, NOTHING_CAME_NS, PushedPlayout

FMT = Format(rate=8_000, channels=1, block_frames=40)
BLOCK_NS = FMT.block_ns
BASE = 2**32 - 20
"""The counters wrap on the wire in the middle of the tests; here they are unwrapped."""


def block(k: int) -> bytes:
    return random.Random(k).randbytes(FMT.block_bytes)


def made(patience_blocks: int = 4) -> PushedPlayout:
    return PushedPlayout(
        FMT, first_seq=BASE, first_time=BASE, patience_ns=patience_blocks * BLOCK_NS, now_ns=0
    )


def put(playout: PushedPlayout, k: int, now_ns: int = 0) -> bytes:
    return b"".join(playout.put(BASE + k, BASE + k * 40, block(k), now_ns))


def test_a_block_leaves_at_once_when_its_turn_has_come() -> None:
    playout = made()
    assert put(playout, 0) == block(0)
    assert put(playout, 2) == b""
    assert put(playout, 1) == block(1) + block(2)


def test_a_missing_block_is_given_up_when_a_later_one_reaches_the_patience() -> None:
    playout = made(patience_blocks=4)
    put(playout, 0)
    assert put(playout, 2) == put(playout, 3) == b""
    out = put(playout, 4)
    assert out[FMT.block_bytes :] == block(2) + block(3) + block(4)
    assert len(out) == 4 * FMT.block_bytes
    assert playout.counters.concealed == 1
    assert put(playout, 1) == b""
    assert playout.counters.late == 1


def test_nothing_for_a_second_gives_up_what_is_missing() -> None:
    playout = made(patience_blocks=100)
    put(playout, 0)
    put(playout, 2, now_ns=7)
    assert playout.timeout_ns() == 7 + NOTHING_CAME_NS
    assert b"".join(playout.handle_timeout(6 + NOTHING_CAME_NS)) == b""
    out = b"".join(playout.handle_timeout(7 + NOTHING_CAME_NS))
    assert len(out) == 2 * FMT.block_bytes and out.endswith(block(2))


def test_the_end_waits_for_what_is_under_way() -> None:
    playout = made()
    put(playout, 0)
    playout.end(BASE + 2, now_ns=5)
    assert not playout.finished
    assert put(playout, 1, now_ns=9) == block(1)
    assert playout.finished and playout.timeout_ns() is None


def test_the_end_does_not_wait_for_ever() -> None:
    playout = made()
    put(playout, 0)
    playout.end(BASE + 3, now_ns=5)
    assert playout.timeout_ns() == 5 + END_PATIENCE_NS
    assert b"".join(playout.handle_timeout(5 + END_PATIENCE_NS)) == b""
    assert playout.finished
    playout.finish()
    assert playout.counters.lost == 2


def test_time_that_the_source_missed_is_filled() -> None:
    playout = made()
    put(playout, 0)
    out = b"".join(playout.put(BASE + 1, BASE + 40 + 100, block(1), 0))
    assert len(out) == 200 + FMT.block_bytes and out.endswith(block(1))
    assert playout.counters.concealed == 0


def test_a_block_without_payload_is_silence_until_the_next() -> None:
    playout = made()
    put(playout, 0)
    assert b"".join(playout.put(BASE + 1, BASE + 40, b"", 0)) == b""
    out = b"".join(playout.put(BASE + 2, BASE + 440, block(2), 0))
    assert len(out) == 2 * 400 + FMT.block_bytes and out.endswith(block(2))


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(0, 40), st.integers(0, 6))
def test_whatever_arrived_in_time_is_exact_and_at_its_place(
    seed: int, loss_percent: int, jitter_blocks: int
) -> None:
    rng, total = random.Random(seed), 120
    arrivals = []
    for k in range(total):
        if rng.randrange(100) >= loss_percent or k in (0, total - 1):
            copies = 2 if rng.randrange(10) == 0 else 1
            reach_ns = jitter_blocks * BLOCK_NS + 1
            arrivals += [(k * BLOCK_NS + rng.randrange(reach_ns), k) for _ in range(copies)]
    arrivals.sort()
    if arrivals[0][1] != 0:
        return
    playout, out, now_ns = made(patience_blocks=8), bytearray(), 0
    for now_ns, k in arrivals:
        out += b"".join(playout.handle_timeout(now_ns))
        out += put(playout, k, now_ns)
    out += b"".join(playout.flush())
    playout.finish()
    arrived = {k for _, k in arrivals}
    assert len(out) == total * FMT.block_bytes
    for k in arrived:
        assert out[k * 80 : (k + 1) * 80] == block(k)
    assert playout.counters.received == len(arrived)
    assert playout.counters.lost == playout.counters.concealed == total - len(arrived)
    assert playout.counters.duplicate == len(arrivals) - len(arrived)
