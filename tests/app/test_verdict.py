from __future__ import annotations

from dataclasses import replace

import pytest

from echowarp.app.verdict import Figures, advice, report, table
from echowarp.config.settings import Settings
from echowarp.errors import EchoWarpError

GOOD = Figures(
    blocks=10_000,
    concealed=0,
    recorded=10_000,
    damaged=0,
    repaired=0,
    resent=0,
    overhead=0.5,
    delay_ms=20.04,
    delay_parts_ms={"capture": 5.0, "network": 0.0, "buffer": 15.04, "device": 0.0},
    target_ms=14.0,
    reason="14 ms: a quiet network",
    wake_median_ms=0.1,
    wake_p99_ms=0.4,
    devices="none",
)


def latency(figures: Figures, given: str = "auto") -> str:
    return advice(figures, Settings(latency=given))[0]


def test_the_table() -> None:
    assert list(table(GOOD)) == [
        "  delay       20.0 ms, median: 5.0 capture + 0.0 network + 15.0 buffer + 0.0 device",
        "  last target 14 ms: a quiet network",
        "  sound card  simulated: 10000 blocks, 0 (0.000 %) missing",
        "  recording   10000 blocks, 0 (0.000 %) not as sent",
        "  repaired    0 blocks from repair rows, as they were lost or overtaken",
        "  resent      0 blocks on request",
        "  overhead    50.0 % more packets than blocks",
        "  wake-ups    0.10 ms late, 99 of 100 below 0.40 ms",
        "  devices     none",
    ]


def test_what_was_not_measured_is_left_out_or_unknown() -> None:
    figures = replace(
        GOOD, recorded=None, damaged=None, wake_median_ms=None, devices=None, delay_ms=None
    )
    labels = [line.split()[0] for line in table(replace(figures, drift_ppm=-50.0))]
    assert labels == ["delay", "last", "sound", "repaired", "resent", "overhead", "drift"]
    assert next(table(figures)) == "  delay       unknown"


def test_the_advice() -> None:
    assert latency(GOOD) == "low"
    assert latency(replace(GOOD, target_ms=40.0)) == "auto"
    assert latency(replace(GOOD, resent=1)) == "auto"
    assert latency(replace(GOOD, concealed=30)) == "robust"
    assert latency(replace(GOOD, damaged=30)) == "robust"
    assert latency(replace(GOOD, concealed=30), "12") == "auto"
    # Where a policy goes no further, only a number does.
    assert latency(replace(GOOD, concealed=30, target_ms=108.7), "robust") == "220"
    assert latency(replace(GOOD, concealed=30, target_ms=200.0)) == "400"
    assert latency(replace(GOOD, concealed=30, target_ms=400.0), "400") == "400"
    assert latency(replace(GOOD, wake_p99_ms=30.0)) == "robust"


def test_where_the_network_loses_too_much_no_delay_is_advised() -> None:
    lossy = replace(GOOD, blocks=10_000, concealed=8_900, resent=300, target_ms=200.0)
    assert latency(lossy) == latency(lossy, "robust") == latency(lossy, "400") == "auto"
    assert "no delay brings back" in advice(lossy, Settings())[1]
    late = replace(lossy, resent=10)
    assert latency(late) == "400", "they came, but too late"


def test_where_no_block_came_nothing_good_is_said() -> None:
    silent = replace(GOOD, concealed=GOOD.blocks, target_ms=0.0, delay_ms=None)
    for figures in (silent, replace(silent, blocks=0, concealed=0)):
        assert advice(figures, Settings())[1].startswith("not one block came")


def test_all_is_well() -> None:
    said: list[str] = []
    report(replace(GOOD, concealed=50), Settings(), [], said.append)
    assert said[-1] == "verdict: all is well"


@pytest.mark.parametrize(
    ("figures", "problems", "words"),
    [
        (replace(GOOD, concealed=51), [], "not well: 0.51 % of the blocks were missing"),
        (replace(GOOD, damaged=100), [], "1.00 % of the blocks"),
        (replace(GOOD, delay_ms=None), [], "the delay could not be measured"),
        (replace(GOOD, blocks=0), [], "nothing was played"),
        (GOOD, ["the server left"], "not well: the server left"),
    ],
)
def test_what_is_not_well(figures: Figures, problems: list[str], words: str) -> None:
    said: list[str] = []
    with pytest.raises(EchoWarpError, match=words):
        report(figures, Settings(), problems, said.append)
    assert any("advice" in line for line in said)
