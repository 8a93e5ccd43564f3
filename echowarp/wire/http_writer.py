"""Requests and responses of HTTP/1 as bytes.

Source: RFC 9112; RFC 9110, sections 5.6.7, 6.6.1 and 15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from echowarp.wire.http_fields import TOKEN

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""To a client that holds its content back."""

REASONS = {
    101: "Switching Protocols",
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}

_NAME = re.compile(TOKEN)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LINE = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1")
_DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
"""The first of January 1970 was a Thursday."""
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

Fields = Iterable[tuple[str, str]]


def head(status: int, fields: Fields = (), *, body_bytes: int | None = None) -> bytes:
    """A response without its content, whose length is announced unless it is None.

    Raises ValueError for a field that would break out of its line.
    """
    lines = [f"HTTP/1.1 {status} {REASONS[status]}"]
    if body_bytes is not None:
        fields = (*fields, ("Content-Length", str(body_bytes)))
    return _head(lines, fields)


def response(
    status: int, fields: Fields = (), body: bytes = b"", *, without_body: bool = False
) -> bytes:
    """A whole response; without_body: the answer to HEAD, which announces what GET would get.

    Raises ValueError for a field that would break out of its line.
    """
    bodiless = status < 200 or status in (204, 304)
    whole = head(status, fields, body_bytes=None if bodiless else len(body))
    return whole if bodiless or without_body else whole + body


def request(method: str, target: str, fields: Fields) -> bytes:
    """A request without content. Raises ValueError for what would break out of its line."""
    line = f"{method} {target} HTTP/1.1"
    if not _LINE.fullmatch(line):
        raise ValueError("a target that cannot be sent")
    return _head([line], fields)


def _head(lines: list[str], fields: Fields) -> bytes:
    for name, value in fields:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"a header field {name!r} that cannot be sent")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def http_date(unix_s: int) -> str:
    """Seconds since 1970 as fields such as Date want them.

    The calendar is counted in years that begin with March, so that a leap day is the last.
    """
    days, second = divmod(unix_s, 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524) // 365
    year_of_era -= day_of_era == 146_096
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month, day = (5 * day_of_year + 2) // 153, 0
    day = day_of_year - (153 * month + 2) // 5 + 1
    year = era * 400 + year_of_era + (month > 9)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{_DAYS[days % 7]}, {day:02} {_MONTHS[(month + 2) % 12]} {year:04} {clock} GMT"
