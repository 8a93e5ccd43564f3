from __future__ import annotations

import pytest

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.crypto.record import RecordSealer
from echowarp.session.address import network_of
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.server_connection import (
    EXPECTED,
    TRANSITIONS,
    Closed,
    Guessed,
    Proved,
    Received,
    ServerConnection,
    State,
)
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.records import Close, Session, Stream, UdpOk
from tests.crypto.known import CPACE
from tests.session.pair import HOST, Pair, flip
from tests.virtual import MS, S

CONFIRM = frames.pack_confirm(bytes(32))
LOW_ORDER = [
    bytes.fromhex(point["u"]) for point in CPACE["scalar_mult_vfy"]["points"] if point["abort"]
]


def error(code: Code) -> bytes:
    return frames.pack_error(code)


def hello(public: bytes = b"\x09" + bytes(31), version: int = 1) -> bytes:
    return frames.pack_hello(frames.Hello(version=version, nonce=bytes(16), public=public))


def closed_with(pair: Pair) -> Code | None:
    (event,) = [e for e in pair.server_events if isinstance(e, Closed)]
    assert pair.server.state is State.CLOSED
    assert pair.server.timeout_ns() is None
    return event.code


def tickets_free(pair: Pair) -> int:
    """How many more guesses the address has now."""
    free = 0
    while pair.admission.take_ticket(HOST):
        free += 1
    for _ in range(free):
        pair.admission.give_back(HOST)
    return free


def test_the_greeting_waits_from_the_start() -> None:
    greeting = Pair().server.to_send()
    assert greeting.startswith(bytes.fromhex("0017 01 45575250 0101"))
    assert len(greeting) == 25


def test_the_right_password_proves_both() -> None:
    pair = Pair()
    pair.to_running()
    keys = pair.server_keys()
    assert keys is not None
    assert tickets_free(pair) == 5
    assert pair.client.to_send() != b"", "the client measures the round trip at once"


def test_a_handshake_a_byte_at_a_time() -> None:
    pair = Pair()
    for _ in range(3):
        for byte in pair.server.to_send():
            pair.client.receive(bytes((byte,)), pair.now_ns)
        for byte in pair.client.to_send():
            pair.server.receive(bytes((byte,)), pair.now_ns)
    assert pair.server.state is State.RUNNING


def test_a_record_in_the_same_segment_as_confirm_is_kept() -> None:
    pair = Pair()
    pair.to_confirm()
    confirm = pair.client.to_send()
    assert pair.client._exchange is not None
    key = pair.client._exchange.keys().control_client
    pair.server.receive(confirm + RecordSealer(key).seal(b"\x1f\x00\xc8"), pair.now_ns)
    events = pair.server.events()
    assert [type(event) for event in events] == [Proved, Closed]


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_a_flipped_bit_in_messages_1_to_3_gives_keys_to_nobody(frame: int) -> None:
    size = (25, 52, 35)[frame - 1]
    for bit in range(8 * size):
        pair = Pair()
        for number, turn in enumerate((pair.down, pair.up, pair.down, pair.up, pair.down), 1):
            if number == frame:
                turn(flip(bit))
            else:
                turn()
        assert pair.server_keys() is None, f"bit {bit}"
        assert pair.client._channel is None, f"bit {bit}"


@pytest.mark.parametrize("bit", range(0, 256, 5))
def test_a_flipped_bit_in_confirm_is_one_wrong_guess(bit: int) -> None:
    pair = Pair()
    pair.to_confirm()
    pair.up(flip(24 + bit))
    assert pair.server.state is State.REFUSING
    assert tickets_free(pair) == 4


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


def test_the_deadline_is_5_s_whatever_trickles_in() -> None:
    pair = Pair()
    pair.down()
    data = pair.client.to_send()
    assert pair.server.timeout_ns() == pair.now_ns + 5 * S
    for byte in data[:49]:
        pair.server.receive(bytes((byte,)), pair.now_ns)
        pair.wait(100 * MS)
    assert pair.server.state is State.GREETED
    pair.wait(100 * MS - 1)
    assert pair.server.state is State.GREETED
    pair.wait(1)
    assert pair.server.to_send() == error(Code.TIMEOUT)
    assert closed_with(pair) is Code.TIMEOUT


def test_the_deadline_counts_from_accept_until_confirm() -> None:
    pair = Pair()
    pair.wait(2 * S)
    pair.to_confirm()
    pair.wait(3 * S - 1)
    assert pair.server.state is State.REPLIED
    pair.wait(1)
    assert closed_with(pair) is Code.TIMEOUT


