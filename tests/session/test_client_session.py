from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.record import RecordSealer
from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite
from echowarp.session.client_session import (
    TABLE,
    ClientSession,
    Ended,
    Started,
    State,
)
from echowarp.session.server_connection import Closed
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.records import (
    Session,
    UdpOk,
    pack_record,
)
from tests.crypto.known import CPACE, PROTOCOL, case_name, unhex
from tests.session.client_pair import SESSION, ended, in_state
from tests.session.pair import Pair, flip
from tests.virtual import S, handshake_script, seeded_bytes

LOW_ORDER = [
    bytes.fromhex(point["u"]) for point in CPACE["scalar_mult_vfy"]["points"] if point["abort"]
]
UNFINISHED = (State.AWAIT_GREETING, State.AWAIT_REPLY, State.AWAIT_ACCEPT)


def greeting(low: int = 1, high: int = 1) -> bytes:
    nonce = bytes(range(16))
    return frames.pack_greeting(frames.Greeting(version_min=low, version_max=high, nonce=nonce))


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_the_handshake_of_the_vectors_end_to_end(case: dict[str, str]) -> None:
    server_nonce, client_nonce, ya, yb = unhex(case, "Ns", "Nc", "ya", "yb")
    frame1, frame2, frame3, ta, tb = unhex(case, "frame1", "frame2", "frame3", "Ta", "Tb")
    script = (b"\x11" * 32, b"\x00", b"\x12" * 32)
    drawn = iter([server_nonce, *script, yb])
    pair = Pair(
        password=case["password"],
        client_password=case["password"],
        server_random=lambda _count: next(drawn),
        client_random=handshake_script(client_nonce, ya),
    )
    assert pair.down() == frame1
    assert pair.up() == frame2
    assert pair.down() == frame3
    assert pair.up() == b"\x00\x21\x04" + ta
    pair.server.send(SESSION, pair.now_ns)
    accept_and_session = pair.down()
    control_server = bytes.fromhex(case["control_server"])
    sealed = RecordSealer(control_server).seal(pack_record(SESSION))
    assert accept_and_session == b"\x00\x21\x05" + tb + sealed
    expected = SessionKeys(
        control_client=bytes.fromhex(case["control_client"]),
        control_server=control_server,
        udp_client=bytes.fromhex(case["udp_client"]),
        audio_hmac=bytes.fromhex(case["audio_hmac"]),
        audio_gcm=bytes.fromhex(case["audio_gcm"]),
        session=bytes.fromhex(case["session"]),
    )
    assert pair.client_events == [Started(keys=expected, suite=Suite.ENCRYPTED, user=7)]
    assert pair.server_keys() == expected


def test_it_says_nothing_before_the_greeting() -> None:
    client = ClientSession(prs=b"x", random_bytes=seeded_bytes(1), now_ns=0)
    assert client.to_send() == b""


@pytest.mark.parametrize("password", [None, "correct horse"])
@pytest.mark.parametrize("suite", Suite)
def test_a_session_starts(password: str | None, suite: Suite) -> None:
    pair = Pair(password=password, client_password=password)
    pair.to_running()
    pair.server.send(Session(suite=suite, user=9, resume=bytes(16)), pair.now_ns)
    pair.down()
    (started,) = pair.client_events
    assert isinstance(started, Started)
    assert (started.suite, started.user) == (suite, 9)
    assert started.keys == pair.server_keys()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 255)])
def test_a_range_that_holds_our_version_is_met(low: int, high: int) -> None:
    client = ClientSession(prs=b"x", random_bytes=seeded_bytes(1), now_ns=0)
    client.receive(greeting(low, high), 0)
    assert frames.parse_hello(client.to_send()).version == 1


@pytest.mark.parametrize(("low", "high"), [(2, 2), (2, 255), (0, 0)])
def test_no_version_in_common_is_409(low: int, high: int) -> None:
    pair = Pair()
    pair.client.receive(greeting(low, high), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer, event.unproved) == (Code.VERSION, False, False)
    assert pair.client.to_send() == frames.pack_error(409)


def test_a_forged_wider_range_is_found_at_confirm() -> None:
    pair = Pair()
    pair.down(lambda frame: frame[:8] + b"\x02" + frame[9:])
    pair.up()
    pair.down()
    pair.up()
    assert pair.server_keys() is None


@pytest.mark.parametrize(
    ("password", "client_password"),
    [("right", "wrong"), ("right", None), (None, "wrong")],
)
def test_a_wrong_password_is_401(password: str | None, client_password: str | None) -> None:
    pair = Pair(password=password, client_password=client_password)
    pair.to_confirm()
    pair.up()
    pair.wait(S)
    pair.down()
    event = ended(pair)
    assert (event.code, event.by_peer) == (401, True)
    assert not [event for event in pair.client_events if isinstance(event, Started)]


def test_a_server_that_accepts_without_the_password_is_not_believed() -> None:
    pair = in_state(State.AWAIT_ACCEPT)
    pair.client.receive(frames.pack_accept(bytes(32)), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.WRONG_PASSWORD, False)
    assert pair.client.to_send() == b""


@pytest.mark.parametrize("bit", range(0, 256, 7))
def test_a_flipped_bit_in_accept_is_not_believed(bit: int) -> None:
    pair = Pair()
    pair.to_confirm()
    pair.up()
    pair.down(flip(24 + bit))
    assert ended(pair).code == Code.WRONG_PASSWORD


