"""What a relay is compared with: forwards datagrams between pairs, and does nothing else.

    python -m tests.bench.plain_forwarder

Prints its port. A datagram of two bytes tells its sender's number, whose pair differs from
it in the lowest bit.
"""

from __future__ import annotations

import socket

from echowarp.net.sockets import grow_buffers
from tests.processes import LOOPBACK

NUMBER_BYTES = 2


def main() -> None:
    """Runs until it is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((LOOPBACK, 0))
        grow_buffers(udp)
        print(udp.getsockname()[1], flush=True)
        numbered: dict[int, tuple[str, int]] = {}
        pairs: dict[tuple[str, int], tuple[str, int]] = {}
        while True:
            data, sender = udp.recvfrom(2048)
            if len(data) > NUMBER_BYTES:
                udp.sendto(data, pairs[sender])
                continue
            number = int.from_bytes(data, "big")
            numbered[number] = sender
            other = numbered.get(number ^ 1)
            if other is not None:
                pairs[sender], pairs[other] = other, sender


if __name__ == "__main__":
    main()
