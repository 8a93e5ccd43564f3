"""Who may try a password: tickets, failures and bans by address.

Source: protocol 1, section 6. Before REPLY the server takes a ticket: wrong
guesses so far and tickets out must stay below the limit, so that parallel
connections buy no extra guesses.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import Enum, auto

from echowarp.session.address import IpNetwork, network_of
from echowarp.session.bans import BanList

MAX_REMEMBERED = 4096
"""Addresses whose failures are kept; the least recent is dropped first."""


class Verdict(Enum):
    """What came of a guess."""

    RIGHT = auto()
    WRONG = auto()
    BANNED = auto()
    BUSY = auto()
    """Others from there are guessing."""


class Admission:
    """The book of wrong guesses.

    limit: wrong guesses that ban an address, at least 1, or None to ban nobody;
    bans: the addresses that are banned already. It is added to.
    """

    def __init__(self, *, limit: int | None, bans: BanList) -> None:
        assert limit is None or limit >= 1
        self._limit = limit
        self.bans = bans
        """Who is banned; replaced when the list has been read again."""
        self._failures: OrderedDict[IpNetwork, int] = OrderedDict()
        self._tickets: Counter[IpNetwork] = Counter()

    def is_banned(self, host: str) -> bool:
        """Whether that address must be turned away. Nobody is while bans are off."""
        return self._limit is not None and host in self.bans

    def take_ticket(self, host: str) -> bool:
        """Takes the right to guess once, or says that none is free now."""
        if self._limit is None:
            return True
        network = network_of(host)
        if self._failures.get(network, 0) + self._tickets[network] >= self._limit:
            return False
        self._tickets[network] += 1
        return True

    def give_back(self, host: str) -> None:
        """The holder of a ticket left without guessing."""
        if self._limit is None:
            return
        network = network_of(host)
        self._tickets[network] -= 1
        if not self._tickets[network]:
            del self._tickets[network]

    def succeeded(self, host: str) -> None:
        """The holder of a ticket proved the password: its address starts anew."""
        self.give_back(host)
        self._failures.pop(network_of(host), None)

    def failed(self, host: str) -> IpNetwork | None:
        """The holder of a ticket guessed wrong. Returns what is banned by it, if anything."""
        self.give_back(host)
        if self._limit is None:
            return None
        network = network_of(host)
        failures = self._failures.pop(network, 0) + 1
        if failures >= self._limit:
            self.bans.add(network)
            return network
        self._failures[network] = failures
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)
        return None
