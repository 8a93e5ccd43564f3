"""Delay against missing audio: ours, and what others do, in the same simulated networks.

    python -m tests.bench.bench_schemes [--quick] [--plot FILE]

fixed       a buffer of so many ms, without repair
duplicates  each block twice, the copy a block later
block code  Reed-Solomon: 18 blocks, then 10 packets that mend any 10 of the 28
ours        the real policies, as in bench_target; delay is the mean above the fastest path
ours, fixed the same with --latency MS
Each is given the same networks with the same seed. A block that comes after its turn is
missing.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echowarp.media.target import AUTO, LOW, ROBUST
from tests.bench.plot import Chart, Series, draw
from tests.simulation.engine_model import (
    BLOCK_NS,
    MS,
    EngineModel,
    Network,
    Path,
    uniform_jitter,
    wifi_jitter,
)

BLOCKS, QUICK_BLOCKS = 60_000, 6_000
SEED = 100
DELAYS_MS = (10, 20, 30, 40, 60, 80, 100, 120, 160, 200)
SHOWN_MS = (20, 60, 200)
OUR_FIXED_MS = (20, 40, 60, 100)
POLICIES = {"low": LOW, "auto": AUTO, "robust": ROBUST}
CODE_BLOCKS, CODE_MORE = 18, 10
LEAST_SHOWN_PERCENT = 0.001
NEVER_NS = 1 << 62

NETWORKS = (
    ("5 %, RTT 2, Wi-Fi", Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter)),
    ("10 %, RTT 2, Wi-Fi", Network(loss=0.1, round_trip_ns=2 * MS, jitter=wifi_jitter)),
    ("5 %, 0-40 ms, RTT 20", Network(loss=0.05, round_trip_ns=20 * MS, jitter=uniform_jitter)),
    (
        "5 % in 20 ms bursts, RTT 2, Wi-Fi",
        Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter, burst_ns=20 * MS),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a scheme does in a network. name: the scheme; detail: its setting; missing
    and overhead: percent."""

    name: str
    detail: str
    delay_ms: float
    missing: float
    overhead: float


Late = Sequence[int]
"""By block: how long after the fastest path it was usable, ns."""


def single(network: Network, blocks: int) -> Late:
    """Blocks as they come."""
    path = Path(network, SEED)
    return [_late_ns(path, network, k * BLOCK_NS, k) for k in range(blocks)]


def duplicates(network: Network, blocks: int) -> Late:
    """The first of two copies."""
    path = Path(network, SEED)
    late = [NEVER_NS] * blocks
    for k in range(blocks + 1):
        for block in (k, k - 1):
            if 0 <= block < blocks:
                late[block] = min(late[block], _late_ns(path, network, k * BLOCK_NS, block))
    return late


def block_code(network: Network, blocks: int) -> Late:
    """A block as it comes, or when any 18 of its 28 packets are there."""
    path = Path(network, SEED)
    late: list[int] = []
    for first in range(0, blocks, CODE_BLOCKS):
        times = [k * BLOCK_NS for k in range(first, first + CODE_BLOCKS)]
        own = [_late_ns(path, network, at, first + n) for n, at in enumerate(times)]
        # All packets' arrival on one clock: as if each were the first block.
        there = [each + n * BLOCK_NS for n, each in enumerate(own)]
        there += [_late_ns(path, network, times[-1], first) for _ in range(CODE_MORE)]
        solved = sorted(there)[CODE_BLOCKS - 1]
        late += [min(each, solved - n * BLOCK_NS) for n, each in enumerate(own)]
    return late[:blocks]


def _late_ns(path: Path, network: Network, at_ns: int, block: int) -> int:
    """How late a packet sent at `at_ns` is for `block`, whose time is its number's."""
    arrival_ns = path.arrival_ns(at_ns)
    if arrival_ns is None:
        return NEVER_NS
    return arrival_ns - network.round_trip_ns // 2 - block * BLOCK_NS


def fixed(name: str, late: Late, overhead: float) -> Iterator[Point]:
    """A fixed delay after a scheme."""
    for delay_ms in DELAYS_MS:
        missing = sum(each > delay_ms * MS for each in late)
        yield Point(
            name=name,
            detail=f"{delay_ms} ms",
            delay_ms=delay_ms,
            missing=100 * missing / len(late),
            overhead=overhead,
        )


def ours(network: Network, blocks: int) -> Iterator[Point]:
    """The program's own policies."""
    wanted = [("ours", name, policy) for name, policy in POLICIES.items()]
    both = [*wanted, *(("ours, fixed", f"{ms} ms", ms * MS) for ms in OUR_FIXED_MS)]
    for name, detail, policy in both:
        out = EngineModel(network, blocks=blocks, seed=SEED, policy=policy).run()  # type: ignore[arg-type]
        yield Point(
            name=name,
            detail=detail,
            delay_ms=out.mean_delay_ms,
            missing=out.missing_percent,
            overhead=out.overhead_percent,
        )


def points(network: Network, blocks: int) -> list[Point]:
    """All schemes in one network."""
    return [
        *fixed("fixed buffer", single(network, blocks), 0),
        *fixed("duplicates", duplicates(network, blocks), 100),
        *fixed("block code 18+10", block_code(network, blocks), 100 * CODE_MORE / CODE_BLOCKS),
        *ours(network, blocks),
    ]


def chart(title: str, found: Sequence[Point]) -> Chart:
    """Delay against missing audio."""
    names = dict.fromkeys(point.name for point in found)
    return Chart(
        title=title,
        x_label="delay above the fastest path, ms",
        y_label="blocks missing, %",
        x_ticks=(0, 40, 80, 120, 160, 200),
        y_ticks=(LEAST_SHOWN_PERCENT, 0.01, 0.1, 1, 10),
        logarithmic=True,
        series=[
            Series(
                name=name,
                points=[(p.delay_ms, p.missing) for p in found if p.name == name],
                lone=name == "ours",
            )
            for name in names
        ],
    )


def main() -> None:
    """Prints the table, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the blocks")
    parser.add_argument("--plot", type=pathlib.Path, help="an SVG file to write")
    arguments = parser.parse_args()
    blocks = QUICK_BLOCKS if arguments.quick else BLOCKS
    charts = []
    print(f"{f'{blocks} blocks':36}{'scheme':20}{'':8}{'delay ms':>9}{'missing %':>11}{'more':>8}")
    for title, network in NETWORKS:
        found = points(network, blocks)
        charts.append(chart(title, found))
        for point in found:
            if point.name.startswith("ours") or point.delay_ms in SHOWN_MS:
                print(
                    f"{title:36}{point.name:20}{point.detail:8}{point.delay_ms:9.1f}"
                    f"{point.missing:11.3f}{point.overhead:6.0f} %",
                    flush=True,
                )
    if arguments.plot is not None:
        about = "Delay against missing audio for four schemes in four networks"
        arguments.plot.write_text(draw(charts, columns=2, description=about), "utf-8")


if __name__ == "__main__":
    main()
