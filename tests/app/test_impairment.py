"""The fates of packets: as often, as long and as late as asked, and the same each time."""

from __future__ import annotations

from itertools import groupby

import pytest

from echowarp.app.impairment import NS_PER_MS, ImpairedPath
from echowarp.config.impair import CLEAN, Impairment, parse_impairment

PACKETS = 50_000


def fates(impairment: Impairment, direction: str = "down") -> list[tuple[int, ...]]:
    path = ImpairedPath(impairment, direction)
    return [path.delays_ns() for _ in range(PACKETS)]


def test_a_clean_network_passes_all_at_once() -> None:
    assert set(fates(CLEAN)) == {(0,)}


@pytest.mark.parametrize("spec", ["loss=5%", "loss=5%,burst=3", "loss=50%,burst=10", "loss=90%"])
def test_the_share_of_losses_is_as_asked(spec: str) -> None:
    impairment = parse_impairment(spec)
    lost = sum(not each for each in fates(impairment)) / PACKETS
    assert lost == pytest.approx(impairment.loss_percent / 100, rel=0.08)


def test_losses_come_in_runs() -> None:
    lost = [not each for each in fates(parse_impairment("loss=1%,burst=3"))]
    runs = [len(list(group)) for is_lost, group in groupby(lost) if is_lost]
    assert len(runs) > 50
    assert all(length % 3 == 0 for length in runs[:-1])


def test_delay_and_jitter() -> None:
    delays = [each[0] for each in fates(parse_impairment("delay=10ms,jitter=20ms"))]
    assert 10 * NS_PER_MS <= min(delays) < 10.1 * NS_PER_MS
    assert 29.9 * NS_PER_MS < max(delays) < 30 * NS_PER_MS
    assert sum(delays) / PACKETS == pytest.approx(20 * NS_PER_MS, rel=0.01)


def test_duplicates() -> None:
    twice = sum(len(each) == 2 for each in fates(parse_impairment("duplicate=10%")))
    assert twice / PACKETS == pytest.approx(0.1, rel=0.05)


def test_the_same_seed_gives_the_same_fates_and_another_direction_others() -> None:
    impairment = parse_impairment("loss=10%,jitter=20ms,seed=7")
    assert fates(impairment) == fates(impairment)
    assert fates(impairment) != fates(impairment, "up")
    assert fates(impairment) != fates(parse_impairment("loss=10%,jitter=20ms,seed=8"))
