from __future__ import annotations

import pytest

from echowarp.ui.cells import cells, cut, fill


@pytest.mark.parametrize(
    ("text", "wide"),
    [("", 0), ("anna", 4), ("Zoë", 3), ("Zoe\u0308", 3), ("山田", 4), ("ﾔﾏ", 2), ("🎧 x", 4)],
)
def test_how_wide(text: str, wide: int) -> None:
    assert cells(text) == wide


def test_cut_to_what_fits() -> None:
    assert [cut("a山田b", n) for n in range(7)] == ["", "a", "a", "a山", "a山", "a山田", "a山田b"]
    assert cut("Zoe\u0308!", 3) == "Zoe\u0308"
    assert [cut("anna", n) for n in (0, 3, 4, 9)] == ["", "ann", "anna", "anna"]


def test_filled_to_a_width() -> None:
    assert [fill("山田", n) for n in (3, 4, 6)] == ["山 ", "山田", "山田  "]
