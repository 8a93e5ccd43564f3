"""`./dev bench --check`: whether a hot path has become dearer than it was.

Every path of tests/bench/hot_paths.py is measured as a ratio to a yardstick in the same
run and compared with tests/bench/costs.json; over a quarter more fails. `--check --write`
writes what was measured there as the new baseline, for this minor version of Python.

The copy of a block, by which costs are told elsewhere, is shown, but a poor yardstick: it
takes as long as the places in memory have it that a process happens to get. Between eight
runs of an unchanged program, ratios to it differed by 13 to 24 %, ratios to a fixed mixture
of what the hot paths are made of (copies, wide integers, translation, unpacking,
dictionaries, loops) by 3 to 11 %, with one exception of 16 %. So that is the yardstick.

Noise only ever adds, so of each the least of many short batches counts, in this thread's
processor time; paths and yardstick take turns, so that all of them see the same quiet
moments. What still looks dear is made and measured anew, up to three times, before it fails.

Ratios hold for processors of one kind: the baseline names its own, and the table says so
where this is another.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.hot_paths import BLOCK_BYTES, PATHS, Batch, HotPath, Prepare
from tests.bench.page import processor

BASELINE = Path(__file__).with_name("costs.json")
MOST = 1.25
"""Times the baseline."""
ROUNDS = 200
TRIES = 3
WRITE_TIMES = 3
COPIES = 1_000
YARDS = 4
COPY, YARD = "copy of a block", "yardstick"
VERSION = "{}.{}".format(*sys.version_info[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """processor: that it was measured on; costs: of each path, in yardsticks."""

    processor: str
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A path beside its baseline. was: None where it is new; share: now / was."""

    name: str
    ratio: float
    was: float | None

    @property
    def share(self) -> float | None:
        """Times its baseline."""
        return None if self.was is None else self.ratio / self.was

    @property
    def dear(self) -> bool:
        """Whether it fails."""
        return self.share is not None and self.share > MOST


def judge(ratios: Mapping[str, float], baseline: Mapping[str, float]) -> list[Verdict]:
    """Each path that was measured beside what it was."""
    return [Verdict(name=name, ratio=now, was=baseline.get(name)) for name, now in ratios.items()]


def yardstick() -> int:
    """About a tenth of a millisecond of everything that Python does for a block."""
    block, wide, found = bytes(range(240)) * 4, 0, dict[int, int]()
    table = bytes(range(255, -1, -1))
    for n in range(8):
        wide += int.from_bytes(bytearray(block).translate(table) * 2, "little") * (n + 3) >> 7
        wide ^= int.from_bytes(wide.to_bytes(2048, "little")[64:], "little")
    for n, value in enumerate(struct.unpack("<480h", block)):
        found[n & 63] = found.get(n & 63, 0) + abs(value)
    return wide.bit_length() + max(found.values())


class Meter:
    """Measures paths, again and again; remembers the least of each, nanoseconds a call."""

    def __init__(self, paths: Iterable[HotPath]) -> None:
        fixed = (
            HotPath(name=COPY, calls=COPIES, make=lambda: _copies),
            HotPath(name=YARD, calls=YARDS, make=lambda: _yards),
        )
        self._yards = fixed
        self._paths = {path.name: path for path in paths}
        self._prepared: dict[str, Prepare] = {
            path.name: path.make() for path in (*fixed, *self._paths.values())
        }
        self.least_ns = dict.fromkeys(self._prepared, math.inf)

    @property
    def names(self) -> tuple[str, ...]:
        """The paths, without the yardstick."""
        return tuple(self._paths)

    def measure(self, names: Iterable[str], rounds: int) -> None:
        """So many batches of each, in turns."""
        paths = [*self._yards, *(self._paths[name] for name in names)]
        gc.collect()
        gc.disable()
        try:
            for _ in range(rounds):
                for path in paths:
                    self._batch(path)
        finally:
            gc.enable()

    def renew(self, names: Iterable[str]) -> None:
        """Makes these anew, elsewhere in memory; what was measured stays."""
        for name in names:
            self._prepared[name] = self._paths[name].make()

    def _batch(self, path: HotPath) -> None:
        work, arguments = self._prepared[path.name](path.calls)
        calls = itertools.starmap(work, arguments)
        begun_ns = time.thread_time_ns()
        deque(calls, 0)
        taken_ns = (time.thread_time_ns() - begun_ns) / path.calls / path.per
        self.least_ns[path.name] = min(self.least_ns[path.name], taken_ns)

    def ratios(self) -> dict[str, float]:
        """Of each path to the yardstick."""
        return {name: self.least_ns[name] / self.least_ns[YARD] for name in self._paths}


