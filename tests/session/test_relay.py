from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio, cipher_for_client
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.session.datagrams import DatagramReceiver, DatagramSender
from echowarp.session.fanout import Downlink, Fanout, Outgoing
from echowarp.session.relay import TALK_TYPES, Relay, StreamRecord
from echowarp.session.relay_member import MAX_AT_ONCE
from echowarp.session.stream_bytes import REST_NS
from echowarp.session.uplink import Found
from echowarp.wire.datagram import (
    CLIENT_BIT,
    DatagramType,
    Header,
    pack_block,
    parse_block,
    parse_header,
)
from echowarp.wire.feedback import (
    Report,
    ReportEntry,
    Request,
    parse_repair,
    parse_report,
    parse_request,
)
from echowarp.wire.records import Anchor, End, EndReason, Stream

MS = 1_000_000
S = 1_000 * MS
FRAMES, BLOCK_NS = 240, 5 * MS
BLOCK, RESEND, REPAIR = (int(DatagramType[kind]) for kind in ("BLOCK", "RESEND", "REPAIR"))
ASK, TELL = DatagramType.REQUEST & ~CLIENT_BIT, DatagramType.REPORT & ~CLIENT_BIT

Got = tuple[int, int, int, bytes]
"""Connection, type, stream byte, body."""


def keys(connection: int) -> SessionKeys:
    key = bytes((connection,)) * 32
    return SessionKeys(
        control_client=key,
        control_server=key,
        udp_client=key,
        audio_hmac=key,
        audio_gcm=key,
        session=bytes((connection,)) * 8,
    )


def stream(*, seq: int = 100, time: int = 7000, codec: int = 0, block: int = FRAMES) -> Stream:
    return Stream(
        stream=0, codec=codec, rate=48000, channels=2, block=block, seq=seq, time=time, user=0
    )


class Hall:
    """A relay, and sessions whose datagrams are sealed and opened for real."""

    def __init__(self, *connections: int) -> None:
        self.relay: Relay[str] = Relay(rows=RepairEncoder, solver=RepairSolver)
        self.downlinks: dict[int, Downlink[str]] = {}
        self.receivers: dict[int, DatagramReceiver] = {}
        self.records: list[tuple[int, StreamRecord]] = []
        self.now_ns = S
        for connection in connections:
            sender = DatagramSender(
                cipher=cipher_for_audio(Suite.ENCRYPTED, keys(connection)),
                session=keys(connection).session,
            )
            downlink: Downlink[str] = Downlink(connection, sender)
            downlink.way = f"way {connection}"
            self.downlinks[connection] = downlink
            self.receivers[connection] = DatagramReceiver(
                cipher=cipher_for_audio(Suite.ENCRYPTED, keys(connection)), suite=Suite.ENCRYPTED
            )
            self.relay.join(downlink, 1000 + connection)

    def got(self, outgoing: Iterable[Outgoing[str]]) -> list[Got]:
        got = []
        for connection, way, datagram in outgoing:
            header = parse_header(datagram)
            assert way == f"way {connection}"
            assert header.session == keys(connection).session
            body = self.receivers[connection].open(header, datagram)
            assert body is not None
            got.append((connection, header.kind, header.stream, body))
        return got

    def told(self) -> list[tuple[int, StreamRecord]]:
        return self.relay.to_send()

    def talk(self, connection: int, asked: Stream | None = None) -> int:
        """The byte that the talker is given."""
        self.relay.talk(connection, asked or stream(), self.now_ns)
        records = self.told()
        answer = next(record for to, record in records if to == connection)
        self.records += [each for each in records if each[1] is not answer]
        assert isinstance(answer, Stream)
        return answer.stream

    def hear(self, talker: int, *listeners: int) -> list[tuple[int, StreamRecord]]:
        self.relay.hear(talker, listeners, self.now_ns)
        return self.told()

    def say(
        self, talker: int, byte: int, seq: int, payload: bytes = b"pcm!", kind: int = BLOCK
    ) -> list[Got]:
        body = pack_block(seq, 7000 + (seq - 100) * FRAMES, payload)
        return self.receive(talker, byte, kind, body)

    def receive(self, talker: int, byte: int, kind: int, body: bytes) -> list[Got]:
        return self.got(self.relay.receive(talker, kind | CLIENT_BIT, byte, body, self.now_ns))

    def wait(self, duration_ns: int) -> list[Got]:
        self.now_ns += duration_ns
        return self.got(self.relay.handle_timeout(self.now_ns))


