"""`./dev soak MINUTES [--seed N] [--workers N]`: a server that is left running.

The real server and real clients over loopback, some through a proxy that impairs.
Listeners come and go and faults happen at random, by seed; each is logged with what it may
cause. Fails when memory, threads or file descriptors of the server or of a listener that
stays grow, when such a listener misses a block that no fault explains, and when its clock
does not stay. Needs Linux, whose /proc tells what processes hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.processes import TookTooLong
from tests.soak.run import Soak
from tests.soak.usage import allowed_kib


def table(soak: Soak) -> list[str]:
    """What was seen, for people."""
    happened = ", ".join(f"{count} x {kind}" for kind, count in sorted(soak.happened.items()))
    lines = [f"{soak.happened.total()} events: {happened}", ""]
    lines.append(
        f"{'listener':<10}{'received':>10}{'explained':>11}{'in gaps':>9}"
        f"{'unexplained':>13}{'clock off':>11}"
    )
    for each in soak.staying:
        ear = each.ear
        lines.append(
            f"{ear.name:<10}{ear.blocks:>10}{ear.explained:>11}{ear.explained_gaps:>9}"
            f"{ear.unexplained:>13}{1000 * ear.furthest_s:>8.0f} ms"
        )
    lines += ["", f"{'process':<10}{'KiB at':>10}{'KiB at end':>12}{'allowed':>9}{'fds':>12}"]
    lines[-1] += f"{'threads':>11}"
    for name, seen in soak.usages.items():
        first, last = seen[0], seen[-1]
        most_kib = first.rss_kib + allowed_kib((last.at_s - first.at_s) / 60)
        lines.append(
            f"{name:<10}{first.rss_kib:>10}{last.rss_kib:>12}{most_kib:>9.0f}"
            f"{f'{first.descriptors} -> {last.descriptors}':>12}"
            f"{f'{first.threads} -> {last.threads}':>11}"
        )
    return lines


def main() -> int:
    """Returns the exit status: 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("minutes", type=float, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="of the server")
    given = parser.parse_args()
    if given.minutes <= 0:
        parser.error("MINUTES must be above 0")
    if not sys.platform.startswith("linux"):
        parser.error("the soak needs Linux")
    with tempfile.TemporaryDirectory(prefix="echowarp-soak-") as folder:
        soak = Soak(
            Path(folder),
            seconds=60 * given.minutes,
            seed=given.seed,
            workers=given.workers,
            say=lambda line: print(line, flush=True),
        )
        try:
            soak.run()
        except TookTooLong as error:
            soak.found.append(str(error))
    print(f"\n{given.minutes:g} minutes, seed {given.seed}, workers {given.workers}")
    print("\n".join(table(soak)))
    for text in soak.found:
        print(f"FAILED: {text}", file=sys.stderr)
    print("FAILED" if soak.found else "ok: nothing grew, every gap is explained, clocks stayed")
    return 1 if soak.found else 0


if __name__ == "__main__":
    sys.exit(main())
