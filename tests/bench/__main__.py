"""`./dev bench [--quick] [--only NAME ...] [--write] [--check]`: what it costs, and how well
it does.

Each bench is a module of its own, and may be run alone with further options; here each
is a process of its own, one after the other. --write runs them at their full length and
writes docs/performance.md with its plots; with --only the rest of that page stays. --check
measures the hot paths alone and fails where one is a quarter dearer than
tests/bench/costs.json says; --check --write writes that file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.bench import check, page
from tests.processes import ROOT

BENCHES = {
    "devices": "device to device through a bad network",
    "network": "real processes through a bad network",
    "lateness": "audio beside busy Python threads",
    "listeners": "one server and up to 300 simulated listeners",
    "relay": "what a relay costs beside a plain forwarder, and adds to the delay",
    "start": "from the start of a client, and from connecting, to the first sound",
    "process": "processor time of server and clients",
    "target": "delay and missing blocks by network, simulated; clocks that run apart",
    "schemes": "delay against missing audio, ours and others, simulated",
    "rooms": "rooms through a relay, simulated; what a mix costs",
    "calls": "device to device by a call through a relay, beside the one-way stream",
    "wire": "sealing, opening, handshakes",
    "websocket": "WebSocket frames beside another library, without sockets",
    "cache": "the file cache over loopback beside another library",
    "repair": "the erasure code",
    "resampler": "drift correction and rate conversion: cost and signal to noise",
    "mix": "mixing and gain",
    "concealment": "what a gap sounds like, by numbers",
}


def run(name: str, *arguments: str) -> tuple[int, str]:
    """Runs a bench, and shows what it prints as it comes. Returns its status and text."""
    print(f"== {name}: {BENCHES[name]}", flush=True)
    begun_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.bench_{name}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        print(line, end="", flush=True)
        said.append(line)
    status = process.wait()
    print(f"   {time.monotonic() - begun_s:.0f} s\n", flush=True)
    return status, "".join(said)


def main() -> int:
    """Runs them. Returns the exit status: 1 when one failed."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rougher figures within two minutes")
    parser.add_argument("--only", nargs="+", choices=BENCHES, metavar="NAME", help="only these")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/performance.md, with --check tests/bench/costs.json",
    )
    parser.add_argument("--check", action="store_true", help="have hot paths become dearer?")
    arguments = parser.parse_args()
    if arguments.check:
        if arguments.quick or arguments.only:
            parser.error("--check measures the hot paths and nothing else")
        return check.write() if arguments.write else check.check()
    if arguments.write and arguments.quick:
        parser.error("--write runs at full length")
    quick = ("--quick",) if arguments.quick else ()
    found, failed = {}, []
    for name in arguments.only or BENCHES:
        plot = ("--plot", str(page.SCHEMES_PLOT)) if arguments.write and name == "schemes" else ()
        status, found[name] = run(name, *quick, *plot)
        if status:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    elif arguments.write:
        page.write(found)
        print(f"wrote {page.PAGE.relative_to(ROOT)} and its plots")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
