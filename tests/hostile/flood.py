"""Sends garbage by UDP as fast as it can: `python -m tests.hostile.flood PORT HOST SECONDS`.

Prints how many datagrams it sent. Fails when one is answered.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time

from tests.hostile.attackers import came, gibberish, open_udp


def main() -> int:
    """Returns the exit status."""
    port, host, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    # Made beforehand: sending is to take all of the time.
    datagrams = itertools.cycle(list(itertools.islice(gibberish(12), 1_000)))
    sent, end_s = 0, time.monotonic() + seconds
    with open_udp(port, host) as udp:
        while time.monotonic() < end_s:
            for datagram in itertools.islice(datagrams, 100):
                with contextlib.suppress(OSError):
                    udp.send(datagram)
                    sent += 1
        print(sent)
        return came(udp)


if __name__ == "__main__":
    sys.exit(main())
