from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.http_writer import head, http_date, request, response

FIELDS = (("A", "b"), ("C", "d é"))


def test_responses() -> None:
    assert response(200, FIELDS, b"xyz") == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nC: d \xe9\r\nContent-Length: 3\r\n\r\nxyz"
    )
    assert response(404) == b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    assert response(200, (), b"xyz", without_body=True).endswith(b"Content-Length: 3\r\n\r\n")
    assert head(206, body_bytes=7).endswith(b"Content-Length: 7\r\n\r\n")


@pytest.mark.parametrize("status", [101, 204, 304])
def test_some_have_no_content(status: int) -> None:
    assert b"Content-Length" not in response(status)


def test_requests() -> None:
    assert request("GET", "/a?b", FIELDS[:1]) == b"GET /a?b HTTP/1.1\r\nA: b\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"), [("A", "b\r\nC: d"), ("A", "\n"), ("A", "\0"), ("A ", "b"), ("", "b")]
)
def test_nothing_breaks_out_of_its_line(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        response(200, [(name, value)])
    with pytest.raises(ValueError, match="cannot be sent"):
        request("GET", "/", [(name, value)])


@pytest.mark.parametrize("target", ["", "/a b", "/a\r\nB: c", "/é"])
def test_a_target_keeps_its_line(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        request("GET", target, ())


@given(st.integers(0, 253_402_300_799))
def test_dates(unix_s: int) -> None:
    assert http_date(unix_s) == email.utils.formatdate(unix_s, usegmt=True)


@pytest.mark.parametrize("unix_s", [951_782_399, 951_782_400, 951_868_800, 4_107_542_400])
def test_dates_about_leap_days(unix_s: int) -> None:
    assert http_date(unix_s) == email.utils.formatdate(unix_s, usegmt=True)