def blocks(got: Iterable[Got]) -> list[tuple[int, int]]:
    """Connection and seq of each block, sent first or again."""
    return [(to, parse_block(body).seq) for to, kind, _, body in got if kind in (BLOCK, RESEND)]


def call() -> tuple[Hall, int]:
    """1 talks to 2; 3 is somebody else. Gives 1's byte."""
    hall = Hall(1, 2, 3)
    hall.hear(1, 2)
    return hall, hall.talk(1)


class TestCaptureTimes:
    def test_each_listener_is_told_under_its_own_byte(self) -> None:
        hall = Hall(1, 2, 3, 4)
        # 2 hears a stream already, so another byte is the next.
        hall.hear(4, 2)
        hall.talk(4)
        hall.hear(1, 2, 3)
        hall.records.clear()
        byte = hall.talk(1)
        streams = {to: each.stream for to, each in hall.records if isinstance(each, Stream)}
        assert len(set(streams.values())) == 2
        anchor = Anchor(stream=byte, time=7240, captured=hall.now_ns - 3 * MS)
        hall.relay.anchor(1, anchor, hall.now_ns)
        assert sorted(hall.told(), key=lambda each: each[0]) == [
            (to, Anchor(stream=streams[to], time=7240, captured=hall.now_ns - 3 * MS))
            for to in (2, 3)
        ]

    def test_one_a_second_is_what_goes_on(self) -> None:
        hall, byte = call()
        passed = []
        for n in range(400):
            hall.now_ns += 10 * MS
            hall.relay.anchor(1, Anchor(stream=byte, time=n, captured=hall.now_ns), hall.now_ns)
            passed += [n for _ in hall.told()]
        assert passed == list(range(0, 400, 50))

    @pytest.mark.parametrize("off_s", [-11, 11, 2**33])
    def test_what_no_clock_can_say_does_not(self, off_s: int) -> None:
        hall, byte = call()
        hall.now_ns += 20 * S
        told = Anchor(stream=byte, time=0, captured=hall.now_ns + off_s * S)
        hall.relay.anchor(1, told, hall.now_ns)
        assert (hall.told(), hall.relay.dropped) == ([], 1)

    def test_of_no_stream_of_ours_or_of_one_that_is_over_nothing_goes_on(self) -> None:
        hall, byte = call()
        hall.hear(2, 1)
        others = hall.talk(2)
        for connection, stream_byte in ((1, byte + others + 1), (3, byte), (9, byte)):
            told = Anchor(stream=stream_byte, time=0, captured=hall.now_ns)
            hall.relay.anchor(connection, told, hall.now_ns)
        hall.relay.end(1, End(stream=byte, seq=100, reason=EndReason.STOPPED), hall.now_ns)
        hall.told()
        hall.relay.anchor(1, Anchor(stream=byte, time=0, captured=hall.now_ns), hall.now_ns)
        assert hall.told() == []


def test_a_block_goes_on_as_it_is_under_the_listeners_own_byte() -> None:
    hall, byte = call()
    hall.talk(2)
    hall.hear(2, 1, 3)
    ((to, announced),) = [each for each in hall.records if each[0] == 2]
    assert to == 2 and isinstance(announced, Stream)
    assert (announced.stream, announced.user, announced.seq, announced.time) == (1, 1001, 100, 7000)
    got = hall.say(1, byte, 100, b"opaque")
    assert got == [(2, BLOCK, 1, pack_block(100, 7000, b"opaque"))]


