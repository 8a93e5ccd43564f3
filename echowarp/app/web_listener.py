"""One page that listens: what it is sent, what it says, and what it misses."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from echowarp.media.format import NS_PER_S
from echowarp.net.web_connection import WebConnection
from echowarp.net.web_server import WebServer
from echowarp.wire.websocket import Closed, Role, State, TextMessage, WebSocket
from echowarp.wire.websocket_frames import CloseCode, Opcode, pack_head

MAX_MESSAGE_BYTES = 4096
PING_AFTER_NS = 20 * NS_PER_S
IN_HAND_BYTES = 8 * 1024
"""What is given to the socket at once: all that is beyond can still be dropped."""
MAX_ANSWERS_BYTES = 64 * 1024
"""A page that asks and does not read is not read either."""
MAX_UNSENT_BYTES = 256 * 1024
"""A page that takes less than what cannot be dropped is let go. The last blocks of a stream
come on top."""
NS_PER_MS = 1_000_000


def text_frame(message: Mapping[str, Any]) -> bytes:
    """A message as a frame that goes to everybody."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return pack_head(Opcode.TEXT, len(body)) + body


class Listener:
    """One page that listens. left: called once when it is over, with how it was."""

    def __init__(
        self,
        server: WebServer,
        connection: WebConnection,
        left: Callable[[Listener, str], None],
        now_ns: int,
    ) -> None:
        self.connection = connection
        self.wants_anchor = True
        """Whether it does not know yet when a block was captured."""
        self._server = server
        self._left = left
        self._socket = WebSocket(
            Role.SERVER,
            max_message_bytes=MAX_MESSAGE_BYTES,
            ping_after_ns=PING_AFTER_NS,
            now_ns=now_ns,
        )
        self._blocks: deque[bytes] = deque()
        self._most_unsent_bytes = MAX_UNSENT_BYTES
        self._dropped = 0
        self._report = ""
        self._over = False

    def received(self, data: bytes, now_ns: int) -> None:
        """Bytes came, b"" at the end."""
        if data:
            self._socket.receive(data, now_ns)
        else:
            self._socket.receive_eof()
        for event in self._socket.events():
            if isinstance(event, TextMessage):
                self._on_text(event.text, now_ns)
            elif isinstance(event, Closed):
                self._leave("it left" if event.clean else event.reason)
        self._pump()

    def _on_text(self, text: str, now_ns: int) -> None:
        try:
            message = json.loads(text)
            kind = message["type"]
            if kind == "clock":
                asked_ms = float(message["t1"])
                at_ms = now_ns / NS_PER_MS
                answer = {"type": "clock", "t1": asked_ms, "t2": at_ms}
                answer["t3"] = time.monotonic_ns() / NS_PER_MS
                self._socket.send_text(json.dumps(answer, allow_nan=False))
            elif kind == "report":
                delay, lost = float(message["delayMs"]), float(message["lossPercent"])
                self._report = f", {delay:.0f} ms behind, {lost:.1f} % lost"
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            self._socket.close(now_ns, CloseCode.PROTOCOL, "a message that is not understood")

    def tell(self, frame: bytes) -> None:
        """Sends a frame, after what is in hand and before blocks that wait."""
        if not self._over and self._socket.state is State.OPEN:
            self.connection.send(frame)
            self._server.touch(self.connection)
            if self.connection.unsent_bytes > self._most_unsent_bytes:
                self._server.drop(self.connection)

    def tell_last(self, frame: bytes) -> None:
        """Sends a frame after all blocks that wait: as none follow, none has to make room."""
        if self._socket.state is State.OPEN:
            self.connection.send(*self._blocks)
            self._most_unsent_bytes = MAX_UNSENT_BYTES + self.connection.unsent_bytes
            self.tell(frame)
        self._blocks.clear()

    def hear(self, frame: bytes, most: int) -> None:
        """The next block, of which `most` may wait."""
        if self._socket.state is not State.OPEN:
            return
        self._blocks.append(frame)
        while len(self._blocks) > most:
            self._blocks.popleft()
            self._dropped += 1
        self._pump()

    def drained(self) -> None:
        """All that was in hand is sent."""
        self.connection.is_read = True
        self._pump()

    def _pump(self) -> None:
        connection = self.connection
        if self._socket.queued_bytes:
            connection.send(*self._socket.to_send())
        while self._blocks and connection.unsent_bytes < IN_HAND_BYTES:
            connection.send(self._blocks.popleft())
        if connection.unsent_bytes > MAX_ANSWERS_BYTES:
            connection.is_read = False
        if self._socket.closed:
            connection.close_when_sent()
        self._server.touch(connection)

    def say_goodbye(self, code: int, message: Mapping[str, Any], now_ns: int) -> None:
        """Tells why and closes, when what is queued is out."""
        self.tell_last(text_frame(message))
        self._socket.close(now_ns, code, str(message["message"]))
        self._pump()

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        self._socket.handle_timeout(now_ns)
        self.received_nothing()

    def received_nothing(self) -> None:
        """Carries out what the passing of time has led to."""
        for event in self._socket.events():
            if isinstance(event, Closed):
                self._leave(event.reason)
        if self._socket.queued_bytes or self._socket.closed:
            self._pump()

    def gone(self) -> None:
        """The connection is no more."""
        self._leave("the connection was lost")

    def _leave(self, how: str) -> None:
        if not self._over:
            self._over = True
            self._blocks.clear()
            dropped = f", {self._dropped} blocks dropped" if self._dropped else ""
            self._left(self, f"{how}{self._report}{dropped}")
