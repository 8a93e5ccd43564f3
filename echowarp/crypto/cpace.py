"""CPace, the password proof: suite CPACE-X25519-SHA512, initiator/responder form.

Source: draft-irtf-cfrg-cpace-21. Scalars are 32 random bytes that the caller
draws for one connection and uses once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from echowarp.crypto.elligator2 import map_to_curve
from echowarp.errors import ProtocolError

_GENERATOR_DSI = b"CPace255"
_ISK_DSI = b"CPace255_ISK"
_SHA512_BLOCK_BYTES = 128
_FIELD_BYTES = 32


def prepend_len(data: bytes) -> bytes:
    """`data` behind its own length in LEB128 (seven bits a byte, lowest first)."""
    length = len(data)
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded) + data


def lv_cat(*parts: bytes) -> bytes:
    """All parts in a row, each behind its length."""
    return b"".join(map(prepend_len, parts))


def calculate_generator(
    prs: bytes, ci: bytes, sid: bytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """The point that a password stands for, different for each sid.

    prs: the encoded password, b"" for none; ci: the channel identifier; sid:
    the session identifier; random_bytes: blinds the arithmetic without changing
    its result.
    Returns a u-coordinate, 32 bytes.
    """
    # The padding fills the hash's first block, so that password and rest never share one.
    password_bytes = len(prepend_len(_GENERATOR_DSI)) + len(prepend_len(prs))
    padding = bytes(max(0, _SHA512_BLOCK_BYTES - 1 - password_bytes))
    text = lv_cat(_GENERATOR_DSI, prs, padding, ci, sid)
    return map_to_curve(hashlib.sha512(text).digest()[:_FIELD_BYTES], random_bytes)


def public_key(private: bytes, point: bytes) -> bytes:
    """Our message Ya or Yb: X25519 of our scalar and the generator.

    private, point: 32 bytes each. Returns 32 bytes.
    Raises ProtocolError when the result is the neutral element.
    """
    return _x25519(private, point)


def shared_secret(private: bytes, public: bytes) -> bytes:
    """The shared K: X25519 of our scalar and what the peer sent (scalar_mult_vfy).

    private: 32 bytes; public: 32 bytes from outside. Returns 32 bytes.
    Raises ProtocolError when `public` has another length or is of low order.
    """
    return _x25519(private, public)


def _x25519(private: bytes, point: bytes) -> bytes:
    """X25519 of RFC 7748. ProtocolError where the result would be all zero."""
    key = X25519PrivateKey.from_private_bytes(private)
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError as error:
        raise ProtocolError("the peer sent an invalid key: connect again") from error


def intermediate_session_key(
    sid: bytes, k: bytes, ya: bytes, ada: bytes, yb: bytes, adb: bytes
) -> bytes:
    """ISK: what both ends hold when, and only when, they used the same password.

    sid: the session identifier; k: the shared secret; ya, yb: the messages of
    initiator and responder; ada, adb: their associated data.
    Returns 64 bytes.
    """
    transcript = lv_cat(ya, ada) + lv_cat(yb, adb)
    return hashlib.sha512(lv_cat(_ISK_DSI, sid, k) + transcript).digest()
