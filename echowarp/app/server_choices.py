"""What a server chooses before it runs."""

from __future__ import annotations

import os

from echowarp.config.settings import Settings
from echowarp.crypto.suite import Suite

MAX_CONTROL_READ_BYTES = 2048
"""With as much again in the buffer, an unfinished connection holds under 4 KiB."""


def random_u32() -> int:
    """Where a stream's sequence numbers, or its time, begin."""
    return int.from_bytes(os.urandom(4), "big")


def suite_of(settings: Settings) -> Suite:
    """How datagrams are protected."""
    if settings.is_ssl:
        return Suite.ENCRYPTED
    return Suite.INTEGRITY if settings.is_integrity_control else Suite.NONE
