"""Wrong guesses and tickets, on one `ServerConnection`."""

from __future__ import annotations

import pytest

from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.server_connection import Guessed, State
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from tests.session.pair import HOST, Pair, all_tickets_out, closed_with, error, tickets_free
from tests.virtual import S

CONFIRM = frames.pack_confirm(bytes(32))
HELLO = frames.pack_hello(frames.Hello(version=1, nonce=bytes(16), public=bytes(32)))


def test_a_wrong_guess_is_answered_after_1_s_and_counted_once() -> None:
    pair = Pair(client_password="guess")
    pair.to_confirm()
    pair.up()
    assert pair.server_events == [Guessed(banned=None)]
    assert pair.server.state is State.REFUSING
    assert pair.server.unfinished
    assert pair.server.timeout_ns() == pair.now_ns + S
    pair.wait(S - 1)
    assert pair.server.to_send() == b""
    pair.wait(1)
    assert pair.server.to_send() == error(Code.WRONG_PASSWORD)
    assert closed_with(pair) is Code.WRONG_PASSWORD
    assert tickets_free(pair) == 4


@pytest.mark.parametrize("behind", [0, 1, 100, 2049, 70_000])
def test_nothing_sent_after_a_wrong_guess_shortens_its_second(behind: int) -> None:
    pair = Pair(client_password="guess")
    pair.to_confirm()
    pair.up(lambda confirm: confirm + bytes(behind))
    pair.server.receive(bytes(behind), pair.now_ns)
    pair.server.receive(error(Code.CLOSING), pair.now_ns)
    assert pair.server.state is State.REFUSING
    assert len(pair.server._buffer._data) == 0
    assert pair.server.to_send() == b""
    pair.wait(S)
    assert pair.server.to_send() == error(Code.WRONG_PASSWORD)


def test_hanging_up_after_a_wrong_guess_keeps_the_place_for_its_second() -> None:
    pair = Pair(client_password="guess")
    pair.to_confirm()
    pair.up()
    pair.server.receive_eof(pair.now_ns)
    assert pair.server.state is State.REFUSING
    pair.wait(S)
    assert closed_with(pair) is Code.WRONG_PASSWORD
    assert tickets_free(pair) == 4


def test_the_limit_th_guess_says_what_is_banned() -> None:
    admission = Admission(limit=1, bans=BanList())
    pair = Pair(client_password="guess", admission=admission)
    pair.to_confirm()
    pair.up()
    (event,) = pair.server_events
    assert isinstance(event, Guessed)
    assert str(event.banned) == "192.0.2.1/32"
    assert HOST in admission.bans


@pytest.mark.parametrize("way", ["eof", "error", "deadline", "garbage"])
def test_leaving_without_confirm_gives_the_ticket_back_and_counts_nothing(way: str) -> None:
    pair = Pair()
    pair.to_confirm()
    assert pair.server.state is State.REPLIED
    assert tickets_free(pair) == 4
    if way == "eof":
        pair.server.receive_eof(pair.now_ns)
    elif way == "error":
        pair.server.receive(error(Code.CLOSING), pair.now_ns)
    elif way == "deadline":
        pair.wait(5 * S)
    else:
        pair.server.receive(b"GET / HTTP/1.1", pair.now_ns)
    pair.wait(0)
    expected = {"eof": None, "error": None, "deadline": Code.TIMEOUT, "garbage": Code.INVALID}
    assert closed_with(pair) is expected[way]
    assert tickets_free(pair) == 5


def test_without_a_ticket_the_wait_is_3_s_then_429() -> None:
    pair = all_tickets_out()
    pair.wait(3 * S - 1)
    assert pair.server.state is State.QUEUED
    pair.wait(1)
    assert pair.server.to_send() == error(Code.TOO_MANY)
    assert closed_with(pair) is Code.TOO_MANY


def test_the_wait_for_a_ticket_is_within_the_5_s() -> None:
    pair = Pair(admission=Admission(limit=1, bans=BanList()))
    assert pair.admission.take_ticket(HOST)
    pair.wait(4 * S)
    pair.down()
    pair.up()
    pair.wait(S - 1)
    assert pair.server.state is State.QUEUED
    pair.wait(1)
    assert closed_with(pair) is Code.TIMEOUT


def test_a_ticket_that_comes_free_continues_the_handshake() -> None:
    pair = all_tickets_out()
    pair.admission.give_back(HOST)
    pair.wait(2 * S)
    pair.server.try_reply(pair.now_ns)
    pair.down()
    pair.up()
    assert pair.server_keys() is not None


def test_a_ban_meanwhile_ends_the_wait() -> None:
    pair = all_tickets_out()
    pair.admission.failed(HOST)
    pair.server.try_reply(pair.now_ns)
    assert pair.server.to_send() == error(Code.BANNED)
    pair.wait(0)
    assert closed_with(pair) is Code.BANNED


@pytest.mark.parametrize("early", [CONFIRM, b"\x00\x21", HELLO, b"\x16\x03\x01"])
def test_only_an_error_may_come_while_a_ticket_is_awaited(early: bytes) -> None:
    pair = all_tickets_out()
    pair.server.receive(early, pair.now_ns)
    assert pair.server.to_send() == error(Code.INVALID)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_giving_up_while_a_ticket_is_awaited(cut: int) -> None:
    pair = all_tickets_out()
    pair.server.receive(error(Code.CLOSING)[:cut], pair.now_ns)
    assert pair.server.state is State.QUEUED
    pair.server.receive(error(Code.CLOSING)[cut:], pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is None


def test_leaving_while_a_ticket_is_awaited() -> None:
    pair = all_tickets_out()
    pair.server.receive_eof(pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is None
