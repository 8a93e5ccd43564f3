"""One session of a relay: the streams that it sends, and who hears them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from echowarp.session.fanout import Downlink, Fanout
from echowarp.session.reports import ReceiptCounter
from echowarp.session.stream_bytes import StreamBytes
from echowarp.session.uplink import Found, Uplink
from echowarp.wire.records import Stream

WayT = TypeVar("WayT", bound=Hashable)


class Overheard(NamedTuple):
    """What comes of a stream that is to be played here as well.

    stream: as its talker has been told it, the same object as long as it lasts; what: a
    block, or one past the last block where it has ended, unwrapped.
    """

    connection: int
    stream: Stream
    what: Found | int


class Talk(Generic[WayT]):
    """One stream of a talker. announced: with the byte that its talker uses."""

    def __init__(self, announced: Stream, uplink: Uplink, fanout: Fanout[WayT]) -> None:
        self.announced = announced
        self.uplink = uplink
        self.fanout = fanout
        self.over_ns: int | None = None
        """Ended, and kept until then."""


class Member(Generic[WayT]):
    """One session."""

    def __init__(self, downlink: Downlink[WayT], user: int) -> None:
        self.downlink = downlink
        self.user = user
        self.bytes = StreamBytes()
        self.receipts = ReceiptCounter()
        self.talks: dict[int, Talk[WayT]] = {}
        self.current: Talk[WayT] | None = None
        self.listeners: frozenset[int] = frozenset()
        self.report_ns = 0
