"""`./dev attacks [--seconds S]`: what attacks cost a server, and the listeners beside them.

One real server, ten real listeners that record, and attackers from other addresses, who
repeat one attack after the other, then all at once with a flood of garbage. A listener is
disturbed that misses a block, plays another or loses the time; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.beside import Beside
from tests.hostile.siege import FLOOD, attacked
from tests.hostile.storm import ATTACKS
from tests.proc import cpu_s

LISTENERS = 10
WORDS = {
    "low_order": "public keys of low order",
    "flipped": "a bit flipped in the handshake",
    "in_pieces": "frames byte by byte",
    "strangers": "HTTP, TLS and random bytes",
    "silent": "20 connections that say nothing",
    "guesses": "20 wrong passwords at once",
    "leaves_early": "20 handshakes broken off",
    "without_password": "no password",
    "bad_records": "a control record altered",
    "replayed": "datagrams replayed and swapped",
    "flood": "2,000 datagrams of garbage",
    "rebound": "a port that changes",
    "never_reads": "a peer that never reads",
}
ALL = "all of these at once, and garbage"


def print_row(beside: Beside, seconds: float, *names: str) -> bool:
    """Attacks, and says how that went. Returns whether the listeners were left alone."""
    used_s, begun_s = cpu_s(beside.server.pid), time.monotonic()
    lines = len(beside.server.said.splitlines())
    made = attacked(beside.port, seconds, *names)
    share = (cpu_s(beside.server.pid) - used_s) / (time.monotonic() - begun_s)
    datagrams = made.pop(FLOOD, 0)
    flood = f" and {datagrams} datagrams" if datagrams else ""
    try:
        beside.is_undisturbed()
        verdict = "undisturbed"
    except AssertionError as error:
        verdict = f"DISTURBED: {str(error).splitlines()[0]}"
    name = WORDS[names[0]] if names else ALL
    told = len(beside.server.said.splitlines()) - lines
    print(
        f"{name:<36}{sum(made.values()):>8}{100 * share:>9.1f}{told:>11}  {verdict}{flood}",
        flush=True,
    )
    return verdict == "undisturbed"


def main() -> int:
    """Prints the table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="each; 5 if not given")
    seconds = parser.parse_args().seconds
    if not sys.platform.startswith("linux"):
        parser.error("the attackers need Linux, whose loopback has many addresses")
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-attacks-") as folder,
        Beside(Path(folder), "--ssl", "-r", "3", listeners=LISTENERS) as beside,
    ):
        print(f"{f'{seconds:g} s each':<36}{'times':>8}{'core %':>9}{'log lines':>11}  listeners")
        used_s = cpu_s(beside.server.pid)
        time.sleep(seconds)
        share = (cpu_s(beside.server.pid) - used_s) / seconds
        print(f"{'none':<36}{'-':>8}{100 * share:>9.1f}{'-':>11}  undisturbed")
        rows = [(attack.__name__,) for attack in ATTACKS]
        fine = [print_row(beside, seconds, *names) for names in (*rows, ())]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
