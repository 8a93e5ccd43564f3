"""A bad network in userspace, whose datagrams fare as their numbers say, and which can
be cut off.

What becomes of a datagram from the server is a pure function of its number, so a
test knows which ones were lost.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable

from echowarp.net import proxy
from echowarp.wire.datagram import parse_header

Fate = Callable[[int], tuple[float, ...]]
"""From the number of a datagram to the delays of its copies, seconds; none: lost."""


def untouched(number: int) -> tuple[float, ...]:
    """Every datagram passes at once."""
    return (0.0,)


def seeded(
    seed: int,
    *,
    loss: float = 0.0,
    duplicate: float = 0.0,
    late: float = 0.0,
    late_s: float = 0.03,
    only: range = range(1 << 32),
) -> Fate:
    """Loses, doubles and delays with these probabilities, 0..1, the datagrams in `only`."""

    def fate(number: int) -> tuple[float, ...]:
        if number not in only:
            return (0.0,)
        chance = random.Random(seed << 32 | number)
        if chance.random() < loss:
            return ()
        delay_s = late_s if chance.random() < late else 0.0
        return (delay_s,) * (2 if chance.random() < duplicate else 1)

    return fate


class Proxy(proxy.Proxy):
    """Forwards `port`, which it chooses with `free_port`, to `server_port`.

    fate: what becomes of each datagram to the client; the others pass.
    """

    def __init__(self, port: int, server_port: int, fate: Fate = untouched) -> None:
        super().__init__(port, server_port, down=self._to_client, up=self._to_server)
        self._fate = fate
        self._is_cut = False
        self.to_client = 0
        """Datagrams that the server has sent to clients."""
        self.while_cut = 0
        """How many of them came while the network was cut, and were lost."""

    def __enter__(self) -> Proxy:
        super().__enter__()
        return self

    def _to_client(self, datagram: bytes) -> tuple[float, ...]:
        self.to_client += 1
        if self._is_cut:
            self.while_cut += 1
            return ()
        return self._fate(parse_header(datagram).number)

    def _to_server(self, datagram: bytes) -> tuple[float, ...]:
        return () if self._is_cut else (0.0,)

    def _open(self, pipe: proxy.Pipe) -> None:
        if not self._is_cut:
            super()._open(pipe)

    def cut(self) -> None:
        """From now on nothing passes: datagrams are lost, TCP stands still."""

        def act() -> None:
            self._is_cut = True
            self._delayed.clear()
            for pipe in self._pipes:
                for end in pipe.ends:
                    self._selector.unregister(end)

        self._call(act)

    def mend(self) -> None:
        """Everything passes again; what TCP held goes on."""

        def act() -> None:
            self._is_cut = False
            for pipe in self._pipes:
                self._open(pipe)
            if self._tcp is None:
                self._listen()

        self._call(act)

    def refuse(self) -> None:
        """Like `cut`, but TCP connections are reset and new ones refused."""
        self.cut()

        def act() -> None:
            for pipe in self._pipes:
                for end in pipe.ends:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()
            self._pipes.clear()
            if self._tcp is not None:
                self._selector.unregister(self._tcp)
                self._tcp.close()
                self._tcp = None

        self._call(act)