def test_a_session_outlives_the_deadline() -> None:
    pair = Pair()
    pair.to_running()
    pair.wait(5 * S)
    assert pair.server.state is State.RUNNING


def all_tickets_out() -> Pair:
    pair = Pair(admission=Admission(limit=1, bans=BanList()))
    assert pair.admission.take_ticket(HOST)
    pair.down()
    pair.up()
    assert pair.server.state is State.QUEUED
    assert pair.server.to_send() == b""
    return pair


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


@pytest.mark.parametrize("early", [CONFIRM, b"\x00\x21", hello(), b"\x16\x03\x01"])
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


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_answered_with_409_and_costs_nothing(version: int) -> None:
    pair = Pair()
    pair.server.to_send()
    pair.server.receive(hello(version=version), pair.now_ns)
    assert pair.server.to_send() == error(Code.VERSION)
    pair.wait(0)
    assert closed_with(pair) is Code.VERSION
    assert tickets_free(pair) == 5


@pytest.mark.parametrize("public", LOW_ORDER, ids=lambda public: public[:4].hex())
def test_a_share_of_low_order_is_invalid_and_costs_nothing(public: bytes) -> None:
    pair = Pair()
    pair.server.to_send()
    pair.server.receive(hello(public), pair.now_ns)
    assert pair.server.to_send() == error(Code.INVALID)
    pair.wait(0)
    assert closed_with(pair) is Code.INVALID
    assert tickets_free(pair) == 5


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x00",
        b"\xff\xff",
        b"\x04\x11",
        b"\x00\x17",
        b"\x00\x32\x03",
        CONFIRM,
    ],
    ids=["http", "tls", "ssh", "len0", "len65535", "len1041", "greeting", "type", "order"],
)
def test_strangers_are_invalid_at_once(data: bytes) -> None:
    pair = Pair()
    pair.server.to_send()
    pair.server.receive(data, pair.now_ns)
    assert pair.server.to_send() == error(Code.INVALID)
    pair.wait(0)
    assert closed_with(pair) is Code.INVALID


@pytest.mark.parametrize("state", EXPECTED)
def test_an_unfinished_connection_never_holds_4_kib(state: State) -> None:
    pair = all_tickets_out() if state is State.QUEUED else Pair()
    if state is State.REPLIED:
        pair.to_confirm()
    assert pair.server.state is state
    kind = EXPECTED[state]
    start = frames.FRAME_LEN[kind].to_bytes(2, "big") + bytes((kind,))
    pair.server.receive(start, pair.now_ns)
    for _ in range(100):
        pair.server.receive(bytes(2048), pair.now_ns)
        held = len(pair.server._buffer._data)
        assert held < 4096 or pair.server.state is State.CLOSED
    assert pair.server.state in (State.CLOSED, State.REFUSING)


@pytest.mark.parametrize("password", [None, "guess"])
def test_a_server_without_a_password_counts_and_bans_nobody(password: str | None) -> None:
    admission = Admission(limit=1, bans=BanList())
    admission.bans.add(network_of(HOST))
    pair = Pair(password=None, client_password=password, admission=admission)
    pair.to_confirm()
    pair.up()
    if password is None:
        assert pair.server.state is State.RUNNING
    else:
        assert pair.server_events == [Guessed(banned=None)]
        pair.wait(S)
        assert closed_with(pair) is Code.WRONG_PASSWORD
    assert len(admission.bans) == 1


def test_a_client_without_a_password_is_a_wrong_guess() -> None:
    pair = Pair(client_password=None)
    pair.to_confirm()
    pair.up()
    assert pair.server_events == [Guessed(banned=None)]
    assert tickets_free(pair) == 4


def running() -> tuple[Pair, RecordSealer]:
    """A running server and the client's sealer, from its first record on."""
    pair = Pair()
    pair.to_running()
    keys = pair.server_keys()
    assert keys is not None
    pair.server_events.clear()
    return pair, RecordSealer(keys.control_client)


@pytest.mark.parametrize("trick", ["replayed", "reordered", "altered", "length 0", "length 1041"])
def test_records_that_do_not_open_close_without_a_reply(trick: str) -> None:
    pair, sealer = running()
    first, second = sealer.seal(b"\x13" + bytes(10)), sealer.seal(b"\x13" + bytes(10))
    data = {
        "replayed": first + first,
        "reordered": second,
        "altered": flip(90)(first),
        "length 0": bytes(2),
        "length 1041": b"\x04\x11",
    }[trick]
    pair.server.receive(data, pair.now_ns)
    assert pair.server.to_send() == b""
    pair.wait(0)
    assert closed_with(pair) is Code.INVALID
    received = [event for event in pair.server_events if isinstance(event, Received)]
    assert len(received) == (1 if trick == "replayed" else 0)


