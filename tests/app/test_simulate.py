"""The program under a virtual clock: reproducible, and as good as the design says."""

from __future__ import annotations

import pytest

from echowarp.app.simulate import RATE, Simulation, run_simulation
from echowarp.app.verdict import Figures
from echowarp.config.impair import parse_impairment
from echowarp.config.settings import Settings
from echowarp.errors import EchoWarpError
from echowarp.media.format import Format


def simulate(spec: str, seconds: float = 60, **settings: str) -> Figures:
    fmt = Format.for_blocks(rate=RATE, channels=1, block_ms=5)
    return Simulation(Settings(**settings), parse_impairment(spec), fmt, seconds).run()  # type: ignore[arg-type]


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


def test_a_fixed_target_is_kept() -> None:
    figures = simulate("jitter=20ms", 10, latency="30")
    assert figures.target_ms == 30
    assert "as --latency asks" in figures.reason


def test_it_is_told_in_lines_and_ends_with_a_verdict() -> None:
    said: list[str] = []
    run_simulation(Settings(duration=5), parse_impairment("loss=2%"), said.append)
    assert said[0].startswith("simulation: 5 s") and "2 % loss" in said[0]
    assert said[-1] == "verdict: all is well"
    assert sum(line.startswith("  advice      --latency ") for line in said) == 1


def test_a_hopeless_network_is_not_well() -> None:
    said: list[str] = []
    with pytest.raises(EchoWarpError, match=r"not well: .* % of the blocks were missing"):
        run_simulation(Settings(duration=5), parse_impairment("loss=80%"), said.append)
    assert any("advice" in line for line in said)
