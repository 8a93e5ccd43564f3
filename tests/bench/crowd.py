"""A crowd of simulated listeners, which speak the real protocol to a real server.

    python -m tests.bench.crowd PORT PID COUNT [COUNT ...] [--seconds S]

Joins in steps until there are COUNT listeners each time, watches the server at work
for S seconds, and prints a line of JSON a step. PID is the server's, of which /proc tells.
One listener in 25 opens everything, and the first and the last do.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import selectors
import time
from collections.abc import Callable, Sequence

from tests.bench.simulated_listener import MS, NS_PER_S, Listener
from tests.proc import children, cpu_s, rss_kib

FULL_ONE_IN = 25
AT_ONCE = 8
"""Handshakes under way while a crowd joins."""
ALONE = 5
"""How many of each step join one after the other, timed from connecting to the first block."""
SETTLE_NS = NS_PER_S
PATIENCE_NS = 20 * NS_PER_S
FILES_EACH, FILES_BESIDE = 2, 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was seen with `listeners` of them. The server is all its processes.

    joins: a second, joining AT_ONCE at once, None where none did, at `join_cpu_ms` of
    the server each; first_ms: from connecting to the first block, ascending; cpu: of
    the server, share of a core, and `busiest` of its busiest process; rss_kib: of the
    server, `idle_kib` with nobody there;
    late_ms: of blocks behind the earliest, over all who open them, p50 and p99;
    tick_ms: between the first and the last listener, p50 and p99; rows: for each
    block; lost: blocks that did not come; blocks: that should have.
    """

    listeners: int
    joins: float | None
    join_cpu_ms: float | None
    first_ms: list[float]
    cpu: float
    busiest: float
    rss_kib: int
    idle_kib: int
    late_ms: tuple[float, float]
    tick_ms: tuple[float, float]
    rows: float
    lost: int
    blocks: int


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of them lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def lateness_ms(arrivals: dict[int, int], block_ns: int) -> list[float]:
    """How far each block came behind the earliest. arrivals: by seq, ns of any clock."""
    offsets_ns = [at_ns - seq * block_ns for seq, at_ns in arrivals.items()]
    return [(offset_ns - min(offsets_ns)) / MS for offset_ns in offsets_ns]


def ticks_ms(arrivals: Sequence[dict[int, int]]) -> list[float]:
    """From the first to the last listener, for each block that all of them had."""
    common = set.intersection(*map(set, arrivals)) if arrivals else set()
    return [
        (max(each[seq] for each in arrivals) - min(each[seq] for each in arrivals)) / MS
        for seq in common
    ]


