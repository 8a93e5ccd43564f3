"""Talkers, a relay and listeners with lossy ways between them: who plays what in time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import pytest

from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink, Fanout, Outgoing
from echowarp.session.relay import TALK_TYPES, Relay
from echowarp.session.reports import REPORT_INTERVAL_NS, ReceiptCounter
from echowarp.session.requests import RequestTimers
from echowarp.wire.datagram import CLIENT_BIT, HEADER_BYTES, DatagramType, parse_block, parse_header
from echowarp.wire.feedback import (
    Report,
    ReportEntry,
    Request,
    parse_repair,
    parse_report,
    parse_request,
)
from echowarp.wire.records import Stream

MS = 1_000_000
S = 1_000 * MS
BLOCK_NS, FRAMES = 5 * MS, 240
WAY_NS, JITTER_NS = 5 * MS, 4 * MS
TARGET_NS = 80 * MS
RTO_NS = 30 * MS


def payload(user: int, seq: int) -> bytes:
    return bytes((user,)) + seq.to_bytes(4, "big") * 5


@dataclass
class Listening:
    """One stream at one listener."""

    talker: int
    solver: RepairSolver
    timers: RequestTimers
    came_ns: dict[int, int] = field(default_factory=dict)


class Client:
    """Sends its own stream, takes in those of others; its ways to the relay lose packets."""

    def __init__(self, user: int) -> None:
        sender = DatagramSender(cipher=DatagramCipher(Suite.NONE, b""), session=bytes((user,)) * 8)
        self.user = user
        self.up: Downlink[int] = Downlink(user, sender, CLIENT_BIT)
        self.up.way = user
        self.fanout: Fanout[int] = Fanout(block_ns=BLOCK_NS, rows=RepairEncoder())
        self.byte = 0
        self.receipts = ReceiptCounter()
        self.hears: dict[int, Listening] = {}

    def announced(self, stream: Stream) -> None:
        if stream.user == self.user:
            self.byte = stream.stream
            self.fanout.add(self.up, self.byte, 0)
        else:
            timers = RequestTimers(next_seq=stream.seq, block_ns=BLOCK_NS)
            timers.set_round_trip(srtt_ns=3 * WAY_NS, rto_ns=RTO_NS)
            solver = RepairSolver(stream.seq, stream.time)
            self.hears[stream.stream] = Listening(stream.user, solver, timers)

    def receive(self, kind: int, byte: int, body: bytes, now_ns: int) -> Iterable[Outgoing[int]]:
        if kind == DatagramType.REQUEST & ~CLIENT_BIT:
            return self.up.request(byte, parse_request(body), now_ns)
        if kind == DatagramType.REPORT & ~CLIENT_BIT:
            self.up.report(parse_report(body, byte), now_ns)
            return ()
        heard = self.hears[byte]
        if kind == DatagramType.REPAIR:
            row = parse_repair(body)
            solved = heard.solver.repair(row.seq, row.width, row.row)
        else:
            block = parse_block(body)
            resent = kind == DatagramType.RESEND
            assert block.payload == payload(heard.talker, block.seq)
            heard.timers.arrived(block.seq, now_ns, resent=resent)
            heard.came_ns.setdefault(block.seq, now_ns)
            solved = heard.solver.block(block.seq, block.time, block.payload)
        for seq, _, found in solved:
            assert found == payload(heard.talker, seq)
            heard.timers.repaired(seq)
            heard.came_ns.setdefault(seq, now_ns)
        return ()


class World:
    """A room of clients at one relay, under a virtual clock."""

    def __init__(self, users: int, *, loss: float, seed: int) -> None:
        self.relay: Relay[int] = Relay(rows=RepairEncoder, solver=RepairSolver)
        self.random = random.Random(seed)
        self.loss = loss
        self.clients = {user: Client(user) for user in range(1, users + 1)}
        self.downlinks: dict[int, Downlink[int]] = {}
        self.now_ns = S
        self.order = count()
        self.wire: list[tuple[int, int, int, bytes, bool]] = []
        for user in self.clients:
            cipher = DatagramCipher(Suite.NONE, b"")
            sender = DatagramSender(cipher=cipher, session=bytes((user,)) * 8)
            self.downlinks[user] = Downlink(user, sender)
            self.downlinks[user].way = user
            self.relay.join(self.downlinks[user], user)
        for user in self.clients:
            self.relay.hear(user, self.clients, self.now_ns)
            self.relay.talk(
                user,
                Stream(
                    stream=0, codec=0, rate=48000, channels=2, block=FRAMES, seq=0, time=0, user=0
                ),
                self.now_ns,
            )
            for connection, record in self.relay.to_send():
                assert isinstance(record, Stream)
                self.clients[connection].announced(record)

    def send(self, outgoing: Iterable[Outgoing[int]], *, up: bool) -> None:
        for user, _, datagram in outgoing:
            if self.random.random() >= self.loss:
                at_ns = self.now_ns + WAY_NS + self.random.randrange(JITTER_NS)
                heapq.heappush(self.wire, (at_ns, next(self.order), user, datagram, up))

    def run(self, blocks: int) -> None:
        for seq in range(blocks):
            tick_ns = S + seq * BLOCK_NS
            for step in range(5):
                self.turn(tick_ns + step * MS)
            for client in self.clients.values():
                body = payload(client.user, seq)
                self.send(client.fanout.send(seq, seq * FRAMES, body), up=True)
            if seq % (REPORT_INTERVAL_NS // BLOCK_NS) == 0:
                self.report()
        for step in range(200):
            self.turn(S + blocks * BLOCK_NS + step * MS)

    def turn(self, now_ns: int) -> None:
        while self.wire and self.wire[0][0] <= now_ns:
            self.now_ns, _, user, datagram, up = heapq.heappop(self.wire)
            header, body = parse_header(datagram), datagram[HEADER_BYTES:]
            if not up:
                self.clients[user].receipts.accepted(header.number, self.now_ns)
                got = self.clients[user].receive(header.kind, header.stream, body, self.now_ns)
                self.send(got, up=True)
                continue
            self.relay.numbered(user, header.number, self.now_ns)
            if header.kind in TALK_TYPES:
                passed = self.relay.receive(user, header.kind, header.stream, body, self.now_ns)
                self.send(passed, up=False)
        self.now_ns = now_ns
        self.send(self.relay.handle_timeout(now_ns), up=False)
        for client in self.clients.values():
            for byte, heard in client.hears.items():
                for request in heard.timers.handle_timeout(now_ns):
                    self.ask(client.user, byte, request)

    def ask(self, user: int, byte: int, request: Request) -> None:
        """Feedback takes the same way; its own loss is in the requests' repeats."""
        if self.random.random() >= self.loss:
            self.send(self.downlinks[user].request(byte, request, self.now_ns), up=False)

    def report(self) -> None:
        for client in self.clients.values():
            tally = client.receipts.tally(self.now_ns, 2 * MS)
            if tally is not None:
                entries = tuple(ReportEntry(byte, 2 * MS, TARGET_NS) for byte in client.hears)
                report = Report(*tally, RTO_NS, entries)
                self.downlinks[client.user].report(report, self.now_ns)

    def missing(self, blocks: int) -> dict[tuple[int, int], int]:
        """By talker and listener: blocks that were not there when they were due."""
        missing = {}
        for client in self.clients.values():
            for heard in client.hears.values():
                due = ((seq, S + seq * BLOCK_NS + 2 * WAY_NS + TARGET_NS) for seq in range(blocks))
                late = [seq for seq, at in due if heard.came_ns.get(seq, at + 1) > at]
                missing[heard.talker, client.user] = len(late)
        return missing


@pytest.mark.parametrize(("loss", "most_percent"), [(0.0, 0.0), (0.01, 0.03), (0.05, 0.1)])
def test_a_room_with_losses_on_every_way(loss: float, most_percent: float) -> None:
    blocks = 2000
    world = World(4, loss=loss, seed=5)
    world.run(blocks)
    missing = world.missing(blocks)
    assert len(missing) == 12
    assert 100 * sum(missing.values()) / (blocks * 12) <= most_percent


def test_without_losses_repair_ceases_on_every_way() -> None:
    world = World(2, loss=0.0, seed=1)
    world.run(6000)
    for client in world.clients.values():
        (leg,) = client.fanout.legs
        assert leg.every_blocks == 0
    for downlink in world.downlinks.values():
        assert [leg.every_blocks for leg in downlink.legs.values()] == [0]
