from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from echowarp.media.drift import DriftLoop
from tests.simulation.drift_model import DriftingBuffer as Buffer

MS = 1_000_000
S = 1_000 * MS


def uniform(seed: int = 1) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.uniform(0, 40)


def wifi(seed: int = 1) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.expovariate(0.5) + (rng.uniform(0, 30) if rng.random() < 0.03 else 0)


@pytest.mark.parametrize("ppm", [200, -200])
@pytest.mark.parametrize("jitter", [lambda: 0.0, wifi(), uniform()], ids=["none", "wifi", "40 ms"])
def test_two_hundred_ppm(ppm: float, jitter: Callable[[], float]) -> None:
    buffer = Buffer(ppm, jitter)
    assert buffer.run(60) <= 1.1
    buffer.run(60)
    assert buffer.run(300) <= 0.25


def test_the_rate_is_found_exactly_without_jitter() -> None:
    buffer = Buffer(200)
    buffer.run(600)
    assert buffer.loop.correction_ppm == pytest.approx(200, abs=0.1)


def test_clocks_that_are_alike_are_left_alone() -> None:
    """What is read unevenly is no drift, and sound is not changed for it; what is drift is
    found all the same."""
    rng = random.Random(1)
    buffer = Buffer(0, lambda: rng.uniform(0, 2))
    for _ in range(600):
        buffer.run(1)
        assert buffer.loop.correction_ppm == 0
    buffer = Buffer(20)
    buffer.run(300)
    assert buffer.loop.correction_ppm == pytest.approx(20, abs=1)


@pytest.mark.parametrize("ppm", [900, -900])
def test_nine_hundred_ppm_is_still_followed(ppm: float) -> None:
    buffer = Buffer(ppm, wifi())
    assert buffer.run(180) <= 6.3
    assert buffer.run(300) <= 0.9


def test_the_correction_is_slewed_and_clamped() -> None:
    buffer = Buffer(5_000)
    last = 0.0
    for _ in range(60):
        buffer.run(1)
        assert abs(buffer.loop.correction_ppm - last) <= 100 + 1e-9
        last = buffer.loop.correction_ppm
    assert last == 1000


def test_an_outage_freezes_the_rate_that_was_found() -> None:
    buffer = Buffer(200)
    buffer.run(300)
    buffer.run(10, blocks=False)
    assert buffer.loop.correction_ppm == pytest.approx(200, abs=1)
    assert buffer.run(60) <= 0.1


def test_what_was_seen_around_an_outage_does_not_count() -> None:
    buffer = Buffer(0)
    buffer.run(100)
    buffer.run(2, blocks=False)
    buffer.loop.observe(400 * MS, 0, buffer.now_ns)
    buffer.run(0.9)
    assert buffer.loop.correction_ppm == pytest.approx(0, abs=1)


def test_deliberate_moves_are_no_error() -> None:
    buffer = Buffer(100)
    buffer.run(200)
    for _ in range(10):
        buffer.intended_ns += 5 * MS
        buffer.level_ns += 5 * MS
        buffer.run(1)
    assert buffer.loop.correction_ppm == pytest.approx(100, abs=1)


def test_a_base_delay_that_wanders_is_followed_gently() -> None:
    buffer = Buffer(0)
    buffer.run(120)
    for step in range(160):
        buffer.level_ns += 0.05 * MS if step < 80 else -0.05 * MS
        buffer.run(1)
        assert abs(buffer.loop.correction_ppm) < 120


def test_a_machine_that_slept_is_no_reason_to_leap() -> None:
    buffer = Buffer(0)
    buffer.run(60)
    buffer.now_ns += 60 * S
    buffer.run(5)
    assert buffer.loop.correction_ppm == pytest.approx(0, abs=1)


def test_early_ticks_change_nothing() -> None:
    loop = DriftLoop(0)
    loop.observe(50 * MS, 0, 400 * MS)
    loop.observe(50 * MS, 0, 800 * MS)
    assert loop.tick(loop.timeout_ns() - 1) == 0
    assert loop.tick(loop.timeout_ns()) > 0
