"""Mean added delay and blocks not played as sent, by network; drift over hours.

    python -m tests.bench.bench_target [--quick] [--seeds N]

The rows that must be reached are 60,000 blocks each; --quick runs a tenth.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

from echowarp.media.target import AUTO, LOW, ROBUST
from echowarp.session.rate_policy import RepairRate
from tests.simulation.drift_model import DriftingBuffer
from tests.simulation.engine_model import (
    BLOCK_NS,
    MS,
    EngineModel,
    Network,
    lan_jitter,
    no_jitter,
    uniform_jitter,
    wifi_jitter,
)

BLOCKS = 60_000
LAN_SKIP = 40_000 * MS // BLOCK_NS

ROWS: tuple[tuple[str, Network, int, float, float], ...] = (
    (
        "no loss, quiet LAN, after 40 s",
        Network(loss=0, round_trip_ns=MS, jitter=lan_jitter),
        LAN_SKIP,
        8,
        0.003,
    ),
    (
        "5 %, RTT 2, Wi-Fi",
        Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter),
        0,
        45,
        0.001,
    ),
    (
        "10 %, RTT 2, Wi-Fi",
        Network(loss=0.1, round_trip_ns=2 * MS, jitter=wifi_jitter),
        0,
        50,
        0.01,
    ),
    (
        "5 %, 0-40 ms, RTT 20",
        Network(loss=0.05, round_trip_ns=20 * MS, jitter=uniform_jitter),
        0,
        80,
        0.04,
    ),
    (
        "5 %, RTT 80, Wi-Fi",
        Network(loss=0.05, round_trip_ns=80 * MS, jitter=wifi_jitter),
        0,
        50,
        0.01,
    ),
)
"""The rows that must be reached: name, network, plays skipped, then the
most milliseconds of delay and the most percent missing."""

MORE_ROWS: tuple[tuple[str, Network, int, float, float], ...] = (
    (
        "1 %, RTT 1, no jitter",
        Network(loss=0.01, round_trip_ns=MS, jitter=no_jitter),
        0,
        24,
        0.007,
    ),
    (
        "5 % in 20 ms bursts, RTT 2",
        Network(loss=0.05, round_trip_ns=2 * MS, jitter=wifi_jitter, burst_ns=20 * MS),
        0,
        137,
        0.023,
    ),
)
"""Further rows of the design, shown with --more; a fifth is allowed on its target."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--row", type=int)
    parser.add_argument("--more", action="store_true", help="bursts and wires as well")
    parser.add_argument("--all", action="store_true", help="low and robust as well")
    arguments = parser.parse_args()
    blocks = BLOCKS // 10 if arguments.quick else BLOCKS
    policies = {"auto": AUTO} | ({"low": LOW, "robust": ROBUST} if arguments.all else {})
    rows = ROWS + MORE_ROWS if arguments.more else ROWS
    rows = rows if arguments.row is None else rows[arguments.row : arguments.row + 1]
    print(f"{'network':32}{'mode':7}seed  {'delay ms':>9}{'missing %':>11}{'overhead':>9}  rates")
    for name, network, skip, most_ms, most_percent in rows:
        for mode, policy in policies.items():
            for seed in range(1, arguments.seeds + 1):
                began = time.perf_counter()
                model = EngineModel(
                    network,
                    blocks=max(blocks, 3 * skip // 2),
                    seed=100 * seed,
                    policy=policy,
                    skip=skip,
                )
                out = model.run()
                ok = out.mean_delay_ms <= most_ms and out.missing_percent <= most_percent
                share = {r.name: round(out.at_rate[r] / out.blocks, 2) for r in RepairRate}
                rates = " ".join(f"{n}:{v}" for n, v in share.items() if v)
                verdict = ("ok" if ok else "MISSED") if mode == "auto" else ""
                print(
                    f"{name:32}{mode:7}{seed:4}  {out.mean_delay_ms:9.1f}"
                    f"{out.missing_percent:11.4f}{out.overhead_percent:8.0f}%  {rates}  "
                    f"{verdict}  {time.perf_counter() - began:.0f}s {out.missed_at[:12]}",
                    flush=True,
                )
    drift(hours=0.1 if arguments.quick else 4)


def drift(hours: float) -> None:
    """Prints how well the loop holds the buffer where the clocks run apart."""
    rng = random.Random(1)
    jitters: dict[str, Callable[[], float]] = {
        "no jitter": lambda: 0.0,
        "Wi-Fi": lambda: wifi_jitter(rng) / MS,
        "0-40 ms": lambda: uniform_jitter(rng) / MS,
    }
    print(f"\n{'clocks apart':14}{'jitter':11}{'hours':>6}{'error, ms: 2 min':>18}{'after':>8}")
    for ppm, name in ((200, "no jitter"), (200, "Wi-Fi"), (200, "0-40 ms"), (900, "Wi-Fi")):
        buffer = DriftingBuffer(ppm, jitters[name])
        first, after = buffer.run(120), buffer.run(hours * 3600 - 120)
        verdict = "" if ppm > 200 else "ok" if after <= 0.25 else "MISSED"
        print(f"{ppm:10} ppm {name:11}{hours:6}{first:18.2f}{after:8.2f}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
