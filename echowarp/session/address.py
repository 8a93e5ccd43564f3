"""What counts as one address: an IPv4 address, or an IPv6 /64."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

V6_PREFIX = 64
"""A host owns a whole /64, so a smaller unit would let it change address at will."""


def plain_host(host: str) -> str:
    """The host in its canonical form: IPv4-mapped IPv6 unmapped, zone left out.

    host: a numeric address, as sockets give it. Raises ValueError for a name.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def network_of(host: str) -> IpNetwork:
    """The unit that limits and bans apply to: a /32 or a /64. host: as for `plain_host`."""
    address = ipaddress.ip_address(plain_host(host))
    prefix = V6_PREFIX if address.version == 6 else 32
    return ipaddress.ip_network((address, prefix), strict=False)


def network_text(network: IpNetwork) -> str:
    """How a ban is written: a bare IPv4 address, or an IPv6 network with its prefix."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)
