"""How a connection of HTTP becomes a WebSocket, at both ends.

Source: RFC 6455, sections 1.3, 4.1 and 4.2. No extension and no subprotocol is agreed to,
so permessage-deflate is declined. Whose pages may connect (Origin) is not decided here.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable

from echowarp.errors import ProtocolError
from echowarp.wire.http import Request
from echowarp.wire.http_fields import Headers, HttpError
from echowarp.wire.http_response import SWITCHING, Response, ResponseReader
from echowarp.wire.http_target import WsUri
from echowarp.wire.http_values import basic_authorization
from echowarp.wire.http_writer import head, request

KEY_BYTES = 16
VERSION = "13"
MAX_REFUSAL_BYTES = 64 * 1024
"""Of the page that may come with a refusal."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""The base64 of 16 bytes."""
_WANTED = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_VERSIONS = (*_WANTED, ("Sec-WebSocket-Version", VERSION))


def wants_websocket(request: Request) -> bool:
    """Whether a request asks to become a WebSocket, in the right way or not."""
    return "websocket" in request.headers.tokens("Upgrade")


def accept_websocket(request: Request) -> bytes:
    """The response that makes it one. Raises HttpError: 426 when a WebSocket of our version
    was not asked for, 400 when it was asked for in a wrong way."""
    headers = request.headers
    if not wants_websocket(request):
        raise HttpError(426, "only a WebSocket can be had here", _VERSIONS)
    versions = headers.all("Sec-WebSocket-Version")
    if len(versions) == 1 and versions[0] != VERSION:
        raise HttpError(426, f"the version of WebSocket is not {VERSION}", _VERSIONS)
    keys = headers.all("Sec-WebSocket-Key")
    if (
        request.method != "GET"
        or request.minor == 0
        or request.body_bytes != 0
        or "upgrade" not in headers.tokens("Connection")
        or len(versions) != 1
        or len(keys) != 1
        or not _KEY.fullmatch(keys[0])
    ):
        raise HttpError(400, "an incomplete request for a WebSocket")
    return head(SWITCHING, (*_WANTED, ("Sec-WebSocket-Accept", _accept(keys[0]))))


class ClientHandshake:
    """The client's end: `request` goes out, then `receive` until it returns True.

    What came behind the response is in `take_rest`, for the WebSocket.
    """

    def __init__(
        self,
        uri: WsUri,
        random_bytes: Callable[[int], bytes],
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        key = binascii.b2a_base64(random_bytes(KEY_BYTES), newline=False).decode("ascii")
        if uri.credentials is not None:
            fields = (*fields, ("Authorization", basic_authorization(*uri.credentials)))
        own = (("Host", uri.authority), *_VERSIONS, ("Sec-WebSocket-Key", key))
        self.request = request("GET", uri.target, (*own, *fields))
        self._accept = _accept(key)
        self._reader = ResponseReader("GET", max_body_bytes=MAX_REFUSAL_BYTES)
        self._response: Response | None = None

    def receive(self, data: bytes) -> bool:
        """Takes what TCP brought. Returns whether this is a WebSocket now.

        Raises HttpError with the status that the server answers instead, 502 for what is no
        answer; ProtocolError for an upgrade to something else.
        """
        self._reader.receive(data)
        if self._response is None:
            self._response = self._reader.next_response()
        if self._response is None:
            return False
        if self._response.status == SWITCHING:
            self._check(self._response.headers)
            return True
        raise HttpError(
            self._response.status,
            f"the server answers {self._response.status} {self._response.reason}".rstrip(),
            self._response.headers,
        )

    def receive_eof(self) -> None:
        """TCP has ended too early. Raises HttpError 502."""
        self._reader.receive_eof()

    def take_rest(self) -> bytes:
        """What followed the response."""
        return self._reader.take_rest()

    def _check(self, headers: Headers) -> None:
        if (
            headers.tokens("Upgrade") != ["websocket"]
            or "upgrade" not in headers.tokens("Connection")
            or headers.all("Sec-WebSocket-Accept") != [self._accept]
        ):
            raise ProtocolError("the server agrees to something that is not a WebSocket")
        if "Sec-WebSocket-Extensions" in headers or "Sec-WebSocket-Protocol" in headers:
            raise ProtocolError("the server wants an extension that was not offered")


def _accept(key: str) -> str:
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode("ascii")
