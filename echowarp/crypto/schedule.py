"""The key schedule: from one handshake to every key of a connection.

HKDF-SHA-256 (RFC 5869), salted with a hash of the handshake's first three
frames, so that whoever changes one of them ends up with other keys.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

CHANNEL_ID = b"EchoWarp/1"
"""CI of CPace and prefix of every label."""

AD_CLIENT = b"client"
AD_SERVER = b"server"

KEY_BYTES = 32
SESSION_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """The secrets of one connection, fresh for each; none is shown by repr.

    control_client, control_server: records client to server, server to client;
    udp_client: every datagram client to server; audio_hmac, audio_gcm: audio in
    suites 1 and 2 (32 bytes each); session: the id in UDP headers (8 bytes).
    """

    control_client: bytes = field(repr=False)
    control_server: bytes = field(repr=False)
    udp_client: bytes = field(repr=False)
    audio_hmac: bytes = field(repr=False)
    audio_gcm: bytes = field(repr=False)
    session: bytes = field(repr=False)


class KeySchedule:
    """Derives the confirmation tags and the keys from one finished exchange.

    isk: CPace's 64 bytes; frame1, frame2, frame3: GREETING, HELLO and REPLY,
    whole, with the two length bytes.
    """

    __slots__ = ("_prk", "_transcript_hash")

    def __init__(self, isk: bytes, frame1: bytes, frame2: bytes, frame3: bytes) -> None:
        self._transcript_hash = hashlib.sha256(frame1 + frame2 + frame3).digest()
        self._prk = hmac.digest(self._transcript_hash, isk, "sha256")

    def confirm_client(self) -> bytes:
        """Ta, 32 bytes: proves that the client knows the password."""
        return self._confirm(b"confirm client")

    def confirm_server(self) -> bytes:
        """Tb, 32 bytes: proves that the server knows the password."""
        return self._confirm(b"confirm server")

    def keys(self) -> SessionKeys:
        """The keys to use once the peer's tag was right."""
        return SessionKeys(
            control_client=self._expand(b"control client"),
            control_server=self._expand(b"control server"),
            udp_client=self._expand(b"udp client"),
            audio_hmac=self._expand(b"audio hmac"),
            audio_gcm=self._expand(b"audio gcm"),
            session=self._expand(b"session")[:SESSION_BYTES],
        )

    def _confirm(self, label: bytes) -> bytes:
        return hmac.digest(self._expand(label), self._transcript_hash, "sha256")

    def _expand(self, label: bytes) -> bytes:
        """HKDF-Expand to one hash's length; a shorter output is a prefix of it."""
        return hmac.digest(self._prk, CHANNEL_ID + b" " + label + b"\x01", "sha256")


def tags_equal(a: bytes, b: bytes) -> bool:
    """Whether two tags are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(a, b)