class Crowd:
    """All the listeners, on one thread. pid: of the server."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pids = (pid, *children(pid))
        self._selector = selectors.DefaultSelector()
        self._listeners: list[Listener] = []
        self._due: list[tuple[int, int]] = []
        self._idle_kib = self._rss_kib()

    def step(self, count: int, seconds: float) -> Step:
        """Grows to `count` listeners and watches."""
        alone = min(ALONE, count - len(self._listeners))
        together = count - alone - len(self._listeners)
        cpu_s, begun_ns = sum(self._cpu_s()), time.monotonic_ns()
        self._join(together, count)
        took_s = (time.monotonic_ns() - begun_ns) / NS_PER_S
        join_cpu_s = sum(self._cpu_s()) - cpu_s
        for _ in range(alone):
            self._join(1, count)
        self._run_until(time.monotonic_ns() + SETTLE_NS)
        full = [each for each in self._listeners if each.full]
        for each in full:
            each.arrivals, each.rows = {}, 0
        before_s, begun_ns = self._cpu_s(), time.monotonic_ns()
        self._run_until(begun_ns + round(seconds * NS_PER_S))
        took_s = (time.monotonic_ns() - begun_ns) / NS_PER_S
        shares = [
            (now_s - then_s) / took_s for now_s, then_s in zip(self._cpu_s(), before_s, strict=True)
        ]
        came = sum(len(each.arrivals) for each in full)
        blocks = sum(max(each.arrivals) - min(each.arrivals) + 1 for each in full)
        stream = full[0].stream
        assert stream is not None
        block_ns = stream.block * NS_PER_S // stream.rate
        late_ms = [ms for each in full for ms in lateness_ms(each.arrivals, block_ns)]
        tick_ms = ticks_ms([each.arrivals for each in full])
        return Step(
            listeners=count,
            joins=together / took_s if together else None,
            join_cpu_ms=1e3 * join_cpu_s / together if together else None,
            first_ms=sorted(self._first_ms(each) for each in self._listeners[-alone:]),
            cpu=sum(shares),
            busiest=max(shares),
            rss_kib=self._rss_kib(),
            idle_kib=self._idle_kib,
            late_ms=(percentile(late_ms, 0.5), percentile(late_ms, 0.99)),
            tick_ms=(percentile(tick_ms, 0.5), percentile(tick_ms, 0.99)),
            rows=sum(each.rows for each in full) / came,
            lost=blocks - came,
            blocks=blocks,
        )

    @staticmethod
    def _first_ms(listener: Listener) -> float:
        assert listener.first_ns is not None
        return (listener.first_ns - listener.began_ns) / MS

    def _cpu_s(self) -> list[float]:
        """What each process of the server has used."""
        return [cpu_s(pid) for pid in self._pids]

    def _rss_kib(self) -> int:
        return sum(rss_kib(pid) for pid in self._pids)

    def _join(self, more: int, count: int) -> None:
        """Returns once `more` have joined and heard a block; count: how many there will be."""
        joining: list[Listener] = []
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while more or joining:
            while more and len(joining) < AT_ONCE:
                number = len(self._listeners)
                full = number % FULL_ONE_IN == 0 or number == count - 1
                joining.append(self._connect(full))
                more -= 1
            self._turn(deadline_ns)
            for each in [each for each in joining if each.first_ns is not None]:
                joining.remove(each)
                if not each.full:
                    self._selector.unregister(each.udp)
                    each.shrink()
            if time.monotonic_ns() > deadline_ns:
                raise RuntimeError("listeners did not hear a block in time")

    def _connect(self, full: bool) -> Listener:
        number, listener = len(self._listeners), Listener(self._port, full=full)
        self._listeners.append(listener)

        def control() -> None:
            if listener.receive_control():
                heapq.heappush(self._due, (time.monotonic_ns(), number))

        self._selector.register(listener.tcp, selectors.EVENT_READ, control)
        self._selector.register(listener.udp, selectors.EVENT_READ, listener.receive_datagrams)
        return listener

    def _run_until(self, end_ns: int) -> None:
        while time.monotonic_ns() < end_ns:
            self._turn(end_ns)

    def _turn(self, end_ns: int) -> None:
        due_ns = min(end_ns, self._due[0][0]) if self._due else end_ns
        patience_s = max(0, due_ns - time.monotonic_ns()) / NS_PER_S
        for key, _ in self._selector.select(patience_s):
            act: Callable[[], None] = key.data
            act()
        now_ns = time.monotonic_ns()
        while self._due and self._due[0][0] <= now_ns:
            _, number = heapq.heappop(self._due)
            heapq.heappush(self._due, (self._listeners[number].act(now_ns), number))


def allow_files(wanted: int) -> None:
    """Raises this process's own limit of open files, as far as it may."""
    import resource  # Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def main() -> None:
    """Runs the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("counts", type=int, nargs="+", metavar="COUNT")
    parser.add_argument("--seconds", type=float, default=10, help="how long a step is watched")
    arguments = parser.parse_args()
    allow_files(max(arguments.counts) * FILES_EACH + FILES_BESIDE)
    crowd = Crowd(arguments.port, arguments.pid)
    for count in arguments.counts:
        print(json.dumps(dataclasses.asdict(crowd.step(count, arguments.seconds))), flush=True)


if __name__ == "__main__":
    main()
