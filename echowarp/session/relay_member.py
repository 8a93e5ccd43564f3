"""One session of a relay: the streams that it sends, who hears them, and what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from echowarp.session.fanout import Downlink, Fanout, Outgoing
from echowarp.session.reports import REPORT_INTERVAL_NS, ReceiptCounter
from echowarp.session.stream_bytes import StreamBytes
from echowarp.session.uplink import Found, Uplink
from echowarp.wire.datagram import CLIENT_BIT, DatagramType
from echowarp.wire.feedback import Report, ReportEntry, pack_report, pack_request
from echowarp.wire.records import Stream

FIRST_RTO_NS = 100_000_000
FIRST_TARGET_NS = 40_000_000
"""What a talker is told of its listeners' delay before they have told it."""
MAX_AT_ONCE = 4
"""Reports that leave together: blocks wait meanwhile."""

_ASK = int(DatagramType.REQUEST) & ~CLIENT_BIT
_TELL = int(DatagramType.REPORT) & ~CLIENT_BIT

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
        self.anchor_ns = 0
        """Before then no capture time goes on."""


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
        self.in_turns = False

    def ask(self, talk: Talk[WayT], now_ns: int) -> Iterator[Outgoing[WayT]]:
        """Asks it for the blocks of a stream that are missing, as far as it is time to."""
        downlink, uplink = self.downlink, talk.uplink
        due_ns = uplink.timeout_ns()
        if due_ns is None or now_ns < due_ns:
            return
        uplink.set_round_trip(downlink.rto_ns or FIRST_RTO_NS)
        for request in uplink.requests(now_ns):
            if downlink.way is not None:
                body = pack_request(request)
                yield downlink.seal(downlink.way, _ASK, talk.announced.stream, body)

    def report(self, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """Tells it what comes of what it sends."""
        downlink, talk = self.downlink, self.current
        if talk is None or downlink.way is None:
            return
        guard_ns = talk.uplink.guard_ns
        tally = self.receipts.tally(now_ns, guard_ns)
        if tally is None:
            return
        targets = [leg.target_ns for leg in talk.fanout.legs if leg.target_ns is not None]
        target_ns = min(targets, default=FIRST_TARGET_NS)
        entry = ReportEntry(talk.announced.stream, guard_ns, target_ns)
        report = Report(*tally, downlink.rto_ns or FIRST_RTO_NS, (entry,))
        yield downlink.seal(downlink.way, _TELL, len(report.entries), pack_report(report))


class ReportTurns(Generic[WayT]):
    """Whose report is due: each talker's at an even pace, and not all of them at once."""

    def __init__(self) -> None:
        self._turns: deque[Member[WayT]] = deque()

    def begin(self, member: Member[WayT], now_ns: int) -> None:
        """A member talks. It has its turns until it has no stream any more."""
        if not member.in_turns:
            member.in_turns = True
            member.report_ns = now_ns + REPORT_INTERVAL_NS
            self._turns.append(member)

    def timeout_ns(self) -> int | None:
        """When the next is due, or None."""
        return self._turns[0].report_ns if self._turns else None

    def due(self, now_ns: int) -> Iterator[Member[WayT]]:
        """Those whose turn it is, a few at most."""
        for _ in range(MAX_AT_ONCE):
            if not self._turns or now_ns < self._turns[0].report_ns:
                return
            member = self._turns.popleft()
            member.in_turns = bool(member.talks)
            if member.in_turns:
                # Counted from its turn, so that turns which were held up come apart again.
                next_ns = member.report_ns + REPORT_INTERVAL_NS
                member.report_ns = max(next_ns, now_ns + REPORT_INTERVAL_NS // 2)
                self._turns.append(member)
                yield member
