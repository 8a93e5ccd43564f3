"""The whole program in one process under a virtual clock.

A server, clients, a network with delay, loss and outages, and sinks: a file, or
a sound card whose clock is off by some ppm. No socket, no thread, no real time;
the same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from echowarp.app.pulled_playback import PERIODS
from echowarp.app.reception import CaptureTime, Delay, Reception, ServerClock, Usable
from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite, cipher_for_audio, cipher_for_client
from echowarp.media.format import Format
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.pushed_playout import PushedPlayout
from echowarp.media.repair import RepairEncoder
from echowarp.media.target import AUTO, Policy
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.broadcast import SERVER_STREAM, Broadcast, Outgoing
from echowarp.session.client_session import ClientSession, Ended, Started
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.endpoint import Received
from echowarp.session.gate import DatagramGate, Feedback
from echowarp.session.inbox import Block, ClientInbox, RepairPiece
from echowarp.session.prober import Prober
from echowarp.session.reconnect import GiveUp, Outcome, Reconnector
from echowarp.session.reports import REPORT_INTERVAL_NS
from echowarp.session.server import Joined, Left, Server, WrongPassword
from echowarp.session.streams import StreamTracker, begin, resume
from echowarp.wire.codes import Code
from echowarp.wire.datagram import DatagramType
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    ReportEntry,
    Request,
    pack_clock_ask,
    pack_report,
    pack_request,
)
from echowarp.wire.records import Anchor, End, EndReason, Stream, UdpOk
from echowarp.wire.serial import unwrap, wrap

MS = 1_000_000
S = 1_000 * MS
FMT = Format(rate=8_000, channels=1, block_frames=40)
HOST = "192.0.2.7"
SERVER_AHEAD_NS = 12_345 * S
"""The server's monotonic clock began at another time than the clients'."""


def payload(k: int) -> bytes:
    """The k-th block of the source: no two are alike."""
    return random.Random(k).randbytes(FMT.block_bytes)


class Clock:
    """Virtual time and what is to happen in it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._order = itertools.count()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []

    def at(self, due_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(due_ns, self.now_ns), next(self._order), action))

    def run_until(self, end_ns: int) -> None:
        while self._agenda and self._agenda[0][0] <= end_ns:
            self.now_ns, _, action = heapq.heappop(self._agenda)
            action()
        self.now_ns = end_ns


@dataclass(kw_only=True)
class Network:
    """One path. Times in ns; loss from 0 to 1; cut(now) is True during an outage."""

    clock: Clock
    rng: random.Random
    delay_ns: int = 1 * MS
    jitter_ns: int = 0
    loss: float = 0.0
    duplicates: float = 0.0
    cut: Callable[[int], bool] = lambda now_ns: False

    def datagram(self, deliver: Callable[[], None]) -> None:
        if self.cut(self.clock.now_ns) or self.rng.random() < self.loss:
            return
        for _ in range(1 + (self.rng.random() < self.duplicates)):
            jitter = self.rng.randrange(self.jitter_ns + 1)
            self.clock.at(self.clock.now_ns + self.delay_ns + jitter, deliver)

    def stream(self, deliver: Callable[[], None]) -> None:
        """TCP: nothing is lost; in an outage it waits, in order."""

        def attempt() -> None:
            if self.cut(self.clock.now_ns):
                self.clock.at(self.clock.now_ns + 100 * MS, attempt)
            else:
                deliver()

        self.clock.at(self.clock.now_ns + self.delay_ns, attempt)


