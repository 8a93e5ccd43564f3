"""A room under a virtual clock: talkers, a relay, listeners that mix, lossy ways between.

Everything decides as in the program: the talkers' fanouts, the relay, each listener's
mix with a jitter buffer, repair, requests and a drift loop for each talker. Left out are
sockets, threads, keys, and the sound itself, of which only the number of frames counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.reception import ServerClock
from echowarp.app.stream_playback import sum_counters
from echowarp.app.talker_mix import MixListener
from echowarp.app.virtual_time import VirtualTime
from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.media.arrivals import Counters
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.media.resampler import Resampler, SilentResampler
from echowarp.media.target import AUTO, Policy
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink, Fanout, Outgoing
from echowarp.session.inbox import Block, RepairPiece
from echowarp.session.relay import TALK_TYPES, Relay
from echowarp.session.reports import REPORT_INTERVAL_NS, ReceiptCounter
from echowarp.wire.datagram import CLIENT_BIT, HEADER_BYTES, DatagramType, parse_block, parse_header
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    ReportEntry,
    Request,
    parse_repair,
    parse_report,
    parse_request,
)
from echowarp.wire.records import Stream
from tests.simulation.engine_model import Network, Path, no_jitter

MS = 1_000_000
S = NS_PER_S
COARSE = Format(rate=8_000, channels=1, block_frames=160)
"""20 ms a block: the clocks do not care how much sound there is between."""
LAN = Network(loss=0, round_trip_ns=10 * MS, jitter=lambda rng: int(rng.random() * 2 * MS))
NOTHING = Network(loss=0, round_trip_ns=0, jitter=no_jitter)
RELAY_STEP_NS = 2 * MS
LOOK_EVERY_PULLS = 20
REPAIR, RESEND = int(DatagramType.REPAIR), int(DatagramType.RESEND)
ASK, TELL = int(DatagramType.REQUEST) & ~CLIENT_BIT, int(DatagramType.REPORT) & ~CLIENT_BIT


class Card:
    """A sink that its client pulls."""

    def __init__(self) -> None:
        self.pull: Callable[[int], bytes] | None = None

    def open(self, fmt: Format) -> Card:
        return self

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull = pull

    def delay_ns(self) -> int:
        return 0

    def stop(self) -> None:
        self.pull = None


class Client:
    """Talks and, where it `listens`, hears the others. ppm: of its clock, both ways."""

    def __init__(self, room: Room, user: int, ppm: float, seed: int) -> None:
        self.user, self.ppm = user, ppm
        self.up_path, self.down_path = Path(room.up, seed), Path(room.down, seed + 1)
        self.up: Downlink[int] = Downlink(user, room.sender(user), CLIENT_BIT)
        self.up.way = user
        self.fanout: Fanout[int] = Fanout(block_ns=room.fmt.block_ns, rows=RepairEncoder())
        self.block_ns = room.fmt.block_ns
        self.payload = room.sound(user)
        self.seq = 0
        self.begun_ns = user * MS
        self.pulls = 0
        self.card = Card()
        self.heard = b""
        """What was pulled last."""
        self.receipts = ReceiptCounter()
        self.exchange = ClockExchange(0)
        self.talkers: dict[int, int] = {}
        """By stream byte."""
        self.playback = MixedPlayback(
            self.card.open,
            fmt=room.fmt,
            latency=room.latency,
            listener=MixListener(
                wanted=lambda stream, requests: room.ask(self, stream, requests), failed=_fail
            ),
            opener=lambda stream, seq, time, payload: payload,
            monotonic_ns=lambda: room.time.now_ns,
            new_resampler=room.new_resampler,
        )

    def after_ns(self, blocks: int) -> int:
        """When so many of its blocks have passed, by its clock."""
        return self.begun_ns + round(blocks * self.block_ns / (1 + self.ppm / 1e6))


def _fail(error: BaseException) -> None:
    raise error


@dataclass(slots=True)
class Delays:
    """Of one stream at one listener, looked at again and again: how far it was from its
    target at worst; the sum of its delays above the fastest path, and how many."""

    worst_ns: int = 0
    sum_ns: int = 0
    count: int = 0


class Room:
    """So many who talk, of whom the first `listeners` listen.

    up, down: what is between each of them and the relay; ppm: clocks are off by up to so
    much either way; latency: of the listeners; sound: the one block that a user says.
    """

    def __init__(
        self,
        talkers: int,
        *,
        listeners: int,
        fmt: Format = COARSE,
        up: Network = LAN,
        down: Network = LAN,
        ppm: float = 0.0,
        latency: Policy | int = AUTO,
        sound: Callable[[int], bytes] | None = None,
        new_resampler: Callable[[Format], Resampler] = SilentResampler,
        seed: int = 1,
    ) -> None:
        self.fmt, self.latency, self.new_resampler = fmt, latency, new_resampler
        self.up, self.down = up, down
        self.sound = sound or (lambda user: random.Random(user).randbytes(fmt.block_bytes))
        self.time = VirtualTime()
        self.relay: Relay[int] = Relay(rows=RepairEncoder, solver=RepairSolver)
        self.downlinks: dict[int, Downlink[int]] = {}
        self.delays: dict[tuple[int, int], Delays] = {}
        """By talker and listener, since the room was `settled`."""
        self.settled = False
        self.clients = {}
        for user in range(1, talkers + 1):
            share = 2 * (user - 1) / max(1, talkers - 1) - 1
            self.clients[user] = Client(self, user, ppm * share, 100 * seed + 2 * user)
        self.listening = [self.clients[user] for user in range(1, listeners + 1)]
        self._join()
        for client in self.clients.values():
            self.time.at(client.after_ns(1), self._send_block, client)
        for client in self.listening:
            self.time.at(client.after_ns(0), self._pull, client)
            self.time.at(REPORT_INTERVAL_NS, self._report, client)
            self.time.at(0, self._ask_clock, client)
        self.time.at(RELAY_STEP_NS, self._relay_step)

    @property
    def fastest_ns(self) -> int:
        """From a talker to a listener, without what the jitter adds."""
        return (self.up.round_trip_ns + self.down.round_trip_ns) // 2

    def sender(self, user: int) -> DatagramSender:
        """Whoever seals what goes to or comes from that user."""
        return DatagramSender(cipher=DatagramCipher(Suite.NONE, b""), session=bytes((user,)) * 8)

    def run(self, seconds: float) -> None:
        """Lets so much time pass."""
        self.time.run(self.time.now_ns + round(seconds * S))

    def ask(self, client: Client, stream: object, requests: list[Request]) -> None:
        """A listener misses blocks: the relay is asked."""
        assert isinstance(stream, int)
        for request in requests:
            self._carry(client.up_path, self._answer, client.user, stream, request)

    def blocks(self) -> Counters:
        """What became of the blocks, over all listeners."""
        total = Counters()
        for client in self.listening:
            for talker in client.playback._mix._heard.values():
                total = sum_counters(total, talker.counters)
        return total

    def _join(self) -> None:
        for user in self.clients:
            self.downlinks[user] = Downlink(user, self.sender(user))
            self.downlinks[user].way = user
            self.relay.join(self.downlinks[user], user)
        fmt, hears = self.fmt, [client.user for client in self.listening]
        for user in self.clients:
            self.relay.hear(user, hears, 0)
            stream = Stream(
                stream=0,
                codec=0,
                rate=fmt.rate,
                channels=fmt.channels,
                block=fmt.block_frames,
                seq=0,
                time=0,
                user=0,
            )
            self.relay.talk(user, stream, 0)
            for connection, record in self.relay.to_send():
                assert isinstance(record, Stream)
                client = self.clients[connection]
                if record.user == connection:
                    client.fanout.add(client.up, record.stream, 0)
                else:
                    client.talkers[record.stream] = record.user
                    client.playback.hear(record.stream, record.user, fmt, continued=False)

    def _carry(self, path: Path, receive: Callable[..., None], *arguments: object) -> None:
        arrival_ns = path.arrival_ns(self.time.now_ns)
        if arrival_ns is not None:
            self.time.at(arrival_ns, receive, *arguments)

    def _send_block(self, client: Client) -> None:
        seq, fmt = client.seq, self.fmt
        client.seq += 1
        self._up(client.fanout.send(seq, seq * fmt.block_frames, client.payload))
        self.time.at(client.after_ns(seq + 2), self._send_block, client)

    def _up(self, outgoing: Iterable[Outgoing[int]]) -> None:
        for user, _, datagram in outgoing:
            self._carry(self.clients[user].up_path, self._at_relay, user, datagram)

    def _down(self, outgoing: Iterable[Outgoing[int]]) -> None:
        for user, _, datagram in outgoing:
            client = self.clients[user]
            self._carry(client.down_path, self._at_client, client, datagram)

    def _at_relay(self, user: int, datagram: bytes) -> None:
        header, now_ns = parse_header(datagram), self.time.now_ns
        assert header.kind in TALK_TYPES
        self.relay.numbered(user, header.number, now_ns)
        body = datagram[HEADER_BYTES:]
        self._down(self.relay.receive(user, header.kind, header.stream, body, now_ns))

    def _relay_step(self) -> None:
        due_ns, now_ns = self.relay.timeout_ns(), self.time.now_ns
        if due_ns is not None and due_ns <= now_ns:
            self._down(self.relay.handle_timeout(now_ns))
        self.time.at(now_ns + RELAY_STEP_NS, self._relay_step)

    def _answer(self, user: int, stream: int, request: Request) -> None:
        self._down(self.downlinks[user].request(stream, request, self.time.now_ns))

    def _at_client(self, client: Client, datagram: bytes) -> None:
        header, now_ns = parse_header(datagram), self.time.now_ns
        kind, stream, body = header.kind, header.stream, datagram[HEADER_BYTES:]
        client.receipts.accepted(header.number, now_ns)
        if kind == ASK:
            self._up(client.up.request(stream, parse_request(body), now_ns))
        elif kind == TELL:
            client.up.report(parse_report(body, stream), now_ns)
        elif kind == REPAIR:
            row = parse_repair(body)
            client.playback.row(RepairPiece(stream, row.seq, row.width, row.row), now_ns)
        else:
            block = parse_block(body)
            resent = kind == RESEND
            arrived = Block(stream, block.seq, block.time, block.payload, 0, resent)
            client.playback.arrived(arrived, now_ns)

    def _pull(self, client: Client) -> None:
        assert client.card.pull is not None
        client.heard = client.card.pull(self.fmt.block_frames)
        client.pulls += 1
        if self.settled and client.pulls % LOOK_EVERY_PULLS == 0:
            self._look(client)
        self.time.at(client.after_ns(client.pulls), self._pull, client)

    def _look(self, client: Client) -> None:
        """How late each stream is, as the world has it."""
        # What was pulled just now begins to leave now.
        for stream, talker in client.playback._mix._heard.items():
            assert isinstance(stream, int)
            if talker._playout is None:
                continue
            sender = self.clients[client.talkers[stream]]
            position = talker._playout.position / self.fmt.block_frames - 1
            captured_ns = sender.begun_ns + position * self.fmt.block_ns / (1 + sender.ppm / 1e6)
            delay_ns = self.time.now_ns - captured_ns - self.fmt.block_ns - self.fastest_ns
            off_ns = abs(delay_ns - client.playback.talkers[stream].target_ns)
            delays = self.delays.setdefault((sender.user, client.user), Delays())
            delays.worst_ns = max(delays.worst_ns, round(off_ns))
            delays.sum_ns += round(delay_ns)
            delays.count += 1

    def _ask_clock(self, client: Client) -> None:
        ask = client.exchange.handle_timeout(self.time.now_ns)
        if ask is not None:
            self._carry(client.up_path, self._answer_clock, client, ask.t1_ns)
        self.time.at(client.exchange.timeout_ns(), self._ask_clock, client)

    def _answer_clock(self, client: Client, t1_ns: int) -> None:
        now_ns = self.time.now_ns
        self._carry(client.down_path, self._take_clock, client, ClockAnswer(t1_ns, now_ns, now_ns))

    def _take_clock(self, client: Client, answer: ClockAnswer) -> None:
        exchange = client.exchange
        exchange.receive(answer, self.time.now_ns)
        srtt_ns, offset_ns = exchange.srtt_ns, exchange.offset_ns
        if srtt_ns is not None and offset_ns is not None:
            clock = ServerClock(srtt_ns=srtt_ns, rto_ns=exchange.rto_ns, offset_ns=offset_ns)
            client.playback.clock(clock)

    def _report(self, client: Client) -> None:
        told = client.playback.talkers
        guard_ns = min((each.guard_ns for each in told.values()), default=2 * MS)
        tally = client.receipts.tally(self.time.now_ns, guard_ns)
        if tally is not None:
            entries = tuple(
                ReportEntry(stream, each.guard_ns, each.target_ns)
                for stream, each in told.items()
                if isinstance(stream, int)
            )
            report = Report(*tally, client.exchange.rto_ns, entries)
            self._carry(client.up_path, self._take_report, client.user, report)
        self.time.at(self.time.now_ns + REPORT_INTERVAL_NS, self._report, client)

    def _take_report(self, user: int, report: Report) -> None:
        self.downlinks[user].report(report, self.time.now_ns)
