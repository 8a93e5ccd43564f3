from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.e2e import PairKeys, PayloadOpener, PayloadSealer, pair_keys
from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from tests.crypto.known import bit_flips

KEY = bytes(range(32))


def test_the_layout_of_a_sealed_payload() -> None:
    """Nonce: 8 zero bytes and seq; additional data: seq, time, user."""
    sealed = PayloadSealer(KEY, 0xABCD).seal(0x01020304, 0x05060708, b"pcm!")
    nonce = bytes(8) + bytes.fromhex("01020304")
    additional = bytes.fromhex("01020304 05060708 abcd")
    assert sealed == AESGCM(KEY).encrypt(nonce, b"pcm!", additional)
    assert len(sealed) == 4 + 16


@given(
    seq=st.integers(0, 2**40),
    time=st.integers(0, 2**40),
    user=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=1171),
)
def test_what_is_sealed_opens(seq: int, time: int, user: int, payload: bytes) -> None:
    sealed = PayloadSealer(KEY, user).seal(seq, time, payload)
    opener = PayloadOpener(KEY, user)
    assert opener.open(seq % 2**32, time % 2**32, sealed) == payload
    assert opener.open(seq + 1, time, sealed) is None
    assert opener.open(seq, time + 1, sealed) is None
    assert PayloadOpener(KEY, user ^ 1).open(seq, time, sealed) is None
    assert PayloadOpener(bytes(32), user).open(seq, time, sealed) is None


def test_no_bit_can_be_changed() -> None:
    sealed = PayloadSealer(KEY, 1).seal(1, 2, b"pcm!")
    opener = PayloadOpener(KEY, 1)
    assert all(opener.open(1, 2, changed) is None for changed in bit_flips(sealed))
    assert all(opener.open(1, 2, sealed[:size]) is None for size in range(len(sealed)))


def test_a_number_is_sealed_once() -> None:
    sealer = PayloadSealer(KEY, 1)
    sealer.seal(5, 0, b"")
    sealer.seal(9, 0, b"")
    for seq in (9, 8, 5):
        with pytest.raises(AssertionError):
            sealer.seal(seq, 0, b"")


def test_numbers_never_come_round() -> None:
    sealer = PayloadSealer(KEY, 1)
    sealer.seal(7, 0, b"")
    sealer.seal(7 + MAX_NUMBERS - 1, 0, b"")
    with pytest.raises(NumbersSpent):
        sealer.seal(7 + MAX_NUMBERS, 0, b"")


def test_keys_of_a_pair_differ_and_depend_on_everything() -> None:
    keys = pair_keys(bytes(64), b"said")
    fields = [getattr(keys, name) for name in ("confirm_a", "confirm_b", "seal_a", "seal_b")]
    assert len(set(fields)) == 4 and {len(each) for each in fields} == {32}
    for other in (pair_keys(bytes(63) + b"\x01", b"said"), pair_keys(bytes(64), b"Said")):
        assert not set(fields) & {other.confirm_a, other.confirm_b, other.seal_a, other.seal_b}
    assert repr(keys) == repr(PairKeys(confirm_a=b"", confirm_b=b"", seal_a=b"", seal_b=b""))


def test_a_number_is_opened_once_wherever_it_is_counted_from() -> None:
    """A relay that makes up a stream and plays in it what was said before is not heard."""
    sealer, opener = PayloadSealer(KEY, 1), PayloadOpener(KEY, 1)
    first = 2**32 - 3
    said = {seq: sealer.seal(seq, 0, b"pcm!") for seq in range(first, first + 3000)}
    late = first + 5
    assert all(opener.open(seq, 0, said[seq]) for seq in said if seq != late and seq < first + 900)
    assert opener.open(late % 2**32, 0, said[late]) == b"pcm!"
    assert all(opener.open(seq, 0, said[seq]) for seq in said if seq >= first + 900)
    assert not any(opener.open(seq % 2**32, 0, each) for seq, each in said.items())
    assert not any(opener.open(seq + 2**32, 0, each) for seq, each in said.items())


def test_what_was_not_sealed_so_uses_up_no_number() -> None:
    sealed, opener = PayloadSealer(KEY, 1).seal(7, 0, b"pcm!"), PayloadOpener(KEY, 1)
    assert opener.open(7, 0, bytes(len(sealed))) is None
    assert opener.open(2**31, 0, sealed) is None
    assert opener.open(7, 0, sealed) == b"pcm!"
