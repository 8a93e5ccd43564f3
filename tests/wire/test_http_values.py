from __future__ import annotations

import pytest

from echowarp.wire.http_fields import Headers, HttpError
from echowarp.wire.http_values import (
    basic_authorization,
    basic_credentials,
    content_range,
    parse_cookies,
    parse_range,
)


def test_credentials_travel() -> None:
    for user, password in (("", "a:b"), ("Aladdin", "open sesame"), ("ü", "€")):
        headers = Headers([("Authorization", basic_authorization(user, password))])
        assert basic_credentials(headers) == (user, password)
    assert basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@pytest.mark.parametrize(
    "value",
    ["", "Basic", "Basic ", "Basic ====", "Basic YQ==", "Basic /zph", "Bearer YTpi", "Basic YTp"],
)
def test_what_are_no_credentials(value: str) -> None:
    assert basic_credentials(Headers([("Authorization", value)])) is None


def test_the_scheme_comes_in_any_case() -> None:
    assert basic_credentials(Headers([("authorization", "bASIC  YTpi")])) == ("a", "b")
    assert basic_credentials(Headers()) is None


def test_cookies() -> None:
    headers = Headers([("Cookie", 'a=1; b="2";c = 3;d; e=f=g;'), ("cookie", "a=2; h=4")])
    assert parse_cookies(headers) == {"a": "1", "b": "2", "c ": " 3", "e": "f=g", "h": "4"}
    assert parse_cookies(Headers()) == {}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-", range(2, 10)),
        ("Bytes=2-99", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("frames=0-1", None),
        ("bytes=a-b", None),
        ("", None),
    ],
)
def test_ranges(value: str, wanted: range | None) -> None:
    assert parse_range(Headers([("Range", value)]), 10) == wanted


@pytest.mark.parametrize(
    ("value", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_ranges_outside_the_content(value: str, size: int) -> None:
    with pytest.raises(HttpError) as caught:
        parse_range(Headers([("Range", value)]), size)
    assert caught.value.status == 416
    assert caught.value.fields == (("Content-Range", f"bytes */{size}"),)


def test_the_range_of_an_answer() -> None:
    assert content_range(range(2, 5), 10) == "bytes 2-4/10"
