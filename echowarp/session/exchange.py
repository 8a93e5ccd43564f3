"""The key exchange of one connection: frames in, frames and keys out.

Source: protocol 1, section 3. Nothing here knows of time or of states; what may
come when is said in `server_connection` and `client_session`.
"""

from __future__ import annotations

from collections.abc import Callable

from echowarp.crypto import cpace
from echowarp.crypto.schedule import (
    AD_CLIENT,
    AD_SERVER,
    CHANNEL_ID,
    KeySchedule,
    SessionKeys,
    tags_equal,
)
from echowarp.wire import handshake as frames

SCALAR_BYTES = 32

RandomBytes = Callable[[int], bytes]


class _Side:
    """What both ends have in common: a private scalar and a generator from the password."""

    def __init__(self, prs: bytes, sid: bytes, random_bytes: RandomBytes) -> None:
        generator = cpace.calculate_generator(prs, CHANNEL_ID, sid, random_bytes)
        self._sid = sid
        self._private = random_bytes(SCALAR_BYTES)
        self.public = cpace.public_key(self._private, generator)

    def session_key(self, ya: bytes, yb: bytes, theirs: bytes) -> bytes:
        shared = cpace.shared_secret(self._private, theirs)
        return cpace.intermediate_session_key(self._sid, shared, ya, AD_CLIENT, yb, AD_SERVER)


class ServerExchange:
    """The server's half (responder B).

    Reading HELLO makes REPLY; after that `confirmed` checks the client's tag.
    """

    def __init__(self, *, prs: bytes, greeting: bytes, random_bytes: RandomBytes) -> None:
        self._prs = prs
        self._greeting = greeting
        self._random_bytes = random_bytes
        self._schedule: KeySchedule | None = None

    def reply(self, hello_frame: bytes) -> bytes:
        """Message 3. Raises ProtocolError when the client's share is of low order."""
        hello = frames.parse_hello(hello_frame)
        nonce = self._greeting[-frames.NONCE_BYTES :]
        side = _Side(self._prs, nonce + hello.nonce, self._random_bytes)
        isk = side.session_key(hello.public, side.public, hello.public)
        reply = frames.pack_reply(side.public)
        self._schedule = KeySchedule(isk, self._greeting, hello_frame, reply)
        return reply

    def confirmed(self, confirm_frame: bytes) -> bool:
        """Whether message 4 proves that the client has the password."""
        tag = frames.frame_body(confirm_frame)
        return tags_equal(tag, self._finished().confirm_client())

    def accept(self) -> bytes:
        """Message 5."""
        return frames.pack_accept(self._finished().confirm_server())

    def keys(self) -> SessionKeys:
        """The keys of the session."""
        return self._finished().keys()

    def _finished(self) -> KeySchedule:
        assert self._schedule is not None, "the exchange has not been answered yet"
        return self._schedule


class ClientExchange:
    """The client's half (initiator A), made from the server's GREETING frame."""

    def __init__(self, *, prs: bytes, greeting: bytes, random_bytes: RandomBytes) -> None:
        server_nonce = frames.parse_greeting(greeting).nonce
        nonce = random_bytes(frames.NONCE_BYTES)
        self._side = _Side(prs, server_nonce + nonce, random_bytes)
        self._greeting = greeting
        hello = frames.Hello(version=frames.VERSION, nonce=nonce, public=self._side.public)
        self.hello = frames.pack_hello(hello)
        self._schedule: KeySchedule | None = None

    def confirm(self, reply_frame: bytes) -> bytes:
        """Message 4. Raises ProtocolError when the server's share is of low order."""
        theirs = frames.frame_body(reply_frame)
        isk = self._side.session_key(self._side.public, theirs, theirs)
        self._schedule = KeySchedule(isk, self._greeting, self.hello, reply_frame)
        return frames.pack_confirm(self._schedule.confirm_client())

    def accepted(self, accept_frame: bytes) -> bool:
        """Whether message 5 proves that the server has the password."""
        assert self._schedule is not None, "the server has not replied yet"
        return tags_equal(frames.frame_body(accept_frame), self._schedule.confirm_server())

    def keys(self) -> SessionKeys:
        """The keys of the session."""
        assert self._schedule is not None, "the server has not replied yet"
        return self._schedule.keys()
