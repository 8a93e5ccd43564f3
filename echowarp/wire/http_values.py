"""Values of single header fields: credentials, cookies, ranges.

Source: RFC 7617; RFC 6265, section 4.2; RFC 9110, section 14.
"""

from __future__ import annotations

import binascii
import re

from echowarp.wire.http_fields import Headers, HttpError

_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,15})-([0-9]{0,15})[ \t]*", re.IGNORECASE)


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """User and password of `Authorization: Basic`, None when there are none to be read."""
    found = _BASIC.fullmatch(headers.get("Authorization") or "")
    if found is None:
        return None
    try:
        text = binascii.a2b_base64(found[1]).decode()
    except ValueError:
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def basic_authorization(user: str, password: str) -> str:
    """The value of `Authorization`. user: without a colon."""
    assert ":" not in user, "the colon ends the user"
    text = binascii.b2a_base64(f"{user}:{password}".encode(), newline=False)
    return f"Basic {text.decode('ascii')}"


def parse_cookies(headers: Headers) -> dict[str, str]:
    """The cookies of a request; of two with the same name the first, which is the nearer."""
    cookies: dict[str, str] = {}
    for line in headers.all("Cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.strip(" \t").partition("=")
            if equals:
                cookies.setdefault(name, value.removeprefix('"').removesuffix('"'))
    return cookies


def parse_range(headers: Headers, size_bytes: int) -> range | None:
    """The one range of bytes that a request wants of content so long; None for all of it.

    More than one range, or one that breaks the syntax, is all of it too. Raises HttpError
    416 for one that has nothing in the content.
    """
    found = _RANGE.fullmatch(headers.get("Range") or "")
    if found is None or found[1] == found[2] == "":
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        wanted = range(int(first), min(int(last) + 1 if last else size_bytes, size_bytes))
    else:
        wanted = range(max(size_bytes - int(last), 0), size_bytes)
    if not wanted:
        raise HttpError(416, "a range outside the content", _unsatisfied(size_bytes))
    return wanted


def content_range(wanted: range, size_bytes: int) -> str:
    """The value of `Content-Range` for a part of content so long."""
    return f"bytes {wanted.start}-{wanted.stop - 1}/{size_bytes}"


def _unsatisfied(size_bytes: int) -> tuple[tuple[str, str]]:
    return (("Content-Range", f"bytes */{size_bytes}"),)
