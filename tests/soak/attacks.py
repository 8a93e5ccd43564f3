"""Strangers with addresses of their own, who cost nobody else anything."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable

from tests.hostile.attackers import connected, gibberish, guess, new_host, open_udp, reply_to

DATAGRAMS = 3_000
PAUSE_EVERY = 50
LONGEST_BYTES = 3_000
HANDSHAKE_LIMIT_S = 6.0


def wrong_passwords(port: int, rng: random.Random) -> None:
    """Guesses until it is banned, or not so often."""
    host = new_host()
    for _ in range(rng.randint(1, 5)):
        guess(port, host)


def udp_garbage(port: int, rng: random.Random) -> None:
    """Datagrams of all shapes, faster than a listener sends them."""
    with open_udp(port, new_host()) as udp:
        for n, datagram in enumerate(itertools.islice(gibberish(rng.getrandbits(32)), DATAGRAMS)):
            with contextlib.suppress(OSError):
                udp.send(datagram)
            if n % PAUSE_EVERY == 0:
                time.sleep(0.01)


def tcp_garbage(port: int, rng: random.Random) -> None:
    """Connections that say nonsense, or nothing for as long as they may, or leave in the
    middle of a handshake."""
    host = new_host()
    for _ in range(rng.randint(2, 8)):
        with connected(port, host) as sock:
            sock.sendall(rng.randbytes(rng.randint(1, LONGEST_BYTES)))
        reply_to(port, host)
    with connected(port, host) as silent:
        silent.settimeout(HANDSHAKE_LIMIT_S)
        while silent.recv(LONGEST_BYTES):
            pass


KINDS: dict[str, Callable[[int, random.Random], None]] = {
    "wrong passwords": wrong_passwords,
    "garbage by UDP": udp_garbage,
    "garbage by TCP": tcp_garbage,
}


class Attacks:
    """Those under way, each on a thread of its own."""

    def __init__(self, port: int) -> None:
        self.failures: list[str] = []
        self._port = port
        self._threads: list[threading.Thread] = []

    def start(self, kind: str, seed: int) -> None:
        """One more, of KINDS."""

        def attack() -> None:
            try:
                # The server may be away, or lose patience: that is its good right.
                with contextlib.suppress(OSError):
                    KINDS[kind](self._port, random.Random(seed))
            except Exception as error:
                self.failures.append(f"{kind}: {type(error).__name__}: {error}")

        thread = threading.Thread(target=attack, name=kind, daemon=True)
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        thread.start()

    @property
    def over(self) -> bool:
        """Whether none is under way."""
        return not any(thread.is_alive() for thread in self._threads)
