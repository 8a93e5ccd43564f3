"""The codes that ERROR and CLOSE carry. Each side words them for itself."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Why a connection ends (protocol 1, section 2)."""

    FINISHED = 200
    INVALID = 400
    WRONG_PASSWORD = 401
    BANNED = 403
    TIMEOUT = 408
    VERSION = 409
    CLOSING = 410
    DISPLACED = 411
    """The client has another session by now."""
    TOO_MANY = 429
    FULL = 503


def known_code(value: int) -> Code | None:
    """The code of that number, or None for one that this version does not know."""
    try:
        return Code(value)
    except ValueError:
        return None
