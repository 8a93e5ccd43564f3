from __future__ import annotations

import pytest

from echowarp.crypto.record import RecordSealer
from echowarp.session.address import network_of
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.server_connection import (
    TABLE,
    Closed,
    Guessed,
    Proved,
    ServerConnection,
    State,
)
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.records import Close
from tests.crypto.known import CPACE
from tests.session.pair import HOST, Pair, all_tickets_out, closed_with, error, flip, tickets_free
from tests.virtual import MS, S

CONFIRM = frames.pack_confirm(bytes(32))
LOW_ORDER = [
    bytes.fromhex(point["u"]) for point in CPACE["scalar_mult_vfy"]["points"] if point["abort"]
]


def hello(public: bytes = b"\x09" + bytes(31), version: int = 1) -> bytes:
    return frames.pack_hello(frames.Hello(version=version, nonce=bytes(16), public=public))


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


@pytest.mark.parametrize("state", TABLE.expected)
def test_an_unfinished_connection_never_holds_4_kib(state: State) -> None:
    pair = all_tickets_out() if state is State.QUEUED else Pair()
    if state is State.REPLIED:
        pair.to_confirm()
    assert pair.server.state is state
    kind = TABLE.expected[state]
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


@pytest.mark.parametrize("state", [*TABLE.expected, State.REFUSING, State.RUNNING])
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


def test_every_transition_is_in_the_table_and_none_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driven: set[tuple[State, State]] = set()
    original = ServerConnection._to

    def recorded(self: ServerConnection, state: State) -> None:
        driven.add((self.state, state))
        original(self, state)

    monkeypatch.setattr(ServerConnection, "_to", recorded)
    for state in (*TABLE.expected, State.REFUSING, State.RUNNING):
        test_close_says_why_once(state)
    table = TABLE.transitions
    assert set(table) == set(State)
    assert driven == {(before, after) for before in table for after in table[before]}