class SimServer:
    """The server's three threads, taking turns."""

    def __init__(
        self, clock: Clock, rng: random.Random, *, password: str | None, suite: Suite
    ) -> None:
        self.clock, self.suite = clock, suite
        self.broadcast: Broadcast[int] = Broadcast(
            first_seq=rng.randrange(2**32),
            first_time=rng.randrange(2**32),
            block_ns=FMT.block_ns,
            rows=RepairEncoder(),
        )
        self.first_seq, self.first_time = self.broadcast.seq, self.broadcast.time
        self.begun_ns = 0
        self.sent_ns: list[int] = []
        """When block k was sent."""
        self.ahead_ns = SERVER_AHEAD_NS
        self.gate: DatagramGate[int] = DatagramGate()
        self.admission = Admission(limit=3, bans=BanList())
        self.server = Server(
            prs=encode_password(password),
            suite=suite,
            max_clients=8,
            admission=self.admission,
            random_bytes=rng.randbytes,
            streams=lambda: [self.stream()],
        )
        self.links: dict[int, SimClient] = {}
        self.numbers = itertools.count(1)
        self.ended = False
        self.armed_ns: int | None = None

    def stream(self) -> Stream:
        return Stream(
            stream=SERVER_STREAM,
            codec=0,
            rate=FMT.rate,
            channels=FMT.channels,
            block=FMT.block_frames,
            seq=wrap(self.broadcast.seq),
            time=wrap(self.broadcast.time),
            user=0,
        )

    @property
    def now_ns(self) -> int:
        """The server's own clock."""
        return self.clock.now_ns + self.ahead_ns

    def send_block(self, k: int, lost_frames: int = 0) -> None:
        self.sent_ns.append(self.clock.now_ns)
        if k % (S // FMT.block_ns) == 0:
            anchor = Anchor(
                stream=SERVER_STREAM,
                time=wrap(self.broadcast.time),
                # A block is sent when its last frame has been captured.
                captured=self.now_ns - FMT.block_ns,
            )
            self.server.anchor(anchor, self.clock.now_ns)
            self.pump()
        self.send(
            self.broadcast.block(payload(k), frames=FMT.block_frames, lost_frames=lost_frames)
        )

    def send(self, sent: Iterable[Outgoing[int]]) -> None:
        for _, client, datagram in sent:
            receiver = self.links_by_client(client)
            if receiver is not None:
                receiver.network.datagram(partial(receiver.on_datagram, datagram))

    def links_by_client(self, client: int) -> SimClient | None:
        return next((c for c in self.links.values() if c.number == client), None)

    def end(self) -> None:
        self.ended = True
        end = End(stream=SERVER_STREAM, seq=wrap(self.broadcast.seq), reason=EndReason.SOURCE_ENDED)
        self.server.finish(end, self.clock.now_ns)
        self.pump()

    def on_datagram(self, datagram: bytes, client: int) -> None:
        opened = self.gate.receive(datagram, HOST, client, self.now_ns)
        if opened is not None:
            self.broadcast.open(opened.connection, client)
            self.server.udp_heard(opened.connection, opened.number, 9, self.clock.now_ns)
            self.pump()
        for feedback in self.gate.feedback():
            self.on_feedback(feedback)

    def on_feedback(self, feedback: Feedback) -> None:
        connection, message = feedback.connection, feedback.message
        if isinstance(message, Report):
            self.broadcast.report(connection, message, self.now_ns)
        elif isinstance(message, Request):
            self.send(self.broadcast.request(connection, message, self.now_ns))
        else:
            self.send(
                self.broadcast.clock(
                    connection, message, received_ns=feedback.at_ns, now_ns=self.now_ns
                )
            )

    def pump(self) -> None:
        now_ns = self.clock.now_ns
        for event in self.server.events():
            if isinstance(event, Joined):
                self.gate.admit(event.connection, HOST, event.keys)
                cipher = cipher_for_audio(self.suite, event.keys)
                sender = DatagramSender(cipher=cipher, session=event.keys.session)
                self.broadcast.add(event.connection, sender, self.now_ns)
            elif isinstance(event, Left):
                self.gate.dismiss(event.connection)
                self.broadcast.remove(event.connection)
            else:
                assert isinstance(event, WrongPassword) or event.detail
        for connection, data, close in self.server.to_send():
            client = self.links.get(connection)
            if client is None:
                continue
            client.network.stream(partial(client.on_bytes, connection, data))
            if close:
                del self.links[connection]
                client.network.stream(partial(client.on_eof, connection))
        due_ns = self.server.timeout_ns()
        if due_ns is not None and (self.armed_ns is None or due_ns < self.armed_ns):
            self.armed_ns = max(due_ns, now_ns)
            self.clock.at(self.armed_ns, self.on_timer)

    def on_timer(self) -> None:
        self.armed_ns = None
        self.server.handle_timeout(self.clock.now_ns)
        self.pump()

    def tick_gate(self) -> None:
        for paused in self.gate.silent(self.now_ns):
            self.broadcast.pause(paused.connection)


@dataclass(kw_only=True)
class SimClient:
    """A client: control and UDP threads taking turns, and a sink."""

    clock: Clock
    rng: random.Random
    network: Network
    server: SimServer
    number: int
    password: str | None
    card_ppm: float | None = None
    latency: Policy | int = AUTO
    attempts: int = 5
    card_stands: Callable[[int], bool] = lambda now_ns: False
    """Whether the card takes nothing at that time."""
    sleeps: Callable[[int], bool] = lambda now_ns: False
    """Whether the client's machine stands still: no timer, no card, nothing arrives."""
    recording: bytearray = field(default_factory=bytearray)
    outcomes: list[Ended] = field(default_factory=list)
    gave_up: GiveUp | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        self.reconnector = Reconnector(attempts=self.attempts, random_bytes=self.rng.randbytes)
        self.tracker: StreamTracker | None = None
        self.pushed: PushedPlayout | None = None
        self.pulled: PulledPlayout | None = None
        self.reception: Reception | None = None
        self.server_clock: ServerClock | None = None
        self.line = PullLine(FMT)
        self.delays: list[tuple[Delay, int]] = []
        """As told, and as it was, ns: once a second, on a card."""
        self.pulls: list[tuple[int, int]] = []
        """When the card pulled, and how many frames it had had by then."""
        self.waking_ns: int | None = None
        self.connection = 0
        self.armed = 0
        self.session: ClientSession | None = None
        if self.card_ppm is not None:
            self.clock.at(0, self.on_card)

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
            self.server.server.connected(number, HOST, self.clock.now_ns)
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
            if self.prober.heard:
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
        if self.prober.heard:
            ask = self.exchange.handle_timeout(now_ns)
            if ask is not None:
                self.send(DatagramType.CLOCK_ASK, 0, pack_clock_ask(ask))
        if self.prober.due(now_ns, audio_ns=self.audio_ns, probed_ns=self.probed_ns):
            self.probed_ns = now_ns
            self.send(DatagramType.PROBE, 0, b"")

    def send(self, kind: DatagramType, stream: int, body: bytes) -> None:
        datagram = self.sender.seal(kind, stream, body)
        self.network.datagram(lambda: self.server.on_datagram(datagram, self.number))

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
        elif arrival is not None:
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

    def on_block(self, block: Block, now_ns: int) -> None:
        if self.reception is None:
            self.start(block, now_ns)
        assert self.reception is not None
        self.play(self.reception.block(block, now_ns), None if block.resent else block.seq)

    def start(self, block: Block, now_ns: int) -> None:
        first_seq = block.first_seq
        first_time = block.time - (block.seq - first_seq) * FMT.block_frames
        self.reception = Reception(
            FMT,
            first_seq=first_seq,
            first_time=first_time,
            latency=self.latency,
            period_ns=0 if self.card_ppm is None else PERIODS * FMT.block_ns,
            now_ns=now_ns,
        )
        if self.server_clock is not None:
            self.reception.set_clock(self.server_clock)
        target_ns = self.reception.target_ns
        if self.card_ppm is None:
            self.pushed = PushedPlayout(
                FMT,
                first_seq=first_seq,
                first_time=first_time,
                patience_ns=target_ns,
                now_ns=now_ns,
            )
        else:
            self.pulled = PulledPlayout(
                FMT,
                first_seq=first_seq,
                first_time=first_time,
                target_ns=target_ns,
                fixed=isinstance(self.latency, int),
                line=self.line,
                now_ns=now_ns,
            )

    def play(self, usable: Iterable[Usable], original: int | None) -> None:
        now_ns = self.clock.now_ns
        assert self.reception is not None
        for block in usable:
            if self.pulled is not None:
                by_itself = block.seq == original
                self.pulled.put(block.seq, block.time, block.payload, now_ns, by_itself=by_itself)
            elif self.pushed is not None:
                self.pushed.set_patience(self.reception.target_ns)
                for pcm in self.pushed.put(block.seq, block.time, block.payload, now_ns):
                    self.recording += pcm
        self.clock.at(now_ns + S, self.on_push_timer)

    def request(self) -> None:
        """Asks for what is missing. A card does so when it pulls, a file at once."""
        reception, now_ns = self.reception, self.clock.now_ns
        if reception is None or self.session is None:
            return
        if self.card_ppm is None:
            self.ask(reception)
            due_ns = reception.timeout_ns()
            if due_ns is not None and (self.waking_ns is None or due_ns < self.waking_ns):
                self.waking_ns = max(due_ns, now_ns + MS // 10)
                self.clock.at(self.waking_ns, self.on_request_timer)

    def ask(self, reception: Reception) -> None:
        for request in reception.requests(self.clock.now_ns):
            if self.inbox is not None:
                self.send(DatagramType.REQUEST, SERVER_STREAM, pack_request(request))

    def on_request_timer(self) -> None:
        self.waking_ns = None
        self.request()

    def on_push_timer(self) -> None:
        if self.pushed is not None:
            for pcm in self.pushed.handle_timeout(self.clock.now_ns):
                self.recording += pcm
            self.pump()

    def on_card(self) -> None:
        assert self.card_ppm is not None
        period_ns = round(FMT.block_ns / (1 + self.card_ppm / 1e6))
        self.clock.at(self.clock.now_ns + period_ns, self.on_card)
        if self.card_stands(self.clock.now_ns) or self.sleeps(self.clock.now_ns):
            return
        now_ns, pulled, reception = self.clock.now_ns, self.pulled, self.reception
        if pulled is not None and reception is not None:
            pulled.set_target(reception.target_ns)
            self.pulls.append((now_ns, len(self.recording) // FMT.frame_bytes))
            self.recording += pulled.pull(FMT.block_frames, now_ns)
            self.line.pulled(FMT.block_frames, now_ns)
            reception.set_playout(pulled.next_seq, pulled.due_ns())
            self.ask(reception)
            self.note_delay(pulled, reception)
        else:
            self.line.pulled(FMT.block_frames, now_ns)

    def note_delay(self, pulled: PulledPlayout, reception: Reception) -> None:
        now_ns = self.clock.now_ns
        if pulled.state is not State.PLAYING or now_ns < (len(self.delays) + 1) * S:
            return
        leaves_ns = self.line.leaves_ns(self.line.frames)
        told = reception.delay(pulled.position, leaves_ns, 0)
        if told is not None:
            # As in `World.stream`: a block is sent a block after its first frame.
            frames = pulled.position - unwrap(self.server.first_time, pulled.position)
            captured_ns = self.server.begun_ns - FMT.block_ns + FMT.frames_to_ns(frames)
            self.delays.append((told, leaves_ns - captured_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The source stands still after a block; lost: its sound goes on meanwhile, unheard."""

    after: int
    length_ns: int
    lost: bool


class World:
    """One server, some clients, a source of `blocks` blocks from time 0 on."""

    def __init__(
        self, seed: int = 0, *, password: str | None = "secret", suite: Suite = Suite.ENCRYPTED
    ) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.server = SimServer(self.clock, self.rng, password=password, suite=suite)
        self.clients: list[SimClient] = []

    def add(
        self,
        *,
        network: dict[str, object] | None = None,
        password: str | None = "secret",
        **options: object,
    ) -> SimClient:
        path = Network(clock=self.clock, rng=self.rng, **(network or {}))  # type: ignore[arg-type]
        client = SimClient(
            clock=self.clock,
            rng=self.rng,
            network=path,
            server=self.server,
            number=len(self.clients) + 1,
            password=password,
            **options,  # type: ignore[arg-type]
        )
        self.clients.append(client)
        self.clock.at(0, client.connect)
        return client

    def stream(self, blocks: int, *, begin_ns: int = 100 * MS, stall: Stall | None = None) -> None:
        """Blocks in real time from `begin_ns`, then the end of the source."""

        self.server.begun_ns = begin_ns

        def send(k: int) -> None:
            if k == blocks:
                self.server.end()
                return
            stood_ns = stall.length_ns if stall is not None and k > stall.after else 0
            lost = stall is not None and stall.lost and k == stall.after + 1
            self.server.send_block(k, FMT.ns_to_frames(stood_ns) if lost else 0)
            if k % 200 == 0:
                self.server.tick_gate()
            if stall is not None and k >= stall.after:
                stood_ns = stall.length_ns
            self.clock.at(begin_ns + stood_ns + (k + 1) * FMT.block_ns, lambda: send(k + 1))

        self.clock.at(begin_ns, lambda: send(0))
