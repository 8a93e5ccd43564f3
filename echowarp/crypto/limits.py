"""How often one key may be used."""

from __future__ import annotations

from echowarp.errors import EchoWarpError

MAX_NUMBERS = 2**32
"""Records, or datagrams, under one key and direction; far from where GCM grows weak."""


class NumbersSpent(EchoWarpError):
    """A key has sealed all that it may: the connection closes with 410 and a new one rekeys."""
