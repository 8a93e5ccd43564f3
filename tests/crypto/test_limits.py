from __future__ import annotations

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.errors import EchoWarpError, ProtocolError


def test_the_limit_of_protocol_1() -> None:
    assert MAX_NUMBERS == 1 << 32


def test_spent_numbers_are_not_the_peers_fault() -> None:
    assert issubclass(NumbersSpent, EchoWarpError)
    assert not issubclass(NumbersSpent, ProtocolError)
