"""Our HTTP and WebSockets beside programs of others: the PyPI library `websockets`, curl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Request as TheirRequest
from websockets.http11 import Response as TheirResponse
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from echowarp.wire.http_fields import HttpError
from echowarp.wire.websocket import BinaryMessage, Closed, Ponged, TextMessage
from tests.net.echo_web import LOOPBACK, MOST_BYTES, PAGE, EchoWeb, Talk

SIZES = (0, 1, 125, 126, 65_535, 65_536, MOST_BYTES)


@pytest.fixture
def web() -> Iterator[EchoWeb]:
    with EchoWeb() as server:
        yield server


@contextmanager
def their_server() -> Iterator[str]:
    """The URI of a server of theirs that sends back what it gets, and obeys `close`."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            if message == "close":
                connection.close(4321, "as you wish")
            elif message == "ping":
                assert connection.ping(b"now").wait(10)
                connection.send("ponged")
            elif message == "fragments":
                connection.send(["fra", "gme", "nts"])
            else:
                connection.send(message)

    def guard(connection: ServerConnection, request: TheirRequest) -> TheirResponse | None:
        if request.path == "/closed":
            return connection.respond(HTTPStatus.FORBIDDEN, "no\n")
        return None

    with serve(echo, LOOPBACK, 0, process_request=guard, max_size=MOST_BYTES) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_their_client_and_our_server(web: EchoWeb) -> None:
    with connect(f"ws://{LOOPBACK}:{web.port}/x?y=z", max_size=MOST_BYTES, proxy=None) as theirs:
        assert theirs.protocol.extensions == []
        for size in SIZES:
            theirs.send(bytes(size))
            assert theirs.recv(10) == bytes(size)
        theirs.send("κόσμε")
        assert theirs.recv(10) == "κόσμε"
        theirs.send(["in", "", " fragments"])
        assert theirs.recv(10) == "in fragments"
        assert theirs.ping(b"payload").wait(10)
        theirs.close(3456, "bye")
    assert theirs.close_code == 3456
    assert web.requests[0].query == {"y": "z"}
    assert "permessage-deflate" in (web.requests[0].headers.get("Sec-WebSocket-Extensions") or "")
    assert web.happened[-1] == Closed(3456, "bye", True)


def test_their_client_hears_that_a_message_is_too_big(web: EchoWeb) -> None:
    with connect(f"ws://{LOOPBACK}:{web.port}/", proxy=None) as theirs:
        theirs.send(bytes(MOST_BYTES + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            theirs.recv(10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_their_client_is_refused(web: EchoWeb) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(
            f"ws://{LOOPBACK}:{web.port}/",
            proxy=None,
            additional_headers={"Content-Length": "x"},
        )
    assert caught.value.response.status_code == 400


def test_our_client_and_their_server() -> None:
    with their_server() as uri, Talk(uri) as talk:
        for size in SIZES:
            talk.end.send_binary(bytes(size))
            assert talk.events() == [BinaryMessage(bytes(size))]
        for said, answer in (("κόσμε", "κόσμε"), ("fragments", "fragments"), ("ping", "ponged")):
            talk.end.send_text(said)
            assert talk.events() == [TextMessage(answer)]
        talk.end.ping(b"payload")
        assert talk.events() == [Ponged(b"payload")]
        talk.end.send_text("close")
        assert talk.events() == [Closed(4321, "as you wish", True)]


def test_our_client_says_goodbye() -> None:
    with their_server() as uri, Talk(uri) as talk:
        talk.end.close(0, 3456, "bye")
        assert talk.events() == [Closed(3456, "bye", True)]


def test_our_client_is_refused() -> None:
    with their_server() as uri:
        with pytest.raises(HttpError) as caught:
            Talk(f"{uri}/closed")
        assert caught.value.status == 403


def curl(web: EchoWeb, *arguments: str, given: bytes = b"", path: str = "/") -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    quietly = ("-sS", "--noproxy", "*", "--max-time", "10")
    url = f"http://{LOOPBACK}:{web.port}{path}"
    return subprocess.run(
        ["curl", *quietly, *arguments, url], input=given, capture_output=True, check=True
    ).stdout


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_curl_gets_a_page(web: EchoWeb, version: str) -> None:
    assert curl(web, version) == PAGE
    assert curl(web, version, "-I").startswith(b"HTTP/1.1 200 OK\r\n")
    assert curl(web, version, "-r", "2-5") == PAGE[2:6]
    assert web.requests[0].minor == int(version[-1])


def test_curl_gets_two_pages_over_one_connection(web: EchoWeb) -> None:
    url = f"http://{LOOPBACK}:{web.port}/"
    out = curl(web, "-w", "%{num_connects}", url)
    assert out == PAGE + b"1" + PAGE + b"0"


def test_curl_posts(web: EchoWeb) -> None:
    content = bytes(range(256)) * 2_000
    assert curl(web, "--data-binary", "@-", given=content) == content
    assert web.requests[-1].body_bytes == len(content)
    chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue")
    assert curl(web, "--data-binary", "@-", *chunked, given=content) == content
    assert web.requests[-1].body_bytes is None
    assert web.requests[-1].expects_continue


def test_curl_asks_for_what_is_wrong(web: EchoWeb) -> None:
    status = ("-o", "/dev/null", "-w", "%{http_code}", "--path-as-is")
    assert curl(web, *status, path="/a/../b") == b"400"
    assert curl(web, *status, path="/" + "a" * 9_000) == b"414"
    assert curl(web, *status, "-H", "A: " + "b" * 17_000) == b"431"
    assert curl(web, *status, "-H", "Upgrade: websocket") == b"400"
    assert curl(web, *status, "-H", "Host:") == b"400"
