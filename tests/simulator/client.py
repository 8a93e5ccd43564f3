"""A client: connections, heartbeats, reports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial

from echowarp.app.reception import CaptureTime, Reception, ServerClock
from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import cipher_for_client
from echowarp.session.broadcast import SERVER_STREAM
from echowarp.session.client_session import ClientSession, Ended, Started
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.endpoint import Received
from echowarp.session.inbox import Block, ClientInbox, RepairPiece
from echowarp.session.prober import Prober
from echowarp.session.reconnect import GiveUp, Outcome, Reconnector
from echowarp.session.reports import REPORT_INTERVAL_NS
from echowarp.session.streams import begin, resume
from echowarp.wire.codes import Code
from echowarp.wire.datagram import DatagramType
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    ReportEntry,
    pack_clock_ask,
    pack_report,
    pack_request,
)
from echowarp.wire.records import Anchor, End, Stream, UdpOk
from echowarp.wire.serial import unwrap
from tests.simulator.clock import MS, Network
from tests.simulator.hearing import Hearing
from tests.simulator.server import HOST


@dataclass(kw_only=True)
class SimClient(Hearing):
    """A client: control and UDP threads taking turns, and a sink."""

    rng: random.Random
    network: Network
    number: int
    password: str | None
    host: str = HOST
    attempts: int = 5
    outcomes: list[Ended] = field(default_factory=list)
    gave_up: GiveUp | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reconnector = Reconnector(attempts=self.attempts, random_bytes=self.rng.randbytes)
        self.connection = 0
        self.armed = 0
        self.session: ClientSession | None = None

    @property
    def running(self) -> bool:
        """Whether there is a connection."""
        return self.session is not None

    @property
    def asks_the_time(self) -> bool:
        """Whether the server hears it, and so would answer."""
        return self.prober is not None and self.prober.heard

    def connect(self) -> None:
        now_ns = self.clock.now_ns
        self.connection = next(self.server.numbers)
        self.session = ClientSession(
            prs=encode_password(self.password), random_bytes=self.rng.randbytes, now_ns=now_ns
        )
        self.inbox: ClientInbox | None = None
        self.prober: Prober | None = None
        self.exchange = ClockExchange(now_ns)
        self.audio_ns: int | None = None
        self.probed_ns: int | None = None
        self.open_end: End | None = None
        number = self.connection

        def arrive() -> None:
            self.server.links[number] = self
            self.server.server.connected(number, self.host, self.clock.now_ns)
            self.server.pump()

        self.network.stream(arrive)
        self.pump()

    def on_bytes(self, connection: int, data: bytes) -> None:
        if connection == self.connection and self.session is not None:
            self.session.receive(data, self.clock.now_ns)
            self.pump()

    def on_eof(self, connection: int) -> None:
        if connection == self.connection and self.session is not None:
            self.session.receive_eof(self.clock.now_ns)
            self.pump()

    def pump(self) -> None:
        session, now_ns, number = self.session, self.clock.now_ns, self.connection
        if session is None:
            return
        session.handle_timeout(now_ns)
        for event in session.events():
            if isinstance(event, Started):
                self.inbox = ClientInbox(keys=event.keys, suite=event.suite)
                self.sender = DatagramSender(
                    cipher=cipher_for_client(event.keys), session=event.keys.session
                )
                self.prober = Prober(now_ns)
                self.clock.at(now_ns + REPORT_INTERVAL_NS, partial(self.report, self.inbox))
            elif isinstance(event, Received):
                self.on_record(event)
            else:
                self.on_ended(event)
                return
        self.answer_end()
        self.probe()
        out = session.to_send()
        if out:
            self.network.stream(lambda: self.deliver(number, out))
        dues = [session.timeout_ns()]
        if self.prober is not None:
            dues.append(self.prober.timeout_ns())
            if self.asks_the_time:
                dues.append(self.exchange.timeout_ns())
        due_ns = min(d for d in dues if d is not None)
        self.armed += 1
        self.clock.at(max(due_ns, now_ns + MS), partial(self.on_timer, number, self.armed))

    def deliver(self, number: int, out: bytes) -> None:
        self.server.server.received(number, out, self.clock.now_ns)
        self.server.pump()

    def on_timer(self, number: int, armed: int) -> None:
        if armed != self.armed:
            return
        if self.sleeps(self.clock.now_ns):
            self.clock.at(self.clock.now_ns + 10 * MS, partial(self.on_timer, number, armed))
        elif number == self.connection and self.session is not None:
            self.pump()

    def on_record(self, event: Received) -> None:
        record, now_ns = event.record, self.clock.now_ns
        if isinstance(record, Stream):
            same = None if self.tracker is None else resume(record, self.tracker, now_ns)
            if same is None:
                self.pushed = self.pulled = self.reception = None
            self.tracker = same or begin(record, now_ns)
            assert self.inbox is not None
            self.inbox.announce(record.stream, self.tracker)
        elif isinstance(record, UdpOk):
            assert self.prober is not None
            self.prober.udp_ok(now_ns)
        elif isinstance(record, Anchor) and self.tracker is not None:
            if self.reception is not None:
                time = unwrap(record.time, self.tracker.newest.time)
                self.reception.set_capture(CaptureTime(time=time, captured_ns=record.captured))
        elif isinstance(record, End) and self.tracker is not None:
            self.open_end = record
            end_seq = unwrap(record.seq, self.tracker.newest.seq)
            if self.pushed is not None:
                self.pushed.end(end_seq, now_ns)
                self.clock.at(now_ns + 600 * MS, self.on_push_timer)
            if self.pulled is not None:
                self.pulled.end(end_seq)

    def answer_end(self) -> None:
        settled = (self.pushed is None or self.pushed.finished) and (
            self.pulled is None or self.pulled.complete
        )
        if self.open_end is not None and settled and self.session is not None:
            self.session.send(self.open_end, self.clock.now_ns)
            self.open_end = None

    def on_ended(self, ended: Ended) -> None:
        self.outcomes.append(ended)
        if self.session is not None:
            out, number = self.session.to_send(), self.connection
            self.network.stream(lambda: self.deliver(number, out))
            self.network.stream(lambda: self.server.server.disconnected(number, self.clock.now_ns))
        self.session = None
        if ended.code == Code.FINISHED:
            self.finished = True
            return
        step = self.reconnector.next_step(
            Outcome(code=ended.code, played=self.audio_ns is not None, unproved=ended.unproved)
        )
        if isinstance(step, GiveUp):
            self.gave_up = step
        else:
            self.clock.at(self.clock.now_ns + step.delay_ns, self.connect)

    def probe(self) -> None:
        now_ns = self.clock.now_ns
        if self.prober is None:
            return
        if self.asks_the_time:
            ask = self.exchange.handle_timeout(now_ns)
            if ask is not None:
                self.send(DatagramType.CLOCK_ASK, 0, pack_clock_ask(ask))
        if self.prober.due(now_ns, audio_ns=self.audio_ns, probed_ns=self.probed_ns):
            self.probed_ns = now_ns
            self.send(DatagramType.PROBE, 0, b"")

    def send(self, kind: DatagramType, stream: int, body: bytes) -> None:
        datagram = self.sender.seal(kind, stream, body)
        way, host = self.number, self.host
        self.network.datagram(lambda: self.server.on_datagram(datagram, way, host))

    def report(self, inbox: ClientInbox) -> None:
        if self.session is None or inbox is not self.inbox:
            return
        if self.sleeps(self.clock.now_ns):
            self.clock.at(self.clock.now_ns + 10 * MS, partial(self.report, inbox))
            return
        now_ns, reception = self.clock.now_ns, self.reception
        guard_ns = 0 if reception is None else reception.guard_ns
        target_ns = 0 if reception is None else reception.target_ns
        tally = inbox.receipts.tally(now_ns, guard_ns)
        if tally is not None:
            entry = ReportEntry(SERVER_STREAM, guard_ns, target_ns)
            report = Report(*tally, self.exchange.rto_ns, (entry,))
            self.send(DatagramType.REPORT, len(report.entries), pack_report(report))
        self.clock.at(now_ns + REPORT_INTERVAL_NS, partial(self.report, inbox))

    def on_datagram(self, datagram: bytes) -> None:
        if self.inbox is None or self.tracker is None:
            return
        now_ns = self.clock.now_ns
        arrival = self.inbox.receive(datagram, now_ns)
        if isinstance(arrival, Block):
            self.audio_ns = now_ns
            self.on_block(arrival, now_ns)
        elif isinstance(arrival, RepairPiece):
            if self.reception is not None:
                self.play(self.reception.repair(arrival, now_ns), None)
        elif isinstance(arrival, ClockAnswer):
            self.on_clock(arrival, now_ns)
        self.request()

    def on_clock(self, answer: ClockAnswer, now_ns: int) -> None:
        exchange = self.exchange
        exchange.receive(answer, now_ns)
        srtt_ns, offset_ns = exchange.srtt_ns, exchange.offset_ns
        if srtt_ns is not None and offset_ns is not None:
            self.server_clock = ServerClock(
                srtt_ns=srtt_ns, rto_ns=exchange.rto_ns, offset_ns=offset_ns
            )
            if self.reception is not None:
                self.reception.set_clock(self.server_clock)

    def ask(self, reception: Reception) -> None:
        for request in reception.requests(self.clock.now_ns):
            if self.inbox is not None:
                self.send(DatagramType.REQUEST, SERVER_STREAM, pack_request(request))