def test_nobody_else_hears_it() -> None:
    hall, byte = call()
    assert {to for to, *_ in hall.say(1, byte, 100)} == {2}
    assert hall.hear(1) == [(2, End(stream=1, seq=101, reason=EndReason.STOPPED))]
    assert hall.say(1, byte, 101) == []
    assert hall.relay.dropped == 0


def test_who_joins_later_is_told_where_the_stream_is() -> None:
    hall, byte = call()
    for seq in range(100, 110):
        hall.say(1, byte, seq)
    ((to, announced),) = hall.hear(1, 2, 3)
    assert to == 3 and isinstance(announced, Stream)
    assert (announced.seq, announced.time) == (110, 7000 + 10 * FRAMES)
    assert blocks(hall.say(1, byte, 110)) == [(2, 110), (3, 110)]


def test_a_stream_of_nobody_is_dropped() -> None:
    hall, byte = call()
    assert hall.say(1, byte + 1, 100) == []
    assert hall.say(3, byte, 100) == []
    assert hall.say(9, byte, 100) == []
    assert hall.receive(1, byte, BLOCK, b"short") == []
    assert hall.receive(1, byte, REPAIR, b"short") == []
    assert hall.relay.dropped == 5


def test_what_overtakes_is_passed_on_first_and_nothing_waits() -> None:
    hall, byte = call()
    got = [blocks(hall.say(1, byte, seq)) for seq in (100, 102, 101, 101, 103)]
    assert got == [[(2, 100)], [(2, 102)], [(2, 101)], [], [(2, 103)]]
    kinds = [kind for _, kind, _, _ in hall.say(1, byte, 105) + hall.say(1, byte, 104)]
    assert kinds[0] == kinds[-1] == BLOCK


def test_a_lost_block_is_asked_for_and_goes_on_as_a_resend() -> None:
    hall, byte = call()
    hall.say(1, byte, 100)
    hall.say(1, byte, 102)
    asked = [each for each in hall.wait(20 * MS) if each[1] == ASK]
    assert [(to, stream) for to, _, stream, _ in asked] == [(1, byte)]
    assert 101 in {parse_request(asked[0][3]).seq + k for k in parse_request(asked[0][3]).offsets()}
    (answer,) = hall.say(1, byte, 101, kind=RESEND)
    assert (answer[0], answer[1], parse_block(answer[3]).seq) == (2, RESEND, 101)


def test_a_lost_block_is_solved_from_the_talkers_rows_unopened() -> None:
    hall, byte = call()
    encoder = RepairEncoder()
    payloads = {seq: bytes((seq,)) * 40 for seq in range(100, 112)}
    passed: list[Got] = []
    for seq, payload in payloads.items():
        encoder.add(seq, 7000 + (seq - 100) * FRAMES, payload)
        if seq not in (105, 111):
            passed += hall.say(1, byte, seq, payload)
        if seq in (110, 111):
            row = encoder.row(12)
            assert row is not None
            body = row.seq.to_bytes(4, "big") + bytes((row.width,)) + row.sum
            passed += hall.receive(1, byte, REPAIR, body)
    sent = {parse_block(b).seq: (k, parse_block(b).payload) for _, k, _, b in passed if k != REPAIR}
    assert {seq: payload for seq, (_, payload) in sent.items()} == payloads
    assert sent[105][0] == RESEND, "found after later ones"
    assert sent[111][0] == BLOCK, "the newest is in its turn"
    assert blocks(hall.say(1, byte, 105)) == [], "it came by itself after all"


def test_downlink_losses_are_the_relays_own_business() -> None:
    hall, byte = call()
    for seq in range(100, 110):
        hall.say(1, byte, seq, bytes((seq,)))
    leg = hall.downlinks[2].legs[1]
    request = Request(103, 0b101)
    got = hall.got(hall.downlinks[2].request(1, request, hall.now_ns))
    assert [(to, kind) for to, kind, _, _ in got] == [(2, RESEND)] * 2
    assert [parse_block(body).payload for *_, body in got] == [bytes((103,)), bytes((105,))]
    assert leg.fanout.blocks_resent == 2
    assert list(hall.downlinks[2].request(1, Request(110, 1), hall.now_ns)) == []
    assert list(hall.downlinks[2].request(9, request, hall.now_ns)) == []


