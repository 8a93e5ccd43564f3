from __future__ import annotations

import pytest

from echowarp.session.address import network_of, network_text, plain_host


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1%3", "192.0.2.1"),
        ("::1", "::1"),
        ("::192.0.2.1", "::c000:201"),
    ],
)
def test_plain_host(host: str, plain: str) -> None:
    assert plain_host(host) == plain


@pytest.mark.parametrize("host", ["", "localhost", "192.0.2", "192.0.2.256", "::g", "%eth0"])
def test_a_name_is_not_a_host(host: str) -> None:
    with pytest.raises(ValueError):
        plain_host(host)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_the_unit_of_limits_and_how_it_is_written(host: str, text: str) -> None:
    assert network_text(network_of(host)) == text
