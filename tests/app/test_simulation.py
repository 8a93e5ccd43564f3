"""The program under a virtual clock: reproducible, and as good as the design says."""

from __future__ import annotations

import pytest

from echowarp.app.simulation import RATE, Simulation
from echowarp.app.verdict import Figures
from echowarp.config.impair import parse_impairment
from echowarp.config.settings import Settings
from echowarp.media.format import Format


def simulate(spec: str, seconds: float = 60, latency: str = "auto") -> Figures:
    fmt = Format.for_blocks(rate=RATE, channels=1, block_ms=5)
    settings = Settings(latency=latency)
    return Simulation(settings, parse_impairment(spec), fmt, seconds, lambda done_s: None).run()


def test_a_clean_network() -> None:
    figures = simulate("loss=0%")
    assert (figures.blocks, figures.concealed) == (12_000, 0)
    assert (figures.repaired, figures.resent) == (0, 0)
    assert figures.delay_ms is not None and figures.delay_ms < 25
    # The card is 50 ppm fast: it is given sound that much more slowly.
    assert figures.drift_ppm == pytest.approx(-50, abs=5)


def test_loss_and_jitter_are_cured() -> None:
    figures = simulate("loss=5%,jitter=20ms,delay=1ms,seed=7")
    assert figures.concealed <= 12
    assert figures.repaired > 500
    assert figures.overhead > 0.2
    assert figures.delay_ms is not None and 25 < figures.delay_ms < 80
    assert set(figures.delay_parts_ms) == {"capture", "network", "buffer", "device"}


def test_a_run_repeats_exactly() -> None:
    spec = "loss=5%,jitter=20ms,burst=2,duplicate=1%"
    one = simulate(f"{spec},seed=5", 10)
    assert simulate(f"{spec},seed=5", 10) == one
    assert simulate(f"{spec},seed=6", 10) != one


def test_a_short_run_knows_its_delay() -> None:
    figures = simulate("loss=0%", 0.6)
    assert figures.delay_ms is not None and figures.delay_ms < 60


def test_where_no_block_comes_all_are_missing() -> None:
    figures = simulate("delay=1ms,jitter=900ms", 0.005)
    assert figures.blocks > 0
    assert figures.missing == 1


def test_a_fixed_target_is_kept() -> None:
    figures = simulate("jitter=20ms", 10, latency="30")
    assert figures.target_ms == 30
    assert "as --latency asks" in figures.reason