def test_rows_for_a_listener_reach_over_a_gap_that_was_filled() -> None:
    hall, byte = call()
    solver = RepairSolver(100, 7000)
    found: dict[int, bytes] = {}
    order = [*range(100, 110), *range(111, 113), 110, *range(113, 130)]
    for seq in order:
        came_as = RESEND if seq == 110 else BLOCK
        for _, kind, _, body in hall.say(1, byte, seq, bytes((seq,)) * 30, came_as):
            if kind == REPAIR:
                row = parse_repair(body)
                solved = solver.repair(row.seq, row.width, row.row)
            elif (block := parse_block(body)).seq not in (109, 110, 114):
                solved = solver.block(block.seq, block.time, block.payload)
            else:
                solved = []
            found.update({each: payload for each, _, payload in solved})
    assert found == {seq: bytes((seq,)) * 30 for seq in (109, 110, 114)}


def test_ten_times_the_rate_is_one_and_a_half() -> None:
    hall, byte = call()
    passed = 0
    seq = 100
    for _ in range(10 * 200):
        hall.now_ns += BLOCK_NS
        for _ in range(10):
            passed += len(blocks(hall.say(1, byte, seq)))
            seq += 1
    assert passed <= 1.5 * 200 * 10 + 1.5 * 200 + 1


def test_a_talker_who_keeps_to_its_rate_loses_nothing() -> None:
    hall, byte = call()
    for seq in range(100, 100 + 4000):
        hall.now_ns += BLOCK_NS
        assert len(blocks(hall.say(1, byte, seq))) == 1
    hall.now_ns += S
    for seq in range(4100, 4300):
        assert len(blocks(hall.say(1, byte, seq))) == 1, "what a network held back"


def test_tiny_blocks_are_no_way_around_it() -> None:
    hall = Hall(1, 2)
    hall.hear(1, 2)
    hall.relay.talk(1, stream(block=4), hall.now_ns)
    assert hall.told() == [(1, End(stream=0, seq=100, reason=EndReason.STOPPED))]


@pytest.mark.parametrize(
    "asked", [stream(block=0), stream(codec=5), stream(block=2000), stream(block=296, codec=0x80)]
)
def test_streams_that_nobody_could_play_are_refused(asked: Stream) -> None:
    hall = Hall(1)
    hall.relay.talk(1, asked, hall.now_ns)
    assert hall.told() == [(1, End(stream=0, seq=100, reason=EndReason.STOPPED))]


def test_sealed_payloads_go_on_unopened() -> None:
    hall = Hall(1, 2)
    hall.hear(1, 2)
    byte = hall.talk(1, stream(codec=0x80))
    ((_, announced),) = hall.records
    assert isinstance(announced, Stream) and announced.codec == 0x80
    odd = bytes(range(33))
    ((_, _, _, body),) = [each for each in hall.say(1, byte, 100, odd) if each[1] == BLOCK]
    assert parse_block(body).payload == odd


def test_the_end_and_what_comes_after_it() -> None:
    hall, byte = call()
    for seq in (100, 101, 103):
        hall.say(1, byte, seq)
    hall.relay.end(1, End(stream=byte, seq=105, reason=EndReason.SOURCE_ENDED), hall.now_ns)
    assert hall.told() == [(2, End(stream=1, seq=105, reason=EndReason.SOURCE_ENDED))]
    hall.now_ns += S
    assert blocks(hall.say(1, byte, 104)) == [(2, 104)]
    assert blocks(hall.say(1, byte, 102, kind=RESEND)) == [(2, 102)]
    assert hall.say(1, byte, 105) == []
    assert list(hall.downlinks[2].request(1, Request(104, 1), hall.now_ns))
    hall.wait(S)
    assert hall.say(1, byte, 102) == []
    assert hall.downlinks[2].legs == {}
    assert hall.told() == [], "they know"
    assert hall.relay.timeout_ns() is None


