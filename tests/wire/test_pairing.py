from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire.pairing import BODY_BYTES, PairMessage, PairType, pack_pair, parse_pair
from echowarp.wire.people import MAX_PAIR_BYTES


@pytest.mark.parametrize("kind", PairType)
def test_each_type_has_one_length(kind: PairType) -> None:
    message = PairMessage(kind, bytes(range(BODY_BYTES[kind])))
    packed = pack_pair(message)
    assert packed == bytes((kind,)) + message.body
    assert parse_pair(packed) == message
    assert len(packed) <= MAX_PAIR_BYTES
    for size in range(1, 2 * len(packed)):
        if size != len(packed):
            with pytest.raises(ProtocolError):
                parse_pair((packed + bytes(len(packed)))[:size])


def test_lengths() -> None:
    assert set(BODY_BYTES) == set(PairType)
    assert [BODY_BYTES[PairType(kind)] for kind in range(1, 8)] == [16, 48, 32, 32, 32, 0, 50]


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    try:
        message = parse_pair(data)
    except ProtocolError:
        return
    assert message is None or pack_pair(message) == data
