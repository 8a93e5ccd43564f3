"""Servers of the file cache for tests of its client: ours, and such as others have.

    python -m tests.cache_server FOLDER PORT

They speak through our WebSocket, a thread for each connection, and need nothing of the
program's own server.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from echowarp.app.cache_store import CacheStore
from echowarp.session.file_cache import CacheConnection
from echowarp.wire.file_cache import MAX_MESSAGE_BYTES
from echowarp.wire.http import RequestReader
from echowarp.wire.http_values import basic_credentials
from echowarp.wire.http_writer import response
from echowarp.wire.websocket import BinaryMessage, Closed, Role, TextMessage, WebSocket
from echowarp.wire.websocket_handshake import accept_websocket

READ_BYTES = 1 << 16


class Connection(Protocol):
    """What answers one client."""

    def text(self, message: str) -> None: ...
    def binary(self, data: bytes) -> None: ...
    def to_send(self) -> list[str | bytes]: ...
    def closed(self) -> None: ...


class CacheServer:
    """Listens on loopback until closed. connect: what answers the next client; password:
    that it wants; port: 0 for a free one; tls: its certificate."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        password: str | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connect = connect
        self._password = password
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = self._listening.getsockname()[1]
        self.uri = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{self.port}/audio"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Ends it and all connections. Idempotent."""
        for each in (self._listening, *self.open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                each.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            rest = self._shake_hands(sock)
            if rest is not None:
                self._answer(sock, rest)
        except OSError:
            pass
        finally:
            sock.close()

    def _shake_hands(self, sock: socket.socket) -> bytes | None:
        reader = RequestReader(time.monotonic_ns(), max_body_bytes=0)
        while (request := reader.next_request()) is None:
            data = sock.recv(READ_BYTES)
            if not data:
                return None
            reader.receive(data, time.monotonic_ns())
        given = basic_credentials(request.headers)
        if self._password is not None and (given is None or given[1] != self._password):
            sock.sendall(response(401, (("Connection", "close"),)))
            return None
        if request.path != "/audio":
            sock.sendall(response(404, (("Connection", "close"),)))
            return None
        sock.sendall(accept_websocket(request))
        return reader.take_rest()

    def _answer(self, sock: socket.socket, data: bytes) -> None:
        ws = WebSocket(Role.SERVER, max_message_bytes=MAX_MESSAGE_BYTES)
        connection = self._connect()
        try:
            while True:
                ws.receive(data, time.monotonic_ns())
                over = False
                for event in ws.events():
                    if isinstance(event, TextMessage):
                        connection.text(event.text)
                    elif isinstance(event, BinaryMessage):
                        connection.binary(event.data)
                    over = over or isinstance(event, Closed)
                while frames := connection.to_send():
                    for frame in frames:
                        if isinstance(frame, str):
                            ws.send_text(frame)
                        else:
                            ws.send_binary(frame)
                    _send(sock, ws)
                _send(sock, ws)
                if over or not (data := sock.recv(READ_BYTES)):
                    return
        finally:
            connection.closed()


def _send(sock: socket.socket, ws: WebSocket) -> None:
    pieces = ws.to_send()
    if isinstance(sock, ssl.SSLSocket):
        sock.sendall(b"".join(pieces))
        return
    while pieces:
        sent = sock.sendmsg(pieces[:512])
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if sent:
            pieces[0] = memoryview(pieces[0])[sent:]


class Foreign:
    """Somebody else's server: knows capitals alone and no listing, gives at most so many
    bytes at once, and its files are in memory.

    quiet: does not answer what it does not know; empty_end: answers with nothing past the
    end; spoiled: what it gives back is not what it was given.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        *,
        at_most: int = 8192,
        quiet: bool = False,
        leaves: bool = False,
        empty_end: bool = False,
        spoiled: bool = False,
    ) -> None:
        self._files = files
        self._at_most = at_most
        self._quiet = quiet
        self._leaves = leaves
        self._empty_end = empty_end
        self._spoiled = spoiled
        self._coming: list[bytes] = []
        self._frames: list[str | bytes] = []

    def text(self, message: str) -> None:
        asked = json.loads(message)
        kind, name = asked["type"], asked.get("streamId")
        if kind == "START":
            self._coming = []
            self._say("STARTED", name)
        elif kind == "STOP":
            self._files[name] = b"".join(self._coming)
            self._say("STOPPED", name)
        elif kind == "GET":
            self._get(asked)
        elif self._leaves:
            raise OSError("a type that it does not know")
        elif not self._quiet:
            self._say("ERROR", name)

    def _get(self, asked: Any) -> None:
        data, at = self._files.get(asked["streamId"]), asked["offset"]
        if data is None or (at >= len(data) and not self._empty_end):
            self._say("ERROR", asked["streamId"])
            return
        piece = data[at : at + min(asked["length"], self._at_most)]
        self._frames.append(bytes(len(piece)) if self._spoiled else piece)

    def _say(self, kind: str, name: str | None) -> None:
        self._frames.append(json.dumps({"type": kind, "streamId": name, "message": "so be it"}))

    def binary(self, data: bytes) -> None:
        self._coming.append(data)

    def to_send(self) -> list[str | bytes]:
        frames, self._frames = self._frames, []
        return frames

    def closed(self) -> None:
        pass


def main() -> None:
    """Serves a store until it is killed."""
    folder, port = sys.argv[1:]
    store = CacheStore(folder, max_bytes=None, ttl_s=None, now_s=time.time)
    server = CacheServer(lambda: CacheConnection(store), port=int(port))
    print(f"ready on {server.port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
