"""A server, its clients and a source."""

from __future__ import annotations

import random
from dataclasses import dataclass

from echowarp.crypto.suite import Suite
from tests.simulator.client import SimClient
from tests.simulator.clock import MS, Clock, Network
from tests.simulator.server import FMT, SimServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The source stands still after a block; lost: its sound goes on meanwhile, unheard."""

    after: int
    length_ns: int
    lost: bool


class World:
    """One server, some clients, a source of `blocks` blocks from time 0 on."""

    def __init__(
        self, seed: int = 0, *, password: str | None = "secret", suite: Suite = Suite.ENCRYPTED
    ) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.server = SimServer(self.clock, self.rng, password=password, suite=suite)
        self.clients: list[SimClient] = []

    def add(
        self,
        *,
        network: dict[str, object] | None = None,
        password: str | None = "secret",
        **options: object,
    ) -> SimClient:
        path = Network(clock=self.clock, rng=self.rng, **(network or {}))  # type: ignore[arg-type]
        client = SimClient(
            clock=self.clock,
            rng=self.rng,
            network=path,
            server=self.server,
            number=len(self.clients) + 1,
            password=password,
            **options,  # type: ignore[arg-type]
        )
        self.clients.append(client)
        self.clock.at(0, client.connect)
        return client

    def stream(self, blocks: int, *, begin_ns: int = 100 * MS, stall: Stall | None = None) -> None:
        """Blocks in real time from `begin_ns`, then the end of the source."""

        self.server.begun_ns = begin_ns

        def send(k: int) -> None:
            if k == blocks:
                self.server.end()
                return
            stood_ns = stall.length_ns if stall is not None and k > stall.after else 0
            lost = stall is not None and stall.lost and k == stall.after + 1
            self.server.send_block(k, FMT.ns_to_frames(stood_ns) if lost else 0)
            if k % 200 == 0:
                self.server.tick_gate()
            if stall is not None and k >= stall.after:
                stood_ns = stall.length_ns
            self.clock.at(begin_ns + stood_ns + (k + 1) * FMT.block_ns, lambda: send(k + 1))

        self.clock.at(begin_ns, lambda: send(0))
