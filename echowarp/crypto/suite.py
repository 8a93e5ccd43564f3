"""Datagrams: three ways to protect them, chosen by the server for its audio.

A datagram is `header (18 bytes) | body | tag`. The header's last 8 bytes are the
datagram's number, which is the nonce; whoever seals must never use one twice.
"""

from __future__ import annotations

import hmac
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from echowarp.crypto.schedule import SessionKeys

HEADER_BYTES = 18
NUMBER_OFFSET = 10
TAG_BYTES = 16
_NONCE_PREFIX = bytes(4)


class Suite(IntEnum):
    """What protects audio on its way from the server; the value travels in SESSION."""

    NONE = 0
    INTEGRITY = 1
    ENCRYPTED = 2

    @property
    def label(self) -> str:
        """The name shown to people and written to statistics."""
        return self.name.lower()


class DatagramCipher:
    """Seals, or opens, the datagrams of one session and direction.

    suite: NONE (no tag), INTEGRITY (HMAC-SHA-256 cut to 16 bytes) or ENCRYPTED
    (AES-256-GCM); key: 32 bytes, b"" for NONE.
    """

    __slots__ = ("_gcm", "_hmac", "_min_bytes", "_tag_bytes")

    def __init__(self, suite: Suite, key: bytes) -> None:
        assert len(key) == (0 if suite is Suite.NONE else 32), "the key does not fit the suite"
        self._gcm = AESGCM(key) if suite is Suite.ENCRYPTED else None
        # Copied for each datagram: the key's two hash blocks are computed only here.
        self._hmac = hmac.new(key, digestmod="sha256") if suite is Suite.INTEGRITY else None
        self._tag_bytes = 0 if suite is Suite.NONE else TAG_BYTES
        self._min_bytes = HEADER_BYTES + self._tag_bytes

    @property
    def tag_bytes(self) -> int:
        """What sealing adds to header and body: 0 or 16 bytes."""
        return self._tag_bytes

    def seal(self, header: bytes, body: bytes) -> bytes:
        """The datagram to send.

        header: 18 bytes, whose bytes 10..18 are a number never sealed before;
        body: what the peer's `open` returns.
        """
        assert len(header) == HEADER_BYTES, "the envelope's header has 18 bytes"
        if self._gcm is not None:
            return header + self._gcm.encrypt(_NONCE_PREFIX + header[NUMBER_OFFSET:], body, header)
        if self._hmac is not None:
            mac = self._hmac.copy()
            mac.update(header)
            mac.update(body)
            return b"".join((header, body, mac.digest()[:TAG_BYTES]))
        return header + body

    def open(self, datagram: bytes | memoryview) -> bytes | None:
        """The body, or None where the datagram is too short or its tag is wrong."""
        if len(datagram) < self._min_bytes:
            return None
        if self._gcm is not None:
            nonce = _NONCE_PREFIX + datagram[NUMBER_OFFSET:HEADER_BYTES]
            try:
                return self._gcm.decrypt(nonce, datagram[HEADER_BYTES:], datagram[:HEADER_BYTES])
            except InvalidTag:
                return None
        if self._hmac is not None:
            mac = self._hmac.copy()
            mac.update(datagram[:-TAG_BYTES])
            if not hmac.compare_digest(mac.digest()[:TAG_BYTES], datagram[-TAG_BYTES:]):
                return None
            return bytes(datagram[HEADER_BYTES:-TAG_BYTES])
        return bytes(datagram[HEADER_BYTES:])


def audio_key(suite: Suite, keys: SessionKeys) -> bytes:
    """The key of datagrams from the server in `suite`: 32 bytes, none where it has no key."""
    key = {Suite.NONE: b"", Suite.INTEGRITY: keys.audio_hmac, Suite.ENCRYPTED: keys.audio_gcm}
    return key[suite]


def cipher_for_audio(suite: Suite, keys: SessionKeys) -> DatagramCipher:
    """What protects datagrams from the server in `suite`."""
    return DatagramCipher(suite, audio_key(suite, keys))


def cipher_for_client(keys: SessionKeys) -> DatagramCipher:
    """What protects datagrams from the client: always encryption, whatever the suite."""
    return DatagramCipher(Suite.ENCRYPTED, keys.udp_client)