@pytest.mark.parametrize("public", LOW_ORDER, ids=lambda public: public[:4].hex())
def test_a_share_of_low_order_is_invalid(public: bytes) -> None:
    pair = in_state(State.AWAIT_REPLY)
    pair.client.receive(frames.pack_reply(public), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.unproved) == (Code.INVALID, False)
    assert pair.client.to_send() == frames.pack_error(400)


@pytest.mark.parametrize("state", UNFINISHED)
@pytest.mark.parametrize("code", [400, 401, 403, 408, 409, 410, 429, 503, 999])
def test_an_error_ends_the_handshake_and_is_told(state: State, code: int) -> None:
    pair = in_state(state)
    pair.client.receive(frames.pack_error(code), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (code, True)
    assert event.unproved == (state is State.AWAIT_ACCEPT)
    assert pair.client.to_send() == b""


@pytest.mark.parametrize("state", UNFINISHED)
def test_only_a_proved_server_can_say_that_all_is_finished(state: State) -> None:
    pair = in_state(state)
    pair.client.receive(frames.pack_error(200), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.INVALID, False)


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_a_lost_connection_is_unproved_only_between_the_tags(state: State) -> None:
    pair = in_state(state)
    pair.client.receive_eof(pair.now_ns)
    pair.client.receive_eof(pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (None, False)
    assert event.unproved == (state is State.AWAIT_ACCEPT)


@pytest.mark.parametrize("state", UNFINISHED)
@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x00\x00", b"\xff\xff", b"\x00\x17\x02"]
)
def test_strangers_are_invalid_at_once(state: State, data: bytes) -> None:
    pair = in_state(state)
    pair.client.receive(data, pair.now_ns)
    assert ended(pair).code == Code.INVALID
    assert pair.client.to_send() == frames.pack_error(400)


@pytest.mark.parametrize("state", UNFINISHED)
def test_every_frame_out_of_order_is_invalid(state: State) -> None:
    due = {
        State.AWAIT_GREETING: 1,
        State.AWAIT_REPLY: 3,
        State.AWAIT_ACCEPT: 5,
    }[state]
    hello = frames.pack_hello(frames.Hello(version=1, nonce=bytes(16), public=bytes(32)))
    tag = bytes(32)
    others = {
        1: greeting(),
        2: hello,
        3: frames.pack_reply(tag),
        4: frames.pack_confirm(tag),
        5: frames.pack_accept(tag),
    }
    for number, frame in others.items():
        if number != due:
            pair = in_state(state)
            pair.client.receive(frame, pair.now_ns)
            assert ended(pair).code == Code.INVALID


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_server_that_says_nothing_is_a_timeout_after_10_s(state: State) -> None:
    pair = in_state(state)
    for _ in range(9):
        pair.client.handle_timeout(pair.now_ns)
        pair.now_ns += S
        assert pair.client.state is state
    pair.now_ns += S - 1
    pair.client.handle_timeout(pair.now_ns)
    assert pair.client.state is state
    pair.client.handle_timeout(pair.now_ns + 1)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.TIMEOUT, False)


def test_sends_only_when_running() -> None:
    for state in (*UNFINISHED, State.AWAIT_SESSION):
        pair = in_state(state)
        pair.client.send(UdpOk(number=1, port=1), pair.now_ns)
        assert pair.client.to_send() == b""
    pair = in_state(State.RUNNING)
    pair.client.send(UdpOk(number=1, port=1), pair.now_ns)
    assert pair.client.to_send() != b""


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_closing_from_every_state(state: State) -> None:
    pair = in_state(state)
    pair.client.close(pair.now_ns)
    pair.client.close(pair.now_ns)
    pair.client.send(UdpOk(number=1, port=1), pair.now_ns)
    pair.client.receive(b"whatever", pair.now_ns)
    pair.client.handle_timeout(pair.now_ns + 60 * S)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.FINISHED, False)
    said = pair.client.to_send()
    assert said == b"" if state is not State.RUNNING else len(said) == 2 + 3 + 16
    if state is State.RUNNING:
        pair.server.receive(said, pair.now_ns)
        pair.wait(0)
        assert [e.code for e in pair.server_events if isinstance(e, Closed)] == [None]


@given(
    state=st.sampled_from([s for s in State if s is not State.CLOSED]),
    pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=6),
)
def test_random_bytes_only_ever_end_it(state: State, pieces: list[bytes]) -> None:
    pair = in_state(state)
    for piece in pieces:
        pair.client.receive(piece, pair.now_ns)
    events = pair.client.events()
    assert all(isinstance(event, Ended) for event in events)
    assert bool(events) == (pair.client.state is State.CLOSED)


def test_every_transition_is_in_the_table_and_none_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driven: set[tuple[State, State]] = set()
    original = ClientSession._to

    def recorded(self: ClientSession, state: State) -> None:
        driven.add((self.state, state))
        original(self, state)

    monkeypatch.setattr(ClientSession, "_to", recorded)
    for state in State:
        if state is not State.CLOSED:
            test_closing_from_every_state(state)
    table = TABLE.transitions
    assert set(table) == set(State)
    assert driven == {(before, after) for before in table for after in table[before]}
