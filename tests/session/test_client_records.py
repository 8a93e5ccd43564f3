"""The channel of `ClientSession`, after the handshake."""

from __future__ import annotations

import pytest

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.session.client_session import State
from echowarp.session.endpoint import Received
from echowarp.wire.codes import Code
from echowarp.wire.records import (
    Anchor,
    Close,
    Pong,
    Record,
    Session,
    UdpOk,
    pack_record,
)
from tests.session.client_pair import SESSION, ended, in_state, sealer_of
from tests.session.pair import flip
from tests.virtual import S


@pytest.mark.parametrize(
    "record",
    [UdpOk(number=0, port=1), Anchor(stream=0, time=0, captured=0)],
)
def test_the_first_record_is_session(record: Record) -> None:
    pair = in_state(State.AWAIT_SESSION)
    pair.client.receive(sealer_of(pair).seal(pack_record(record)), pair.now_ns)
    assert ended(pair).code == Code.INVALID


@pytest.mark.parametrize("suite", [3, 4, 255])
def test_an_unknown_suite_is_invalid(suite: int) -> None:
    pair = in_state(State.AWAIT_SESSION)
    session = Session(suite=suite, user=1, resume=bytes(16))
    pair.client.receive(sealer_of(pair).seal(pack_record(session)), pair.now_ns)
    assert ended(pair).code == Code.INVALID
    assert pair.client.to_send() == b""


@pytest.mark.parametrize("state", [State.AWAIT_SESSION, State.RUNNING])
@pytest.mark.parametrize("code", [200, 408, 410, 503, 65535])
def test_close_is_the_servers_reason(state: State, code: int) -> None:
    pair = in_state(state)
    sealer = sealer_of(pair)
    if state is State.RUNNING:
        sealer.seal(b"session")
    pair.client.receive(sealer.seal(pack_record(Close(code=code))), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer, event.unproved) == (code, True, False)
    assert pair.client.to_send() == b""


@pytest.mark.parametrize("trick", ["replayed", "reordered", "altered", "short"])
def test_bad_records_close_without_a_reply(trick: str) -> None:
    pair = in_state(State.RUNNING)
    sealer = sealer_of(pair)
    zeroth, first, second = (sealer.seal(b"\x13" + bytes(10)) for _ in range(3))
    short = sealer_of(pair)
    short.seal(b"session")
    data = {
        "replayed": zeroth,
        "reordered": second,
        "altered": flip(77)(first),
        "short": short.seal(b"\x13\x00"),
    }[trick]
    pair.client.receive(data, pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.INVALID, False)
    assert pair.client.to_send() == b""


def test_records_are_told_and_unknown_or_repeated_ones_are_not() -> None:
    pair = in_state(State.RUNNING)
    sealer = sealer_of(pair)
    sealer.seal(b"session")
    for plaintext in (b"\x7fnew", pack_record(SESSION), pack_record(Pong(value=4))):
        pair.client.receive(sealer.seal(plaintext), pair.now_ns)
    record = UdpOk(number=3, port=4)
    pair.client.receive(sealer.seal(pack_record(record)), pair.now_ns)
    pair.wait(0)
    assert pair.client_events[1:] == [Received(record=record)]


def test_heartbeat() -> None:
    pair = in_state(State.RUNNING)
    assert pair.client.timeout_ns() == pair.now_ns + 5 * S
    pair.wait(5 * S)
    assert len(pair.client.to_send()) == 2 + 9 + 16
    pair.now_ns += 10 * S
    pair.client.handle_timeout(pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.TIMEOUT, False)


@pytest.mark.parametrize("way", ["close", "send", "ping", "receive"])
def test_spent_numbers_end_it(way: str) -> None:
    pair = in_state(State.RUNNING)
    assert pair.client._channel is not None
    pair.client._channel._sealer._next_number = MAX_NUMBERS
    if way == "close":
        pair.client.close(pair.now_ns)
    elif way == "send":
        pair.client.send(UdpOk(number=1, port=1), pair.now_ns)
    elif way == "ping":
        pair.wait(5 * S)
    else:
        sealer = sealer_of(pair)
        sealer.seal(b"session")
        pair.client.receive(sealer.seal(b"\x11" + bytes(8)), pair.now_ns)
    event = ended(pair)
    assert (event.code, event.by_peer) == (Code.CLOSING, False)
    assert pair.client.to_send() == b""
