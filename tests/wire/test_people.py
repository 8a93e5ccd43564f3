from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire.people import (
    MAX_PAIR_BYTES,
    NO_TOKEN,
    PEOPLE_TYPES,
    Appear,
    Call,
    CallAction,
    CallNews,
    Denied,
    Enter,
    Left,
    Listed,
    Pair,
    PeopleRecord,
    Room,
    RoomNews,
    User,
    Welcome,
)
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Denial,
    Leaving,
    Presence,
    RoomState,
    Wish,
)
from echowarp.wire.records import RecordType, pack_record, parse_record

MUTED = Presence.MUTED
ENTER = Enter(wish=Wish.CALL, presence=MUTED, resume=bytes(range(16)), name="Zoë", target="Al")
GOLDEN: list[tuple[PeopleRecord, str]] = [
    (ENTER, "30 01 01 000102030405060708090a0b0c0d0e0f 04 5a6fc3ab 02 416c"),
    (Welcome(user=0x1234, resumed=True, name="Al"), "31 01 1234 02 416c"),
    (Denied(reason=Denial.TAKEN, suggestion="Al2"), "32 02 03 416c32"),
    (
        User(user=7, presence=Presence.TALKING | Presence.AWAY, name="Al", room="hall"),
        "33 06 0007 02 416c 04 68616c6c",
    ),
    (Left(user=7, reason=Leaving.LOST), "34 01 0007"),
    (Listed(users=300), "35 012c"),
    (Appear(presence=Presence.MUTED), "36 01"),
    (Call(name="Al"), "37 02 416c"),
    (CallAction(act=CallAct.DECLINE, user=7), "38 02 0007"),
    (
        CallNews(state=CallState.ENDED, reason=CallReason.BUSY, user=7, name="Al"),
        "39 04 03 0007 02 416c",
    ),
    (Room(name="hall"), "3a 04 68616c6c"),
    (RoomNews(state=RoomState.FULL, name="hall"), "3b 02 04 68616c6c"),
    (Pair(user=7, data=b"\x01\x02"), "3c 0007 0102"),
]
NAMES = [type(record).__name__ for record, _ in GOLDEN]
TAKES_THE_REST = {Pair.TYPE}


def test_every_type_has_a_golden_record_in_the_space_of_people() -> None:
    kinds = {int(golden[:2], 16) for _, golden in GOLDEN}
    assert kinds == PEOPLE_TYPES
    assert kinds <= set(range(0x30, 0x40))
    assert not kinds & set(RecordType)


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_golden_records(record: PeopleRecord, golden: str) -> None:
    assert pack_record(record) == bytes.fromhex(golden)
    assert parse_record(bytes.fromhex(golden)) == record


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_every_truncation_is_refused(record: PeopleRecord, golden: str) -> None:
    plaintext = bytes.fromhex(golden)
    shortest = len(plaintext) - 1 if plaintext[0] in TAKES_THE_REST else len(plaintext)
    for size in range(1, shortest):
        with pytest.raises(ProtocolError):
            parse_record(plaintext[:size])


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=NAMES)
def test_bytes_behind_a_known_body_are_room_to_grow(record: PeopleRecord, golden: str) -> None:
    if record.TYPE not in TAKES_THE_REST:
        assert parse_record(bytes.fromhex(golden) + b"later") == record


@pytest.mark.parametrize(
    ("golden", "expected"),
    [
        ("30 09 01 000102030405060708090a0b0c0d0e0f 00 00", Wish.PRESENCE),
        ("30 03 01 000102030405060708090a0b0c0d0e0f 00 00", Wish.LIST),
    ],
)
def test_an_unknown_wish_is_none(golden: str, expected: Wish) -> None:
    record = parse_record(bytes.fromhex(golden))
    assert isinstance(record, Enter)
    assert record.wish is expected


def test_reasons_that_are_not_known() -> None:
    assert parse_record(bytes.fromhex("32 ff 00")) == Denied(reason=Denial.NOT_HERE, suggestion="")
    assert parse_record(bytes.fromhex("34 ff 0001")) == Left(user=1, reason=Leaving.LEFT)
    news = parse_record(bytes.fromhex("39 04 ff 0001 00"))
    assert news == CallNews(state=CallState.ENDED, reason=CallReason.NONE, user=1, name="")


@pytest.mark.parametrize("golden", ["38 00 0007", "38 09 0007", "39 09 00 0007 00", "3b 99 00"])
def test_unknown_states_and_acts_make_an_unknown_record(golden: str) -> None:
    assert parse_record(bytes.fromhex(golden)) is None


def test_unknown_bits_of_presence_are_dropped() -> None:
    assert parse_record(bytes.fromhex("36 fa")) == Appear(presence=Presence.TALKING)


@pytest.mark.parametrize("text", ["81" + "61" * 129, "ff" + "61" * 255, "01 ff", "02 c3 28"])
def test_texts_that_are_too_long_or_no_text(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_record(bytes.fromhex("37" + text))


def test_a_text_of_128_bytes_is_one() -> None:
    assert parse_record(b"\x37\x80" + b"a" * 128) == Call(name="a" * 128)


def test_messages_between_two_have_bounds() -> None:
    longest = Pair(user=1, data=bytes(MAX_PAIR_BYTES))
    assert parse_record(pack_record(longest)) == longest
    assert len(pack_record(longest)) <= 1024
    for data in (b"", bytes(MAX_PAIR_BYTES + 1)):
        with pytest.raises(ProtocolError):
            parse_record(b"\x3c\x00\x01" + data)


def test_the_largest_records_fit() -> None:
    long = "\N{GRINNING FACE}" * 32
    enter = Enter(wish=Wish.ROOM, presence=Presence(0), resume=NO_TOKEN, name=long, target=long)
    user = User(user=1, presence=MUTED, name=long, room=long)
    for record in (enter, user):
        assert len(pack_record(record)) <= 1024
        assert parse_record(pack_record(record)) == record


@given(kind=st.sampled_from(sorted(PEOPLE_TYPES)), body=st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_protocol_errors(kind: int, body: bytes) -> None:
    try:
        record = parse_record(bytes((kind,)) + body)
    except ProtocolError:
        return
    if record is not None:
        assert parse_record(pack_record(record)) == record
