"""A process of ours as the server holds it: its start, its end, and the socket between."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any

from echowarp.app.process_link import READ_BYTES, Failed, Ready, Unpacker
from echowarp.errors import EchoWarpError

START_S = 20.0
"""A busy machine may take seconds to start an interpreter."""
GOODBYE_S = 0.5
"""How long one may take to end once it is told to."""


class ChildProcess:
    """A process that was started. Raises EchoWarpError when the system starts none.

    run: all that it runs, called with its end of the link and then with `arguments`;
    name: what it is called. Its news are read by one thread, its link is written by
    another.
    """

    def __init__(
        self, run: Callable[..., None], arguments: tuple[object, ...], *, name: str
    ) -> None:
        self.failure = "it has ended"
        """Why its news ended."""
        self.exit_status = 1
        """What an end by that is to the user."""
        try:
            self.link, theirs = socket.socketpair()
        except OSError as error:
            raise EchoWarpError(f"no socket to reach it by: {error}") from error
        self.link.setblocking(False)
        # An interpreter of its own on every system: a fork would take locks and keys along.
        self._process = multiprocessing.get_context("spawn").Process(
            target=run, args=(theirs, *arguments), name=name, daemon=True
        )
        try:
            with theirs, _signals_held():
                self._process.start()
        except OSError as error:
            self.link.close()
            raise EchoWarpError(f"it cannot be started: {error}") from error

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def news(self, stop: socket.socket) -> Iterator[Any]:
        """What it tells, until it ends. It is told to end when `stop` becomes readable,
        and given up when that, or its beginning, takes too long."""
        unpacker = Unpacker()
        waited: list[socket.socket | int] = [self.link, self._process.sentinel, stop]
        deadline_s: float | None = time.monotonic() + START_S
        while True:
            patience_s = None if deadline_s is None else max(0, deadline_s - time.monotonic())
            happened = wait(waited, patience_s)
            if not happened:
                self.failure = "it did not begin in time"
                self.kill()
                return
            if stop in happened:
                waited.remove(stop)
                deadline_s = time.monotonic() + GOODBYE_S
                with contextlib.suppress(OSError):
                    self.link.shutdown(socket.SHUT_WR)
                continue
            data = self._read() if self.link in happened else b""
            if not data:
                return
            for news in unpacker.feed(data):
                if isinstance(news, Failed):
                    self.failure, self.exit_status = news.text, news.exit_status
                elif isinstance(news, Ready):
                    deadline_s = None
                yield news

    def _read(self) -> bytes:
        try:
            return self.link.recv(READ_BYTES)
        except OSError:
            return b""

    def kill(self) -> None:
        """Ends it whatever it does. From any thread."""
        self._process.kill()

    def end(self) -> None:
        """Returns when it is no more, whatever it does."""
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_WR)
        self._process.join(GOODBYE_S)
        self.kill()
        self._process.join()
        self.link.close()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Keeps Ctrl+C, which goes to all processes of a terminal, from one that has not
    begun to ignore it. It inherits what this thread holds back."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # Where it starts by itself, it lets these signals through again.
    resource_tracker.ensure_running()
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
