"""When a hot path counts as dearer than it was."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tests.bench.check import MOST, TRIES, Meter, judge, settle
from tests.bench.hot_paths import HotPath


class Scripted(Meter):
    """Finds what it is told to, one measurement after the other."""

    def __init__(self, *found: dict[str, float]) -> None:
        super().__init__(
            HotPath(name=name, calls=1, make=lambda: lambda calls: (int, [()])) for name in found[0]
        )
        self._found, self._now = iter(found), dict[str, float]()
        self.measured: list[tuple[str, ...]] = []

    def measure(self, names: Iterable[str], rounds: int) -> None:
        self.measured.append(tuple(names))
        self._now = next(self._found, self._now)

    def ratios(self) -> dict[str, float]:
        return self._now


def test_up_to_a_quarter_more_is_no_regression() -> None:
    verdicts = judge({"a": MOST, "b": MOST + 0.01, "c": 0.1}, {"a": 1, "b": 1, "c": 1})
    assert [verdict.name for verdict in verdicts if verdict.dear] == ["b"]


def test_a_path_without_a_baseline_is_new_and_not_dear() -> None:
    (verdict,) = judge({"a": 5}, {"b": 1})
    assert verdict.share is None and not verdict.dear


def test_what_looks_dear_once_is_measured_again_and_alone() -> None:
    meter = Scripted({"a": 2, "b": 1}, {"a": 1, "b": 1})
    assert not any(verdict.dear for verdict in settle(meter, {"a": 1, "b": 1}))
    assert meter.measured == [("a", "b"), ("a",)]


def test_what_stays_dear_fails() -> None:
    meter = Scripted({"a": 2, "b": 1})
    dear = [verdict for verdict in settle(meter, {"a": 1, "b": 1}) if verdict.dear]
    assert [verdict.name for verdict in dear] == ["a"]
    assert meter.measured == [("a", "b"), *[("a",)] * TRIES]


def test_the_least_is_remembered_beside_a_yardstick_of_the_same_run() -> None:
    prepared = []

    def prepare(calls: int) -> tuple[type[int], Iterable[tuple[()]]]:
        prepared.append(calls)
        return int, itertools.repeat((), calls)

    meter = Meter([HotPath(name="a", calls=7, make=lambda: prepare)])
    meter.measure(("a",), 3)
    assert prepared == [7, 7, 7]
    first = dict(meter.least_ns)
    assert meter.ratios() == {"a": first["a"] / first["yardstick"]}
    meter.measure(("a",), 3)
    assert all(meter.least_ns[name] <= least_ns for name, least_ns in first.items())
