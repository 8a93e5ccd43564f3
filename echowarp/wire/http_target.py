"""Request targets, paths, queries and forms, and the URIs of WebSockets.

Source: RFC 9112, section 3.2; RFC 3986; RFC 6455, section 3; for forms and for what a
browser leaves bare in a query, the URL standard of the WHATWG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from echowarp.wire.http_fields import HttpError

MAX_PARAMETERS = 64

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+")
_QUERY = re.compile(r"(?:[!$&-;=?-~]|%[0-9A-Fa-f]{2})*")
_HOST = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9\-._~]{1,255})"
AUTHORITY = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_URI = re.compile(r"(wss?)://(?:([^/?#@]*)@)?([^/?#@]*)([/?][^#]*)?", re.IGNORECASE)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about.

    path: decoded, without dot segments, `*` for the whole server; query: decoded
    parameters; host: where the target itself names one.
    """

    path: str
    query: Mapping[str, str]
    host: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WsUri:
    """host: without brackets; target: path and query as they travel; authority: for the
    Host field; credentials: decoded user and password, where the URI has them."""

    secure: bool
    host: str
    port: int
    target: str
    authority: str
    credentials: tuple[str, str] | None


def parse_target(method: str, target: str) -> Target:
    """Reads a request target. Raises HttpError 400 for one that breaks the syntax, 501 for
    CONNECT."""
    if method == "CONNECT":
        raise HttpError(501, "this is no proxy")
    if target == "*" and method == "OPTIONS":
        return Target(path=target, query={}, host=None)
    host = None
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or not AUTHORITY.fullmatch(absolute[1]):
            raise HttpError(400, "a request target that breaks the syntax")
        host, rest = absolute[1], absolute[2] or "/"
        target = rest if rest.startswith("/") else f"/{rest}"
    raw_path, mark, query = target.partition("?")
    if not _PATH.fullmatch(raw_path) or not _QUERY.fullmatch(query):
        raise HttpError(400, "a request target that breaks the syntax")
    return Target(path=_decode_path(raw_path), query=parse_form(query) if mark else {}, host=host)


def _decode_path(raw: str) -> str:
    if "%2f" in raw.lower():
        raise HttpError(400, "a path with an encoded slash")
    path = percent_decode(raw)
    if not path.isprintable() or {".", ".."} & set(path.split("/")):
        raise HttpError(400, "a path with dot segments or control characters")
    return path


def parse_form(text: str) -> dict[str, str]:
    """Reads a query or a form, `name=value&...`, where `+` is a space.

    Raises HttpError 400 when a name comes twice, an escape is wrong or no UTF-8, or there
    are more than 64 parameters.
    """
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    if len(pairs) > MAX_PARAMETERS:
        raise HttpError(400, f"more than {MAX_PARAMETERS} parameters")
    parameters: dict[str, str] = {}
    for name, _, value in pairs:
        decoded = percent_decode(name.replace("+", " "))
        if decoded in parameters:
            raise HttpError(400, "a parameter that comes twice")
        parameters[decoded] = percent_decode(value.replace("+", " "))
    return parameters


def percent_decode(text: str) -> str:
    """Decodes %XX as UTF-8. Raises HttpError 400 when it is none, or an escape is cut."""
    try:
        raw = text.encode("ascii")
        if raw.count(b"%") != len(_PERCENT.findall(raw)):
            raise HttpError(400, "a percent sign without two digits")
        return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), raw).decode()
    except UnicodeError:
        raise HttpError(400, "escaped text that is not UTF-8") from None


def percent_encode(text: str) -> str:
    """Any text as part of a path or a query."""
    return "".join(chr(c) if c in _UNRESERVED else f"%{c:02X}" for c in text.encode())


def parse_authority(text: str) -> tuple[str, int | None]:
    """Host, without brackets, and port. Raises HttpError 400."""
    found = AUTHORITY.fullmatch(text)
    if found is None or (found[2] is not None and not 0 < int(found[2]) < 65_536):
        raise HttpError(400, "a host or port that breaks the syntax")
    return found[1].strip("[]"), None if found[2] is None else int(found[2])


def parse_ws_uri(uri: str) -> WsUri:
    """Reads `ws://HOST[:PORT][/PATH][?QUERY]` or `wss://...`.

    What may not stand bare in path and query is escaped. Raises HttpError for anything
    else.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        raise HttpError(400, "not a URI of the form ws://HOST:PORT/PATH")
    scheme, userinfo, authority, target = found.groups()
    host, port = parse_authority(authority)
    secure = scheme.lower() == "wss"
    credentials = None
    if userinfo is not None:
        user, _, password = userinfo.partition(":")
        credentials = (percent_decode(user), percent_decode(password))
    target = target or "/"
    target = target if target.startswith("/") else f"/{target}"
    try:
        target = re.sub(r"[^!-~]", lambda bare: percent_encode(bare[0]), target)
    except UnicodeEncodeError:
        raise HttpError(400, "a URI that is not UTF-8") from None
    parse_target("GET", target)
    return WsUri(
        secure=secure,
        host=host,
        port=port or (443 if secure else 80),
        target=target,
        authority=authority,
        credentials=credentials,
    )