def _copies(calls: int) -> Batch:
    return bytes, itertools.repeat((bytearray(BLOCK_BYTES),), calls)


def _yards(calls: int) -> Batch:
    return yardstick, itertools.repeat((), calls)


def settle(meter: Meter, baseline: Mapping[str, float]) -> list[Verdict]:
    """Measures all, and again what looks dear; what is dear now is so."""
    meter.measure(meter.names, ROUNDS)
    for _ in range(TRIES):
        dear = [verdict.name for verdict in judge(meter.ratios(), baseline) if verdict.dear]
        if not dear:
            break
        meter.renew(dear)
        meter.measure(dear, ROUNDS)
    return judge(meter.ratios(), baseline)


def check() -> int:
    """Prints the table. Returns the exit status: 1 where a path has become dearer."""
    known = read().get(VERSION)
    if known is None:
        print(f"no baseline for Python {VERSION}: --check --write makes one", file=sys.stderr)
        return 1
    if known.processor != processor():
        print(f"The baseline is of another processor, {known.processor}: it may not hold here.")
    meter = Meter(PATHS)
    verdicts = settle(meter, known.costs)
    show(meter, verdicts)
    dear = [f"{verdict.name} ({verdict.share:.2f} x)" for verdict in verdicts if verdict.dear]
    if dear:
        print(f"over {MOST:g} x the baseline: {', '.join(dear)}", file=sys.stderr)
    return 1 if dear else 0


def write() -> int:
    """Measures, and writes the baseline of this Python. Returns the exit status, 0."""
    meter = Meter(PATHS)
    for _ in range(WRITE_TIMES):
        meter.measure(meter.names, ROUNDS)
    ratios = meter.ratios()
    show(meter, judge(ratios, {}))
    baselines = read() | {VERSION: Baseline(processor=processor(), costs=ratios)}
    as_json = {
        version: {
            "processor": baseline.processor,
            "costs": {name: float(f"{ratio:.3g}") for name, ratio in baseline.costs.items()},
        }
        for version, baseline in sorted(baselines.items(), key=_by_number)
    }
    BASELINE.write_text(json.dumps(as_json, indent=1) + "\n", "utf-8")
    print(f"wrote {BASELINE.name} for Python {VERSION}")
    return 0


def read() -> dict[str, Baseline]:
    """The baselines by minor version of Python."""
    if not BASELINE.exists():
        return {}
    return {
        version: Baseline(processor=held["processor"], costs=held["costs"])
        for version, held in json.loads(BASELINE.read_text("utf-8")).items()
    }


def _by_number(item: tuple[str, object]) -> tuple[int, ...]:
    return tuple(map(int, item[0].split(".")))


def show(meter: Meter, verdicts: Iterable[Verdict]) -> None:
    """Prints the table."""
    copy_ns, yard_ns = meter.least_ns[COPY], meter.least_ns[YARD]
    print(f"{f'Python {VERSION}':26}{'us':>9}{'copies':>9}{'yards':>9}{'was':>9}{'now/was':>9}")
    for name, least_ns in ((COPY, copy_ns), (YARD, yard_ns)):
        print(_line(name, least_ns, copy_ns, yard_ns))
    for each in verdicts:
        was = "-" if each.was is None else f"{each.was:.3g}"
        share = "-" if each.share is None else f"{each.share:.2f}"
        said = "new" if each.was is None else "MISSED" if each.dear else "ok"
        line = _line(each.name, meter.least_ns[each.name], copy_ns, yard_ns)
        print(f"{line}{was:>9}{share:>9}  {said}")


def _line(name: str, least_ns: float, copy_ns: float, yard_ns: float) -> str:
    yards = f"{least_ns / yard_ns:.3g}"
    return f"{name:26}{least_ns / 1000:9.2f}{least_ns / copy_ns:9.1f}{yards:>9}"
