"""The load generator of the listeners' bench: its arithmetic, and a small crowd."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from echowarp.session.rate_policy import RepairRate, rate_for, rounds_that_fit
from tests.bench import bench_listeners, side_by_side
from tests.bench.crowd import Crowd, Step, lateness_ms, percentile, ticks_ms
from tests.bench.simulated_listener import CLAIMED_LOSS, GUARD_NS, MS, RTO_NS, TARGET_NS
from tests.processes import Stage

STEP = Step(
    listeners=100,
    joins=200.0,
    join_cpu_ms=2.0,
    first_ms=[5.0, 6.0, 7.0],
    cpu=0.25,
    busiest=0.2,
    rss_kib=40_000,
    idle_kib=35_000,
    late_ms=(0.1, 1.0),
    tick_ms=(1.0, 2.0),
    rows=0.25,
    lost=0,
    blocks=4000,
)


def changed(**values: object) -> Step:
    return Step(**{name: getattr(STEP, name) for name in Step.__slots__} | values)


def test_what_is_claimed_settles_at_a_quarter() -> None:
    rounds = rounds_that_fit(target_ns=TARGET_NS, guard_ns=GUARD_NS, rto_ns=RTO_NS)
    assert rounds >= 2
    assert rate_for(CLAIMED_LOSS, rounds) is RepairRate.QUARTER


def test_lateness_is_counted_from_the_earliest() -> None:
    arrivals = {7: 70 * MS, 8: 76 * MS, 9: 80 * MS}
    assert lateness_ms(arrivals, 5 * MS) == [0, 1, 0]


def test_a_tick_lasts_from_the_first_listener_to_the_last() -> None:
    first, last = {1: 10 * MS, 2: 20 * MS, 3: 30 * MS}, {2: 23 * MS, 1: 11 * MS}
    assert sorted(ticks_ms([first, last])) == [1, 3]
    assert ticks_ms([first]) == [0, 0, 0]


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.99) == 99
    assert percentile([], 0.5) == 0


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, []),
        ({"cpu": 0.26}, ["core"]),
        ({"cpu": 0.9, "listeners": 300}, []),
        ({"rss_kib": 35_000 + 10_100}, ["memory"]),
        ({"tick_ms": (1.0, 5.0)}, ["tick"]),
        ({"tick_ms": (1.0, 5.0), "listeners": 300}, []),
        ({"first_ms": [40.0, 50.0, 51.0]}, ["first"]),
    ],
)
def test_what_must_be_reached(values: dict[str, object], what: list[str]) -> None:
    step = changed(**values)
    assert bench_listeners.missed(step) == what
    assert bench_listeners.row(step).endswith(f"MISSED: {what[0]}" if what else "  ok")


def test_what_cores_carry() -> None:
    """One process no more than one core; many no more than all cores."""
    assert bench_listeners.carried(changed(cpu=0.5, busiest=0.5)) == 200
    assert bench_listeners.carried(changed(cpu=0.5, busiest=0.2)) == 400
    assert bench_listeners.carried(changed(cpu=0.5, busiest=0.4)) == 250


def test_threads_and_processes_are_compared() -> None:
    rate, threads, processes = side_by_side.compare(0.05)
    assert rate > 1_000
    assert threads > 0
    assert processes > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and kernel stamps")
@pytest.mark.parametrize("options", [(), ("--ssl",), ("--workers", "2")])
def test_a_small_crowd_hears_everything(tmp_path: Path, options: tuple[str, ...]) -> None:
    with Stage(tmp_path) as stage:
        server = stage.server(*options, stats=False)
        crowd = Crowd(stage.port, server.pid)
        first, second = (crowd.step(count, 1.0) for count in (1, 12))
        assert server.running
    assert (first.listeners, second.listeners) == (1, 12)
    assert first.joins is None
    assert second.joins is not None and second.joins > 0
    # The first, and the last of each step, hear everything.
    assert second.blocks >= 2 * 150
    assert first.lost == second.lost == 0
    assert second.rows == pytest.approx(0.25, abs=0.03)
    assert len(second.first_ms) == 5 and second.first_ms[0] > 0
    assert second.cpu > 0 and second.rss_kib > second.idle_kib
    assert second.tick_ms[1] > 0
