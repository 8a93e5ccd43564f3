from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.session.broadcast import Broadcast, Outgoing, Row
from echowarp.session.datagrams import DatagramSender
from echowarp.session.rate_policy import RepairRate
from echowarp.wire.datagram import BlockBody, DatagramType, Header, parse_block, parse_header
from echowarp.wire.feedback import (
    ClockAnswer,
    ClockAsk,
    Report,
    ReportEntry,
    Request,
    parse_clock_answer,
    parse_repair,
)
from tests.crypto.known import PROTOCOL, case_name, unhex

LAST = 2**32 - 1
MS = 1_000_000
S = 1_000 * MS
BLOCK_NS = 5 * MS
ENVELOPE_BYTES = 18


class NoRows:
    """Makes no repair rows."""

    def add(self, seq: int, time: int, payload: bytes) -> None:
        """Takes the stream's next block."""

    def row(self, width: int) -> Row | None:
        """Never one."""
        return None


def sender(session: bytes = b"sessions") -> DatagramSender:
    return DatagramSender(cipher=DatagramCipher(Suite.NONE, b""), session=session)


def broadcast(*connections: int) -> Broadcast[str]:
    cast = begun(10, 1000)
    for connection in connections:
        cast.add(connection, sender(bytes((connection,)) * 8), 0)
    return cast


def begun(first_seq: int, first_time: int) -> Broadcast[str]:
    return Broadcast(first_seq=first_seq, first_time=first_time, block_ns=BLOCK_NS, rows=NoRows())


def repairing(*connections: int) -> Broadcast[str]:
    """With repair rows, and every listener open."""
    cast: Broadcast[str] = Broadcast(
        first_seq=10, first_time=1000, block_ns=BLOCK_NS, rows=RepairEncoder()
    )
    for connection in connections:
        cast.add(connection, sender(bytes((connection,)) * 8), 0)
        cast.open(connection, "way")
    return cast


def kinds(sent: Iterable[Outgoing[str]]) -> list[tuple[int, int]]:
    """Connection and type of each datagram."""
    return [(connection, parse_header(datagram).kind) for connection, _, datagram in sent]


def told(
    cast: Broadcast[str], *, highest: int, received: int, now_ns: int, target_ns: int = 40 * MS
) -> None:
    """Listener 1 reports; everything that lacks was lost in runs of one."""
    entry = ReportEntry(0, 2 * MS, target_ns)
    cast.report(1, Report(highest, received, highest + 1 - received, 10 * MS, (entry,)), now_ns)


def send(
    cast: Broadcast[str], payload: bytes = b"pcm!", *, frames: int = 1, lost_frames: int = 0
) -> list[tuple[int, str, Header, BlockBody]]:
    sent = []
    for connection, way, datagram in cast.block(payload, frames=frames, lost_frames=lost_frames):
        header, body = parse_header(datagram), parse_block(datagram[ENVELOPE_BYTES:])
        sent.append((connection, way, header, body))
    return sent


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
@pytest.mark.parametrize("suite", Suite)
def test_the_media_datagram_of_the_vectors(case: dict[str, str], suite: Suite) -> None:
    session, expected = unhex(case, "session", f"media_number_3_suite_{suite.value}")
    names = {Suite.INTEGRITY: "audio_hmac", Suite.ENCRYPTED: "audio_gcm"}
    key = bytes.fromhex(case[names[suite]]) if suite in names else b""
    cast = begun(0x00010203 - 3, 0x04050607 - 3)
    cast.add(1, DatagramSender(cipher=DatagramCipher(suite, key), session=session), 0)
    cast.open(1, "way")
    for _ in range(3):
        list(cast.block(b"", frames=1, lost_frames=0))
    assert list(cast.block(b"", frames=1, lost_frames=0)) == [(1, "way", expected)]


def test_a_block_goes_to_each_open_listener_in_the_order_of_joining() -> None:
    cast = broadcast(3, 1, 2)
    assert cast.open_listeners == 0
    assert send(cast) == []
    for connection in (1, 2, 3):
        cast.open(connection, f"way {connection}")
    assert cast.open_listeners == 3
    sent = send(cast, b"abcd")
    assert [(connection, way) for connection, way, _, _ in sent] == [
        (3, "way 3"),
        (1, "way 1"),
        (2, "way 2"),
    ]
    assert {body for _, _, _, body in sent} == {BlockBody(11, 1001, b"abcd")}
    assert [header for _, _, header, _ in sent] == [
        Header(1, 0, bytes((connection,)) * 8, 0) for connection in (3, 1, 2)
    ]
    assert cast.blocks_sent == 3


