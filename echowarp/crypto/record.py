"""Records: the sealed units of the control channel, one key for each direction.

A record is `len u16 | AES-256-GCM(plaintext)`; its nonce counts from 0 and
never travels, its additional data are the two length bytes.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.errors import ProtocolError

LEN_BYTES = 2
TAG_BYTES = 16
MAX_PLAINTEXT_BYTES = 1024


class RecordSealer:
    """Seals what one end sends. Exactly one thread may use it.

    key: 32 bytes, for this connection and direction only.
    """

    __slots__ = ("_gcm", "_next_number")

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32, "AES-256 has a key of 32 bytes"
        self._gcm = AESGCM(key)
        self._next_number = 0

    def seal(self, plaintext: bytes) -> bytes:
        """The whole record, length bytes included, for 1..1024 bytes of plaintext.

        Raises NumbersSpent after 2^32 records.
        """
        assert 1 <= len(plaintext) <= MAX_PLAINTEXT_BYTES, "a record holds 1..1024 bytes"
        number = self._next_number
        if number >= MAX_NUMBERS:
            raise NumbersSpent("the connection's keys are used up: it is made anew")
        # Spent before it is used: no failure can bring a nonce back.
        self._next_number = number + 1
        length = (len(plaintext) + TAG_BYTES).to_bytes(LEN_BYTES, "big")
        return length + self._gcm.encrypt(_nonce(number), plaintext, length)


class RecordOpener:
    """Opens what one end receives, in the order in which it was sealed.

    key: 32 bytes, the peer's sealing key.
    """

    __slots__ = ("_gcm", "_next_number")

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32, "AES-256 has a key of 32 bytes"
        self._gcm = AESGCM(key)
        self._next_number = 0

    def open(self, record: bytes) -> bytes:
        """The plaintext, 1..1024 bytes, of one whole record, length bytes included.

        Raises ProtocolError when the length is wrong, or the record was
        changed, repeated, reordered or sealed under another key; the
        connection is then of no more use.
        """
        length = len(record) - LEN_BYTES
        if not TAG_BYTES < length <= TAG_BYTES + MAX_PLAINTEXT_BYTES:
            raise ProtocolError("the peer sent a control record of a wrong size")
        header = record[:LEN_BYTES]
        if int.from_bytes(header, "big") != length:
            raise ProtocolError("the peer sent a control record whose length is wrong")
        if self._next_number >= MAX_NUMBERS:
            raise ProtocolError("the peer sent more control records than its key allows")
        try:
            plaintext = self._gcm.decrypt(_nonce(self._next_number), record[LEN_BYTES:], header)
        except InvalidTag as error:
            raise ProtocolError("a control record was changed on its way") from error
        self._next_number += 1
        return plaintext


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