def test_a_talker_gone_in_mid_word() -> None:
    hall, byte = call()
    hall.say(1, byte, 100)
    hall.relay.leave(1, hall.now_ns)
    assert hall.told() == [(2, End(stream=1, seq=101, reason=EndReason.STOPPED))]
    assert hall.say(1, byte, 101) == []
    assert hall.downlinks[2].legs == {}


def test_a_listener_gone() -> None:
    hall, byte = call()
    hall.hear(1, 2, 3)
    hall.relay.leave(2, hall.now_ns)
    assert blocks(hall.say(1, byte, 100)) == [(3, 100)]
    assert hall.told() == []


def test_a_new_stream_replaces_the_old() -> None:
    hall, byte = call()
    hall.say(1, byte, 100)
    again = hall.talk(1, stream(seq=500))
    assert again != byte
    kinds = [record for to, record in hall.records if to == 2]
    assert kinds[-2] == End(stream=1, seq=101, reason=EndReason.REPLACED)
    last = kinds[-1]
    assert isinstance(last, Stream) and (last.stream, last.seq) == (2, 500)


def test_a_talker_that_asks_for_ever_runs_out_of_bytes_and_of_nothing_else() -> None:
    hall, _ = call()
    refused = 0
    for k in range(1000):
        hall.relay.talk(1, stream(seq=k), hall.now_ns)
        refused += any(isinstance(r, End) and r.stream == 0 for to, r in hall.told() if to == 1)
    assert refused == 1000 - 254
    assert len(hall.relay._members[1].talks) <= 3
    hall.wait(REST_NS + 3 * S)
    assert hall.talk(1) == 1


def test_stream_bytes_of_a_listener_that_ran_out_are_given_later() -> None:
    hall, byte = call()
    for _ in range(300):
        hall.hear(1)
        hall.hear(1, 2)
    assert blocks(hall.say(1, byte, 100)) == []
    hall.wait(REST_NS)
    assert blocks(hall.say(1, byte, 101)) == [(2, 101)]


def test_one_who_begins_streams_for_ever_leaves_bytes_for_the_others() -> None:
    hall, _ = call()
    for k in range(1000):
        hall.relay.talk(1, stream(seq=k), hall.now_ns)
        hall.hear(1, *(2,) * (k % 2))
    hall.told()
    hall.hear(3, 2)
    honest = hall.talk(3)
    assert blocks(hall.say(3, honest, 100)) == [(2, 100)]


def test_a_talker_is_told_how_it_is_received() -> None:
    hall, byte = call()
    for number in range(20):
        hall.relay.numbered(1, number, hall.now_ns)
    hall.downlinks[2].sender.seal(BLOCK, 1, b"")
    entry = ReportEntry(1, 2 * MS, 60 * MS)
    hall.downlinks[2].report(Report(0, 1, 0, 30 * MS, (entry,)), hall.now_ns)
    (told,) = [each for each in hall.wait(200 * MS) if each[1] == TELL]
    report = parse_report(told[3], told[2])
    assert told[0] == 1
    assert (report.highest, report.received, report.bursts) == (19, 20, 0)
    assert [(each.stream, each.target_ns) for each in report.entries] == [(byte, 60 * MS)]
    assert not [each for each in hall.wait(100 * MS) if each[1] == TELL]


def test_reports_set_the_rate_of_each_leg_by_itself() -> None:
    hall, byte = call()
    hall.hear(1, 2, 3)
    seq, now = 100, hall.now_ns
    for _ in range(25 * 5):
        for _ in range(40):
            hall.say(1, byte, seq)
            seq += 1
            hall.now_ns += BLOCK_NS
        for connection, share in ((2, 1.0), (3, 0.9)):
            downlink = hall.downlinks[connection]
            sent = downlink.sender.sent
            came = int(sent * share)
            entry = ReportEntry(1, 2 * MS, 40 * MS)
            report = Report(sent - 1, came, sent - came, 30 * MS, (entry,) * 3)
            downlink.report(report, hall.now_ns)
    assert hall.now_ns > now
    assert hall.downlinks[2].legs[1].every_blocks == 0
    assert hall.downlinks[3].legs[1].every_blocks in (1, 2, 4)


