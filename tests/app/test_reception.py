"""What came, what is made of it, what is asked for, and how long it took."""

from __future__ import annotations

import pytest

from echowarp.app.reception import CaptureTime, Delay, Reception, ServerClock, Usable
from echowarp.media.format import Format
from echowarp.media.repair import RepairEncoder
from echowarp.media.target import AUTO, Cause, Policy
from echowarp.session.inbox import Block, RepairPiece
from echowarp.wire.feedback import Request

FMT = Format(rate=48_000, channels=1, block_frames=240)
MS = 1_000_000
S = 1_000 * MS
FIRST_SEQ, FIRST_TIME = 70, 10_000
CLOCK = ServerClock(srtt_ns=2 * MS, rto_ns=10 * MS, offset_ns=0)


def made(latency: Policy | int = AUTO, period_ns: int = 0) -> Reception:
    reception = Reception(
        FMT,
        first_seq=FIRST_SEQ,
        first_time=FIRST_TIME,
        latency=latency,
        period_ns=period_ns,
        now_ns=0,
    )
    reception.set_clock(CLOCK)
    return reception


def payload(k: int) -> bytes:
    return bytes((k % 256,)) * FMT.block_bytes


def block(k: int, *, resent: bool = False, size: int = FMT.block_bytes) -> Block:
    time = FIRST_TIME + k * 240
    return Block(0, FIRST_SEQ + k, time, payload(k)[:size], FIRST_SEQ, resent)


def usable(k: int) -> Usable:
    return Usable(FIRST_SEQ + k, FIRST_TIME + k * 240, payload(k))


def piece(newest: int, width: int = 12) -> RepairPiece:
    encoder = RepairEncoder()
    for k in range(max(0, newest - width + 1), newest + 1):
        encoder.add(FIRST_SEQ + k, FIRST_TIME + k * 240, payload(k))
    row = encoder.row(width)
    assert row is not None
    return RepairPiece(0, row.seq, row.width, row.sum)


def receive(reception: Reception, blocks: range, *, without: tuple[int, ...] = ()) -> None:
    """Blocks in their time: block k at k * 5 ms."""
    for k in blocks:
        if k not in without:
            given = list(reception.block(block(k), k * 5 * MS))
            assert given[0] == usable(k)


def test_a_block_is_given_as_it_came() -> None:
    reception = made()
    assert list(reception.block(block(0), 0)) == [usable(0)]
    assert (reception.repaired, reception.resent) == (0, 0)


def test_a_row_gives_the_block_that_is_missing() -> None:
    reception = made()
    receive(reception, range(12), without=(7,))
    assert list(reception.repair(piece(11), 56 * MS)) == [usable(7)]
    assert reception.requests(60 * MS) == [], "what was repaired is not asked for"
    reception.finish()
    assert reception.repaired == 1


def test_a_block_may_solve_what_a_row_could_not() -> None:
    reception = made()
    receive(reception, range(12), without=(6, 7))
    assert list(reception.repair(piece(11), 56 * MS)) == []
    late = reception.block(block(6, resent=True), 60 * MS)
    assert list(late) == [usable(6), usable(7)]
    reception.finish()
    assert (reception.repaired, reception.resent) == (1, 1)


@pytest.mark.parametrize(("k_then", "repaired"), [(11 + 39, 0), (11 + 41, 1)])
def test_repaired_is_what_does_not_come_by_itself_in_time(k_then: int, repaired: int) -> None:
    reception = made()
    receive(reception, range(12), without=(7,))
    assert list(reception.repair(piece(11), 11 * 5 * MS)) == [usable(7)]
    assert reception.repaired == 0, "it may only have been overtaken"
    receive(reception, range(12, k_then))
    assert reception.block(block(7), k_then * 5 * MS) == []
    reception.finish()
    assert reception.repaired == repaired


def test_a_block_that_came_is_not_solved_again() -> None:
    reception = made()
    receive(reception, range(12), without=(6, 7))
    list(reception.repair(piece(11), 56 * MS))
    assert reception.block(block(6), 60 * MS) == [usable(6), usable(7)]
    assert reception.block(block(7), 61 * MS) == []
    reception.finish()
    assert reception.repaired == 0


