"""A client's WebSocket: TCP, TLS where the URI says so, the handshake, and the pump."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import selectors
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass

from echowarp.errors import ConnectError, RefusedError
from echowarp.net.client_link import connect
from echowarp.net.unsent import Unsent
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import WsUri
from echowarp.wire.http_values import basic_authorization
from echowarp.wire.websocket import BinaryMessage, Closed, Role, TextMessage, WebSocket
from echowarp.wire.websocket_handshake import ClientHandshake

READ_BYTES = 1 << 16
"""Larger pieces of memory come from the system, one by one, which costs more than it saves."""
MAX_MESSAGE_BYTES = 8 << 20
"""A listing of ten thousand files is 2 MB."""
HANDSHAKE_S = 10.0
"""For TLS and HTTP together."""
CLOSING_S = 1.0
_REFUSED = (401, 403, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe that he is the server. fingerprint: the SHA-256 of its certificate in
    small hexadecimal digits; insecure: anybody. Without either, whom the system trusts."""

    fingerprint: str | None = None
    insecure: bool = False


def is_loopback(host: str) -> bool:
    """Whether nobody else can be on the way there."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class WebSocketLink:
    """One connection, open once this is made.

    password: sent with any user name, None for none. Raises ConnectError, RefusedError
    when the server wants another password or none of us, ProtocolError.
    """

    def __init__(self, uri: WsUri, *, password: str | None, trust: Trust) -> None:
        self._unsent = Unsent()
        self._over: Closed | None = None
        fields = () if password is None else (("Authorization", _basic(password)),)
        self._sock = connect(uri.host, uri.port)
        self._selector = selectors.DefaultSelector()
        try:
            if uri.secure:
                self._sock = _secured(self._sock, uri.host, trust)
            handshake = ClientHandshake(uri, os.urandom, fields)
            has_password = password is not None or uri.credentials is not None
            rest = self._shake_hands(handshake, has_password=has_password)
            self._sock.setblocking(False)
            self._selector.register(self._sock, selectors.EVENT_READ)
        except BaseException:
            self.close(hurried=True)
            raise
        self._ws = WebSocket(
            Role.CLIENT,
            max_message_bytes=MAX_MESSAGE_BYTES,
            random_bytes=_Randomness().take,
            now_ns=time.monotonic_ns(),
        )
        self._ws.receive(rest, time.monotonic_ns())

    @property
    def has_unsent(self) -> bool:
        """Whether the kernel has not yet taken all that `send` was given."""
        return bool(self._unsent or self._ws.queued_bytes)

    def send(self, frames: Iterable[str | bytes]) -> None:
        """Sends text and binary messages, or keeps what the kernel does not take yet."""
        for frame in frames:
            if isinstance(frame, str):
                self._ws.send_text(frame)
            else:
                self._ws.send_binary(frame)
        self._flush()

    def wait(self, seconds: float) -> list[str | bytes] | None:
        """Sleeps until something comes or, where something is unsent, goes; at most so long.

        Returns the messages that came, None when nothing moved in that time. Raises
        ConnectError when the connection is over.
        """
        messages = self._messages()
        if messages:
            return messages
        held = isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.has_unsent else 0)
        if self._selector.get_key(self._sock).events != events:
            self._selector.modify(self._sock, events)
        ready = self._selector.select(0 if held else seconds)
        if not ready and not held:
            return None
        if held or any(mask & selectors.EVENT_READ for _, mask in ready):
            self._receive()
        self._flush()
        return self._messages()

    def close(self, *, hurried: bool = False) -> None:
        """Says goodbye and closes; hurried: without it. Idempotent."""
        if not hurried and self._sock.fileno() >= 0:
            with contextlib.suppress(ConnectError, OSError):
                self._ws.close(time.monotonic_ns())
                self._flush()
                until_s = time.monotonic() + CLOSING_S
                while time.monotonic() < until_s:
                    self.wait(until_s - time.monotonic())
        self._selector.close()
        self._sock.close()

    def _shake_hands(self, handshake: ClientHandshake, *, has_password: bool) -> bytes:
        self._sock.settimeout(HANDSHAKE_S)
        try:
            self._sock.sendall(handshake.request)
            while True:
                data = self._sock.recv(READ_BYTES)
                if not data:
                    handshake.receive_eof()
                if handshake.receive(data):
                    return handshake.take_rest()
        except HttpError as error:
            if error.status in _REFUSED:
                refusal = _refusal(error.status, has_password=has_password)
                raise RefusedError(refusal) from error
            raise ConnectError(f"no WebSocket there: {error}") from error
        except TimeoutError as error:
            raise ConnectError("no WebSocket there: the server does not answer") from error
        except OSError as error:
            raise ConnectError(f"no WebSocket there: {error.strerror or error}") from error

    def _receive(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            data = b""
        if data:
            self._ws.receive(data, time.monotonic_ns())
        else:
            self._ws.receive_eof()

    def _messages(self) -> list[str | bytes]:
        """What has come. Raises ConnectError once that is all."""
        messages: list[str | bytes] = []
        for event in self._ws.events():
            if isinstance(event, TextMessage):
                messages.append(event.text)
            elif isinstance(event, BinaryMessage):
                messages.append(event.data)
            elif isinstance(event, Closed):
                self._over = event
        if self._over is not None and not messages:
            why = self._over.reason or f"code {self._over.code}"
            raise ConnectError(f"the server has ended the connection: {why}")
        return messages

    def _flush(self) -> None:
        """Sends what the kernel takes. A failure shows when something is received."""
        try:
            while self._unsent or self._ws.queued_bytes:
                if not self._unsent:
                    self._unsent.add(self._ws.to_send())
                self._unsent.send(self._sock)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self._unsent.clear()
            self._ws.to_send()


class _Randomness:
    """Random bytes in small amounts; each system call draws many."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """So many of them, each used once."""
        if self._at + count > len(self._pool):
            self._pool, self._at = os.urandom(max(count, 4096)), 0
        self._at += count
        return self._pool[self._at - count : self._at]


def _basic(password: str) -> str:
    return basic_authorization("echowarp", password)


def _refusal(status: int, *, has_password: bool) -> str:
    if status == 401 and has_password:
        return "wrong password: give the server's with --password_file or ECHOWARP_PASSWORD"
    if status == 401:
        return "the server wants its password: give it with --password_file or ECHOWARP_PASSWORD"
    if status == 429:
        return "the server has no room for us now: try again later"
    return "the server does not let us in from here"


def _secured(sock: socket.socket, host: str, trust: Trust) -> ssl.SSLSocket:
    """TLS over a connection. Raises ConnectError."""
    context = ssl.create_default_context()
    if trust.insecure or trust.fingerprint is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    sock.settimeout(HANDSHAKE_S)
    try:
        secured = context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise ConnectError(
            f"the server's certificate is not trusted ({error.verify_message}): if the server "
            "made it itself, give --fingerprint with what it logged when it started"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ConnectError(f"no TLS there: {reason}") from error
    shown = hashlib.sha256(secured.getpeercert(binary_form=True) or b"").digest()
    if trust.fingerprint is not None and shown.hex() != trust.fingerprint:
        secured.close()
        has = shown.hex(":").upper()
        raise ConnectError(f"this is not the server that --fingerprint means: it has {has}")
    return secured
