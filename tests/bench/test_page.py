"""The page of all figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import page


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "DRIFT_PLOT", tmp_path / "drift.svg")
    monkeypatch.setattr(page, "_drift_plot", str)


def test_a_section_is_renewed_and_the_others_stay() -> None:
    page.write({"repair": "rows 1 MISSED\n\nmore\n", "mix": "mix 1  ok\n"})
    page.write({"mix": "mix 2  MISSED\n"})
    assert page.kept() == {"repair": "rows 1 MISSED\n\nmore\n", "mix": "mix 2  MISSED\n"}
    head = page.PAGE.read_text("utf-8").partition("## ")[0]
    assert "rows 1" in head
    assert "mix 2" in head


def test_every_bench_has_its_section() -> None:
    from tests.bench.__main__ import BENCHES

    assert {name for name, _, _ in page.SECTIONS} == set(BENCHES)
