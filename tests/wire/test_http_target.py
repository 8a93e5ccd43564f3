from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import (
    MAX_PARAMETERS,
    parse_authority,
    parse_form,
    parse_target,
    parse_ws_uri,
    percent_decode,
    percent_encode,
)


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("/", "/", {}, None),
        ("/audio?token=a%20b+c&x", "/audio", {"token": "a b c", "x": ""}, None),
        ("/caf%C3%A9/", "/café/", {}, None),
        ("//a:b@c;d='e'", "//a:b@c;d='e'", {}, None),
        ("/a?", "/a", {}, None),
        ("/a?b=c?d/e=f", "/a", {"b": "c?d/e=f"}, None),
        ("/a?b={|}^[`]\\", "/a", {"b": "{|}^[`]\\"}, None),
        ("http://h:80/a?b=c", "/a", {"b": "c"}, "h:80"),
        ("HTTPS://[::1]", "/", {}, "[::1]"),
        ("http://h?x=y", "/", {"x": "y"}, "h"),
    ],
)
def test_targets(target: str, path: str, query: dict[str, str], host: str | None) -> None:
    parsed = parse_target("GET", target)
    assert (parsed.path, parsed.query, parsed.host) == (path, query, host)


@pytest.mark.parametrize(
    "target",
    [
        *("", "*", "a", "h:80", "ftp://h/", "http:///", "http://u@h/", "http://h:x/", "http:/h"),
        *("/a#b", "/a?b#c", '/"', "/<", "/|", "/a b", "/é", "/a?é", "/a?<", '/a?"'),
        *("/%", "/%4", "/%4g", "/a?%", "/%00", "/%0a", "/%7f", "/%ff", "/a?%ff", "/a?x=%c3"),
        *("/a%2fb", "/a%2Fb", "/..", "/a/../b", "/%2e%2e/a", "/.", "/a/.", "/.%2E"),
        *("/a?b=1&b=2", "/a?%62=1&b=2"),
    ],
)
def test_bad_targets_are_refused(target: str) -> None:
    with pytest.raises(HttpError) as caught:
        parse_target("GET", target)
    assert caught.value.status == 400


def test_the_whole_server_is_meant_by_options_only() -> None:
    assert parse_target("OPTIONS", "*").path == "*"


def test_there_is_no_proxy() -> None:
    with pytest.raises(HttpError) as caught:
        parse_target("CONNECT", "h:443")
    assert caught.value.status == 501


def test_so_many_parameters_and_no_more() -> None:
    many = [f"p{n}" for n in range(MAX_PARAMETERS)]
    assert list(parse_form("&".join(many))) == many
    with pytest.raises(HttpError):
        parse_form("&".join((*many, "x")))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_is_decoded(text: str) -> None:
    encoded = percent_encode(text)
    assert encoded.isascii()
    assert percent_decode(encoded) == text
    assert parse_form(f"a={encoded}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("h", ("h", None)),
        ("h:1", ("h", 1)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("a_b.c-d~", ("a_b.c-d~", None)),
    ],
)
def test_authorities(text: str, authority: tuple[str, int | None]) -> None:
    assert parse_authority(text) == authority


@pytest.mark.parametrize(
    "text", ["", ":80", "h:", "h:0", "h:65536", "h:-1", "h: 1", "::1", "[::1", "a,b", "u@h", "h/"]
)
def test_bad_authorities_are_refused(text: str) -> None:
    with pytest.raises(HttpError):
        parse_authority(text)


@pytest.mark.parametrize(
    ("uri", "secure", "host", "port", "target", "authority"),
    [
        ("ws://localhost:8080/audio", False, "localhost", 8080, "/audio", "localhost:8080"),
        ("wss://h", True, "h", 443, "/", "h"),
        ("WS://h?token=x", False, "h", 80, "/?token=x", "h"),
        ("ws://[::1]:1/a b/é?ü", False, "::1", 1, "/a%20b/%C3%A9?%C3%BC", "[::1]:1"),
    ],
)
def test_uris(uri: str, secure: bool, host: str, port: int, target: str, authority: str) -> None:
    read = parse_ws_uri(uri)
    assert (read.secure, read.host, read.port) == (secure, host, port)
    assert (read.target, read.authority, read.credentials) == (target, authority, None)


def test_credentials_of_a_uri() -> None:
    assert parse_ws_uri("wss://u%40:a%3Ab:c@h/").credentials == ("u@", "a:b:c")
    assert parse_ws_uri("wss://u@h/").credentials == ("u", "")


@pytest.mark.parametrize(
    "uri",
    [
        *("", "h", "http://h/", "ws:/h", "ws://", "ws:///a", "ws://h/a#b", "ws://h:0/", "ws://h/%"),
        *("ws://h/\udcff", "ws://ü/", "ws://u@v@h/", "ws://%ff@h/", "ws://h/.."),
    ],
)
def test_bad_uris_are_refused(uri: str) -> None:
    with pytest.raises(HttpError):
        parse_ws_uri(uri)
