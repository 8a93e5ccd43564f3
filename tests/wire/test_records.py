from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire.people import PEOPLE_TYPES, PeopleRecord
from echowarp.wire.records import (
    Anchor,
    Close,
    End,
    EndReason,
    Ping,
    Pong,
    Record,
    RecordType,
    Session,
    Stream,
    UdpOk,
    pack_record,
    parse_record,
)

STREAM = Stream(
    stream=1,
    codec=0,
    rate=48000,
    channels=2,
    block=240,
    seq=0xFFFFFFFF,
    time=0x01020304,
    user=0xABCD,
)
GOLDEN: list[tuple[Record, str]] = [
    (
        Session(suite=2, user=0x1234, resume=bytes(range(16))),
        "10 02 1234 000102030405060708090a0b0c0d0e0f",
    ),
    (Ping(value=0x0102030405060708), "11 0102030405060708"),
    (Pong(value=2**64 - 1), "12 ffffffffffffffff"),
    (UdpOk(number=5, port=4415), "13 0000000000000005 113f"),
    (Close(code=410), "1f 019a"),
    (STREAM, "20 01 00 0000bb80 02 00f0 ffffffff 01020304 abcd"),
    (Anchor(stream=0, time=7, captured=2**62), "21 00 00000007 4000000000000000"),
    (End(stream=3, seq=0x80000000, reason=EndReason.SOURCE_ENDED), "22 03 80000000 01"),
]
NAMES = [type(record).__name__ for record, _ in GOLDEN]
KNOWN = {int(kind) for kind in RecordType}


def test_every_type_has_a_golden_record() -> None:
    assert {int(golden[:2], 16) for _, golden in GOLDEN} == KNOWN


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_golden_records(record: Record, golden: str) -> None:
    assert pack_record(record) == bytes.fromhex(golden)
    assert parse_record(bytes.fromhex(golden)) == record


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_every_truncation_is_refused(record: Record, golden: str) -> None:
    plaintext = bytes.fromhex(golden)
    for size in range(1, len(plaintext)):
        with pytest.raises(ProtocolError):
            parse_record(plaintext[:size])


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_bytes_behind_a_known_body_are_room_to_grow(record: Record, golden: str) -> None:
    assert parse_record(bytes.fromhex(golden) + b"later") == record


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_a_flipped_bit_gives_another_record(record: Record, golden: str) -> None:
    plaintext = bytes.fromhex(golden)
    for bit in range(8 * len(plaintext)):
        changed = bytearray(plaintext)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert parse_record(bytes(changed)) != record
        except ProtocolError:
            assert bit < 8, "only another type can make the body too short"


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_record(b"")


@pytest.mark.parametrize("kind", sorted(set(range(256)) - KNOWN - PEOPLE_TYPES))
def test_unknown_types_are_nothing_whatever_their_body(kind: int) -> None:
    for body in (b"", b"\x00", bytes(1023)):
        assert parse_record(bytes((kind,)) + body) is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (0, EndReason.STOPPED),
        (1, EndReason.SOURCE_ENDED),
        (2, EndReason.REPLACED),
        (3, EndReason.STOPPED),
        (255, EndReason.STOPPED),
    ],
)
def test_reasons_of_an_end(reason: int, expected: EndReason) -> None:
    parsed = parse_record(bytes.fromhex("22 00 00000009") + bytes((reason,)))
    assert parsed == End(stream=0, seq=9, reason=expected)


@given(data=st.binary(max_size=1024))
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    try:
        record = parse_record(data)
    except ProtocolError:
        return
    if record is not None and not isinstance(record, End | PeopleRecord):
        assert data.startswith(pack_record(record))


@given(
    kind=st.sampled_from(sorted(KNOWN)),
    body=st.binary(min_size=20, max_size=40),
)
def test_known_records_read_what_they_would_write(kind: int, body: bytes) -> None:
    data = bytes((kind,)) + body
    record = parse_record(data)
    assert record is not None
    packed = pack_record(record)
    assert parse_record(packed) == record
    assert packed[0] == kind
