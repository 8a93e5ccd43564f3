"""The field's axioms, and the tables against multiplication without tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.galois import INVERSE, TIMES, add_scaled, weighted_sum
from tests.media.slow_repair import multiply


def test_every_product() -> None:
    for a in range(256):
        assert TIMES[a] == bytes(multiply(a, b) for b in range(256))


def test_every_inverse() -> None:
    assert INVERSE[0] == 0
    assert len(INVERSE) == 256
    for a in range(1, 256):
        assert multiply(a, INVERSE[a]) == 1


def test_a_product_that_needs_the_polynomial() -> None:
    assert TIMES[2][0x80] == 0x1D


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=9)), max_size=5))
def test_a_weighted_sum_is_one_byte_for_byte(terms: list[tuple[int, bytes]]) -> None:
    expected = bytearray(9)
    for factor, data in terms:
        for at, byte in enumerate(data):
            expected[at] ^= multiply(factor, byte)
    assert weighted_sum(terms).to_bytes(9, "little") == bytes(expected)


@given(st.binary(max_size=9), st.integers(0, 255), st.binary(max_size=9))
def test_add_scaled_is_as_long_as_the_longer(data: bytes, factor: int, other: bytes) -> None:
    result = add_scaled(data, factor, other)
    assert len(result) == max(len(data), len(other))
    for at, byte in enumerate(result):
        left = data[at] if at < len(data) else 0
        right = other[at] if at < len(other) else 0
        assert byte == left ^ multiply(factor, right)


@given(st.binary(max_size=40), st.integers(0, 255), st.binary(max_size=40))
def test_adding_twice_takes_away(data: bytes, factor: int, other: bytes) -> None:
    twice = add_scaled(add_scaled(data, factor, other), factor, other)
    assert twice == data.ljust(len(other), b"\0")
