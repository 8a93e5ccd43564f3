"""The ban list: one address a line, read leniently.

An IPv6 ban is written as its /64; single addresses and any other network that
a person has put there are read too.
"""

from __future__ import annotations

import ipaddress

from echowarp.session.address import IpNetwork, plain_host


class BanList:
    """A set of banned networks."""

    def __init__(self) -> None:
        self._by_prefix: dict[tuple[int, int], set[int]] = {}

    def add(self, network: IpNetwork) -> None:
        """Bans every address of the network."""
        key = (network.version, network.prefixlen)
        self._by_prefix.setdefault(key, set()).add(int(network.network_address))

    def __contains__(self, host: str) -> bool:
        address = ipaddress.ip_address(plain_host(host))
        value, width = int(address), address.max_prefixlen
        for (version, prefix), networks in self._by_prefix.items():
            if version == address.version:
                rest = width - prefix
                if (value >> rest) << rest in networks:
                    return True
        return False

    def __len__(self) -> int:
        return sum(len(networks) for networks in self._by_prefix.values())


def parse_ban_list(text: str) -> tuple[BanList, list[int]]:
    """Reads the file's text. Returns the list and the numbers (from 1) of lines not understood.

    Blank lines and lines that begin with `#` are nothing.
    """
    bans, bad_lines = BanList(), []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.lstrip("\ufeff").strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            bans.add(_network(entry))
        except ValueError:
            bad_lines.append(number)
    return bans, bad_lines


def _network(entry: str) -> IpNetwork:
    # Nearly all lines are of this kind, and a long list is read in no time.
    if entry.count(".") == 3 and not {"/", ":"} & set(entry):
        return ipaddress.IPv4Network((int(ipaddress.IPv4Address(entry)), 32))
    if "/" in entry:
        return ipaddress.ip_network(entry, strict=False)
    return ipaddress.ip_network(plain_host(entry))
