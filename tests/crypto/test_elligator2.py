from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto import elligator2
from echowarp.crypto.elligator2 import A, P, map_to_curve
from tests.crypto.known import CPACE, counting, unhex

FIELD_ELEMENTS = st.binary(min_size=32, max_size=32)


def plain_map(r: bytes) -> bytes:
    """RFC 9380, section 6.7.1, as it is written: branches, nothing blinded."""
    element = int.from_bytes(r, "little") % 2**255
    u = -A * pow(1 + 2 * element**2, -1, P) % P
    if pow(u**3 + A * u**2 + u, (P - 1) // 2, P) != 1:
        u = (-u - A) % P
    return u.to_bytes(32, "little")


@pytest.mark.parametrize("vector", CPACE["elligator2"])
def test_known_answers(vector: dict[str, str]) -> None:
    r, u = unhex(vector, "r", "u")
    assert map_to_curve(r, counting()) == u


def test_generator_vector_with_and_without_its_top_bit() -> None:
    hashed, element, g = unhex(CPACE["generator"], "hash", "field_element", "g")
    assert hashed != element
    assert map_to_curve(hashed, counting()) == map_to_curve(element, counting()) == g


@pytest.mark.parametrize("value", [0, 1, 2, P - 1, P, P + 1, 2**255 - 1, 2**255, 2**256 - 1])
def test_edges_of_the_field(value: int) -> None:
    r = value.to_bytes(32, "little")
    assert map_to_curve(r, counting()) == plain_map(r)
    assert map_to_curve(r, counting()) == plain_map((value % 2**255 % P).to_bytes(32, "little"))


@given(FIELD_ELEMENTS, st.binary(min_size=65, max_size=65))
def test_blinding_does_not_change_the_result(r: bytes, noise: bytes) -> None:
    taken = 0

    def random_bytes(count: int) -> bytes:
        nonlocal taken
        taken += count
        return noise[taken - count : taken]

    assert map_to_curve(r, random_bytes) == plain_map(r)
    assert taken == len(noise), "two factors and one flip are drawn"


@pytest.mark.parametrize("filler", [0x00, 0x01, 0xEC, 0xFF])
def test_a_degenerate_random_source_does_not_change_the_result(filler: int) -> None:
    r, u = unhex(CPACE["elligator2"][0], "r", "u")
    assert map_to_curve(r, lambda count: bytes([filler]) * count) == u


def powers_seen(
    monkeypatch: pytest.MonkeyPatch, r: bytes, random_bytes: Callable[[int], bytes]
) -> list[tuple[int, int, int]]:
    """(base, exponent, outcome) of each modular power in one call of the map."""
    seen = []

    def spy(base: int, exponent: int, modulus: int) -> int:
        result = pow(base, exponent, modulus)
        seen.append((base, exponent, result))
        return result

    monkeypatch.setattr(elligator2, "pow", spy, raising=False)
    map_to_curve(r, random_bytes)
    return seen


def test_both_powers_are_blinded(monkeypatch: pytest.MonkeyPatch) -> None:
    r, _ = unhex(CPACE["elligator2"][0], "r", "u")
    runs = [powers_seen(monkeypatch, r, counting(start)) for start in range(20)]
    for run in runs:
        assert [exponent for _, exponent, _ in run] == [P - 2, (P - 1) // 2]
    bases = [base for run in runs for base, _, _ in run]
    assert len(set(bases)) == len(bases), "no power sees the same value twice"
    symbols = {run[1][2] for run in runs}
    assert symbols == {1, P - 1}, "the outcome of the second power tells nothing either"
