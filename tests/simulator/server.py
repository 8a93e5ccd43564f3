"""A server: its three threads, taking turns."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from functools import partial
from typing import Protocol

from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.media.format import Format
from echowarp.media.repair import RepairEncoder
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.broadcast import SERVER_STREAM, Broadcast, Outgoing
from echowarp.session.datagrams import DatagramSender
from echowarp.session.gate import DatagramGate, Feedback
from echowarp.session.server import Server
from echowarp.session.server_events import Joined, Left, TurnedAway, WrongPassword
from echowarp.wire.codes import Code
from echowarp.wire.feedback import (
    Report,
    Request,
)
from echowarp.wire.records import Anchor, End, EndReason, Stream
from echowarp.wire.serial import wrap
from tests.simulator.clock import Clock, Network, S

FMT = Format(rate=8_000, channels=1, block_frames=40)
HOST = "192.0.2.7"
SERVER_AHEAD_NS = 12_345 * S
"""The server's monotonic clock began at another time than the clients'."""


def payload(k: int) -> bytes:
    """The k-th block of the source: no two are alike."""
    return random.Random(k).randbytes(FMT.block_bytes)


class Peer(Protocol):
    """A client, as the server sees it."""

    network: Network
    number: int
    """By what way its datagrams come and go."""
    host: str

    def on_bytes(self, connection: int, data: bytes) -> None:
        """TCP brought bytes."""

    def on_eof(self, connection: int) -> None:
        """TCP has ended."""

    def on_datagram(self, datagram: bytes) -> None:
        """A datagram came."""


class SimServer:
    """The server's three threads, taking turns."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        password: str | None,
        suite: Suite,
        fmt: Format = FMT,
    ) -> None:
        self.clock, self.suite, self.fmt = clock, suite, fmt
        self.broadcast: Broadcast[int] = Broadcast(
            first_seq=rng.randrange(2**32),
            first_time=rng.randrange(2**32),
            block_ns=fmt.block_ns,
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
        self.links: dict[int, Peer] = {}
        self.numbers = itertools.count(1)
        self.ended = False
        self.armed_ns: int | None = None

    def stream(self) -> Stream:
        return Stream(
            stream=SERVER_STREAM,
            codec=0,
            rate=self.fmt.rate,
            channels=self.fmt.channels,
            block=self.fmt.block_frames,
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
        for connection, client, datagram in sent:
            receiver = self.links_by_client(client)
            if not datagram:
                self.clock.at(self.clock.now_ns, partial(self.spent, connection))
            elif receiver is not None:
                receiver.network.datagram(partial(receiver.on_datagram, datagram))

    def spent(self, connection: int) -> None:
        """No datagram can follow under this key: the session ends."""
        now_ns = self.clock.now_ns
        self.server.close_session(connection, Code.CLOSING, "its numbers are spent", now_ns)
        self.pump()

    def links_by_client(self, client: int) -> Peer | None:
        return next((c for c in self.links.values() if c.number == client), None)

    def end(self) -> None:
        self.ended = True
        end = End(stream=SERVER_STREAM, seq=wrap(self.broadcast.seq), reason=EndReason.SOURCE_ENDED)
        self.server.finish(end, self.clock.now_ns)
        self.pump()

    def on_datagram(self, datagram: bytes, client: int, host: str) -> None:
        opened = self.gate.receive(datagram, host, client, self.now_ns)
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
                self.gate.admit(event.connection, event.host, event.keys)
                cipher = cipher_for_audio(self.suite, event.keys)
                sender = DatagramSender(cipher=cipher, session=event.keys.session)
                self.broadcast.add(event.connection, sender, self.now_ns)
            elif isinstance(event, Left):
                self.gate.dismiss(event.connection)
                self.broadcast.remove(event.connection)
            else:
                assert isinstance(event, WrongPassword | TurnedAway)
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
            self.clock.at(self.armed_ns, partial(self.on_timer, self.armed_ns))

    def on_timer(self, armed_ns: int) -> None:
        if armed_ns != self.armed_ns:
            return
        self.armed_ns = None
        self.server.handle_timeout(self.clock.now_ns)
        self.pump()

    def tick_gate(self) -> None:
        for paused in self.gate.silent(self.now_ns):
            self.broadcast.pause(paused.connection)
