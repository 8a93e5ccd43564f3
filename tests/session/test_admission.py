from __future__ import annotations

import ipaddress
import random

import pytest

from echowarp.session.address import IpNetwork
from echowarp.session.admission import MAX_REMEMBERED, Admission
from echowarp.session.bans import BanList

HOST = "192.0.2.1"
OTHER = "192.0.2.2"


def admission(limit: int | None) -> Admission:
    return Admission(limit=limit, bans=BanList())


def guess_wrong(book: Admission, host: str) -> IpNetwork | None:
    assert book.take_ticket(host)
    return book.failed(host)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_our_own_bug(limit: int) -> None:
    with pytest.raises(AssertionError):
        admission(limit)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_limit_th_wrong_guess_bans(limit: int) -> None:
    book = admission(limit)
    for _ in range(limit - 1):
        assert guess_wrong(book, HOST) is None
        assert not book.is_banned(HOST)
    assert guess_wrong(book, HOST) == ipaddress.ip_network("192.0.2.1/32")
    assert book.is_banned(HOST)
    assert book.is_banned("::ffff:192.0.2.1")
    assert not book.is_banned(OTHER)


def test_tickets_and_failures_together_stay_below_the_limit() -> None:
    book = admission(3)
    assert guess_wrong(book, HOST) is None
    assert book.take_ticket(HOST)
    assert book.take_ticket(HOST)
    assert not book.take_ticket(HOST)
    assert book.take_ticket(OTHER)
    book.give_back(HOST)
    assert book.take_ticket(HOST)
    assert not book.take_ticket(HOST)


def test_an_ipv6_64_shares_its_tickets_and_its_ban() -> None:
    book = admission(2)
    assert book.take_ticket("2001:db8::1")
    assert book.take_ticket("2001:db8::2")
    assert not book.take_ticket("2001:db8::3")
    assert book.take_ticket("2001:db8:0:1::1")
    assert book.failed("2001:db8::1") is None
    assert book.failed("2001:db8::2") == ipaddress.ip_network("2001:db8::/64")
    assert book.is_banned("2001:db8::4")
    assert not book.is_banned("2001:db8:0:1::1")


def test_success_clears_the_failures_of_its_address_only() -> None:
    book = admission(2)
    guess_wrong(book, HOST)
    guess_wrong(book, OTHER)
    assert book.take_ticket(HOST)
    book.succeeded(HOST)
    assert guess_wrong(book, HOST) is None
    assert guess_wrong(book, OTHER) is not None


def test_without_a_limit_nobody_is_counted_or_banned() -> None:
    bans = BanList()
    bans.add(ipaddress.ip_network("192.0.2.1/32"))
    book = Admission(limit=None, bans=bans)
    for _ in range(1000):
        assert guess_wrong(book, HOST) is None
    assert not book.is_banned(HOST)
    book.give_back(HOST)
    book.succeeded(HOST)
    assert book.take_ticket(HOST)


def test_the_least_recent_failures_are_forgotten_first() -> None:
    book = admission(2)
    first, *others = [f"10.0.{k // 256}.{k % 256}" for k in range(MAX_REMEMBERED + 1)]
    for host in (first, *others[:-1]):
        assert guess_wrong(book, host) is None
    assert guess_wrong(book, others[-1]) is None
    assert guess_wrong(book, first) is None, "the oldest was dropped"
    assert guess_wrong(book, others[-1]) is not None, "the newest was kept"


def test_a_new_failure_makes_an_address_recent() -> None:
    book = admission(3)
    hosts = [f"10.0.{k // 256}.{k % 256}" for k in range(MAX_REMEMBERED)]
    for host in (*hosts, hosts[0], OTHER):
        assert guess_wrong(book, host) is None
    assert guess_wrong(book, hosts[0]) is not None


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_events_buys_an_extra_guess(seed: int) -> None:
    """Many connections of one address, in any order: never more wrong guesses than the limit."""
    choose = random.Random(seed)
    limit = choose.randint(1, 6)
    book = admission(limit)
    held, wrong = 0, 0
    for _ in range(400):
        if book.is_banned(HOST):
            break
        if choose.random() < 0.6:
            held += book.take_ticket(HOST)
        elif held:
            held -= 1
            if choose.random() < 0.3:
                wrong += 1
                assert (book.failed(HOST) is not None) == (wrong == limit)
            else:
                book.give_back(HOST)
    assert wrong <= limit
    assert held + wrong <= limit
    assert book.is_banned(HOST) == (wrong == limit)
