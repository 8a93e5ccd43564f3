"""The soak: what it judges by, and a short run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.demo.stats import Line
from tests.soak.__main__ import table
from tests.soak.heard import Ear, Tail
from tests.soak.run import Soak
from tests.soak.usage import ALLOWED_KIB, Usage, allowed_kib, growth

SECONDS = 12.0


def line(time_s: float, received: int, concealed: int = 0, state: str = "playing") -> Line:
    streams = [{"received": received, "concealed": concealed}]
    return {"time": time_s, "state": state, "streams": streams}


def playing(until_s: int) -> Ear:
    ear = Ear("ear", block_s=0.005)
    for second in range(until_s + 1):
        ear.hear(line(second, 200 * second), second)
    assert ear.plays and not ear.found
    return ear


def test_a_gap_without_a_fault_is_found() -> None:
    ear = playing(10)
    ear.hear(line(11, 2195, 5), 11)
    assert ear.unexplained == 5
    assert ear.found == ["ear: 5 blocks are missing at 11.0 s, and nothing explains it"]


def test_a_gap_within_a_fault_is_explained_until_it_plays_again() -> None:
    ear = playing(10)
    ear.fault_begins()
    ear.hear(line(11, 2100), 11)
    ear.fault_ends(11.5)
    ear.hear(line(12, 2200, 100), 12)
    assert not ear.plays
    for second in range(13, 20):
        ear.hear(line(second, 2200 + 200 * (second - 12), 100), second)
    assert ear.plays and not ear.found
    assert (ear.explained, ear.explained_gaps, ear.unexplained) == (100 + 100, 1, 0)
    ear.hear(line(20, 3790, 110), 20)
    assert ear.unexplained == 10


def test_what_a_fault_explains_of_a_listener_that_does_not_come_back() -> None:
    """It does not play: whoever waits for it waits in vain."""
    ear = playing(10)
    ear.fault_begins()
    ear.fault_ends(11)
    for second in range(11, 40):
        ear.hear(line(second, 2000, state="reconnecting"), second)
    assert not ear.plays


@pytest.mark.parametrize("rate", [185, 215])
def test_a_clock_that_does_not_stay_is_found(rate: int) -> None:
    ear = playing(10)
    for second in range(1, 12):
        ear.hear(line(10 + second, 2000 + rate * second), 10 + second)
    assert ear.furthest_s > 0.5
    assert any("its clock is" in text for text in ear.found)


def test_a_moment_of_lateness_is_none() -> None:
    ear = playing(10)
    ear.hear(line(11, 2050), 11)
    ear.hear(line(12, 2390), 12)
    ear.hear(line(13, 2600), 13)
    assert not ear.found


def test_a_listener_that_says_nothing_is_found() -> None:
    ear = playing(10)
    ear.check_alive(15)
    assert not ear.found
    ear.check_alive(17)
    assert ear.found == ["ear: no statistics since 10.0 s"]


def test_lines_are_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "stats"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_text('{"time": 1}\n{"ti')
    assert list(tail.lines()) == [{"time": 1}]
    path.write_text('{"time": 1}\n{"time": 2}\n')
    assert list(tail.lines()) == [{"time": 2}]


def held(at_s: float, *, rss_kib: int = 30_000, descriptors: int = 10, threads: int = 5) -> Usage:
    return Usage(at_s=at_s, rss_kib=rss_kib, descriptors=descriptors, threads=threads)


def test_what_grows_is_found() -> None:
    assert growth("it", [held(0)]) == []
    assert growth("it", [held(0), held(60, rss_kib=30_000 + ALLOWED_KIB)]) == []
    assert growth("it", [held(0, threads=6), held(60)]) == []
    too_much = held(60, rss_kib=30_001 + round(allowed_kib(1)), descriptors=11, threads=6)
    assert len(growth("it", [held(0), too_much])) == 3


@pytest.mark.xdist_group("takes all of the machine")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is held")
def test_a_short_run(tmp_path: Path) -> None:
    log: list[str] = []
    soak = Soak(tmp_path / "soak", seconds=SECONDS, seed=4, workers=1, say=log.append)
    soak.run()
    story = "\n".join([*log, *table(soak)])
    assert soak.found == [], story
    assert soak.happened.total() >= 5, story
    assert all(each.ear.blocks > 0 for each in soak.staying), story
    assert set(soak.usages) == {"server", "direct", "proxied"}
