"""Writes docs/performance.md and its plots from what the benches print."""

from __future__ import annotations

import os
import platform
import random
import re
from collections.abc import Mapping
from pathlib import Path

from tests.bench.plot import Chart, Series, draw
from tests.processes import ROOT
from tests.simulation.drift_model import DriftingBuffer
from tests.simulation.engine_model import MS, uniform_jitter, wifi_jitter

DOCS = ROOT / "docs"
PAGE = DOCS / "performance.md"
SCHEMES_PLOT, DRIFT_PLOT = DOCS / "schemes.svg", DOCS / "drift.svg"
DRIFT_S, DRIFT_PPM = 600, 200

SECTIONS = (
    (
        "devices",
        "Device to device",
        "Real processes between two devices of a private PulseAudio (null sinks, periods of"
        " 5 ms) or of JACK without hardware, band-limited noise through a userspace proxy"
        " that treats both directions alike. Delay runs from the moment a sample can be read"
        " at the source to the moment it leaves the sink; `most` is the longest meanwhile,"
        " `shown` what the client itself says, `off` by how much that differs from what is heard"
        " just then, median and largest. Damaged is every 2.5 ms in which a window of"
        " 5 ms does not agree with what was sent to a correlation of 0.9, at a delay that"
        " holds for 20 ms. A run is judged from 3 s after the sound began; `at start` is the"
        " damage between 0.5 s and 3 s, `client` the processor time of the client as a share of"
        " a core (to reach: 5 %). `best of the field` is the best that any program of"
        " its kind did on the same machine without a glitch.",
    ),
    (
        "network",
        "Recorded through a bad network",
        "Real processes over loopback, a recording compared with what was sent block by"
        " block, and a pipe whose blocks are timed. These sinks have no clock.",
    ),
    (
        "target",
        "Delay and missing blocks, simulated",
        "The real policies under a virtual clock, 60,000 blocks (the quiet LAN: what must be"
        " reached holds after 40 s), for each `--latency`. `<=` is what must be reached: the"
        " design's delay and a fifth more, its missing blocks, or something more exact for"
        " `auto`. `overhead` is what is sent more than once, `rates` the"
        " share of the time at each rate of repair rows. Below: how far the buffer is from"
        " where it should be, when the clocks of both machines run apart.",
    ),
    (
        "schemes",
        "Against other ways",
        "The same networks, simulated: a fixed buffer without repair, every block twice, and"
        " a block code of 18 blocks and 10 packets, each at fixed delays.",
    ),
    (
        "lateness",
        "Beside busy Python threads",
        "Threads of one process take turns. Above: by how much a thread that sleeps to every"
        " 5 ms wakes too late beside others that compute without end, at the interval of turns"
        " that the program sets and at Python's own of 5 ms. Below: real processes, one of them"
        " with such a thread, and by how much blocks leave the client's pipe late.",
    ),
    (
        "listeners",
        "Many listeners",
        "A real server and simulated listeners over loopback, which speak the real protocol and"
        " claim a loss at which a repair row is sent for every fourth block; they join in steps."
        " One in 25 opens everything, the others leave to the kernel what comes. `core` is the"
        " processor time of the whole server, `tick` the time from the first listener's copy of"
        " a block to the last's, `late` how far blocks come behind the earliest, both by the"
        " kernel's own stamps; `joins/s` and `cpu ms`, the server's for each of them, while eight"
        " join at once; `first` from connecting to the first block, joining alone; `lost` of the"
        " blocks for those who open them.",
    ),
    (
        "relay",
        "Relay",
        "A real relay over loopback and simulated callers, which speak the real protocol, each"
        " 200 blocks a second in phases of their own; beside it a program of a few lines that"
        " forwards as many datagrams of the same size and does nothing else. `core` is the"
        " processor time of the process that forwards, `us each` that for each datagram that it"
        " sends, with `rows` of repair for each block (none once the network is trusted, after"
        " 20 s); `delay` from the caller's sending to the arrival at the other by the kernel's"
        " stamps, in one call of ten, and `lost` of their blocks.",
    ),
    (
        "start",
        "To the first sound",
        "A real client that writes to a pipe, from the start of its process to the first byte"
        " there, and in turns with it what Python and the foreign libraries take alone; below,"
        " a simulated listener, from connecting to its first block.",
    ),
    (
        "process",
        "Processor time of whole processes",
        "Without a sound card on either side.",
    ),
    (
        "rooms",
        "Rooms through a relay",
        "The real parts under a virtual clock: talkers, the relay, a listener that mixes, and"
        " between each of them and the relay a network as named; beside it the one-way stream"
        " through one such network, measured in the same way. Delay is above the fastest path"
        " and holds the two periods (10 ms) that a card may take at once; `<=` is the delay"
        " that the design found on one way and a fifth more, the periods on top, and twice the"
        " missing blocks that are asked for there."
        " Below, the costs of a client's mix: one pull of 5 ms in the processor time of its"
        " thread, and that as a share of a core.",
    ),
    (
        "calls",
        "Mouth to ear in a call",
        "Real processes between two devices of a private PulseAudio, by the one-way stream and"
        " by a call between two clients through a relay, in the same run and in turns. `hop` is"
        " what the relay's way adds: a datagram to it and on, measured with small programs"
        " at the same time.",
    ),
    ("wire", "Packets and handshakes", ""),
    (
        "websocket",
        "WebSocket frames",
        "Our state machine and that of the PyPI library `websockets`, which masks in C, fed in"
        " turns and without sockets.",
    ),
    (
        "cache",
        "The file cache",
        "A file there and back between real processes over loopback, beside the PyPI library"
        " `websockets` at both ends with the same store and the same client's logic. Memory is"
        " the most that any process of an end took.",
    ),
    ("repair", "Repair", ""),
    (
        "resampler",
        "Resampler",
        "To reach at 200 ppm: 70 dB at 1 kHz and 65 dB at 10 kHz.",
    ),
    ("mix", "Mixing and gain", "Every row is compared with a plain reference, bit by bit."),
    (
        "concealment",
        "Concealment",
        "Log-spectral distance from what was sent, and energy of clicks above 6 kHz; below,"
        " what it costs: microseconds for the gap and for its end, the slowest call, copies"
        " of a block.",
    ),
)
"""Bench, title, what it is."""