def test_seq_and_time_move_on_by_blocks_and_frames() -> None:
    cast = broadcast(1)
    cast.open(1, "way")
    bodies = [
        send(cast, frames=240)[0][3],
        send(cast, frames=240)[0][3],
        send(cast, frames=240, lost_frames=1000)[0][3],
        send(cast, frames=7)[0][3],
    ]
    assert [(body.seq, body.time) for body in bodies] == [
        (10, 1000),
        (11, 1240),
        (12, 2480),
        (13, 2720),
    ]
    assert (cast.seq, cast.time) == (14, 2727)


def test_the_stream_moves_on_without_listeners_and_unread() -> None:
    cast = broadcast()
    cast.block(b"pcm!", frames=240, lost_frames=10)
    assert (cast.seq, cast.time) == (11, 1250)


def test_a_block_that_is_skipped_keeps_its_place() -> None:
    """Nobody is sent it, nobody can have it again, and those after it are where they were."""
    cast = broadcast(1)
    cast.open(1, "way")
    send(cast, frames=4)
    cast.skip(frames=4, lost_frames=3)
    ((_, _, header, body),) = send(cast, frames=4)
    assert (header.number, body.seq, body.time) == (1, 12, 1011)
    answers = cast.request(1, Request(10, 0b111), 0)
    assert [parse_block(each[2][ENVELOPE_BYTES:]).seq for each in answers] == [10, 12]


def test_seq_and_time_wrap() -> None:
    cast = begun(LAST, LAST - 100)
    cast.add(1, sender(), 0)
    cast.open(1, "way")
    positions = [(body.seq, body.time) for _ in range(3) for *_, body in send(cast, frames=240)]
    assert positions == [(LAST, LAST - 100), (0, 139), (1, 379)]
    assert (cast.seq, cast.time) == (LAST + 3, LAST - 100 + 720)
    late = begun(0, LAST)
    late.add(1, sender(), 0)
    late.open(1, "way")
    assert send(late, frames=1, lost_frames=2)[0][3].time == 1


def test_opening_again_is_another_way() -> None:
    cast = broadcast(1)
    cast.open(1, "old")
    send(cast)
    cast.open(1, "new")
    ((_, way, header, _),) = send(cast)
    assert (way, header.number) == ("new", 1)


def test_pausing_and_removing() -> None:
    cast = broadcast(1, 2)
    cast.open(1, "one")
    cast.open(2, "two")
    cast.pause(1)
    assert [sent[0] for sent in send(cast)] == [2]
    cast.open(1, "one")
    assert [sent[0] for sent in send(cast)] == [1, 2]
    cast.remove(1)
    cast.remove(1)
    assert [sent[0] for sent in send(cast)] == [2]


def test_who_joins_again_is_there_once() -> None:
    cast = broadcast(1)
    cast.open(1, "old")
    cast.add(1, sender(b"sessions"), 0)
    assert (cast.open_listeners, send(cast)) == (0, [])
    cast.open(1, "new")
    assert [way for _, way, _, _ in send(cast)] == ["new"]


def test_who_is_not_there_is_no_matter() -> None:
    cast = broadcast(1)
    cast.open(9, "way")
    cast.pause(9)
    cast.remove(9)
    assert cast.open_listeners == 0
    assert send(cast) == []


@pytest.mark.parametrize("seed", range(10))
def test_no_number_is_ever_used_twice(seed: int) -> None:
    """Listeners open, pause, come, go, ask and tell, and blocks are abandoned half-way,
    in any order."""
    choose = random.Random(seed)
    cast = repairing()
    last: dict[bytes, int] = {}
    senders = answers = 0
    actions = ("add", "open", "pause", "remove", "request", "clock", "report", "block", "cut")
    for now_ms in range(3000):
        connection, now_ns = choose.randint(1, 4), now_ms * MS
        action = choose.choice((*actions, "block", "block"))
        sent: Iterable[Outgoing[str]] = ()
        if action == "add":
            senders += 1
            cast.add(connection, sender(senders.to_bytes(8, "big")), now_ns)
        elif action == "open":
            cast.open(connection, choose.choice("xyz"))
        elif action == "pause":
            cast.pause(connection)
        elif action == "remove":
            cast.remove(connection)
        elif action == "request":
            base = max(0, cast.seq - choose.randint(1, 80))
            sent = cast.request(connection, Request(base, choose.getrandbits(64)), now_ns)
        elif action == "clock":
            sent = cast.clock(connection, ClockAsk(1), received_ns=now_ns, now_ns=now_ns)
        elif action == "report":
            number, came = choose.randint(0, 50), choose.randint(0, 50)
            entry = ReportEntry(0, 2 * MS, 40 * MS)
            cast.report(connection, Report(number, came, 1, 10 * MS, (entry,)), now_ns)
        else:
            sent = cast.block(b"pcm!", frames=1, lost_frames=0)
        for _, _, datagram in sent:
            header = parse_header(datagram)
            assert header.number > last.get(header.session, -1)
            last[header.session] = header.number
            answers += header.kind == DatagramType.CLOCK_ANSWER
            if action == "cut":
                break
    counted = cast.blocks_sent + cast.rows_sent + cast.blocks_resent + answers
    assert sum(number + 1 for number in last.values()) == counted
    assert min(cast.blocks_sent, cast.rows_sent, cast.blocks_resent, answers) > 20