def test_a_paused_listener_is_sent_nothing() -> None:
    hall, byte = call()
    hall.downlinks[2].way = None
    assert hall.say(1, byte, 100) == []
    assert hall.say(1, byte, 102) == []
    assert hall.say(1, byte, 101) == []
    hall.downlinks[1].way = None
    assert hall.wait(S) == []


def test_what_is_overheard_is_given_here_too() -> None:
    hall, byte = call()
    hall.say(1, byte, 100)
    hall.relay.overhear([1])
    hall.say(1, byte, 101, b"hello")
    ((connection, announced, found),) = hall.relay.heard()
    assert isinstance(found, Found)
    assert (connection, found.seq, found.payload) == (1, 101, b"hello")
    assert (announced.stream, announced.user, announced.rate) == (byte, 1001, 48000)
    assert hall.relay.heard() == []


@pytest.mark.parametrize("how", ["it ends", "it goes", "it is not overheard any more"])
def test_the_end_of_what_is_overheard_is_told_once(how: str) -> None:
    hall, byte = call()
    hall.relay.overhear([1])
    hall.say(1, byte, 100)
    (first,) = hall.relay.heard()
    if how == "it ends":
        end = End(stream=byte, seq=101, reason=EndReason.SOURCE_ENDED)
        hall.relay.end(1, end, hall.now_ns)
        hall.wait(3 * S)
    elif how == "it goes":
        hall.relay.leave(1, hall.now_ns)
    else:
        hall.relay.overhear([2])
        hall.say(1, byte, 101)
    ((connection, announced, told),) = hall.relay.heard()
    assert (connection, announced) == (1, first.stream)
    assert told == 101


def test_the_talkers_end_is_a_fan_out_of_one() -> None:
    """What a client sends its server is made by the same code."""
    hall, byte = call()
    sender = DatagramSender(cipher=cipher_for_client(keys(1)), session=keys(1).session)
    server = DatagramReceiver(cipher=cipher_for_client(keys(1)), suite=Suite.ENCRYPTED)
    up: Downlink[str] = Downlink(0, sender, CLIENT_BIT)
    up.way = "server"
    fanout: Fanout[str] = Fanout(block_ns=BLOCK_NS, rows=RepairEncoder())
    fanout.add(up, byte, 0)
    got: list[Got] = []
    for seq in range(100, 104):
        for _, _, datagram in fanout.send(seq, 7000 + (seq - 100) * FRAMES, b"pcm!"):
            header: Header = parse_header(datagram)
            assert header.kind in TALK_TYPES
            body = server.open(header, datagram)
            assert body is not None
            outgoing = hall.relay.receive(1, header.kind, header.stream, body, hall.now_ns)
            got += hall.got(outgoing)
    assert blocks(got) == [(2, seq) for seq in range(100, 104)]


