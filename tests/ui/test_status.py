from __future__ import annotations

from dataclasses import replace

from echowarp.ui.status import View, render

VIEW = View(
    state="playing",
    peers="signed",
    sound="48000 Hz, stereo",
    level_db=-20.0,
    delay_ms=42.4,
    loss_percent=0.0,
    bits_per_s=1_600_000,
    reason="40 ms: a quiet network",
)
USUAL = (
    "playing  ########----  -20.0 dB  delay 42 ms  loss 0.0 %  1.60 Mbit/s  signed"
    "  40 ms: a quiet network  48000 Hz, stereo"
)


def test_the_most_telling_comes_first() -> None:
    assert render(VIEW, unicode=False, columns=200) == USUAL


def test_an_unusual_volume_stands_beside_the_level() -> None:
    line = render(replace(VIEW, volume="volume 80 %, muted"), unicode=False, columns=200)
    assert line == USUAL.replace("dB", "dB  volume 80 %, muted")


def test_what_does_not_fit_is_left_out_whole() -> None:
    for columns in range(10, 150):
        line = render(VIEW, unicode=False, columns=columns)
        assert len(line) < columns
        assert set(line.split("  ")) <= set(USUAL.split("  "))