def test_only_a_block_that_came_twice_by_itself_is_given_twice() -> None:
    """For the playout counts what it is given twice as duplicates of the network."""
    reception = made()
    receive(reception, range(12), without=(7, 8))
    assert reception.block(block(7, resent=True), 60 * MS) == [usable(7)]
    assert reception.block(block(7, resent=True), 61 * MS) == [], "asked for twice"
    assert reception.block(block(7), 62 * MS) == [], "the original of a resend"
    assert reception.repair(piece(11), 63 * MS) == [usable(8)]
    assert reception.block(block(8, resent=True), 64 * MS) == [], "a resend of a solved one"
    assert reception.block(block(8), 65 * MS) == [], "the original of a solved one"
    assert reception.block(block(8), 66 * MS) == [usable(8)]
    assert reception.block(block(5, resent=True), 67 * MS) == [], "a resend of an original"
    assert reception.block(block(5), 68 * MS) == [usable(5)]


def test_of_two_answers_one_counts() -> None:
    reception = made()
    receive(reception, range(12), without=(7,))
    reception.block(block(7, resent=True), 60 * MS)
    reception.block(block(7, resent=True), 61 * MS)
    reception.block(block(8, resent=True), 62 * MS)
    assert reception.resent == 1


def test_where_nothing_sets_a_pace_only_what_is_over_is_not_asked_for() -> None:
    reception = made()
    receive(reception, range(6), without=(2, 4))
    reception.set_playout(FIRST_SEQ + 3, None)
    assert reception.requests(30 * MS) == [Request(FIRST_SEQ + 4, 1)]


def test_a_missing_block_is_asked_for_after_the_guard_until_it_comes() -> None:
    reception = made()
    receive(reception, range(5), without=(3,))
    assert reception.timeout_ns() == 20 * MS + reception.guard_ns
    assert reception.requests(20 * MS) == []
    wanted = [Request(FIRST_SEQ + 3, 1)]
    assert reception.requests(20 * MS + reception.guard_ns) == wanted
    assert reception.requests(25 * MS) == []
    list(reception.block(block(3, resent=True), 26 * MS))
    assert all(
        not request.bits & 1 or request.seq != FIRST_SEQ + 3
        for request in reception.requests(200 * MS)
    )


def test_what_cannot_come_in_time_is_not_asked_for() -> None:
    reception = made()
    receive(reception, range(5), without=(3,))
    reception.set_playout(FIRST_SEQ + 3, 20 * MS + reception.guard_ns + 1 * MS)
    assert reception.requests(20 * MS + reception.guard_ns) == []


def test_what_has_been_played_is_solved_no_more() -> None:
    reception = made()
    receive(reception, range(12), without=(7,))
    reception.set_playout(FIRST_SEQ + 8, 60 * MS)
    assert list(reception.repair(piece(11), 56 * MS)) == []


def test_an_empty_block_says_that_none_is_due() -> None:
    reception = made()
    list(reception.block(block(0, size=0), 0))
    assert reception.timeout_ns() is None


def test_on_a_quiet_network_the_target_falls_to_its_floor() -> None:
    reception = made(period_ns=5 * MS)
    receive(reception, range(8_000))
    assert reception.target_ns == 7 * MS
    assert reception.reason.cause is Cause.FLOOR


def test_a_late_block_and_a_solved_one_make_the_target_grow() -> None:
    reception = made()
    receive(reception, range(8_000))
    for late in (8_000, 8_100):
        receive(reception, range(late + 1, late + 12))
        list(reception.block(block(late), (late * 5 + 60) * MS))
        receive(reception, range(late + 12, late + 100))
    assert reception.target_ns > 60 * MS
    assert reception.reason.cause is Cause.JITTER


def test_further_copies_do_not_make_it_grow() -> None:
    """They were usable before: a repair row, or the block itself, was faster."""
    reception = made()
    receive(reception, range(8_000))
    before = reception.target_ns
    receive(reception, range(8_000, 8_012), without=(8_005,))
    assert list(reception.repair(piece(8_011), 8_011 * 5 * MS)) == [usable(8_005)]
    small = reception.target_ns
    for k in (8_001, 8_005, 8_009):
        list(reception.block(block(k, resent=True), (8_011 * 5 + 150) * MS))
        list(reception.block(block(k), (8_011 * 5 + 160) * MS))
    receive(reception, range(8_050, 9_000))
    assert before <= small
    assert reception.target_ns <= small


def test_a_fixed_target_tells_what_would_be_needed() -> None:
    reception = made(latency=15 * MS)
    for k in range(2_000):
        list(reception.block(block(k), (k * 5 + 30 * (k % 100 == 0)) * MS))
    assert reception.target_ns == 15 * MS
    assert reception.needed_ns > 30 * MS
    assert reception.reason.cause is Cause.FIXED


