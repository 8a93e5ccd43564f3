from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.crypto.record import RecordSealer
from echowarp.errors import ProtocolError
from echowarp.session.channel import ControlChannel
from echowarp.wire.buffer import StreamBuffer
from echowarp.wire.records import Close, Ping, Pong, Record, UdpOk, pack_record, parse_record
from tests.virtual import MS, S

KEY_A, KEY_B = b"A" * 32, b"B" * 32
RECORD = UdpOk(number=1, port=2)


def pair(now_ns: int = 0) -> tuple[ControlChannel, ControlChannel]:
    client = ControlChannel(seal_key=KEY_A, open_key=KEY_B, now_ns=now_ns)
    server = ControlChannel(seal_key=KEY_B, open_key=KEY_A, now_ns=now_ns)
    return client, server


def split(data: bytes) -> list[bytes]:
    buffer, records = StreamBuffer(), []
    buffer.feed(data)
    while (record := buffer.take_record()) is not None:
        records.append(record)
    return records


def give(data: bytes, channel: ControlChannel, now_ns: int) -> list[Record | None]:
    return [channel.open(record, now_ns) for record in split(data)]


def test_records_arrive_in_order() -> None:
    client, server = pair()
    sent: list[Record] = [*(UdpOk(number=k, port=k) for k in range(5)), Close(code=410)]
    for record in sent:
        client.send(record, 0)
    assert give(client.to_send(), server, 0) == sent
    assert client.to_send() == b""


def test_the_nonce_counts_and_the_length_is_authenticated() -> None:
    client, server = pair()
    client.send(RECORD, 0)
    client.send(RECORD, 0)
    one, two = split(client.to_send())
    assert one != two
    assert one == RecordSealer(KEY_A).seal(bytes.fromhex("13 0000000000000001 0002"))
    with pytest.raises(ProtocolError):
        server.open(one[:1] + bytes((one[1] + 1,)) + one[2:] + b"\x00", 0)


@pytest.mark.parametrize("trick", ["replayed", "reordered", "left out", "reflected"])
def test_records_out_of_turn_do_not_open(trick: str) -> None:
    client, server = pair()
    client.send(RECORD, 0)
    client.send(Close(code=200), 0)
    first, second = split(client.to_send())
    if trick == "replayed":
        assert server.open(first, 0) == RECORD
        bad, at = first, server
    elif trick == "reflected":
        bad, at = first, client
    else:
        bad, at = second, server
    with pytest.raises(ProtocolError):
        at.open(bad, 0)


def test_any_flipped_bit_is_refused() -> None:
    client, _ = pair()
    client.send(RECORD, 0)
    sealed = client.to_send()
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        _, server = pair()
        with pytest.raises(ProtocolError):
            server.open(bytes(changed), 0)


@given(data=st.binary(max_size=1100))
def test_random_records_raise_nothing_but_protocol_errors(data: bytes) -> None:
    _, server = pair()
    with pytest.raises(ProtocolError):
        server.open(data, 0)


@given(plaintext=st.binary(min_size=1, max_size=1024))
def test_random_plaintext_of_a_proved_peer(plaintext: bytes) -> None:
    """What opens is read, ignored or a ProtocolError, exactly as `parse_record` says."""
    _, server = pair()
    sealed = RecordSealer(KEY_A).seal(plaintext)
    try:
        record = server.open(sealed, 0)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            parse_record(plaintext)
    else:
        assert record is None or record == parse_record(plaintext)


def test_a_ping_is_answered_with_its_value() -> None:
    client, server = pair()
    client.send(Ping(value=77), 0)
    assert give(client.to_send(), server, 0) == [None]
    assert server.to_send() == RecordSealer(KEY_B).seal(pack_record(Pong(value=77)))


def test_a_pong_is_nothing_for_the_session_and_puts_the_end_off() -> None:
    client, server = pair()
    server.send(Pong(value=3), 0)
    assert give(server.to_send(), client, 14 * S) == [None]
    assert client.handle_timeout(28 * S)


def test_a_ping_goes_out_after_5_s_without_sending() -> None:
    client, server = pair(now_ns=7 * S)
    assert client.timeout_ns() == 12 * S
    assert client.handle_timeout(12 * S - 1)
    assert client.to_send() == b""
    assert client.handle_timeout(12 * S)
    (sealed,) = split(client.to_send())
    assert server.open(sealed, 12 * S) is None
    assert client.timeout_ns() == 17 * S


def test_sending_puts_the_ping_off() -> None:
    client, _ = pair()
    client.send(RECORD, 3 * S)
    client.to_send()
    assert client.timeout_ns() == 8 * S
    assert client.handle_timeout(5 * S)
    assert client.to_send() == b""


def test_15_s_of_silence_is_the_end_however_much_we_sent() -> None:
    client, _ = pair()
    for second in range(1, 15):
        client.send(RECORD, second * S)
        assert client.handle_timeout(second * S)
    assert client.timeout_ns() == 15 * S
    assert client.handle_timeout(15 * S - 1)
    assert not client.handle_timeout(15 * S)


def test_any_valid_record_puts_the_end_off_and_an_invalid_one_does_not() -> None:
    client, server = pair()
    # Of a type that this version does not know.
    unknown = RecordSealer(KEY_B).seal(b"\x7fwhatever")
    assert client.open(unknown, 14 * S) is None
    assert client.handle_timeout(28 * S)
    with pytest.raises(ProtocolError):
        client.open(unknown, 28 * S)
    assert not client.handle_timeout(29 * S)
    with pytest.raises(ProtocolError):
        server.open(RecordSealer(KEY_A).seal(b"\x11short"), 14 * S)
    assert not server.handle_timeout(15 * S)


def test_two_idle_ends_keep_each_other_alive() -> None:
    client, server = pair()
    for tick in range(1, 600):
        now_ns = tick * 100 * MS
        assert client.handle_timeout(now_ns)
        assert server.handle_timeout(now_ns)
        give(client.to_send(), server, now_ns)
        give(server.to_send(), client, now_ns)


def test_spent_numbers_are_said_and_never_wrap() -> None:
    client, _ = pair()
    client._sealer._next_number = MAX_NUMBERS - 1
    client.send(Ping(value=1), 0)
    with pytest.raises(NumbersSpent):
        client.send(Ping(value=1), 0)
