"""What is behind each path of the web door."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Protocol

from echowarp.app.cache_store import CacheStore
from echowarp.app.web_cache import (
    MAX_SERVED,
    MAX_SERVED_PER_ADDRESS,
    Serve,
    lent,
    serve_file,
    serve_socket,
)
from echowarp.app.web_exchange import NO_STORE, Exchange
from echowarp.app.web_files import WebFile
from echowarp.app.web_gate import NEEDS_TLS, STRANGE_PAGE, WebGate
from echowarp.app.web_listeners import Listeners
from echowarp.app.web_messages import Hears, Placed, WantPlace
from echowarp.net.web_connection import BytesLike, WebConnection
from echowarp.net.web_server import WebServer
from echowarp.session.address import IpNetwork, network_of
from echowarp.session.admission import Verdict
from echowarp.session.web_login import Access
from echowarp.wire.file_cache import is_id
from echowarp.wire.http import Request
from echowarp.wire.http_target import parse_form
from echowarp.wire.websocket_handshake import accept_websocket, wants_websocket

FORM = "application/x-www-form-urlencoded"
CACHE = "/cache/"
PAGES = {"/": "index.html", "/login": "login.html"}
FAILED = {Verdict.WRONG: "wrong", Verdict.BANNED: "banned", Verdict.BUSY: "busy"}


class Handler(Protocol):
    """Whose a connection is at a time."""

    def received(self, data: bytes, now_ns: int) -> None:
        """Bytes came, b"" at the end."""

    def drained(self) -> None:
        """All is sent."""

    def tick(self, now_ns: int) -> None:
        """Time has passed."""

    def gone(self) -> None:
        """The connection is no more."""


class WebSite:
    """Answers requests, and hands connections to who goes on with them.

    tell: tells the server who wants to listen; failed: told what ended a thread. The
    server's thread owns it.
    """

    def __init__(
        self,
        gate: WebGate,
        files: Mapping[str, WebFile],
        store: CacheStore,
        *,
        tell: Callable[[WantPlace | Hears], None],
        give_back: Callable[[str, str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._gate = gate
        self._files = files
        self._store = store
        self._tell = tell
        self._give_back = give_back
        self._failed = failed
        self._numbers = count(1)
        self._waiting: dict[int, tuple[WebConnection, bytes, bytes]] = {}
        self._served: Counter[IpNetwork] = Counter()
        """By address: how many have a thread."""
        self._connections: dict[WebConnection, Handler] = {}
        self.server: WebServer
        """Whose handler this is; set before it runs."""
        self.listeners: Listeners
        """Those who listen; set before the server runs."""

    # As of WebHandler.

    def opened(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""
        exchange = Exchange(self.server, connection, self._route, now_ns)
        connection.handler = exchange
        self._connections[connection] = exchange

    def received(self, connection: WebConnection, data: bytes, now_ns: int) -> None:
        """As of WebHandler."""
        connection.handler.received(data, now_ns)

    def drained(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""
        connection.handler.drained()

    def closed(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""
        if connection.handler is not None:
            connection.handler.gone()
            del self._connections[connection]

    def tick(self, now_ns: int) -> None:
        """As of WebHandler."""
        self._gate.tick(now_ns)
        for connection in tuple(self._connections):
            connection.handler.tick(now_ns)

    # Routes.

    def _route(self, exchange: Exchange, request: Request, body: bytes, now_ns: int) -> None:
        if not self._gate.is_allowed(exchange, request, now_ns):
            return
        path = request.path
        if wants_websocket(request):
            self._on_socket(exchange, request, now_ns)
        elif path in ("/login", "/logout") and request.method == "POST":
            self._on_form(exchange, request, body, now_ns)
        elif request.method not in ("GET", "HEAD"):
            allowed = ("Allow", "GET, HEAD")
            exchange.say(405, "this cannot be done here", (allowed,), now_ns=now_ns)
        elif path in ("/", "/status") or path.startswith(CACHE):
            guarded = partial(self._on_guarded, exchange, request)
            self._gate.enter(exchange, request, guarded, now_ns)
        elif path in ("/listen", "/audio"):
            accept_websocket(request)
        elif path == "/login":
            self._on_login_page(exchange, request, now_ns)
        else:
            self._send_file(exchange, request, path.removeprefix("/"), now_ns)

    def _on_guarded(self, exchange: Exchange, request: Request, now_ns: int) -> None:
        if request.path == "/":
            self._send_file(exchange, request, PAGES["/"], now_ns)
        elif request.path == "/status":
            status = {
                **self.listeners.status(),
                "listen": self.listeners.is_streaming,
                "password": self._gate.login.wants_password,
                "secure": exchange.connection.is_secure,
            }
            fields = (("Content-Type", "application/json"), NO_STORE)
            exchange.answer(200, fields, json.dumps(status).encode(), now_ns=now_ns)
        else:
            stream = request.path.removeprefix(CACHE)
            if is_id(stream):
                serve = serve_file(self._store, request, stream)
                self._lend(exchange, lambda rest: serve, now_ns)
            else:
                exchange.say(404, "there is no such file in the cache", now_ns=now_ns)

    def _on_login_page(self, exchange: Exchange, request: Request, now_ns: int) -> None:
        access = self._gate.look_at(exchange, "", now_ns)
        if access is Access.GRANTED:
            exchange.say(303, "there is no password", (("Location", "/"),), now_ns=now_ns)
        elif access is Access.NEEDS_TLS:
            self._gate.enter(exchange, request, lambda now_ns: None, now_ns)
        else:
            self._send_file(exchange, request, PAGES["/login"], now_ns)

    def _send_file(self, exchange: Exchange, request: Request, name: str, now_ns: int) -> None:
        file = self._files.get(name)
        if file is None:
            exchange.say(404, "there is nothing here", now_ns=now_ns)
            return
        fields = (("ETag", file.tag), ("Cache-Control", "no-cache"))
        if request.headers.get("If-None-Match") == file.tag:
            exchange.answer(304, fields, now_ns=now_ns)
        else:
            kind = ("Content-Type", file.type)
            exchange.answer(200, (kind, *fields), file.content, now_ns=now_ns)

    def _on_form(self, exchange: Exchange, request: Request, body: bytes, now_ns: int) -> None:
        if not self._gate.is_own(exchange, request):
            exchange.say(403, STRANGE_PAGE, now_ns=now_ns)
            return
        if request.path == "/logout":
            token = self._gate.token_of(exchange, request)
            if token is not None:
                self._gate.login.end(token)
            fields = (("Location", "/login"), self._gate.cookie(exchange, ""))
            exchange.say(303, "you are logged out", fields, now_ns=now_ns)
            return
        kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != FORM:
            exchange.say(415, f"a form is wanted: {FORM}", now_ns=now_ns)
            return
        password = parse_form(body.decode("latin-1")).get("password", "")
        access = self._gate.look_at(exchange, password, now_ns)
        if access is Access.GRANTED:
            exchange.say(303, "there is no password", (("Location", "/"),), now_ns=now_ns)
        elif access is Access.NEEDS_TLS:
            exchange.say(403, NEEDS_TLS, now_ns=now_ns)
        else:
            self._gate.judge(exchange, self._on_login, right=access is Access.RIGHT)

    def _on_login(self, exchange: Exchange, verdict: Verdict, now_ns: int) -> None:
        if verdict is Verdict.RIGHT:
            cookie = self._gate.cookie(exchange, self._gate.login.begin(now_ns))
            exchange.say(303, "you are logged in", (("Location", "/"), cookie), now_ns=now_ns)
        else:
            back = ("Location", f"/login?failed={FAILED[verdict]}")
            exchange.say(303, "you are not logged in", (back,), now_ns=now_ns)

    # WebSockets, and what is served on other threads.

    def _on_socket(self, exchange: Exchange, request: Request, now_ns: int) -> None:
        if request.path not in ("/listen", "/audio"):
            exchange.say(404, "there is no WebSocket here", now_ns=now_ns)
        elif not self._gate.is_own(exchange, request):
            exchange.say(403, STRANGE_PAGE, now_ns=now_ns)
        else:
            answer = accept_websocket(request)
            entered = partial(self._on_entered, exchange, request, answer)
            self._gate.enter(exchange, request, entered, now_ns)

    def _on_entered(self, exchange: Exchange, request: Request, answer: bytes, now_ns: int) -> None:
        if request.path == "/listen":
            number, connection = next(self._numbers), exchange.connection
            self._waiting[number] = (connection, answer, exchange.take_rest())
            connection.is_read = False
            self._tell(WantPlace(number, connection.host))
        else:
            serve = partial(serve_socket, self._store, answer)
            self._lend(exchange, serve, now_ns)

    def on_placed(self, placed: Placed, now_ns: int) -> None:
        """The server has said whether somebody may listen."""
        connection, answer, rest = self._waiting.pop(placed.number)
        if connection.is_closing:
            if placed.granted:
                self._give_back(connection.host, "it left before it heard anything")
        elif placed.granted:
            self.listeners.admit(connection, answer, rest, now_ns)
            self._tell(Hears())
        else:
            self.listeners.refuse(connection, answer, now_ns)

    def _lend(self, exchange: Exchange, serve: Callable[[bytes], Serve], now_ns: int) -> None:
        """Serves it on a thread of its own. serve: made with what followed the request."""
        own = network_of(exchange.connection.host)
        if self._served.total() >= MAX_SERVED or self._served[own] >= MAX_SERVED_PER_ADDRESS:
            later = ("Retry-After", "5")
            exchange.say(503, "too many use the cache: try again", (later,), now_ns=now_ns)
            return
        connection, rest = exchange.connection, exchange.take_rest()
        before = connection.take_unsent()
        sock = self.server.lend(connection)
        self._served[own] += 1
        name = f"cache for {connection.host}"
        work = partial(self._on_thread, connection, own, sock, serve(rest), before)
        threading.Thread(target=work, name=name, daemon=True).start()

    def _on_thread(
        self,
        connection: WebConnection,
        own: IpNetwork,
        sock: socket.socket,
        serve: Serve,
        before: list[BytesLike],
    ) -> None:
        def done(now_ns: int) -> None:
            self._served -= Counter([own])
            self.server.give_back(connection)

        try:
            lent(sock, serve, before)
        except Exception as error:
            self._failed(error)
        finally:
            self.server.post(done)
