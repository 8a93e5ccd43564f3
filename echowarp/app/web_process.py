"""The process of the web door: all that browsers and cache clients talk to."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time

from echowarp.app.cache_store import CacheStore
from echowarp.app.interpreter import make_ready
from echowarp.app.process_link import READ_BYTES, Failed, Ready, Unpacker, pack
from echowarp.app.web_certificate import Renewals
from echowarp.app.web_files import load_files
from echowarp.app.web_gate import WebGate
from echowarp.app.web_listeners import Listeners
from echowarp.app.web_messages import (
    Ban,
    Bans,
    BlockCutter,
    DoorNews,
    DoorOrder,
    DoorSaid,
    Figures,
    FreePlace,
    Judged,
    Placed,
    Plan,
    StreamEnded,
    Streaming,
    WantFigures,
)
from echowarp.app.web_site import WebSite
from echowarp.errors import EchoWarpError
from echowarp.media.format import NS_PER_S
from echowarp.net.web_seams import WebLimits
from echowarp.net.web_server import WebServer
from echowarp.session.address import network_of
from echowarp.session.web_login import WebLogin

FIGURES_EVERY_S = 1.0
EXPIRE_EVERY_S = 60.0
SPARE_CONNECTIONS, SPARE_PER_ADDRESS = 448, 64
"""Besides those of listeners."""


def run_web(
    link: socket.socket, sound: socket.socket, sockets: tuple[socket.socket, ...], plan: Plan
) -> None:
    """All that the process runs. It ends when `link` does."""
    # Who wants the server to stop tells its whole group or terminal; it ends us.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    make_ready()
    teller = Teller(link)
    set_up_logging(teller, verbose=plan.verbose)
    try:
        WebProcess(teller, link, sound, sockets, plan).run()
    except ConnectionError:
        # The server is no more.
        return
    except EchoWarpError as error:
        teller.tell(Failed(str(error), error.exit_status))
    except Exception as error:
        teller.tell(Failed(f"{type(error).__name__}: {error}"))


class Teller:
    """Tells the server things. From any thread."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.Lock()

    def tell(self, news: DoorNews | Ready | Failed) -> None:
        """Sends it. Nothing when the server is no more, which is noticed elsewhere."""
        frame = pack(news)
        try:
            with self._lock:
                self._link.sendall(frame)
        except OSError:
            return


class _ToServer(logging.Handler):
    """Log lines go where the server's go."""

    def __init__(self, teller: Teller) -> None:
        super().__init__()
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        self._teller.tell(DoorSaid(record.levelno, record.getMessage()))


def set_up_logging(teller: Teller, *, verbose: bool) -> None:
    """Has this process's log written by the server."""
    logger = logging.getLogger("echowarp")
    logger.handlers = [_ToServer(teller)]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


class WebProcess:
    """Composes the door. Raises EchoWarpError when it cannot be opened."""

    def __init__(
        self,
        teller: Teller,
        link: socket.socket,
        sound: socket.socket,
        sockets: tuple[socket.socket, ...],
        plan: Plan,
    ) -> None:
        self._teller = teller
        self._link = link
        self._sound = sound
        self._unpacker = Unpacker()
        self._cutter = BlockCutter()
        self._error: BaseException | None = None
        self._figures_due_s = 0.0
        self._expire_due_s = 0.0
        self._store = CacheStore(
            plan.cache_dir,
            max_bytes=plan.cache_max_bytes,
            ttl_s=plan.cache_ttl_s,
            now_s=time.time,
        )
        self._gate = WebGate(
            WebLogin(plan.prs, random_bytes=os.urandom),
            teller.tell,
            names=frozenset(plan.certificate.facts.hosts),
            port=sockets[0].getsockname()[1],
        )
        self._site = WebSite(
            self._gate,
            load_files(),
            self._store,
            tell=teller.tell,
            give_back=lambda host, detail: teller.tell(FreePlace(host, detail)),
            failed=self._fail,
        )
        self._renewals = Renewals(plan.certificate)
        self._server = WebServer(
            sockets,
            self._site,
            context=plan.certificate.context(),
            group=network_of,
            limits=WebLimits(
                connections=SPARE_CONNECTIONS + 2 * plan.max_clients,
                per_address=SPARE_PER_ADDRESS + plan.max_clients,
            ),
            on_look=self._on_look,
        )
        self._listeners = Listeners(
            self._server, plan.name, lambda host, how: teller.tell(FreePlace(host, how))
        )
        self._site.server, self._site.listeners = self._server, self._listeners

    def run(self) -> None:
        """Serves until the server is done with it, or no more."""
        self._server.attend(self._link, self._on_link)
        self._server.attend(self._sound, self._on_sound)
        self._teller.tell(Ready())
        try:
            self._server.run()
        finally:
            self._store.close()
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        """A thread has failed, and with it all of this."""
        self._error = error
        self._server.stop()

    def _on_look(self, now_ns: int) -> None:
        now_s = now_ns / NS_PER_S
        if now_s >= self._figures_due_s:
            self._figures_due_s = now_s + FIGURES_EVERY_S
            self._teller.tell(WantFigures())
            self._server.context = self._renewals.look() or self._server.context
        if now_s >= self._expire_due_s:
            self._expire_due_s = now_s + EXPIRE_EVERY_S
            threading.Thread(target=self._expire, name="cache", daemon=True).start()

    def _expire(self) -> None:
        try:
            self._store.expire()
        except Exception as error:
            self._fail(error)

    def _on_link(self) -> None:
        data = _read(self._link)
        if data is None:
            return
        if not data:
            self._server.forsake(self._link)
            self._listeners.say_goodbye(time.monotonic_ns())
            self._server.stop()
            return
        now_ns = time.monotonic_ns()
        for order in self._unpacker.feed(data):
            self._obey(order, now_ns)

    def _obey(self, order: DoorOrder, now_ns: int) -> None:
        if isinstance(order, Judged):
            self._gate.on_judged(order, now_ns)
        elif isinstance(order, Placed):
            self._site.on_placed(order, now_ns)
        elif isinstance(order, Figures):
            self._listeners.figures(order)
        elif isinstance(order, Streaming):
            self._listeners.streaming(order)
        elif isinstance(order, StreamEnded):
            # Its last blocks come by the other way, and were sent before.
            while self._hear():
                pass
            self._listeners.ended(order)
        elif isinstance(order, Bans):
            self._gate.bans = order.bans
        elif isinstance(order, Ban):
            self._gate.bans.add(order.network)

    def _on_sound(self) -> None:
        if self._hear() == b"":
            self._server.forsake(self._sound)

    def _hear(self) -> bytes | None:
        """Passes on what has come of the sound, and gives it as `_read` does."""
        data = _read(self._sound)
        if data:
            now_ns = time.monotonic_ns()
            for block in self._cutter.feed(data):
                self._listeners.block(block, now_ns)
        return data


def _read(sock: socket.socket) -> bytes | None:
    """What has come, without waiting; b"" at the end, None when there is nothing."""
    if not select.select([sock], [], [], 0)[0]:
        return None
    try:
        return sock.recv(READ_BYTES)
    except OSError:
        return b""