def test_spent_numbers_say_so_and_the_others_go_on() -> None:
    cast = broadcast(1, 2, 3)
    for connection in (1, 2, 3):
        cast.open(connection, "way")
    cast._listeners[2].sender._next_number = MAX_NUMBERS
    sent = [(c, bool(d)) for c, _, d in cast.block(b"pcm!", frames=1, lost_frames=0)]
    assert sent == [(1, True), (2, False), (3, True)]
    assert cast.blocks_sent == 2


def test_a_listener_may_be_removed_while_a_block_goes_out() -> None:
    cast = broadcast(1, 2, 3)
    for connection in (1, 2, 3):
        cast.open(connection, "way")
    cast._listeners[2].sender._next_number = MAX_NUMBERS
    served = []
    for connection, _, datagram in cast.block(b"pcm!", frames=1, lost_frames=0):
        served.append(connection)
        if not datagram:
            cast.remove(connection)
    assert served == [1, 2, 3]
    assert [sent[0] for sent in send(cast)] == [1, 3]


def test_half_as_many_rows_as_blocks_until_loss_is_known() -> None:
    """Staggered over the listeners: a row follows every second block, not all at once."""
    cast = repairing(1, 2)
    sent = [kinds(cast.block(b"pcm!", frames=1, lost_frames=0)) for _ in range(6)]
    block, row = DatagramType.BLOCK, DatagramType.REPAIR
    # No row covers less than two blocks.
    assert sent[0] == [(1, block), (2, block)]
    assert sent[1:] == [
        [(1, block), (2, block), (2, row)],
        [(1, block), (1, row), (2, block)],
    ] * 2 + [[(1, block), (2, block), (2, row)]]
    assert (cast.blocks_sent, cast.rows_sent) == (12, 5)


def test_who_leaves_moves_nobody_elses_rows() -> None:
    """A row twice as late as the others would repair half as much."""
    cast = repairing(1, 2, 3)
    list(cast.block(b"pcm!", frames=1, lost_frames=0))
    with_rows = []
    for k in range(8):
        if k == 3:
            cast.remove(1)
        if k == 5:
            cast.pause(2)
        sent = kinds(cast.block(b"pcm!", frames=1, lost_frames=0))
        with_rows.append((3, DatagramType.REPAIR) in sent)
    assert with_rows == [False, True] * 4


def test_whoever_is_paused_while_a_block_goes_out_gets_no_more_of_it() -> None:
    cast = repairing(1, 2, 3)
    list(cast.block(b"pcm!", frames=1, lost_frames=0))
    served = []
    for connection, _, datagram in cast.block(b"pcm!", frames=1, lost_frames=0):
        served.append((connection, parse_header(datagram).kind))
        cast.pause(2)
        cast.pause(3)
    assert served == [(1, DatagramType.BLOCK)]
    assert cast.open_listeners == 1


def test_a_row_gives_a_lost_block_back() -> None:
    cast, solver = repairing(1), RepairSolver(10, 1000)
    payloads = [bytes((k,)) * 960 for k in range(13)]
    solved = []
    for k, payload in enumerate(payloads):
        for _, _, datagram in cast.block(payload, frames=240, lost_frames=0):
            header, body = parse_header(datagram), datagram[ENVELOPE_BYTES:]
            if header.kind == DatagramType.REPAIR:
                row = parse_repair(body)
                solved += solver.repair(row.seq, row.width, row.row)
            elif k != 7:
                block = parse_block(body)
                solved += solver.block(block.seq, block.time, block.payload)
    assert solved == [(17, 1000 + 7 * 240, payloads[7])]


