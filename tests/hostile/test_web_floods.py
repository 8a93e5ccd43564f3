"""Visitors of the web port who mean ill, beside a client that must not notice."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.hostile.attackers import new_host
from tests.processes import LOOPBACK, Stage, wait_until
from tests.visitor import Door, serve

REQUEST = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"
MANY = 500


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that is open to all, with a client that listens to it all the time."""
    with Stage(tmp_path_factory.mktemp("door"), password=None) as stage:
        server, made = serve(stage)
        client = stage.client("--latency", "robust")
        client.says("stream:")
        yield made
        assert server.running and client.running
        assert "opens anew" not in server.said and "Traceback" not in server.said
        wait_until(lambda: client.stream, "the client has figures")
        stream = client.stream
        assert client.leave() == 0, client.said
        assert stream["lost"] == 0, client.said
        assert server.leave() == 0


def answer_to(door: Door, *pieces: bytes, pause_s: float = 0.0, host: str = LOOPBACK) -> bytes:
    """All that comes back."""
    sock = door.connect(host)
    with sock, contextlib.suppress(ConnectionError):
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause_s)
        return everything(sock)
    return b""


def everything(sock: socket.socket) -> bytes:
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(1 << 16):
            found += data
    return bytes(found)


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:80]
    return int(answer[9:12])


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /status HTTP/1.1\r\n\r\n", 400),
        (REQUEST + b"Host: other\r\n\r\n", 400),
        (REQUEST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (REQUEST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (REQUEST + b"Content-Length: +3\r\n\r\nabc", 400),
        (REQUEST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
        (REQUEST + b"Transfer-Encoding : chunked\r\n\r\n", 400),
        (REQUEST + b"A: b\r\n folded: c\r\n\r\n", 400),
        (REQUEST + b"A: b\rc\r\n\r\n", 400),
        (REQUEST + b"A: b\0c\r\n\r\n", 400),
        (b"GET  /status HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (REQUEST + b"A: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (REQUEST + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 413),
        (b"GET /status HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"EHLO mail\r\n\r\n", 400),
    ],
)
def test_requests_that_mean_two_things_or_too_much(
    door: Door, request_bytes: bytes, status: int
) -> None:
    """Each is refused and is the last of its connection: nothing behind it is served."""
    answer = answer_to(door, request_bytes + REQUEST + b"\r\n")
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


def test_requests_one_behind_the_other(door: Door) -> None:
    """They are answered in order, also when they come a byte at a time."""
    two = REQUEST + b"\r\n" + REQUEST + b"Connection: close\r\n\r\n"
    assert answer_to(door, two).count(b"HTTP/1.1 200") == 2
    bytewise = (two[n : n + 1] for n in range(len(two)))
    assert answer_to(door, *bytewise).count(b"HTTP/1.1 200") == 2


def test_headers_that_never_end(door: Door) -> None:
    """Whoever takes longer than some seconds is cut off, however it goes on."""
    begun = time.monotonic()
    answer = answer_to(door, REQUEST, *(b"A: b\r\n" for _ in range(60)), pause_s=0.2)
    assert time.monotonic() - begun < 15
    assert not answer or status_of(answer) == 408


def test_those_who_say_nothing(door: Door) -> None:
    """Neither in the open nor after half a handshake."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    begun = time.monotonic()
    socks = [door.connect() for _ in range(4)]
    socks[0].sendall(hello)
    socks[1].sendall(b"G")
    for sock in socks:
        with sock:
            everything(sock)
    assert time.monotonic() - begun < 15
    assert door.ask("/status").status == 200


def test_garbage_in_place_of_tls(door: Door) -> None:
    for n in range(50):
        answer_to(door, b"\x16" + os.urandom(20 * n))
    assert door.ask("/status").status == 200


@pytest.mark.parametrize("tls", [False, True])
def test_a_crowd(door: Door, tls: bool) -> None:
    """So many connections that say nothing keep nobody else out, nor their own address."""
    host, socks = new_host(), []
    try:
        for _ in range(MANY):
            with contextlib.suppress(OSError):
                sock = socket.create_connection((LOOPBACK, door.port), 5, (host, 0))
                socks.append(sock)
                if tls:
                    sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert door.ask("/status").status == 200
        assert door.ask("/status", host=host).status == 200
        with door.socket() as ear:
            ear.hear(100)
    finally:
        for sock in socks:
            sock.close()


def test_one_that_stops_reading(door: Door) -> None:
    """What it misses is dropped, others hear all, and it hears on when it reads again."""
    with door.socket() as slow, door.socket() as other:
        first = slow.hear(1)[-1].seq
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        begun = other.hear(1)[-1].seq
        seqs: list[int] = []
        while not seqs or seqs[-1] - begun < 1200:
            seqs += [block.seq for block in other.hear(20)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        late: list[int] = []
        while not late or late[-1] <= seqs[-1]:
            late += [block.seq for block in slow.hear(1)]
        gaps = [b - a for a, b in zip([first, *late], late, strict=False)]
        assert all(gap > 0 for gap in gaps)
        assert max(gaps) > 200


HUGE = 10**400
"""A whole number that no float holds."""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"type":"clock"}',
        json.dumps({"type": "clock", "t1": HUGE}),
        '{"type":"clock","t1":NaN}',
        json.dumps({"type": "report", "delayMs": HUGE, "lossPercent": 1}),
        "[" * 4000,
        '{"type":1}',
    ],
)
def test_words_that_a_page_never_says(door: Door, text: str) -> None:
    with door.socket() as ear:
        ear.hear(1)
        ear.say(text)
        if text != '{"type":1}':
            assert ear.until_closed().code == 1002
        else:
            ear.hear(10)


def test_questions_without_end(door: Door) -> None:
    """One that asks and does not read is not answered for ever, and takes no room."""
    with door.socket() as ear:
        question = '{"type":"clock","t1":1}'
        ear._socket.send_text(question)
        frame = b"".join(bytes(piece) for piece in ear._socket.to_send())
        ear.sock.settimeout(1.0)
        with contextlib.suppress(OSError):
            for _ in range(300):
                ear.sock.sendall(frame * 1000)
        assert door.ask("/status").status == 200


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(
            {
                "type": "listed",
                "streams": [{"id": "a", "size": 1, "sha256": "0" * 64, "time": HUGE}],
            }
        ),
        json.dumps({"type": "get", "streamId": "a", "offset": HUGE, "length": HUGE}),
        '{"type":"get","streamId":"a","offset":1e999,"length":1e300}',
        '{"type":"start","streamId":{"a":[]}}',
        '{"type":"start","streamId":"..%2f"}',
        '{"type":"\\ud800","streamId":"\\ud800"}',
        "[" * 100_000,
    ],
)
def test_words_that_a_client_of_the_cache_never_says(door: Door, text: str) -> None:
    """Each is an error, and the connection stays."""
    with door.socket("/audio") as cache:
        cache.say(text)
        cache.until("error")
        cache.say({"type": "list"})
        assert cache.until("listed")["streams"] == []


def test_one_that_hangs_up_in_the_middle_of_tls(door: Door) -> None:
    """Its bytes are read when it is gone already."""
    for _ in range(20):
        with door.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert door.ask("/status").status == 200
