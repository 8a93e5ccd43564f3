"""The policies together, switching as they would, over a tenth of what the bench runs."""

from __future__ import annotations

import pytest

from echowarp.session.rate_policy import RepairRate
from tests.simulation.engine_model import (
    MS,
    EngineModel,
    IdealCode,
    Network,
    lan_jitter,
    uniform_jitter,
    wifi_jitter,
)

BLOCKS = 6_000


@pytest.mark.parametrize(
    ("network", "most_ms", "most_missing"),
    [
        (Network(loss=0, round_trip_ns=MS, jitter=lan_jitter), 25, 0),
        (Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter), 45, 0),
        (Network(loss=0.1, round_trip_ns=2 * MS, jitter=wifi_jitter), 50, 1),
        (Network(loss=0.05, round_trip_ns=20 * MS, jitter=uniform_jitter), 80, 3),
        (Network(loss=0.05, round_trip_ns=80 * MS, jitter=wifi_jitter), 50, 1),
    ],
    ids=["lan", "5 %", "10 %", "40 ms jitter", "80 ms away"],
)
def test_delay_and_missing_blocks(network: Network, most_ms: float, most_missing: int) -> None:
    outcome = EngineModel(network, blocks=BLOCKS, seed=7).run()
    assert outcome.mean_delay_ms <= most_ms
    assert outcome.missing <= most_missing


def test_without_loss_there_is_no_overhead_in_the_end() -> None:
    network = Network(loss=0, round_trip_ns=MS, jitter=lan_jitter)
    model = EngineModel(network, blocks=BLOCKS, seed=7)
    model.run()
    assert model.trace[-1][2] is RepairRate.NONE


def test_a_run_repeats_exactly() -> None:
    network = Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter)
    runs = [EngineModel(network, blocks=2_000, seed=5).run() for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_ideal_code_solves_what_its_rank_allows() -> None:
    code = IdealCode(1)
    for seq in (0, 1, 4, 5):
        assert code.known(seq) == []
    assert code.row(5, 6) == []
    assert sorted(code.row(4, 5)) == [2, 3]
    assert code.row(8, 4) == []
    assert code.row(9, 4) == []
    assert code.known(6) == []
    assert sorted(code.known(9)) == [7, 8], "two rows, two unknowns left"
