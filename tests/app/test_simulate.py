"""What a user reads of a simulation: how far it is, what it found, and a verdict."""

from __future__ import annotations

import pytest

from echowarp.app.simulate import run_simulation
from echowarp.config.impair import parse_impairment
from echowarp.config.settings import Settings
from echowarp.errors import EchoWarpError


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


def test_a_live_line_shows_how_far_it_is_and_goes_away() -> None:
    shown: list[str] = []
    network = parse_impairment("loss=1%")
    run_simulation(Settings(duration=40), network, lambda line: None, shown.append)
    assert shown[0] == "simulated 10 s of 40 s, 25 %"
    assert shown[-1] == ""


def test_stopped_by_the_user_it_tells_what_it_found_until_then() -> None:
    said: list[str] = []

    def interrupt(line: str) -> None:
        if line.startswith("simulated 20 s"):
            raise KeyboardInterrupt

    run_simulation(Settings(duration=3600), parse_impairment("loss=1%"), said.append, interrupt)
    assert said[1] == "stopped after 20 s of 3600 s; until then:"
    assert any("simulated: 3999 blocks" in line for line in said)
    assert not any("verdict" in line for line in said)
