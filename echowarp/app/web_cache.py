"""The file cache at the web door, each client on a thread of its own: disks are slow."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from echowarp.app.cache_store import CacheStore
from echowarp.app.web_files import FIELDS, SNIFF_BYTES, STRANGE_POLICY, sound_type
from echowarp.errors import StorageError
from echowarp.net.unsent import Piece, Unsent
from echowarp.session.file_cache import CacheConnection
from echowarp.wire.file_cache import MAX_MESSAGE_BYTES
from echowarp.wire.http import Request
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_values import content_range, parse_range
from echowarp.wire.http_writer import head, response
from echowarp.wire.websocket import BinaryMessage, Role, TextMessage, WebSocket

log = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
MAX_SERVED = 48
"""Clients of the cache at once, each on a thread."""
MAX_SERVED_PER_ADDRESS = 24
STALL_S = 30.0
"""A client that takes nothing, or says nothing at all, for so long is cut off."""
LINGER_S = 1.0
PING_AFTER_NS = 10 * NS_PER_S
READ_BYTES = 1 << 16
PIECE_BYTES = 1 << 16

Serve = Callable[[socket.socket], None]


def lent(sock: socket.socket, serve: Serve, before: Sequence[Piece]) -> None:
    """All that such a thread does; it closes the socket. before: what is to be sent first."""
    try:
        sock.settimeout(STALL_S)
        # A client that is gone or stands still is no failure of ours.
        with contextlib.suppress(OSError):
            _send(sock, *before)
            serve(sock)
            _end(sock)
    finally:
        sock.close()


def _end(sock: socket.socket) -> None:
    """Ends it so that the client sees all that was sent."""
    sock.settimeout(LINGER_S)
    if isinstance(sock, ssl.SSLSocket):
        with contextlib.suppress(ssl.SSLError, TimeoutError):
            sock.unwrap()
    sock.shutdown(socket.SHUT_WR)
    ends_s = time.monotonic() + LINGER_S
    while time.monotonic() < ends_s and sock.recv(READ_BYTES):
        pass


def serve_socket(store: CacheStore, answer: bytes, rest: bytes) -> Serve:
    """The protocol of the cache. answer: what makes it a WebSocket; rest: what followed the
    request."""

    def serve(sock: socket.socket) -> None:
        now_ns = time.monotonic_ns()
        cache = CacheConnection(store)
        web = WebSocket(
            Role.SERVER,
            max_message_bytes=MAX_MESSAGE_BYTES,
            ping_after_ns=PING_AFTER_NS,
            now_ns=now_ns,
        )
        try:
            _send(sock, answer)
            web.receive(rest, now_ns)
            while True:
                _answer(sock, web, cache)
                if web.closed:
                    return
                _hear(sock, web)
        finally:
            cache.closed()

    return serve


def _hear(sock: socket.socket, web: WebSocket) -> None:
    sock.settimeout(PING_AFTER_NS / NS_PER_S)
    try:
        data = sock.recv(READ_BYTES)
    except TimeoutError:
        web.handle_timeout(time.monotonic_ns())
        return
    finally:
        sock.settimeout(STALL_S)
    if data:
        web.receive(data, time.monotonic_ns())
    else:
        web.receive_eof()


def _answer(sock: socket.socket, web: WebSocket, cache: CacheConnection) -> None:
    for event in web.events():
        if isinstance(event, TextMessage):
            cache.text(event.text)
        elif isinstance(event, BinaryMessage):
            cache.binary(event.data)
    while answers := cache.to_send():
        for each in answers:
            if isinstance(each, str):
                web.send_text(each)
            else:
                web.send_binary(each)
        _send(sock, *web.to_send())
    _send(sock, *web.to_send())


def _send(sock: socket.socket, *pieces: Piece) -> None:
    """Sends all of them. Each step, not the whole, has the socket's time."""
    unsent = Unsent()
    unsent.add(pieces)
    while unsent:
        unsent.send(sock)


def serve_file(store: CacheStore, request: Request, stream: str) -> Serve:
    """A cached file, or the part of it that is wanted."""

    def serve(sock: socket.socket) -> None:
        try:
            _send_file(sock, store, request, stream)
        except HttpError as error:
            _send(sock, _plain(request, error.status, str(error), error.fields))
        except StorageError as error:
            _send(sock, _plain(request, 503, str(error)))

    return serve


def _plain(
    request: Request, status: int, text: str, fields: tuple[tuple[str, str], ...] = ()
) -> bytes:
    kind = ("Content-Type", "text/plain; charset=utf-8")
    whole = (*FIELDS, kind, ("Connection", "close"), *fields)
    return response(status, whole, f"{text}\n".encode(), without_body=request.method == "HEAD")


def _send_file(sock: socket.socket, store: CacheStore, request: Request, stream: str) -> None:
    reader = store.open(stream)
    if reader is None:
        raise HttpError(404, "there is no such file in the cache")
    try:
        tag = f'"{reader.entry.sha256}"'
        kind = sound_type(reader.read(0, min(SNIFF_BYTES, reader.size)) if reader.size else b"")
        fields = [
            *FIELDS,
            ("Content-Security-Policy", STRANGE_POLICY),
            ("Content-Type", kind),
            ("Accept-Ranges", "bytes"),
            ("ETag", tag),
            ("Cache-Control", "private, no-cache"),
            ("Connection", "close"),
        ]
        if "download" in request.query:
            fields.append(("Content-Disposition", f'attachment; filename="{stream}"'))
        if request.headers.get("If-None-Match") == tag:
            _send(sock, head(304, fields))
            return
        changed = request.headers.get("If-Range") not in (None, tag)
        wanted = None if changed else parse_range(request.headers, reader.size)
        if wanted is None:
            status, wanted = 200, range(reader.size)
        else:
            status = 206
            fields.append(("Content-Range", content_range(wanted, reader.size)))
        _send(sock, head(status, fields, body_bytes=len(wanted)))
        at = wanted.start
        while request.method != "HEAD" and at < wanted.stop:
            try:
                piece = reader.read(at, min(PIECE_BYTES, wanted.stop - at))
            except StorageError as error:
                # An answer has begun: only its breaking off can tell that it is not whole.
                raise ConnectionAbortedError from error
            _send(sock, piece)
            at += len(piece)
    finally:
        reader.close()