def test_a_short_body_is_invalid() -> None:
    pair, sealer = running()
    pair.server.receive(sealer.seal(b"\x22\x00"), pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is Code.INVALID


def test_unknown_records_are_ignored() -> None:
    pair, sealer = running()
    for kind in (0x00, 0x0F, 0x14, 0x23, 0x2F, 0x30, 0xFF):
        pair.server.receive(sealer.seal(bytes((kind,))), pair.now_ns)
    pair.server.receive(sealer.seal(b"\x13" + bytes(10)), pair.now_ns)
    pair.wait(0)
    assert pair.server_events == [Received(record=UdpOk(number=0, port=0))]
    assert pair.server.to_send() == b""


def test_records_reach_the_client() -> None:
    pair, _ = running()
    session = Session(suite=2, user=7, resume=bytes(16))
    stream = Stream(stream=0, codec=0, rate=48000, channels=2, block=240, seq=1, time=2, user=0)
    pair.server.send(session, pair.now_ns)
    pair.server.send(stream, pair.now_ns)
    pair.down()
    assert [type(event).__name__ for event in pair.client_events] == ["Started", "Received"]


def test_the_client_says_goodbye() -> None:
    pair, sealer = running()
    pair.server.receive(sealer.seal(b"\x1f\x00\xc8"), pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is None
    assert pair.server.to_send() == b""


def test_the_connection_is_lost() -> None:
    pair, _ = running()
    pair.server.receive_eof(pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is None


def test_silence_is_a_ping_after_5_s_and_the_end_after_15() -> None:
    pair, _ = running()
    pair.client.to_send()
    pair.wait(5 * S - 1)
    assert pair.server.to_send() == b""
    pair.wait(1)
    assert len(pair.server.to_send()) == 2 + 9 + 16
    pair.wait(10 * S)
    assert closed_with(pair) is Code.TIMEOUT
    assert len(pair.server.to_send()) == 2 + 3 + 16, "CLOSE, in case it is only one way"


@pytest.mark.parametrize("state", [*EXPECTED, State.REFUSING, State.RUNNING])
def test_close_says_why_once(state: State) -> None:
    pair = all_tickets_out() if state is State.QUEUED else Pair()
    if state is State.RUNNING:
        pair.to_running()
    elif state in (State.REPLIED, State.REFUSING):
        pair.to_confirm()
    if state is State.REFUSING:
        pair.up(flip(30))
    pair.server.to_send()
    assert pair.server.state is state
    pair.server.close(Code.CLOSING, "the server closes", pair.now_ns)
    pair.server.close(Code.FULL, "again", pair.now_ns)
    pair.server.send(Close(code=200), pair.now_ns)
    pair.server.receive(b"whatever", pair.now_ns)
    pair.server.receive_eof(pair.now_ns)
    pair.server.handle_timeout(pair.now_ns + 100 * S)
    pair.wait(0)
    assert closed_with(pair) is Code.CLOSING
    said = pair.server.to_send()
    assert len(said) == 2 + 3 + 16 if state is State.RUNNING else said == error(Code.CLOSING)


@pytest.mark.parametrize("way", ["close", "send", "ping", "receive"])
def test_spent_numbers_close_with_410(way: str) -> None:
    pair, sealer = running()
    assert pair.server._channel is not None
    pair.server._channel._sealer._next_number = MAX_NUMBERS
    if way == "close":
        pair.server.close(Code.CLOSING, "the server closes", pair.now_ns)
    elif way == "send":
        pair.server.send(UdpOk(number=1, port=1), pair.now_ns)
    elif way == "ping":
        pair.wait(5 * S)
    else:
        pair.server.receive(sealer.seal(b"\x11" + bytes(8)), pair.now_ns)
    pair.wait(0)
    assert closed_with(pair) is Code.CLOSING
    assert pair.server.to_send() == b""


def test_every_transition_is_in_the_table_and_none_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driven: set[tuple[State, State]] = set()
    original = ServerConnection._to

    def recorded(self: ServerConnection, state: State) -> None:
        driven.add((self.state, state))
        original(self, state)

    monkeypatch.setattr(ServerConnection, "_to", recorded)
    for state in (*EXPECTED, State.REFUSING, State.RUNNING):
        test_close_says_why_once(state)
    table = {(before, after) for before, targets in TRANSITIONS.items() for after in targets}
    assert set(TRANSITIONS) == set(State)
    assert driven == table
