from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.serial import SEQ_SPAN, unwrap, wrap

HALF = SEQ_SPAN // 2


def slow_unwrap(value: int, reference: int) -> int:
    """Tries every turn around the reference and keeps the nearest, the lower of two."""
    turn = reference // SEQ_SPAN
    candidates = [value + (turn + k) * SEQ_SPAN for k in (-2, -1, 0, 1, 2)]
    return min(candidates, key=lambda candidate: (abs(candidate - reference), candidate))


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (0, 0, 0),
        (0, SEQ_SPAN - 1, SEQ_SPAN),
        (SEQ_SPAN - 1, 0, -1),
        (SEQ_SPAN - 1, SEQ_SPAN, SEQ_SPAN - 1),
        (HALF - 1, 0, HALF - 1),
        (HALF, 0, -HALF),
        (HALF + 1, 0, HALF + 1 - SEQ_SPAN),
        (5, 7 * SEQ_SPAN, 7 * SEQ_SPAN + 5),
    ],
)
def test_known_values(value: int, reference: int, expected: int) -> None:
    assert unwrap(value, reference) == expected


@given(value=st.integers(0, SEQ_SPAN - 1), reference=st.integers(-(2**40), 2**70))
def test_unwrap_is_the_slow_model(value: int, reference: int) -> None:
    assert unwrap(value, reference) == slow_unwrap(value, reference)


@given(reference=st.integers(0, 2**70), offset=st.integers(-HALF, HALF - 1))
def test_unwrap_undoes_wrap_within_half_the_span(reference: int, offset: int) -> None:
    assert unwrap(wrap(reference + offset), reference) == reference + offset


@given(reference=st.integers(0, 2**70), side=st.sampled_from((-1, 0, 1)))
def test_unwrap_at_the_edge_of_half_the_span(reference: int, side: int) -> None:
    value = wrap(reference + HALF + side)
    assert unwrap(value, reference) == slow_unwrap(value, reference)
