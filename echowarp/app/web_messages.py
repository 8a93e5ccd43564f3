"""What the server and the process of its web door tell each other.

Orders and news go through one socket, the stream's blocks through another, so that what
there is much of never waits behind anything, nor anything behind it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from echowarp.app.web_certificate import WebCertificate
from echowarp.media.format import Format
from echowarp.session.address import IpNetwork
from echowarp.session.admission import Verdict
from echowarp.session.bans import BanList

_BLOCK = struct.Struct("=QQqI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the process is to do. prs: encoded password, empty for none; name: of the
    program; the cache's as in Settings, with its folder found."""

    name: str
    prs: bytes = field(repr=False)
    certificate: WebCertificate
    max_clients: int
    cache_dir: str
    cache_max_bytes: int
    cache_ttl_s: float | None
    verbose: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer to Tried, by its number."""

    number: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Placed:
    """An answer to WantPlace, by its number."""

    number: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Bans:
    """All who are banned."""

    bans: BanList


@dataclass(frozen=True, slots=True)
class Ban:
    """One more is banned."""

    network: IpNetwork


@dataclass(frozen=True, slots=True)
class Streaming:
    """There is a stream of that format."""

    stream: int
    fmt: Format


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """It is over, and why, in words."""

    stream: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How the server stands. listeners: without those of the door."""

    listeners: int
    talkers: int
    source: str | None
    level_db: float | None
    uptime_s: int


DoorOrder: TypeAlias = Judged | Placed | Bans | Ban | Streaming | StreamEnded | Figures
"""What the process is told."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Somebody brought a password."""

    number: int
    host: str
    right: bool


@dataclass(frozen=True, slots=True)
class WantPlace:
    """Somebody wants to listen."""

    number: int
    host: str


@dataclass(frozen=True, slots=True)
class Hears:
    """Somebody who has a place is ready for the first block."""


@dataclass(frozen=True, slots=True)
class FreePlace:
    """Somebody who had a place has left. detail: how they heard it."""

    host: str
    detail: str


@dataclass(frozen=True, slots=True)
class WantFigures:
    """How does the server stand?"""


@dataclass(frozen=True, slots=True)
class DoorSaid:
    """A line for the log, at that level."""

    level: int
    text: str


DoorNews: TypeAlias = Tried | WantPlace | Hears | FreePlace | WantFigures | DoorSaid
"""What the process tells, besides what every process does."""


class SoundBlock(NamedTuple):
    """A block of the stream. seq, time: unwrapped, of the block and its first frame."""

    seq: int
    time: int
    captured_ns: int
    payload: bytes


def pack_block(block: SoundBlock) -> bytes:
    """A block as it travels."""
    seq, time, captured_ns, payload = block
    return _BLOCK.pack(seq, time, captured_ns, len(payload)) + payload


class BlockCutter:
    """Cuts what a socket brings into blocks."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[SoundBlock]:
        """The blocks that are whole now."""
        self._data += data
        found, at, end = [], 0, len(self._data)
        while end - at >= _BLOCK.size:
            seq, time, captured_ns, length = _BLOCK.unpack_from(self._data, at)
            body_at = at + _BLOCK.size
            if end - body_at < length:
                break
            at = body_at + length
            found.append(SoundBlock(seq, time, captured_ns, bytes(self._data[body_at:at])))
        del self._data[:at]
        return found
