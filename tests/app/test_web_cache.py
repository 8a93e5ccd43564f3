"""The file cache at the web door of a real server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from echowarp.app.cache_store import CacheStore
from echowarp.app.web_cache import (
    MAX_SERVED,
    MAX_SERVED_PER_ADDRESS,
    PIECE_BYTES,
    lent,
    serve_file,
)
from echowarp.wire.http import RequestReader
from tests.processes import Stage, free_port, wait_until
from tests.visitor import Door, Ear, serve

CHUNK = 8192
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that is open to all, with a file in its cache."""
    with Stage(tmp_path_factory.mktemp("cache"), password=None) as stage:
        server, made = serve(stage)
        upload(made, "some.wav", WAV)
        yield made
        assert "opens anew" not in server.said and "Traceback" not in server.said
        assert server.leave() == 0


def upload(door: Door, stream: str, content: bytes) -> None:
    with door.socket("/audio") as cache:
        send(cache, stream, content)


def send(cache: Ear, stream: str, content: bytes) -> None:
    cache.say({"type": "start", "streamId": stream})
    cache.until("started")
    for at in range(0, len(content), CHUNK):
        cache.say_bytes(content[at : at + CHUNK])
    cache.say({"type": "stop", "streamId": stream})
    cache.until("stopped")


def test_what_was_uploaded_is_played(door: Door) -> None:
    """Whole and in parts, by a name, a type and a tag."""
    whole = door.ask("/cache/some.wav")
    assert (whole.status, whole.body) == (200, WAV)
    assert whole.fields["content-type"] == "audio/wav"
    assert "sandbox" in whole.fields["content-security-policy"]
    assert whole.fields["etag"] == f'"{hashlib.sha256(WAV).hexdigest()}"'
    assert door.ask("/cache/some.wav", {"If-None-Match": whole.fields["etag"]}).status == 304
    part = door.ask("/cache/some.wav", {"Range": "bytes=100-199"})
    assert (part.status, part.body) == (206, WAV[100:200])
    assert part.fields["content-range"] == f"bytes 100-199/{len(WAV)}"
    assert door.ask("/cache/some.wav", {"Range": "bytes=-5"}).body == WAV[-5:]
    assert door.ask("/cache/some.wav", {"Range": f"bytes={len(WAV)}-"}).status == 416
    old = {"Range": "bytes=1-2", "If-Range": '"other"'}
    assert door.ask("/cache/some.wav", old).body == WAV
    head = door.ask("/cache/some.wav", method="HEAD")
    assert (head.body, head.fields["content-length"]) == (b"", str(len(WAV)))
    saved = door.ask("/cache/some.wav?download")
    assert saved.fields["content-disposition"] == 'attachment; filename="some.wav"'


@pytest.mark.parametrize("name", ["none", "..", "%2e%2e%2fsecret", ".hidden", "a%00b", "a/b", ""])
def test_names_of_nothing(door: Door, name: str) -> None:
    assert door.ask(f"/cache/{name}").status in (400, 404)


def test_a_page_of_a_stranger_in_the_cache_does_nothing(door: Door) -> None:
    upload(door, "page.html", b"<script>alert(1)</script>")
    answer = door.ask("/cache/page.html")
    assert answer.fields["content-type"] == "application/octet-stream"
    assert answer.fields["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_name_of_nothing_asked_for_by_head(door: Door, method: str) -> None:
    """The answer to HEAD is as long as that to GET, and comes without content."""
    with door.connect() as sock:
        sock.sendall(f"{method} /cache/none HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert (len(content) > 0) is (method == "GET")


def test_a_file_that_cannot_be_read_to_its_end(tmp_path: Path) -> None:
    """The answer breaks off: nothing in it is taken for the file's own."""
    size = 3 * PIECE_BYTES
    with contextlib.closing(
        CacheStore(str(tmp_path), max_bytes=None, ttl_s=None, now_s=time.time)
    ) as store:
        coming = store.begin("cut")
        coming.write(bytes(size))
        coming.finish()
        (data,) = tmp_path.glob("*.data")
        os.truncate(data, PIECE_BYTES)
        reader = RequestReader(0)
        reader.receive(b"GET /cache/cut HTTP/1.1\r\nHost: localhost\r\n\r\n", 0)
        request = reader.next_request()
        assert request is not None
        ours, theirs = socket.socketpair()
        with theirs, ThreadPoolExecutor(1) as pool:
            serving = pool.submit(lent, ours, serve_file(store, request, "cut"), [])
            answer = b"".join(iter(lambda: theirs.recv(1 << 16), b""))
            serving.result()
    head, _, content = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {size}".encode() in head
    assert content == bytes(PIECE_BYTES)


def test_by_tls(door: Door) -> None:
    content = os.urandom(300_000)
    tls = Door(door.port, tls=True)
    upload(tls, "by-tls", content)
    assert tls.ask("/cache/by-tls").body == content


def test_an_upload_that_breaks_off_leaves_nothing(door: Door) -> None:
    with door.socket("/audio") as cache:
        cache.say({"type": "START", "streamId": "half"})
        cache.until("STARTED")
        cache.say_bytes(bytes(CHUNK))
    with door.socket("/audio") as cache:
        cache.say({"type": "get", "streamId": "half", "offset": 0, "length": 10})
        assert cache.until("error")["message"]
        send(cache, "half", b"whole")


def test_so_many_at_once(door: Door) -> None:
    """From one address, and from all: who comes too many is told to come again, and the
    sound goes on."""
    with contextlib.ExitStack() as stack:

        def come(host: str) -> None:
            cache = stack.enter_context(door.socket("/audio", host=host))
            cache.say({"type": "list"})
            cache.until("listed")

        for _ in range(MAX_SERVED_PER_ADDRESS):
            come("127.0.0.2")
        answer = door.ask("/cache/some.wav", host="127.0.0.2")
        assert (answer.status, answer.fields["retry-after"]) == (503, "5")
        for _ in range(MAX_SERVED - MAX_SERVED_PER_ADDRESS):
            come("127.0.0.3")
        assert door.ask("/cache/some.wav", host="127.0.0.4").status == 503
        with door.socket() as ear:
            ear.hear(50)
    wait_until(lambda: door.ask("/cache/some.wav").status == 200, "there is room again")


def test_one_that_stops_reading(door: Door) -> None:
    """It gets what it can take; nobody waits for it, and the server keeps none of the rest."""
    upload(door, "long", bytes(4_000_000))
    with door.socket("/audio") as cache:
        cache.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        cache.sock.settimeout(1.0)
        question = {"type": "get", "streamId": "long", "offset": 0, "length": 65536}
        with contextlib.suppress(TimeoutError):
            for _ in range(2000):
                cache.say(question)
        assert door.ask("/cache/some.wav").status == 200


def test_a_folder_that_another_server_has(tmp_path: Path) -> None:
    with Stage(tmp_path / "both", password=None) as stage:
        serve(stage)
        ports = ("--web_port", str(free_port()), "--udp_port", str(free_port()))
        arguments = ("--source", "none", "--bind", "127.0.0.1", "--cache_dir", "cache")
        second = stage.run("second", *arguments, *ports)
        assert second.ends() == 2, second.said
        assert "cache" in second.said
