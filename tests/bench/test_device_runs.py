"""The delay that is said beside the one that is heard."""

from __future__ import annotations

import math

import numpy as np

from tests.bench.device_runs import compare
from tests.bench.hearing import HOP, RATE

HOPS_A_SECOND = RATE // HOP


def test_a_word_is_compared_with_what_is_heard_then() -> None:
    heard_ms = np.repeat([40.0, 50.0, 60.0], HOPS_A_SECOND)
    told = compare([(3.5, 41.0), (4.5, 50.0), (5.5, 57.0)], heard_ms, 3.0)
    assert (told.ms, told.off_ms, told.most_off_ms) == (50.0, 1.0, 3.0)


def test_a_delay_that_has_just_grown_may_be_said_already_or_not_yet() -> None:
    heard_ms = np.repeat([40.0, 50.0], HOPS_A_SECOND)
    assert compare([(3.95, 49.5), (4.05, 40.5)], heard_ms, 3.0).most_off_ms == 0.5
    assert compare([(3.5, 50.0)], heard_ms, 3.0).most_off_ms == 10.0


def test_what_is_said_before_and_after_and_in_a_gap_is_left_out() -> None:
    heard_ms = np.repeat([40.0, np.nan, 60.0], HOPS_A_SECOND)
    told = compare([(2.0, 10.0), (3.5, 40.5), (4.5, 10.0), (6.5, 10.0)], heard_ms, 3.0)
    assert (told.ms, told.off_ms, told.most_off_ms) == (40.5, 0.5, 0.5)


def test_a_client_that_says_nothing_is_not_near() -> None:
    told = compare([], np.full(HOPS_A_SECOND, 40.0), 3.0)
    assert math.isnan(told.ms) and told.most_off_ms == math.inf