PLOTS = {
    "schemes": (SCHEMES_PLOT, "Delay against missing audio"),
    "target": (DRIFT_PLOT, "Error of the buffer while two clocks run apart"),
}


def write(measured: Mapping[str, str]) -> None:
    """measured: what each bench has printed; of others the page keeps what it has.
    SCHEMES_PLOT is there already."""
    DRIFT_PLOT.write_text(_drift_plot(), "utf-8")
    found = {**kept(), **measured}
    missed = {
        name: [line for line in text.splitlines() if "MISSED" in line]
        for name, text in found.items()
    }
    parts = [_head(missed)]
    for name, title, about in SECTIONS:
        if name not in found:
            continue
        parts.append(f"## {title}\n\n    ./dev bench --only {name}\n")
        if about:
            parts.append(f"{about}\n")
        parts.append(f"```text\n{found[name].rstrip()}\n```\n")
        if name in PLOTS:
            file, description = PLOTS[name]
            parts.append(f"![{description}]({file.name})\n")
    PAGE.write_text("\n".join(parts), "utf-8")


def kept() -> dict[str, str]:
    """What the page has of each bench."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else ""
    section = re.compile(r"^    \./dev bench --only (\w+)\n.*?^```text\n(.*?)^```$", re.M | re.S)
    return {match[1]: match[2] for match in section.finditer(text)}


def _head(missed: Mapping[str, list[str]]) -> str:
    count = sum(map(len, missed.values()))
    rows = "".join(
        f"- `{' '.join(line.split())}` (`./dev bench --only {name}`)\n"
        for name, lines in missed.items()
        for line in lines
    )
    verdict = f"Not reached:\n\n{rows}" if count else "Everything was reached.\n"
    return (
        "# Performance\n\n"
        "Written by `./dev bench --write`, which measures everything on this page anew, or with"
        " `--only NAME` one section; `./dev bench --quick` gives rougher figures within two"
        " minutes. Rows that have something to reach say `ok` or `MISSED`.\n\n"
        f"The last run: Python {platform.python_version()}, {processor()}, with a load of"
        f" {os.getloadavg()[2]:.1f} over a quarter of an hour, of which the benches are about 1;"
        " with more, other work was in the way, and delays are longer than they need to be."
        " Figures depend on the machine; ratios, taken within one run, less so.\n\n"
        f"{verdict}"
    )


def processor() -> str:
    """What the machine calls its processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def _drift_plot() -> str:
    """How far the buffer is off, second by second, for three kinds of jitter."""
    rng = random.Random(1)
    jitters = {
        "no jitter": lambda: 0.0,
        "Wi-Fi": lambda: wifi_jitter(rng) / MS,
        "0-40 ms": lambda: uniform_jitter(rng) / MS,
    }
    series = []
    for name, jitter in jitters.items():
        buffer = DriftingBuffer(DRIFT_PPM, jitter)
        levels = []
        for second in range(1, DRIFT_S + 1):
            buffer.run(1)
            levels.append((second / 60, (buffer.level_ns - buffer.intended_ns) / MS))
        series.append(Series(name=name, points=levels))
    chart = Chart(
        title=f"Buffer, two clocks {DRIFT_PPM} ppm apart",
        x_label="minutes",
        y_label="error, ms",
        x_ticks=(0, 2, 4, 6, 8, 10),
        y_ticks=(-1, -0.5, -0.25, 0, 0.25, 0.5, 1),
        series=series,
    )
    about = f"Error of the buffer in the first ten minutes with clocks {DRIFT_PPM} ppm apart"
    return draw([chart], columns=1, description=about)
