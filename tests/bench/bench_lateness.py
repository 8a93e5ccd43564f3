"""How late audio is beside Python threads that never rest, at two switch intervals.

    python -m tests.bench.bench_lateness [--quick]

First a thread that wakes every 5 ms, alone and beside busy ones: by how much it is late.
Then real processes: a server sends a WAV file to a client that writes a pipe, and one of
them has a busy thread. A block is late by what it comes after its place on the line of the
earliest; `exact` is how much of the file had come, bit by bit, two seconds after its time.
5 ms is what Python does by itself, the other interval what the program sets.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from echowarp.app.interpreter import SWITCH_INTERVAL_S
from tests import processes
from tests.bench.busy import busy
from tests.processes import PATIENCE_S, Program, Stage, TookTooLong
from tests.recordings import speech_wav

DEFAULT_MS, OURS_MS = 5.0, 1000 * SWITCH_INTERVAL_S
PERIOD_S = 0.005
LEAST_SLEEP = 0.1
"""Of a period: after less of a sleep a thread may not have slept at all."""
BLOCK_MS, BLOCK_BYTES = 5.0, 960
PIECE_BYTES = 65_536
MOST_MS: dict[int, float | None] = {0: None, 1: 0.6, 2: 2.0}
"""p99 at our interval, by the number of busy threads."""
MOST_BLOCK_MS = BLOCK_MS
"""p99 of the blocks of real processes: a block comes before the next is due."""
OVERTIME_S = 2.0
SECONDS, QUICK_SECONDS = 20.0, 1.0

Floats = npt.NDArray[np.float64]


def lateness_ms(threads: int, interval_ms: float, seconds: float) -> Floats:
    """Of every wake-up of a thread that sleeps to the next 5 ms, beside busy threads."""
    late = []
    old_s = sys.getswitchinterval()
    sys.setswitchinterval(interval_ms / 1000)
    with busy(threads):
        begun_s = due_s = now_s = time.perf_counter()
        while now_s < begun_s + seconds:
            # Whoever was late waits for the next 5 ms, so that no wake-up counts twice.
            due_s += PERIOD_S * math.ceil((now_s - due_s) / PERIOD_S + LEAST_SLEEP)
            time.sleep(due_s - now_s)
            now_s = time.perf_counter()
            late.append(now_s - due_s)
    sys.setswitchinterval(old_s)
    return 1000 * np.array(late)


def print_wakeups(seconds: float) -> None:
    """The first table."""
    print(
        f"{f'a thread every 5 ms, {seconds:g} s':34}{'switch ms':>10}{'p50 ms':>9}{'p99':>8}"
        f"{'max':>8}{'<= p99':>8}{'p99, x ours':>13}"
    )
    for threads, most_ms in MOST_MS.items():
        found = {ms: lateness_ms(threads, ms, seconds) for ms in (OURS_MS, DEFAULT_MS)}
        ours_ms = np.percentile(found[OURS_MS], 99)
        for interval_ms, late in found.items():
            p50, p99 = np.percentile(late, (50, 99))
            judged = interval_ms == OURS_MS and most_ms is not None
            verdict = "" if not judged or most_ms is None else "ok" if p99 <= most_ms else "MISSED"
            print(
                f"{_beside(threads):34}{interval_ms:10g}{p50:9.2f}{p99:8.2f}{late.max():8.2f}"
                f"{f'{most_ms:g}' if judged else '-':>8}{p99 / ours_ms:13.1f}  {verdict}",
                flush=True,
            )
    print()


def _beside(threads: int) -> str:
    names = {0: "alone", 1: "beside one busy thread"}
    return names.get(threads, f"beside {threads} busy threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """late_ms: of each block that came; exact: share of the file, percent."""

    late_ms: Floats
    exact: float

    @property
    def p99_ms(self) -> float:
        """What all but one in a hundred stay below."""
        return float(np.percentile(self.late_ms, 99))

    @property
    def ok(self) -> bool:
        """Whether audio held its clock."""
        return self.exact == 100 and self.p99_ms <= MOST_BLOCK_MS


def played(beside: str, interval_ms: float, seconds: float) -> Heard:
    """Real processes. beside: which of them has a busy thread, "server" or "client"."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        sent = speech_wav(stage.folder / "in.wav", seconds)
        with _program(beside == "server", interval_ms):
            stage.server("--ssl", source="in.wav")
        with _program(beside == "client", interval_ms):
            client = stage.client(sink="-", stdout=subprocess.PIPE)
        pieces = _arrivals(client, seconds + OVERTIME_S)
    came = b"".join(pcm for _, pcm in pieces)
    places = range(0, len(sent), BLOCK_BYTES)
    equal = sum(came[at : at + BLOCK_BYTES] == sent[at : at + BLOCK_BYTES] for at in places)
    ends = np.cumsum([len(pcm) for _, pcm in pieces])
    # A block has come with the piece that holds its last byte.
    whole = np.arange(1, ends[-1] // BLOCK_BYTES + 1) * BLOCK_BYTES
    at_ms = 1000 * np.array([at_s for at_s, _ in pieces])[np.searchsorted(ends, whole)]
    late_ms = at_ms - BLOCK_MS * np.arange(len(at_ms))
    return Heard(late_ms=late_ms - late_ms.min(), exact=100 * equal / len(places))


def _program(is_busy: bool, interval_ms: float) -> AbstractContextManager[object]:
    """What is started as the program meanwhile."""
    beside = ("-m", "tests.bench.busy", "1", str(interval_ms))
    changed = (sys.executable, *beside) if is_busy else processes.PROGRAM
    return mock.patch.object(processes, "PROGRAM", changed)


def _arrivals(client: Program, seconds: float) -> list[tuple[float, bytes]]:
    """What a client writes to its pipe in so many seconds after the first piece, and when."""
    assert client.process.stdout is not None
    fd, pieces = client.process.stdout.fileno(), list[tuple[float, bytes]]()
    deadline_s = time.monotonic() + PATIENCE_S
    while select.select([fd], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
        pcm = os.read(fd, PIECE_BYTES)
        if not pcm:
            break
        if not pieces:
            deadline_s = time.monotonic() + seconds
        pieces.append((time.monotonic(), pcm))
    if not pieces:
        raise TookTooLong(f"nothing came; the client said:\n{client.said}")
    return pieces


def print_played(busy_in: Sequence[str], seconds: float) -> None:
    """The second table."""
    print(
        f"{f'WAV to pipe, {seconds:g} s':34}{'switch ms':>10}{'late p50':>9}{'p99':>8}{'max':>8}"
        f"{'<= p99':>8}{'p99, x ours':>13}{'exact %':>10}"
    )
    for beside in busy_in:
        ours_ms = 0.0
        for interval_ms in (OURS_MS, DEFAULT_MS):
            heard = played(beside, interval_ms, seconds)
            is_ours = interval_ms == OURS_MS
            ours_ms = heard.p99_ms if is_ours else ours_ms
            verdict = ("ok" if heard.ok else "MISSED") if is_ours else ""
            if not is_ours and not heard.ok:
                verdict = "does not hold its clock"
            print(
                f"{f'busy thread in the {beside}':34}{interval_ms:10g}"
                f"{np.median(heard.late_ms):9.1f}{heard.p99_ms:8.1f}{heard.late_ms.max():8.1f}"
                f"{f'{MOST_BLOCK_MS:g}' if is_ours else '-':>8}{heard.p99_ms / ours_ms:13.1f}"
                f"{heard.exact:10.2f}  {verdict}",
                flush=True,
            )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s each")
    quick = parser.parse_args().quick
    seconds = QUICK_SECONDS if quick else SECONDS
    print_wakeups(seconds)
    print_played(("client",) if quick else ("server", "client"), seconds)


if __name__ == "__main__":
    main()
