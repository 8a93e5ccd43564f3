from __future__ import annotations

import pytest

from echowarp.crypto.password import encode_password
from echowarp.session.web_login import (
    MAX_SESSIONS,
    SESSION_NS,
    Access,
    Credentials,
    Visitor,
    WebLogin,
    is_known_name,
    is_own_fetch,
    is_own_origin,
)
from tests.virtual import seeded_bytes

PASSWORD = "pässwörd"
SECURE = Visitor(host="192.0.2.1", is_secure=True)
PLAIN = Visitor(host="192.0.2.1", is_secure=False)


def login() -> WebLogin:
    return WebLogin(encode_password(PASSWORD), random_bytes=seeded_bytes(1))


def test_without_a_password_all_is_granted() -> None:
    open_door = WebLogin(b"", random_bytes=seeded_bytes(1))
    assert not open_door.wants_password
    for brought in (Credentials(), Credentials(session="x", password="y")):
        assert open_door.look_at(PLAIN, brought, 0) is Access.GRANTED


@pytest.mark.parametrize(
    ("password", "access"),
    [
        (None, Access.NEEDS_LOGIN),
        (PASSWORD, Access.RIGHT),
        ("pa\u0308sswo\u0308rd", Access.RIGHT),
        ("password", Access.WRONG),
        ("", Access.WRONG),
        ("a\tb", Access.WRONG),
        ("x" * 2000, Access.WRONG),
        ("\ud800", Access.WRONG),
    ],
)
def test_what_a_password_is_worth(password: str | None, access: Access) -> None:
    assert login().look_at(SECURE, Credentials(password=password), 0) is access


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_in_the_open_it_is_taken_from_this_machine_alone(host: str) -> None:
    here, brought = Visitor(host=host, is_secure=False), Credentials(password=PASSWORD)
    assert login().look_at(here, brought, 0) is Access.RIGHT
    for host in ("192.0.2.1", "fe80::1%eth0", "::ffff:192.0.2.1", "::"):
        there = Visitor(host=host, is_secure=False)
        assert login().look_at(there, brought, 0) is Access.NEEDS_TLS


def test_a_session_in_the_open_is_not_looked_at() -> None:
    made = login()
    brought = Credentials(session=made.begin(0))
    assert made.look_at(SECURE, brought, 0) is Access.GRANTED
    assert made.look_at(PLAIN, brought, 0) is Access.NEEDS_TLS


def test_a_session_lasts_from_its_last_use() -> None:
    made = login()
    brought = Credentials(session=made.begin(0), password="wrong")
    assert made.look_at(SECURE, brought, SESSION_NS - 1) is Access.GRANTED
    assert made.look_at(SECURE, brought, 2 * SESSION_NS - 2) is Access.GRANTED
    assert made.look_at(SECURE, brought, 3 * SESSION_NS - 2) is Access.WRONG
    assert made.look_at(SECURE, brought, 0) is Access.WRONG


def test_a_session_ends() -> None:
    made = login()
    token, other = made.begin(0), made.begin(0)
    made.end(token)
    made.end("unknown")
    assert made.look_at(SECURE, Credentials(session=token), 0) is Access.NEEDS_LOGIN
    assert made.look_at(SECURE, Credentials(session=other), 0) is Access.GRANTED


def test_the_session_used_least_recently_makes_room() -> None:
    made = login()
    tokens = [made.begin(n) for n in range(MAX_SESSIONS)]
    assert made.look_at(SECURE, Credentials(session=tokens[0]), 1) is Access.GRANTED
    made.begin(2)
    found = [made.look_at(SECURE, Credentials(session=each), 3) for each in tokens[:3]]
    assert found == [Access.GRANTED, Access.NEEDS_LOGIN, Access.GRANTED]


@pytest.mark.parametrize(
    ("origin", "host", "is_secure", "own"),
    [
        (None, "a:1", False, True),
        ("http://a:1", "a:1", False, True),
        ("HTTP://A:1", "a:1", False, True),
        ("https://a:1", "a:1", True, True),
        ("http://a:1", "a:1", True, False),
        ("https://a:1", "a:1", False, False),
        ("http://a", "a:1", False, False),
        ("http://b:1", "a:1", False, False),
        ("null", "a:1", False, False),
        ("", "a:1", False, False),
        ("http://a:1", None, False, False),
        ("http://", "", False, True),
    ],
)
def test_whose_page_it_is(origin: str | None, host: str | None, is_secure: bool, own: bool) -> None:
    assert is_own_origin(origin, host, is_secure=is_secure) is own


@pytest.mark.parametrize(
    ("host", "known"),
    [
        *((name, True) for name in ("localhost", "localhost:80", "studio", "studio.local:8080")),
        *((name, True) for name in ("192.0.2.1:80", "192.0.2.1", "[::1]:80", "[::1]", "nas.lan.")),
        *((name, True) for name in ("Radio.example", "radio.example:80")),
        *((name, False) for name in ("evil.example", "evil.example:80", "evil.com.", "")),
        *((name, False) for name in ("x.localhost.evil.example", "1.2.3.4.evil.example", ":80")),
        (None, False),
    ],
)
def test_names_that_a_stranger_may_have_pointed_here(host: str | None, known: bool) -> None:
    assert is_known_name(host, {"radio.example"}) is known


@pytest.mark.parametrize(
    ("site", "own"),
    [
        (None, True),
        ("none", True),
        ("same-origin", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
    ],
)
def test_whose_a_fetch_is(site: str | None, own: bool) -> None:
    assert is_own_fetch(site) is own
