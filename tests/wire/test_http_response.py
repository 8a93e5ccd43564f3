from __future__ import annotations

import pytest

from echowarp.wire.http_fields import Headers, HttpError
from echowarp.wire.http_response import MAX_INTERIM, Response, ResponseReader

MOST = 1_000
OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nA: b\r\n\r\n"


def read(data: bytes, method: str = "GET") -> tuple[Response | None, bytes, ResponseReader]:
    """Head and content, byte by byte."""
    reader = ResponseReader(method, max_body_bytes=MOST)
    response, content = None, b""
    for byte in data:
        reader.receive(bytes((byte,)))
        response = reader.next_response() or response
        content += reader.body()
    return response, content, reader


@pytest.mark.parametrize(
    ("data", "method", "content"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", "GET", b"abc"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "GET", b"abc"),
        (OK + b"Content-Length: 3\r\n\r\n", "HEAD", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", b""),
        (b"HTTP/1.0 304\r\nContent-Length: 3\r\n\r\n", "GET", b""),
        (INTERIM + OK + b"Content-Length: 0\r\n\r\n", "GET", b""),
    ],
)
def test_responses(data: bytes, method: str, content: bytes) -> None:
    response, came, reader = read(data, method)
    assert response is not None
    assert response.status >= 200
    assert came == content
    assert reader.body_complete
    reader.receive_eof()


def test_content_that_lasts_until_the_end() -> None:
    response, content, reader = read(OK + b"\r\nabc")
    assert response == Response(status=200, reason="OK", headers=Headers())
    assert content == b"abc"
    assert not reader.body_complete
    reader.receive_eof()
    assert reader.body_complete


def test_what_follows_a_change_of_protocol() -> None:
    response, _, reader = read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x81\x00")
    assert response is not None
    assert response.headers.get("upgrade") == "x"
    assert reader.take_rest() == b"\x81\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 600 x\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 \0\r\n",
        b"x" * 8_193,
        OK + b"A : b\r\n",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: 1001\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"\r\n" + bytes(MOST + 1),
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        read(data)
    assert caught.value.status == 502


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", OK, OK + b"Content-Length: 3\r\n\r\nab"])
def test_an_answer_that_is_cut(data: bytes) -> None:
    reader = read(data)[2]
    with pytest.raises(HttpError):
        reader.receive_eof()
