"""End to end: the keys of two people who share a code, and payloads sealed under a talker's.

Source: protocol 1, section 7. A pair runs CPace under its own channel identifier, and its
key schedule is the connection's (HKDF-SHA-256, RFC 5869) under other labels. AES-256-GCM
seals payloads; the nonce is the block's number, so a key serves one stream and no other, and
each number is opened once: what a relay plays again, in a stream that it makes up, stays shut.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.crypto.replay import ReplayWindow

PAIR_CHANNEL_ID = b"EchoWarp/1 e2e"
"""CI of CPace between two people and prefix of every label."""
KEY_BYTES = 32
TAG_BYTES = 16

_NONCE = struct.Struct(">8xI")
_AD = struct.Struct(">IIH")
_SPAN = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKeys:
    """The secrets of one pair; none is shown by repr.

    confirm_a, confirm_b: what each proves the code with; seal_a, seal_b: what it seals
    its messages to the other with (32 bytes each). A is the lower user id.
    """

    confirm_a: bytes = field(repr=False)
    confirm_b: bytes = field(repr=False)
    seal_a: bytes = field(repr=False)
    seal_b: bytes = field(repr=False)


def pair_keys(isk: bytes, transcript: bytes) -> PairKeys:
    """The keys of a finished exchange. isk: CPace's 64 bytes; transcript: everything said."""
    transcript_hash = hashlib.sha256(transcript).digest()
    prk = hmac.digest(transcript_hash, isk, "sha256")

    def expand(label: bytes) -> bytes:
        return hmac.digest(prk, PAIR_CHANNEL_ID + b" " + label + b"\x01", "sha256")

    return PairKeys(
        confirm_a=hmac.digest(expand(b"confirm a"), transcript_hash, "sha256"),
        confirm_b=hmac.digest(expand(b"confirm b"), transcript_hash, "sha256"),
        seal_a=expand(b"seal a"),
        seal_b=expand(b"seal b"),
    )


class PayloadSealer:
    """Seals the payloads of one stream. key: 32 bytes, for it alone; user: the talker, u16."""

    __slots__ = ("_gcm", "_last_seq", "_stop_seq", "_user")

    def __init__(self, key: bytes, user: int) -> None:
        assert len(key) == KEY_BYTES, "AES-256 has a key of 32 bytes"
        self._gcm = AESGCM(key)
        self._user = user
        self._last_seq: int | None = None
        self._stop_seq = 0

    def seal(self, seq: int, time: int, payload: bytes) -> bytes:
        """The payload as it travels, 16 bytes longer; seq, time: unwrapped counters.

        A number is sealed once: each must be above all before it. Raises NumbersSpent
        after 2^32 of them.
        """
        if self._last_seq is None:
            self._stop_seq = seq + MAX_NUMBERS
        else:
            assert seq > self._last_seq, "a block's number is sealed once"
        if seq >= self._stop_seq:
            raise NumbersSpent("this stream has sealed all the blocks that its key allows")
        self._last_seq = seq
        nonce, ad = _nonce_and_ad(seq, time, self._user)
        return self._gcm.encrypt(nonce, payload, ad)


class PayloadOpener:
    """Opens the payloads of one stream. key, user: the talker's."""

    __slots__ = ("_gcm", "_key", "_opened", "_user")

    def __init__(self, key: bytes, user: int) -> None:
        assert len(key) == KEY_BYTES, "AES-256 has a key of 32 bytes"
        self._gcm = AESGCM(key)
        self._key = key
        self._user = user
        self._opened = ReplayWindow()

    def has(self, key: bytes) -> bool:
        """Whether it opens with that key."""
        return hmac.compare_digest(self._key, key)

    def open(self, seq: int, time: int, sealed: bytes) -> bytes | None:
        """The payload, or None for one that was not sealed so, or was opened before; counters
        wrapped or not."""
        number = self._unwrapped(seq)
        if len(sealed) < TAG_BYTES or not self._opened.is_new(number):
            return None
        nonce, ad = _nonce_and_ad(seq, time, self._user)
        try:
            payload = self._gcm.decrypt(nonce, sealed, ad)
        except InvalidTag:
            return None
        self._opened.accept(number)
        return payload

    def _unwrapped(self, seq: int) -> int:
        """Nearest to the highest that was opened, whoever else unwrapped it from where."""
        highest = self._opened.highest
        if highest < 0:
            # Blocks before the first that came may still follow, and a number is 0 at least.
            return seq % _SPAN + _SPAN
        return highest + (seq - highest + _SPAN // 2) % _SPAN - _SPAN // 2


def _nonce_and_ad(seq: int, time: int, user: int) -> tuple[bytes, bytes]:
    return _NONCE.pack(seq % _SPAN), _AD.pack(seq % _SPAN, time % _SPAN, user)
