"""Attacks at once, round and round: `python -m tests.hostile.storm PORT SECONDS [NAME ...]`.

All of them where none is named. Prints, as JSON, how often each was made.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from echowarp.wire.datagram import DatagramType
from echowarp.wire.records import Ping, pack_record
from tests.hostile import attackers
from tests.hostile.attackers import Guest, Refused, answer, guess, hello, new_host, reply_to
from tests.session.pair import flip

Attack = Callable[[int], object]


def low_order(port: int) -> None:
    reply_to(port, new_host(), bytes(32))
    reply_to(port, new_host(), b"\xff" * 32)


def flipped(port: int) -> None:
    with Guest(port, new_host(), up=flip(200)) as guest:
        guest.join()


def in_pieces(port: int) -> None:
    with attackers.connected(port, new_host()) as sock:
        attackers.greeting(sock)
        for n in hello():
            sock.send(bytes((n,)))
        attackers.greeting(sock)


def strangers(port: int) -> None:
    for said in (b"\0\0", b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n", hello()[:2] + b"\x03"):
        answer(port, new_host(), said)


def silent(port: int) -> None:
    host = new_host()
    waiting = [attackers.connected(port, host) for _ in range(20)]
    time.sleep(0.5)
    for sock in waiting:
        sock.close()


def guesses(port: int) -> None:
    host = new_host()
    threads = [threading.Thread(target=guess_quietly, args=(port, host)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def guess_quietly(port: int, host: str) -> None:
    with contextlib.suppress(OSError):
        guess(port, host)


def leaves_early(port: int) -> None:
    host = new_host()
    for _ in range(20):
        reply_to(port, host)


def without_password(port: int) -> None:
    guess(port, new_host(), None)


def bad_records(port: int) -> None:
    with Guest(port, new_host()) as guest:
        guest.sock.sendall(flip(70)(guest.sealer().seal(b"\x11" + bytes(8))))
        guest.until(lambda: False)


def replayed(port: int) -> None:
    with Guest(port, new_host()) as one, Guest(port, new_host()) as other:
        one.join()
        other.join()
        for _ in range(50):
            probe = one.seal(DatagramType.PROBE)
            for datagram in (probe, probe, flip(90)(probe), probe[:20]):
                one.udp.send(datagram)
                other.udp.send(datagram)
        one.knock()


def flood(port: int) -> None:
    with attackers.open_udp(port, new_host()) as udp:
        for _, datagram in zip(range(2_000), attackers.gibberish(1), strict=False):
            with contextlib.suppress(OSError):
                udp.send(datagram)


def rebound(port: int) -> None:
    with Guest(port, new_host()) as guest:
        guest.knock()
        guest.udp.close()
        guest.move()
        guest.knock()


def never_reads(port: int) -> None:
    with Guest(port, new_host(), receive_bytes=4_096) as guest:
        sealer = guest.sealer()
        pings = b"".join(sealer.seal(pack_record(Ping(value=1))) for _ in range(2_000))
        for _ in range(20):
            guest.sock.sendall(pings[:27_000])
            pings = pings[27_000:] + pings[:27_000]


ATTACKS: tuple[Attack, ...] = (
    *(low_order, flipped, in_pieces, strangers, silent, guesses, leaves_early),
    *(without_password, bad_records, replayed, flood, rebound, never_reads),
)


def main() -> int:
    """Returns the exit status."""
    port, seconds, names = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    chosen = [attack for attack in ATTACKS if attack.__name__ in names or not names]
    end_s, made = time.monotonic() + seconds, Counter[str]()

    def repeat(attack: Attack) -> None:
        while time.monotonic() < end_s:
            # Being turned away is what they are for, and they crowd one another out.
            with contextlib.suppress(OSError, Refused, ValueError, IndexError):
                attack(port)
            made[attack.__name__] += 1

    threads = [threading.Thread(target=repeat, args=(attack,), daemon=True) for attack in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end_s + 10 - time.monotonic()))
    print(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
