"""The networks of the benches with real processes: a proxy that treats both directions alike."""

from __future__ import annotations

from echowarp.app.impairment import NS_PER_MS, ImpairedPath
from echowarp.config.impair import Impairment
from echowarp.net.proxy import Fate, Proxy

MS_PER_S = 1000


def proxy(port: int, server_port: int, network: Impairment) -> Proxy:
    """A proxy, not yet entered, from `port` to the server; its seed makes both fates."""
    return Proxy(
        port,
        server_port,
        down=_fate(ImpairedPath(network, "down")),
        up=_fate(ImpairedPath(network, "up")),
    )


def _fate(path: ImpairedPath) -> Fate:
    def decide(_: bytes) -> tuple[float, ...]:
        return tuple(delay_ns / NS_PER_MS / MS_PER_S for delay_ns in path.delays_ns())

    return decide
