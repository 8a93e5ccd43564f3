"""What the web door's server is given: its limits, and who is behind its sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from echowarp.net.web_connection import WebConnection

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """What strangers may take. connections: at once; per_address: of those, by one;
    first_request_ns: until a first request has come whole; stall_ns: how long a peer
    may take nothing of what waits for it."""

    connections: int = 512
    per_address: int = 64
    first_request_ns: int = 8 * NS_PER_S
    stall_ns: int = 20 * NS_PER_S


class WebHandler(Protocol):
    """What is behind the sockets. Called on the server's thread."""

    def opened(self, connection: WebConnection, now_ns: int) -> None:
        """Bytes can be exchanged; TLS, if any, is up."""

    def received(self, connection: WebConnection, data: bytes, now_ns: int) -> None:
        """Bytes came; b"" when the peer has no more to say."""

    def drained(self, connection: WebConnection, now_ns: int) -> None:
        """All that waited has been sent."""

    def closed(self, connection: WebConnection, now_ns: int) -> None:
        """It is gone."""

    def tick(self, now_ns: int) -> None:
        """Some tenths of a second have passed."""
