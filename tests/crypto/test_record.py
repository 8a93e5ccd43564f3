from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.crypto.record import RecordOpener, RecordSealer
from echowarp.errors import ProtocolError
from tests.crypto.known import PROTOCOL, bit_flips, case_name, unhex

KEY = bytes(range(32))


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_known_answers(case: dict[str, str]) -> None:
    key, plaintext, record = unhex(case, "control_server", "session_plaintext", "session_record_0")
    assert RecordSealer(key).seal(plaintext) == record
    assert RecordOpener(key).open(record) == plaintext


@given(st.lists(st.binary(min_size=1, max_size=1024), max_size=20))
def test_what_is_sealed_opens_in_order(plaintexts: list[bytes]) -> None:
    sealer, opener = RecordSealer(KEY), RecordOpener(KEY)
    records = [sealer.seal(plaintext) for plaintext in plaintexts]
    assert [opener.open(record) for record in records] == plaintexts
    for plaintext, record in zip(plaintexts, records, strict=True):
        assert int.from_bytes(record[:2], "big") == len(record) - 2 == len(plaintext) + 16


def test_the_same_text_never_looks_the_same() -> None:
    sealer = RecordSealer(KEY)
    assert len({sealer.seal(b"ping") for _ in range(100)}) == 100


def test_every_flipped_bit_is_refused() -> None:
    record = RecordSealer(KEY).seal(b"\x10plaintext")
    for changed in bit_flips(record):
        with pytest.raises(ProtocolError):
            RecordOpener(KEY).open(changed)


def test_repeated_reordered_and_foreign_records_are_refused() -> None:
    sealer = RecordSealer(KEY)
    first, second, third = (sealer.seal(b"same") for _ in range(3))
    opener = RecordOpener(KEY)
    with pytest.raises(ProtocolError):
        opener.open(second)
    assert opener.open(first) == b"same"
    for record in (first, third, RecordSealer(KEY[::-1]).seal(b"same")):
        with pytest.raises(ProtocolError):
            opener.open(record)
    assert opener.open(second) == b"same"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 17, 18, 1043, 5000])
def test_a_record_of_a_wrong_size_is_refused(length: int) -> None:
    declared = max(0, length - 2)
    with pytest.raises(ProtocolError):
        RecordOpener(KEY).open((declared.to_bytes(2, "big") + bytes(5000))[:length])


def test_truncated_and_lengthened_records_are_refused() -> None:
    record = RecordSealer(KEY).seal(b"\x10plaintext")
    for length in range(len(record)):
        with pytest.raises(ProtocolError):
            RecordOpener(KEY).open(record[:length])
    with pytest.raises(ProtocolError):
        RecordOpener(KEY).open(record + b"\0")


def forged(plaintext: bytes, declared: int) -> bytes:
    """A record from a peer that knows the key and breaks the rules."""
    header = declared.to_bytes(2, "big")
    return header + AESGCM(KEY).encrypt(bytes(12), plaintext, header)


def test_a_peer_with_the_key_is_held_to_the_sizes() -> None:
    assert RecordOpener(KEY).open(forged(b"x", 17)) == b"x"
    assert RecordOpener(KEY).open(forged(bytes(1024), 1040)) == bytes(1024)
    for record in (forged(b"", 16), forged(bytes(1025), 1041), forged(b"x", 18), forged(b"x", 0)):
        with pytest.raises(ProtocolError, match="control record"):
            RecordOpener(KEY).open(record)


@given(st.binary(max_size=1100))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        RecordOpener(KEY).open(data)


@pytest.mark.parametrize("length", [0, 1025])
def test_a_plaintext_that_fits_no_record_is_our_bug(length: int) -> None:
    with pytest.raises(AssertionError):
        RecordSealer(KEY).seal(bytes(length))


def test_numbers_end_and_never_wrap() -> None:
    sealer, opener = RecordSealer(KEY), RecordOpener(KEY)
    sealer._next_number = opener._next_number = MAX_NUMBERS - 1
    last = sealer.seal(b"last")
    assert opener.open(last) == b"last"
    for _ in range(3):
        with pytest.raises(NumbersSpent):
            sealer.seal(b"one more")
    sealer._next_number = MAX_NUMBERS - 1
    with pytest.raises(ProtocolError):
        opener.open(last)


def test_the_opener_stops_where_the_sealer_must() -> None:
    opener = RecordOpener(KEY)
    opener._next_number = MAX_NUMBERS
    header = b"\x00\x11"
    record = header + AESGCM(KEY).encrypt(MAX_NUMBERS.to_bytes(12, "big"), b"x", header)
    with pytest.raises(ProtocolError, match="more control records"):
        opener.open(record)