class TestDelay:
    def test_unknown_until_clock_capture_and_a_block_are_there(self) -> None:
        reception = Reception(FMT, first_seq=0, first_time=0, latency=AUTO, period_ns=0, now_ns=0)
        assert reception.delay(0, 0, 0) is None
        reception.set_capture(CaptureTime(time=0, captured_ns=0))
        assert reception.delay(0, 0, 0) is None
        reception.set_clock(CLOCK)
        assert reception.delay(0, 0, 0) is None
        list(reception.block(Block(0, 0, 0, payload(0), 0, False), 0))
        assert reception.delay(0, 0, 0) is not None

    @pytest.mark.parametrize("offset_s", [-5_000, 0, 5_000])
    def test_adds_up_from_capture_to_the_ear(self, offset_s: int) -> None:
        """Captured at 0, sent at 5 ms, here at 8 ms, left at 30 ms, heard at 37 ms."""
        reception = made()
        reception.set_clock(ServerClock(srtt_ns=6 * MS, rto_ns=10 * MS, offset_ns=offset_s * S))
        reception.set_capture(CaptureTime(time=FIRST_TIME, captured_ns=offset_s * S))
        for k in range(100):
            list(reception.block(block(k), (8 + k * 5) * MS))
        delay = reception.delay(FIRST_TIME + 48_000, S + 30 * MS, 7 * MS)
        assert delay == Delay(
            capture_ns=5 * MS, network_ns=3 * MS, buffer_ns=22 * MS, device_ns=7 * MS
        )
        assert delay.total_ns == 37 * MS

    def test_a_source_that_stood_still_is_known_by_its_first_capture_time(self) -> None:
        reception = made()
        receive(reception, range(1_000))
        for second in range(5):
            time = FIRST_TIME + second * 48_000
            reception.set_capture(CaptureTime(time=time, captured_ns=second * S))
        # Six seconds without sound; then the first call of the device is late.
        for second, late_ns in ((5, 20 * MS), (6, 0)):
            time, captured_ns = FIRST_TIME + second * 48_000, (6 + second) * S
            reception.set_capture(CaptureTime(time=time, captured_ns=captured_ns + late_ns))
            delay = reception.delay(time, captured_ns + 40 * MS, 0)
            assert delay is not None
            assert delay.total_ns == 40 * MS - late_ns

    def test_a_device_that_calls_late_changes_nothing(self) -> None:
        reception = made()
        receive(reception, range(400))
        reception.set_capture(CaptureTime(time=FIRST_TIME, captured_ns=0))
        reception.set_capture(CaptureTime(time=FIRST_TIME + 48_000, captured_ns=S + 49 * MS))
        delay = reception.delay(FIRST_TIME + 48_000, S + 40 * MS, 0)
        assert delay is not None and delay.total_ns == 40 * MS

    def test_no_part_is_negative(self) -> None:
        reception = made()
        reception.set_capture(CaptureTime(time=FIRST_TIME, captured_ns=S))
        receive(reception, range(10))
        assert reception.delay(FIRST_TIME, 0, 0) == Delay(
            capture_ns=5 * MS, network_ns=0, buffer_ns=0, device_ns=0
        )


def test_of_sealed_payloads_the_seal_is_no_sound() -> None:
    reception = Reception(
        FMT,
        first_seq=FIRST_SEQ,
        first_time=FIRST_TIME,
        latency=AUTO,
        period_ns=0,
        now_ns=0,
        seal_bytes=16,
    )
    sealed = payload(0) + bytes(16)
    encoder = RepairEncoder()
    for k in range(2):
        encoder.add(FIRST_SEQ + k, FIRST_TIME + k * 240, sealed)
    row = encoder.row(2)
    assert row is not None
    first = Block(0, FIRST_SEQ, FIRST_TIME, sealed, FIRST_SEQ, False)
    assert [each.payload for each in reception.block(first, 0)] == [sealed]
    piece = RepairPiece(0, row.seq, row.width, row.sum)
    assert [each.payload for each in reception.repair(piece, 5 * MS)] == [sealed]
    second = Block(0, FIRST_SEQ + 1, FIRST_TIME + 240, sealed, FIRST_SEQ, False)
    assert reception.block(second, 6 * MS) == []
    assert reception.timeout_ns() is not None
    silent = Block(0, FIRST_SEQ + 2, FIRST_TIME + 480, bytes(16), FIRST_SEQ, False)
    reception.block(silent, 10 * MS)
    assert reception.timeout_ns() is None, "after silence no block is due"