def test_rows_cease_where_nothing_is_lost_and_return_with_losses() -> None:
    cast = repairing(1)
    number = came = 0
    rates = []
    for k in range(200 * 60):
        lossy = k >= 200 * 40
        for _, _, datagram in cast.block(b"pcm!", frames=1, lost_frames=0):
            number = parse_header(datagram).number
            came += not (lossy and number % 10 == 0)
        if k % 40 == 39:
            told(cast, highest=number, received=came, now_ns=(k + 1) * BLOCK_NS)
            rates.append(cast._listeners[1].legs[0].policy.rate)
    assert rates[0] is RepairRate.HALF
    assert rates[30 * 5] is RepairRate.NONE
    assert rates[-1] >= RepairRate.EIGHTH


def test_a_report_that_claims_what_was_never_sent_changes_nothing() -> None:
    cast = repairing(1)
    list(cast.block(b"pcm!", frames=1, lost_frames=0))
    for turn in range(1, 300):
        told(cast, highest=1000 * turn, received=0, now_ns=turn * 200 * MS)
    assert cast._listeners[1].legs[0].policy.rate is RepairRate.HALF
    assert cast._listeners[1].losses.over(60 * S, 60 * S).numbers == 0


def test_a_request_is_answered_under_a_new_number_with_what_was_sent() -> None:
    cast = broadcast(1, 2)
    cast.open(1, "one")
    cast.open(2, "two")
    for k in range(5):
        send(cast, bytes((k,)) * 4, frames=240)
    (one, two) = cast.request(1, Request(11, 0b101), S)
    (connection, way, datagram), (*_, second) = one, two
    assert (connection, way) == (1, "one")
    assert parse_header(datagram) == Header(DatagramType.RESEND, 0, b"\x01" * 8, 5)
    assert parse_block(datagram[ENVELOPE_BYTES:]) == BlockBody(11, 1240, b"\x01" * 4)
    assert parse_block(second[ENVELOPE_BYTES:]) == BlockBody(13, 1720, b"\x03" * 4)
    assert (cast.blocks_sent, cast.blocks_resent) == (10, 2)


def test_what_is_older_than_a_second_or_has_not_been_is_not_sent_again() -> None:
    cast = broadcast(1)
    cast.open(1, "way")
    for _ in range(300):
        send(cast)
    assert list(cast.request(1, Request(10, 2**64 - 1), S)) == []
    assert list(cast.request(1, Request(310, 2**64 - 1), S)) == []
    assert len(list(cast.request(1, Request(300, 2**64 - 1), S))) == 10


def test_whoever_is_not_streamed_to_gets_no_answer() -> None:
    cast = broadcast(1)
    send(cast)
    for connection in (1, 9):
        assert list(cast.request(connection, Request(10, 1), S)) == []
        assert list(cast.clock(connection, ClockAsk(5), received_ns=S, now_ns=S)) == []
        cast.report(connection, Report(0, 0, 0, 0, ()), S)


def test_the_clock_tells_when_the_question_came_and_when_the_answer_left() -> None:
    cast = broadcast(1)
    cast.open(1, "way")
    ((connection, way, datagram),) = cast.clock(1, ClockAsk(5), received_ns=7 * S, now_ns=8 * S)
    assert (connection, way) == (1, "way")
    assert parse_header(datagram).kind == DatagramType.CLOCK_ANSWER
    assert parse_clock_answer(datagram[ENVELOPE_BYTES:]) == ClockAnswer(5, 7 * S, 8 * S)


def test_spent_numbers_say_so_to_whoever_asks() -> None:
    cast = broadcast(1)
    cast.open(1, "way")
    send(cast)
    cast._listeners[1].sender._next_number = MAX_NUMBERS
    assert [d for *_, d in cast.request(1, Request(10, 1), S)] == [b""]
    assert [d for *_, d in cast.clock(1, ClockAsk(5), received_ns=S, now_ns=S)] == [b""]


def test_whoever_is_paused_while_it_is_answered_gets_no_more() -> None:
    cast = broadcast(1)
    cast.open(1, "way")
    send(cast)
    send(cast)
    cast._listeners[1].sender._next_number = MAX_NUMBERS
    served = []
    for _, way, datagram in cast.request(1, Request(10, 0b11), S):
        served.append((way, datagram))
        cast.pause(1)
    assert served == [("way", b"")]
    assert cast.blocks_resent == 1
