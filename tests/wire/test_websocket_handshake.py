from __future__ import annotations

import pytest

from echowarp.errors import ProtocolError
from echowarp.wire.http import Request, RequestReader
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import parse_ws_uri
from echowarp.wire.http_writer import response
from echowarp.wire.websocket_handshake import (
    MAX_REFUSAL_BYTES,
    ClientHandshake,
    accept_websocket,
    wants_websocket,
)
from tests.virtual import scripted_bytes, seeded_bytes

# The example of RFC 6455, section 1.3.
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
FIELDS = {
    "Host": "server.example.com",
    "Upgrade": "WebSocket",
    "Connection": "keep-alive, UPGRADE",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
ANSWER = {"Upgrade": "WebSocket", "Connection": "upgrade", "Sec-WebSocket-Accept": ACCEPT}
URI = parse_ws_uri("ws://server.example.com/audio")


def asked(changes: dict[str, str | None], line: str = "GET /audio HTTP/1.1") -> Request:
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not None}
    reader = RequestReader(0)
    text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reader.receive(f"{line}\r\n{text}\r\n".encode(), 0)
    request = reader.next_request()
    assert request is not None
    return request


def answer(changes: dict[str, str | None]) -> bytes:
    fields = {name: value for name, value in {**ANSWER, **changes}.items() if value is not None}
    return response(101, fields.items())


def client() -> ClientHandshake:
    return ClientHandshake(URI, scripted_bytes(NONCE))


def test_the_example_of_the_standard() -> None:
    out = accept_websocket(asked({"Sec-WebSocket-Protocol": "chat, superchat"}))
    assert out.startswith(b"HTTP/1.1 101 ")
    assert f"Sec-WebSocket-Accept: {ACCEPT}\r\n".encode() in out
    assert b"Sec-WebSocket-Protocol" not in out


def test_compression_is_declined() -> None:
    offer = "permessage-deflate; client_max_window_bits"
    assert b"Extensions" not in accept_websocket(asked({"Sec-WebSocket-Extensions": offer}))


def test_both_ends_agree() -> None:
    uri = parse_ws_uri("ws://u:p@h:1/a?b=c")
    handshake = ClientHandshake(uri, seeded_bytes(1), [("Origin", "http://h:1")])
    reader = RequestReader(0)
    reader.receive(handshake.request, 0)
    request = reader.next_request()
    assert request is not None
    assert (request.target, request.host) == ("/a?b=c", "h:1")
    assert request.headers.get("Authorization") == "Basic dTpw"
    assert request.headers.get("Origin") == "http://h:1"
    answered = accept_websocket(request)
    for byte in answered[:-1]:
        assert not handshake.receive(bytes((byte,)))
    assert handshake.receive(answered[-1:] + b"frames")
    assert handshake.take_rest() == b"frames"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Version": None}, 400),
        ({"Connection": "close"}, 400),
        ({"Connection": None}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": KEY[:-1]}, 400),
        ({"Sec-WebSocket-Key": "A" * 24}, 400),
        ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR=="}, 400),
        ({"Sec-WebSocket-Key": KEY, "sec-websocket-key": KEY}, 400),
        ({"Content-Length": "1"}, 400),
    ],
)
def test_bad_requests_are_refused(changes: dict[str, str | None], status: int) -> None:
    with pytest.raises(HttpError) as caught:
        accept_websocket(asked(changes))
    assert caught.value.status == status
    assert (("Sec-WebSocket-Version", "13") in caught.value.fields) is (status == 426)


@pytest.mark.parametrize("line", ["POST /audio HTTP/1.1", "GET /audio HTTP/1.0"])
def test_it_begins_with_a_get_of_now(line: str) -> None:
    with pytest.raises(HttpError):
        accept_websocket(asked({}, line))


def test_who_wants_one() -> None:
    assert wants_websocket(asked({}))
    assert wants_websocket(asked({"Upgrade": "h2c, websocket"}))
    assert not wants_websocket(asked({"Upgrade": None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "websocket, h2c"},
        {"Connection": None},
        {"Sec-WebSocket-Accept": None},
        {"Sec-WebSocket-Accept": ACCEPT.lower()},
        {"Sec-WebSocket-Accept": ACCEPT, "sec-websocket-accept": ACCEPT},
        {"Sec-WebSocket-Extensions": "permessage-deflate"},
        {"Sec-WebSocket-Protocol": "chat"},
    ],
)
def test_bad_answers_are_refused(changes: dict[str, str | None]) -> None:
    with pytest.raises(ProtocolError):
        client().receive(answer(changes))


def test_a_good_answer() -> None:
    assert client().receive(answer({}))


def test_a_refusal_keeps_its_status() -> None:
    refusal = response(401, [("WWW-Authenticate", "Basic")], b"no")
    with pytest.raises(HttpError, match="401 Unauthorized") as caught:
        client().receive(refusal)
    assert caught.value.status == 401
    assert ("WWW-Authenticate", "Basic") in caught.value.fields


@pytest.mark.parametrize(
    "data",
    [b"SSH-2.0\r\n", response(200, (), bytes(MAX_REFUSAL_BYTES + 1)), b"\x00" * 9_000],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        client().receive(data)
    assert caught.value.status == 502


def test_no_answer() -> None:
    handshake = client()
    assert not handshake.receive(b"HTTP/1.1 101")
    with pytest.raises(HttpError):
        handshake.receive_eof()
