"""The UDP side of a client's connection: probes, feedback and a talker's sound out, sound in.

Two threads share it. The control thread owns the key and the numbers of what is
sent, the prober and the clock exchange; a thread of its own opens what comes.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from queue import SimpleQueue

from echowarp.app.ears import Ears
from echowarp.app.reception import ServerClock
from echowarp.crypto.limits import NumbersSpent
from echowarp.crypto.suite import cipher_for_client
from echowarp.media.format import NS_PER_S
from echowarp.net.client_link import receive_datagram, send_datagram
from echowarp.session.client_session import Started
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink, Outgoing
from echowarp.session.inbox import Asked, Block, ClientInbox, RepairPiece
from echowarp.session.prober import Prober
from echowarp.session.reports import REPORT_INTERVAL_NS, Tally
from echowarp.session.streams import StreamTracker
from echowarp.wire.datagram import CLIENT_BIT, DatagramType
from echowarp.wire.feedback import (
    MAX_ENTRIES,
    ClockAnswer,
    Report,
    ReportEntry,
    Request,
    pack_clock_ask,
    pack_report,
    pack_request,
)

log = logging.getLogger(__name__)

PATIENCE_NS = 5 * NS_PER_S
"""Without an answer to our datagrams for so long, a firewall is the likely cause."""
LOSS_REPORTS = 25
"""Five seconds of them."""
SERVER = "server"
"""The one way there is."""


class DatagramLink:
    """UDP of one session, from the SESSION record to the end of the connection.

    wake: makes the control thread call `act`.
    """

    def __init__(
        self,
        udp: socket.socket,
        started: Started,
        *,
        ears: Ears,
        read_bytes: int,
        wake: Callable[[], None],
        now_ns: int,
    ) -> None:
        self.received_bytes = 0
        self.audio_ns: int | None = None
        """When a block came last."""
        self.inbox = ClientInbox(keys=started.keys, suite=started.suite)
        self.clock = ClockExchange(now_ns)
        self._udp = udp
        self._ears = ears
        self._read_bytes = read_bytes
        self._wake = wake
        self.loss = 0.0
        """Share of the packets of the last five seconds that were lost, 0..1."""
        self._tallies: deque[Tally] = deque(maxlen=LOSS_REPORTS)
        self._begun_ns = now_ns
        self._sender = DatagramSender(
            cipher=cipher_for_client(started.keys), session=started.keys.session
        )
        self.uplink: Downlink[str] = Downlink(0, self._sender, CLIENT_BIT)
        """What a stream of our own goes by."""
        self.uplink.way = SERVER
        self._prober = Prober(now_ns)
        self._probed_ns: int | None = None
        self._reported_ns = now_ns
        self._streams: Mapping[int, StreamTracker] = {}
        """Replaced whole: either thread may look."""
        self._announced: SimpleQueue[tuple[int, StreamTracker]] = SimpleQueue()
        self._told: SimpleQueue[Tally | Asked | Report | tuple[ClockAnswer, int]] = SimpleQueue()
        self._requests: SimpleQueue[tuple[object, list[Request]]] = SimpleQueue()
        self._closed = False

    # The control thread's part.

    def unheard_for_long(self, now_ns: int) -> bool:
        """Whether a firewall seems to be in the way."""
        return not self._prober.heard and now_ns - self._begun_ns > PATIENCE_NS

    @property
    def heard(self) -> bool:
        """Whether the server hears us."""
        return self._prober.heard

    def announce(self, stream: int, tracker: StreamTracker) -> None:
        """A stream begins: its blocks are let through from now on."""
        self._streams = {**self._streams, stream: tracker}
        self._announced.put((stream, tracker))

    def udp_ok(self, now_ns: int) -> None:
        """The server hears us."""
        self._prober.udp_ok(now_ns)

    def request(self, tracker: object, requests: list[Request]) -> None:
        """Asks for blocks of a stream. From any thread."""
        self._requests.put((tracker, requests))
        self._wake()

    def send(self, outgoing: Iterable[Outgoing[str]]) -> int:
        """Sends datagrams of a stream of ours; how many bytes. Raises NumbersSpent."""
        sent = 0
        for _, _, datagram in outgoing:
            if not datagram:
                raise NumbersSpent("this session has sent all that its key allows")
            send_datagram(self._udp, datagram)
            sent += len(datagram)
        return sent

    def timeout_ns(self) -> int:
        """When `act` wants to be called."""
        if not self._prober.heard:
            return self._prober.timeout_ns()
        return min(self._prober.timeout_ns(), self.clock.timeout_ns())

    def act(self, now_ns: int) -> None:
        """Sends whatever is due."""
        while not self._requests.empty():
            self._ask(*self._requests.get())
        while not self._told.empty():
            told = self._told.get()
            if isinstance(told, Tally):
                self._report(told)
            elif isinstance(told, Report):
                self.uplink.report(told, now_ns)
            elif isinstance(told, Asked):
                self.send(self.uplink.request(told.stream, told.request, now_ns))
            else:
                self._on_clock(*told)
        if self._prober.heard:
            ask = self.clock.handle_timeout(now_ns)
            if ask is not None:
                self._send(DatagramType.CLOCK_ASK, 0, pack_clock_ask(ask))
        if self._prober.due(now_ns, audio_ns=self.audio_ns, probed_ns=self._probed_ns):
            self._probed_ns = now_ns
            self._send(DatagramType.PROBE, 0, b"")

    def close(self) -> None:
        """Ends the receiving thread and closes the socket."""
        self._closed = True
        self._udp.close()

    def _ask(self, tracker: object, requests: list[Request]) -> None:
        # One that is not there was of an earlier session, and has come to an end with it.
        for stream, each in self._streams.items():
            if each is tracker:
                for request in requests:
                    self._send(DatagramType.REQUEST, stream, pack_request(request))

    def _entries(self) -> tuple[ReportEntry, ...]:
        entries = []
        for stream, tracker in self._streams.items():
            known = self._ears.reception(tracker)
            if known is not None:
                entries.append(ReportEntry(stream, known.guard_ns, known.target_ns))
        return tuple(entries[-MAX_ENTRIES:])

    def _report(self, tally: Tally) -> None:
        self._tallies.append(tally)
        since = self._tallies[0]
        numbers = tally.highest - since.highest
        if numbers > 0:
            lost = numbers - (tally.received - since.received)
            self.loss = max(0.0, lost / numbers)
        report = Report(*tally, self.clock.rto_ns, self._entries())
        self._send(DatagramType.REPORT, len(report.entries), pack_report(report))

    def _on_clock(self, answer: ClockAnswer, at_ns: int) -> None:
        self.clock.receive(answer, at_ns)
        srtt_ns, offset_ns = self.clock.srtt_ns, self.clock.offset_ns
        if srtt_ns is not None and offset_ns is not None:
            self._ears.clock(
                ServerClock(srtt_ns=srtt_ns, rto_ns=self.clock.rto_ns, offset_ns=offset_ns)
            )

    def _send(self, kind: DatagramType, stream: int, body: bytes) -> None:
        send_datagram(self._udp, self._sender.seal(kind, stream, body))

    # The receiving thread's part.

    def receive(self) -> None:
        """Opens what comes until `close`."""
        while not self._closed:
            try:
                datagram = receive_datagram(self._udp, self._read_bytes)
            except OSError:
                if self._closed:
                    return
                raise
            now_ns = time.monotonic_ns()
            while not self._announced.empty():
                self.inbox.announce(*self._announced.get())
            if datagram is not None:
                self.received_bytes += len(datagram)
                self._on_datagram(datagram, now_ns)
            if now_ns - self._reported_ns >= REPORT_INTERVAL_NS:
                self._reported_ns = now_ns
                tally = self.inbox.receipts.tally(now_ns, self._guard_ns())
                if tally is not None:
                    self._told.put(tally)
                    self._wake()

    def _on_datagram(self, datagram: bytes, now_ns: int) -> None:
        arrival = self.inbox.receive(datagram, now_ns)
        if isinstance(arrival, Block):
            self.audio_ns = now_ns
            self._ears.arrived(arrival, now_ns)
        elif isinstance(arrival, RepairPiece):
            self._ears.row(arrival, now_ns)
        elif arrival is not None:
            self._told.put((arrival, now_ns) if isinstance(arrival, ClockAnswer) else arrival)
            self._wake()

    def _guard_ns(self) -> int:
        """The longest time that a late datagram is waited for."""
        known = (self._ears.reception(tracker) for tracker in self._streams.values())
        return max((each.guard_ns for each in known if each is not None), default=0)
