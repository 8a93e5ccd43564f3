from __future__ import annotations

import pytest

from echowarp.session.reconnect import GiveUp, Outcome, Reconnector, Retry
from echowarp.wire.codes import Code
from tests.virtual import MS, scripted_bytes, seeded_bytes

LOST = Outcome(code=None)
PLAYED = Outcome(code=None, played=True)
UNPROVED = Outcome(code=None, unproved=True)
FULL = Outcome(code=503)
CROWDED = Outcome(code=429)

Steps = list[Retry | GiveUp]


def centre(_count: int) -> bytes:
    """As near to no spread as two bytes get."""
    return b"\x7f\xff"


def reconnector(attempts: int = 5) -> Reconnector:
    return Reconnector(attempts=attempts, random_bytes=centre)


def delays_ms(book: Reconnector, outcomes: list[Outcome]) -> list[int]:
    delays = []
    for outcome in outcomes:
        step = book.next_step(outcome)
        assert isinstance(step, Retry)
        delays.append(round(step.delay_ns / MS))
    return delays


@pytest.mark.parametrize("attempts", [0, 5])
@pytest.mark.parametrize("code", [401, 403, 409, 411])
@pytest.mark.parametrize("played", [False, True])
@pytest.mark.parametrize("unproved", [False, True])
def test_final_codes(attempts: int, code: int, played: bool, unproved: bool) -> None:
    outcome = Outcome(code=code, played=played, unproved=unproved)
    assert reconnector(attempts).next_step(outcome) == GiveUp(refused=True)


@pytest.mark.parametrize("code", [None, 400, 408, 410, 999])
def test_other_ends_are_failures_that_are_tried_again(code: int | None) -> None:
    book = reconnector(2)
    assert isinstance(book.next_step(Outcome(code=code)), Retry)
    assert book.failures == 1
    assert book.next_step(Outcome(code=code)) == GiveUp(refused=False)


def test_half_a_second_doubles_to_2_s() -> None:
    assert delays_ms(reconnector(0), [LOST] * 6) == [500, 1000, 2000, 2000, 2000, 2000]


def test_busy_doubles_to_30_s_and_counts_nothing() -> None:
    book = reconnector(2)
    expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
    assert delays_ms(book, [CROWDED] * 8) == expected
    assert book.failures == 0


def test_after_busy_a_plain_failure_waits_2_s_at_most() -> None:
    book = reconnector()
    assert delays_ms(book, [CROWDED] * 6 + [LOST, LOST])[-2:] == [2000, 2000]
    assert book.failures == 2


def test_plain_failures_do_not_wind_up_the_wait_of_a_busy_server() -> None:
    book = reconnector(0)
    assert delays_ms(book, [LOST] * 6 + [CROWDED] * 2)[-2:] == [2000, 4000]


@pytest.mark.parametrize("attempts", [1, 3, 5])
def test_it_gives_up_at_the_attempts_th_failure(attempts: int) -> None:
    book = reconnector(attempts)
    steps: Steps = [book.next_step(LOST) for _ in range(attempts)]
    assert [isinstance(step, Retry) for step in steps[:-1]] == [True] * (attempts - 1)
    assert steps[-1] == GiveUp(refused=False)


def test_0_attempts_is_for_ever() -> None:
    book = reconnector(0)
    assert all(isinstance(book.next_step(LOST), Retry) for _ in range(1000))


@pytest.mark.parametrize("code", [None, 408, 410, 503, 429])
def test_after_a_session_that_played_it_is_at_once_and_the_count_is_new(
    code: int | None,
) -> None:
    book = reconnector(3)
    delays_ms(book, [LOST, LOST])
    assert delays_ms(book, [Outcome(code=code, played=True)]) == [0]
    assert book.failures == 0
    assert delays_ms(book, [LOST, LOST]) == [500, 1000]
    assert book.next_step(LOST) == GiveUp(refused=False)


def test_a_full_server_is_final_only_for_a_client_that_never_played() -> None:
    assert reconnector().next_step(FULL) == GiveUp(refused=True)
    for_ever = reconnector(0)
    assert delays_ms(for_ever, [FULL] * 3) == [500, 1000, 2000]
    played = reconnector(1)
    assert delays_ms(played, [PLAYED, FULL, FULL, FULL]) == [0, 500, 1000, 2000]
    assert played.failures == 0


@pytest.mark.parametrize("attempts", [0, 9])
def test_five_unproved_in_a_row_are_final(attempts: int) -> None:
    book = reconnector(attempts)
    assert all(isinstance(book.next_step(UNPROVED), Retry) for _ in range(4))
    assert book.next_step(UNPROVED) == GiveUp(refused=True, false_server=True)


@pytest.mark.parametrize("code", [400, 408, 410, 429, 503])
def test_an_unauthenticated_reason_does_not_hide_an_unproved_end(code: int) -> None:
    book = reconnector(0)
    outcome = Outcome(code=code, unproved=True)
    assert all(isinstance(book.next_step(outcome), Retry) for _ in range(4))
    assert book.next_step(outcome) == GiveUp(refused=True, false_server=True)


def test_a_session_that_played_clears_the_unproved_ones() -> None:
    book = reconnector(0)
    for _ in range(5):
        assert all(isinstance(book.next_step(UNPROVED), Retry) for _ in range(4))
        assert isinstance(book.next_step(PLAYED), Retry)


@pytest.mark.parametrize("between", [LOST, CROWDED])
def test_failures_of_another_kind_do_not_clear_them(between: Outcome) -> None:
    book = reconnector(0)
    for _ in range(4):
        assert isinstance(book.next_step(UNPROVED), Retry)
        assert isinstance(book.next_step(between), Retry)
    assert book.next_step(UNPROVED) == GiveUp(refused=True, false_server=True)


def test_the_spread_is_20_percent_both_ways_and_no_more() -> None:
    for drawn, expected_ms in ((b"\x00\x00", 400), (b"\xff\xff", 600)):
        book = Reconnector(attempts=0, random_bytes=scripted_bytes(drawn))
        assert delays_ms(book, [LOST]) == [expected_ms]
    book = Reconnector(attempts=0, random_bytes=seeded_bytes(4))
    delays_ms(book, [LOST] * 3)
    spread = delays_ms(book, [LOST] * 500)
    assert 1600 <= min(spread) < 1650
    assert 2350 < max(spread) <= 2400


def test_the_codes_are_those_of_the_protocol() -> None:
    assert [Code.WRONG_PASSWORD, Code.BANNED, Code.VERSION] == [401, 403, 409]
    assert [Code.DISPLACED, Code.TOO_MANY, Code.FULL] == [411, 429, 503]
