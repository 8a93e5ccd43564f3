"""Those who listen in browsers: the stream's blocks, its clock, and how the server stands.

Each gets the same frames, made once. One that does not keep up loses whole blocks, the
oldest first, which their numbers show.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from echowarp.app.web_listener import NS_PER_MS, Listener, text_frame
from echowarp.app.web_messages import Figures, SoundBlock, StreamEnded, Streaming
from echowarp.media.format import NS_PER_S
from echowarp.net.web_connection import WebConnection
from echowarp.net.web_server import WebServer
from echowarp.wire.serial import wrap
from echowarp.wire.websocket_frames import CloseCode, Opcode, pack_head

ANCHOR_EVERY_NS = NS_PER_S
QUEUE_NS = NS_PER_S
"""How much sound waits for one listener at most."""
KERNEL_BUFFER_BYTES = 64 * 1024
FULL = "the server is full: try again later"
GOODBYE = "the server has closed"

_HEAD = struct.Struct("!IIQ")


class Listeners:
    """All of them. free: gives the place of one back, with how it was. The server's thread
    owns it."""

    def __init__(self, server: WebServer, name: str, free: Callable[[str, str], None]) -> None:
        self._server = server
        self._name = name
        self._free = free
        self._all: dict[Listener, None] = {}
        self._stream: Streaming | None = None
        self._ended: StreamEnded | None = None
        self._most = 1
        self._anchor_due_ns = 0
        self._figures: Figures | None = None

    def admit(self, connection: WebConnection, answer: bytes, rest: bytes, now_ns: int) -> None:
        """One more has a place. answer: what makes it a WebSocket; rest: what it has said
        since."""
        with contextlib.suppress(OSError):
            # Sound that waits in the kernel cannot be dropped any more.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        listener = Listener(self._server, connection, self._on_left, now_ns)
        connection.handler = listener
        connection.is_idle, connection.is_read = False, True
        connection.deadline_ns = None
        connection.send(answer)
        self._all[listener] = None
        if self._figures is not None:
            listener.tell(text_frame(self.status()))
        if self._stream is not None:
            listener.tell(text_frame(self._stream_message(self._stream)))
        if self._ended is not None:
            listener.tell(text_frame(_end_message(self._ended)))
        if rest:
            listener.received(rest, now_ns)
        self._server.touch(connection)

    def refuse(self, connection: WebConnection, answer: bytes, now_ns: int) -> None:
        """There is no place."""
        listener = Listener(self._server, connection, lambda listener, how: None, now_ns)
        connection.handler = listener
        connection.is_idle, connection.is_read = True, True
        connection.send(answer)
        message = {"type": "full", "message": FULL}
        listener.say_goodbye(CloseCode.TRY_LATER, message, now_ns)

    def _on_left(self, listener: Listener, how: str) -> None:
        if self._all.pop(listener, self) is None:
            self._free(listener.connection.host, how)

    def block(self, block: SoundBlock, now_ns: int) -> None:
        """The next block of the stream."""
        if self._stream is None or not self._all:
            return
        body = _HEAD.pack(self._stream.stream, wrap(block.seq), block.time) + block.payload
        frame = pack_head(Opcode.BINARY, len(body)) + body
        due = now_ns >= self._anchor_due_ns
        if due:
            self._anchor_due_ns = now_ns + ANCHOR_EVERY_NS
        for listener in tuple(self._all):
            if due or listener.wants_anchor:
                listener.wants_anchor = False
                listener.tell(_anchor(self._stream.stream, block))
            listener.hear(frame, self._most)

    def streaming(self, stream: Streaming) -> None:
        """There is a stream."""
        self._stream, self._ended = stream, None
        self._most = max(1, QUEUE_NS // stream.fmt.block_ns)
        self._tell_all(self._stream_message(stream))

    def ended(self, ended: StreamEnded) -> None:
        """There is no stream, or none any more."""
        self._ended = ended
        frame = text_frame(_end_message(ended))
        for listener in tuple(self._all):
            listener.tell_last(frame)

    def figures(self, figures: Figures) -> None:
        """How the server stands now."""
        self._figures = figures
        self._tell_all(self.status())

    def status(self) -> dict[str, Any]:
        """That as the page is told."""
        figures = self._figures
        return {
            "type": "status",
            "server": self._name,
            "listeners": (0 if figures is None else figures.listeners) + len(self._all),
            "webListeners": len(self._all),
            "talkers": 0 if figures is None else figures.talkers,
            "source": None if figures is None else figures.source,
            "levelDb": None if figures is None else figures.level_db,
            "uptimeS": 0 if figures is None else figures.uptime_s,
        }

    @property
    def is_streaming(self) -> bool:
        """Whether there is something to be heard."""
        return self._stream is not None and self._ended is None

    def say_goodbye(self, now_ns: int) -> None:
        """The server closes."""
        for listener in tuple(self._all):
            message = {"type": "goodbye", "message": GOODBYE}
            listener.say_goodbye(CloseCode.GOING_AWAY, message, now_ns)

    def _tell_all(self, message: Mapping[str, Any]) -> None:
        frame = text_frame(message)
        for listener in tuple(self._all):
            listener.tell(frame)

    def _stream_message(self, stream: Streaming) -> dict[str, Any]:
        fmt = stream.fmt
        return {
            "type": "stream",
            "stream": stream.stream,
            "rate": fmt.rate,
            "channels": fmt.channels,
            "blockFrames": fmt.block_frames,
            "blockMs": fmt.block_ns / NS_PER_MS,
        }


def _end_message(ended: StreamEnded) -> dict[str, Any]:
    return {"type": "end", "stream": ended.stream, "reason": ended.reason}


def _anchor(stream: int, block: SoundBlock) -> bytes:
    captured_ms = block.captured_ns / NS_PER_MS
    return text_frame(
        {"type": "anchor", "stream": stream, "time": block.time, "capturedMs": captured_ms}
    )
