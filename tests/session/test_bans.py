from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.session.address import network_of, network_text
from echowarp.session.bans import BanList, parse_ban_list


def banned(text: str) -> BanList:
    bans, bad_lines = parse_ban_list(text)
    assert bad_lines == []
    return bans


def test_an_empty_list_bans_nobody() -> None:
    assert "192.0.2.1" not in BanList()
    assert "::1" not in BanList()
    assert len(BanList()) == 0


@pytest.mark.parametrize("host", ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"])
def test_an_ipv4_ban_in_every_spelling(host: str) -> None:
    by_line = banned(host)
    added = BanList()
    added.add(network_of(host))
    for bans in (by_line, added):
        assert "192.0.2.1" in bans
        assert "::ffff:192.0.2.1" in bans
        assert "192.0.2.2" not in bans
        assert "::c000:201" not in bans


def test_an_ipv6_ban_is_of_the_64() -> None:
    bans = BanList()
    bans.add(network_of("2001:db8::1"))
    assert "2001:db8::2" in bans
    assert "2001:db8::ffff:ffff:ffff:ffff" in bans
    assert "2001:db8:0:1::1" not in bans
    assert "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff" not in bans


def test_a_64_and_single_addresses_are_read() -> None:
    bans = banned("2001:db8::/64\n2001:db8:1::5\n")
    assert "2001:db8::77" in bans
    assert "2001:db8:1::5" in bans
    assert "2001:db8:1::6" not in bans
    assert len(bans) == 2


def test_any_network_that_a_person_wrote_is_read() -> None:
    bans = banned("198.51.100.7/24\n2001:db8::1/32\n")
    assert "198.51.100.255" in bans
    assert "198.51.101.0" not in bans
    assert "2001:db8:ffff::1" in bans
    assert "2001:db9::1" not in bans


def test_everybody() -> None:
    assert "192.0.2.1" in banned("0.0.0.0/0")
    assert "::1" not in banned("0.0.0.0/0")
    assert "::1" in banned("::/0")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff192.0.2.1\n192.0.2.2",
        "\ufeff 192.0.2.1\r\n192.0.2.2\r\n",
        "\ufeff\n192.0.2.1\n\n\n192.0.2.2\n",
        "  192.0.2.1\t\n# a note\n   # another\n\t192.0.2.2  ",
        "192.0.2.2\r192.0.2.1\r",
    ],
    ids=["bom", "bom-space-crlf", "bom-alone-blank", "spaces-notes", "cr"],
)
def test_lenient_reading(text: str) -> None:
    bans = banned(text)
    assert len(bans) == 2
    assert "192.0.2.1" in bans
    assert "192.0.2.2" in bans


def test_bad_lines_are_named_and_the_others_kept() -> None:
    text = (
        "192.0.2.1\nnonsense\n\n192.0.2.300\n192.0.2.2 # why\n10.0.0.0/33\n/\n"
        "1.2.3.4/x\n2001:db8::/64\n%\n::1/129\n12345\nfe80::1%/64\n"
    )
    bans, bad_lines = parse_ban_list(text)
    assert bad_lines == [2, 4, 5, 6, 7, 8, 10, 11, 12, 13]
    assert len(bans) == 2
    assert "192.0.2.1" in bans
    assert "2001:db8::9" in bans


def test_binary_is_only_bad_lines() -> None:
    text = random.Random(3).randbytes(4096).decode("utf-8", errors="replace")
    bans, bad_lines = parse_ban_list(text + "\n192.0.2.1\n")
    assert len(bans) == 1
    assert "192.0.2.1" in bans
    assert bad_lines


@given(text=st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    bans, bad_lines = parse_ban_list(text)
    assert len(bans) + len(bad_lines) <= len(text.splitlines())


@given(
    text=st.lists(st.text(alphabet="0123456789abcf.:/%# ", max_size=20), max_size=6).map("\n".join)
)
def test_nothing_that_looks_like_addresses_makes_it_fail(text: str) -> None:
    bans, _ = parse_ban_list(text)
    assert isinstance("192.0.2.1" in bans, bool)


@given(st.ip_addresses())
def test_what_is_written_for_a_ban_is_read_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    host = str(address)
    bans = banned(network_text(network_of(host)) + "\n")
    assert len(bans) == 1
    assert host in bans