def test_who_hears_whom_is_always_as_told() -> None:
    """Anything in any order, against a table."""
    choose = random.Random(7)
    hall = Hall(*range(1, 9))
    table: dict[int, set[int]] = {each: set() for each in range(1, 9)}
    current: dict[int, int] = {}
    seqs: dict[int, int] = {}
    for _ in range(4000):
        talker = choose.randint(1, 8)
        action = choose.random()
        hall.now_ns += 20 * MS
        if action < 0.05:
            table[talker] = set(choose.sample(range(1, 9), choose.randint(0, 5))) - {talker}
            hall.hear(talker, *table[talker])
        elif action < 0.07:
            current[talker] = hall.talk(talker)
            seqs[talker] = 100
        elif action < 0.2:
            hall.wait(100 * MS)
        elif talker in current:
            got = blocks(hall.say(talker, current[talker], seqs[talker]))
            assert sorted(to for to, _ in got) == sorted(table[talker])
            seqs[talker] += 1


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(sorted(TALK_TYPES)), st.binary(max_size=1198)),
        max_size=30,
    ),
    st.integers(90, 130),
)
def test_a_talker_may_send_anything(sent: list[tuple[int, int, bytes]], end: int) -> None:
    """Raw bodies, and bodies near where the stream is: nothing raises, little goes on."""
    hall, byte = call()
    for seq in (100, 101, 104):
        hall.say(1, byte, seq)
    passed = 0
    for near, kind, body in sent:
        if near == 1:
            body = pack_block(96 + len(body) % 16, 7000 + len(body) % 4096, body[8:])
        elif near == 2:
            body = (96 + len(body) % 16).to_bytes(4, "big") + bytes((len(body) % 26,)) + body[5:]
        passed += len(blocks(hall.receive(1, byte, kind & ~CLIENT_BIT, body)))
        hall.wait(7 * MS)
    assert passed <= 2 * len(sent) + 3
    hall.relay.end(1, End(stream=byte, seq=end, reason=EndReason.STOPPED), hall.now_ns)
    hall.wait(3 * S)
    assert hall.relay.timeout_ns() is None


def test_the_numbers_before_a_talk_are_counted_too() -> None:
    hall = Hall(1, 2)
    for number in range(50):
        hall.relay.numbered(1, number, hall.now_ns)
    hall.hear(1, 2)
    byte = hall.talk(1)
    hall.say(1, byte, 100)
    hall.relay.numbered(1, 50, hall.now_ns)
    (report,) = [parse_report(each[3], each[2]) for each in hall.wait(S) if each[1] == TELL]
    assert (report.highest, report.received, report.bursts) == (50, 51, 0)


def test_who_never_talks_leaves_nothing_behind() -> None:
    hall = Hall(1)
    for number in range(5000):
        hall.now_ns += 100 * MS
        hall.relay.numbered(1, number, hall.now_ns)
    assert len(hall.relay._members[1].receipts._waiting) < 10


def test_reports_do_not_hold_up_what_is_said() -> None:
    """However many talk, a few leave at once, and each talker has its own five times a second."""
    talkers = range(1, 41)
    hall = Hall(*talkers)
    bytes_of = {each: hall.talk(each) for each in talkers}
    told: Counter[int] = Counter()
    most = 0
    for turn in range(400):
        for each in talkers:
            seq = 100 + turn
            body = pack_block(seq, 7000 + turn * FRAMES, bytes(4 * FRAMES))
            hall.relay.numbered(each, turn, hall.now_ns)
            hall.receive(each, bytes_of[each], BLOCK, body)
        hall.now_ns += BLOCK_NS
        while (due_ns := hall.relay.timeout_ns()) is not None and due_ns <= hall.now_ns:
            reports = [to for to, kind, _, _ in hall.wait(0) if kind == TELL]
            most = max(most, len(reports))
            told.update(reports)
    assert most == MAX_AT_ONCE
    assert set(told) == set(talkers)
    assert all(8 <= times <= 10 for times in told.values())


def test_who_does_not_keep_up_leaves_repair_out() -> None:
    """What was said goes on; rows and requests wait until there is time."""
    hall, byte = call()
    kinds: Counter[int] = Counter()
    for seq in range(100, 140):
        hall.relay.hurried = True
        kinds.update(kind for _, kind, _, _ in hall.say(1, byte, seq, bytes(4 * FRAMES)))
        hall.now_ns += BLOCK_NS
    assert kinds == {BLOCK: 40}
    hall.say(1, byte, 142, bytes(4 * FRAMES))
    hall.relay.hurried = True
    assert [kind for _, kind, _, _ in hall.wait(10 * MS)] == []
    assert [kind for _, kind, _, _ in hall.wait(0) if kind == ASK] == [ASK]
    for seq in range(143, 183):
        kinds.update(kind for _, kind, _, _ in hall.say(1, byte, seq, bytes(4 * FRAMES)))
    assert kinds[BLOCK] == 80 and kinds[REPAIR] == 20
