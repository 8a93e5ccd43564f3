"""The channel of one `ServerConnection`, after the handshake."""

from __future__ import annotations

import pytest

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.crypto.record import RecordSealer
from echowarp.session.endpoint import Received
from echowarp.wire.codes import Code
from echowarp.wire.records import Session, Stream, UdpOk
from tests.session.pair import Pair, closed_with, flip
from tests.virtual import S


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
    for kind in (0x00, 0x0F, 0x14, 0x23, 0x2F, 0x3F, 0xFF):
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
    pair.wait(5 * S - 1)
    assert pair.server.to_send() == b""
    pair.wait(1)
    assert len(pair.server.to_send()) == 2 + 9 + 16
    pair.wait(10 * S)
    assert closed_with(pair) is Code.TIMEOUT
    assert len(pair.server.to_send()) == 2 + 3 + 16, "CLOSE, in case it is only one way"


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
