"""Runs the switchboard of a server without a source, on the thread that receives.

What comes goes on without passing a second thread, which would cost more than all the
rest of a forwarded packet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue

from echowarp.app.sender import SessionCommand
from echowarp.app.switchboard import Incoming, Switchboard, TalkCommand
from echowarp.session.gate import Accepted, Feedback


class RelayHost:
    """Owns a switchboard. wake: makes the thread that receives take its turn."""

    def __init__(self, switchboard: Switchboard, wake: Callable[[], None]) -> None:
        self._switchboard = switchboard
        self._wake = wake
        self._queue: SimpleQueue[SessionCommand | TalkCommand] = SimpleQueue()

    def post(self, command: SessionCommand | TalkCommand) -> None:
        """Hands it something to do. From any thread."""
        self._queue.put(command)
        self._wake()

    def timeout_ns(self) -> int | None:
        """When `turn` wants to be called though nothing has come, or None."""
        return self._switchboard.timeout_ns()

    def turn(self, datagrams: Sequence[Accepted], feedback: Iterable[Feedback]) -> None:
        """Does what was posted, then passes on what came, then what is due."""
        board = self._switchboard
        while not self._queue.empty():
            board.obey(self._queue.get())
        if datagrams:
            board.obey(Incoming(datagrams))
        for each in feedback:
            board.obey(each)
        due_ns = board.timeout_ns()
        if due_ns is not None and time.monotonic_ns() >= due_ns:
            board.handle_timeout()
