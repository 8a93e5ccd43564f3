from __future__ import annotations

import socket

from echowarp.app.web_listener import MAX_UNSENT_BYTES, Listener, text_frame
from echowarp.net.web_connection import Phase, WebConnection
from echowarp.net.web_server import WebServer
from tests.processes import LOOPBACK


class Dropping(WebServer):
    """A server that has no sockets, and remembers whom it let go."""

    def __init__(self) -> None:
        self.dropped: list[WebConnection] = []

    def touch(self, connection: WebConnection) -> None:
        """As of WebServer."""

    def drop(self, connection: WebConnection) -> None:
        """As of WebServer."""
        self.dropped.append(connection)


def test_one_that_takes_less_than_it_must_be_told() -> None:
    """Blocks are dropped, words are not: one for whom too many wait is let go."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server, connection = Dropping(), WebConnection(ours, LOOPBACK, 0)
        connection.to(Phase.OPEN)
        listener = Listener(server, connection, lambda listener, how: None, 0)
        word = text_frame({"type": "status", "server": "x" * 1000})
        for _ in range(MAX_UNSENT_BYTES // len(word) - 20):
            listener.hear(bytes(1000), 8)
            listener.tell(word)
            assert not server.dropped
        for _ in range(40):
            listener.tell(word)
        assert server.dropped
        assert connection.unsent_bytes < MAX_UNSENT_BYTES + 41 * len(word)


def test_the_last_blocks_come_before_the_word_that_they_are_the_last() -> None:
    """However slow the page: nothing follows for which one would have to make room."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server, connection = Dropping(), WebConnection(ours, LOOPBACK, 0)
        connection.to(Phase.OPEN)
        listener = Listener(server, connection, lambda listener, how: None, 0)
        blocks = [bytes([n]) * 4000 for n in range(200)]
        for block in blocks:
            listener.hear(block, len(blocks))
        end, word = text_frame({"type": "end"}), text_frame({"type": "status"})
        listener.tell_last(end)
        listener.tell(word)
        listener.tell_last(word)
        assert b"".join(connection.take_unsent()) == b"".join(blocks) + end + word + word
        assert not server.dropped
