"""What a client lets in by UDP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.session.datagrams import DatagramSender
from echowarp.session.inbox import SERVER_TYPES, Block, ClientInbox, RepairPiece
from echowarp.session.reports import Tally
from echowarp.session.streams import begin
from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block
from echowarp.wire.feedback import ClockAnswer, Repair, pack_clock_answer, pack_repair
from echowarp.wire.records import Stream

STREAM = Stream(stream=0, codec=0, rate=48_000, channels=2, block=240, seq=7, time=1000, user=0)
KEYS = SessionKeys(
    control_client=b"a" * 32,
    control_server=b"b" * 32,
    udp_client=b"c" * 32,
    audio_hmac=b"d" * 32,
    audio_gcm=b"e" * 32,
    session=b"sessions",
)
PAYLOAD = bytes(range(240)) * 4


def pair(suite: Suite) -> tuple[DatagramSender, ClientInbox]:
    sender = DatagramSender(cipher=cipher_for_audio(suite, KEYS), session=KEYS.session)
    inbox = ClientInbox(keys=KEYS, suite=suite)
    inbox.announce(0, begin(STREAM, 0))
    return sender, inbox


def sealed(sender: DatagramSender, k: int, stream: int = 0, kind: int = 1) -> bytes:
    return sender.seal(kind, stream, pack_block(7 + k, 1000 + k * 240, PAYLOAD))


@pytest.mark.parametrize("suite", Suite)
def test_a_block_comes_through_as_it_was_sent(suite: Suite) -> None:
    sender, inbox = pair(suite)
    block = inbox.receive(sealed(sender, 0), 5)
    assert isinstance(block, Block)
    assert block == Block(block.stream, 7, 1000, PAYLOAD, first_seq=7, resent=False)
    assert inbox.rejected == 0


def test_the_number_tells_which_block_was_the_first_sent() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    lost = [sealed(sender, k) for k in range(100, 103)]
    block = inbox.receive(sealed(sender, 103), 600_000_000)
    assert isinstance(block, Block) and block.first_seq == 107
    assert inbox.receive(lost[1], 600_000_000) is not None


@pytest.mark.parametrize("suite", Suite)
def test_a_replay_is_dropped(suite: Suite) -> None:
    sender, inbox = pair(suite)
    datagram = sealed(sender, 0)
    assert inbox.receive(datagram, 0) is not None
    assert inbox.receive(datagram, 0) is None
    assert (inbox.repeated, inbox.rejected) == (1, 0)


@pytest.mark.parametrize("suite", [Suite.INTEGRITY, Suite.ENCRYPTED])
def test_every_flipped_bit_is_dropped(suite: Suite) -> None:
    sender, inbox = pair(suite)
    datagram = sealed(sender, 0)
    for bit in range(len(datagram) * 8):
        forged = bytearray(datagram)
        forged[bit // 8] ^= 1 << bit % 8
        assert inbox.receive(bytes(forged), 0) is None
    assert inbox.receive(datagram, 0) is not None


@pytest.mark.parametrize(
    "strange",
    [b"", b"\x01", bytes(17), bytes(18), bytes(1233), b"\x01\x00sessions" + bytes(8)],
)
def test_strange_datagrams_are_dropped(strange: bytes) -> None:
    _, inbox = pair(Suite.NONE)
    assert inbox.receive(strange, 0) is None
    assert inbox.rejected == 1


def test_other_sessions_types_and_streams_are_dropped() -> None:
    sender, inbox = pair(Suite.NONE)
    other = DatagramSender(cipher=cipher_for_audio(Suite.NONE, KEYS), session=b"somebody")
    assert inbox.receive(sealed(other, 0), 0) is None
    assert inbox.receive(sealed(sender, 0, stream=1), 0) is None
    assert inbox.receive(sealed(sender, 0, kind=DatagramType.PROBE), 0) is None
    for kind in set(range(256)) - SERVER_TYPES:
        assert inbox.receive(sealed(sender, 0, kind=kind), 0) is None
    for kind in SERVER_TYPES:
        assert inbox.receive(sender.seal(kind, 0, b"shrt"), 0) is None
    assert inbox.rejected == 3 + 250 + 6
    assert inbox.receive(sealed(sender, 0), 0) is not None


def test_the_types_of_the_server_are_these() -> None:
    assert sorted(SERVER_TYPES) == [
        DatagramType.BLOCK,
        DatagramType.RESEND,
        DatagramType.REPAIR,
        DatagramType.REQUEST & ~CLIENT_BIT,
        DatagramType.REPORT & ~CLIENT_BIT,
        DatagramType.CLOCK_ANSWER,
    ]
    # None of them is a type that clients send.
    assert all(not DatagramType.PROBE <= kind < 0x80 for kind in SERVER_TYPES)


def test_a_block_that_is_sent_again_says_so() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    block = inbox.receive(sealed(sender, 0, kind=DatagramType.RESEND), 0)
    assert isinstance(block, Block)
    assert block == Block(block.stream, 7, 1000, PAYLOAD, first_seq=7, resent=True)


def test_rows_and_resends_between_do_not_move_the_first_block_back_beyond_the_stream() -> None:
    """They count as numbers, so what is derived from a number is a bound."""
    sender, inbox = pair(Suite.ENCRYPTED)
    for _ in range(20):
        sender.seal(DatagramType.REPAIR, 0, b"")
    block = inbox.receive(sealed(sender, 5), 0)
    assert isinstance(block, Block) and block.first_seq == 7


def test_a_repair_row_is_placed_in_its_stream() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    inbox.receive(sealed(sender, 3), 0)
    row = pack_repair(Repair(9, 3, b"row"))
    piece = inbox.receive(sender.seal(DatagramType.REPAIR, 0, row), 0)
    assert isinstance(piece, RepairPiece)
    assert piece == RepairPiece(piece.stream, 9, 3, b"row")
    assert inbox.receive(sender.seal(DatagramType.REPAIR, 1, row), 0) is None
    wide = row[:4] + b"\x19" + row[5:]
    assert inbox.receive(sender.seal(DatagramType.REPAIR, 0, wide), 0) is None
    assert inbox.rejected == 2


def test_a_row_over_the_wrap_of_the_counter_is_unwrapped() -> None:
    sender, _ = pair(Suite.NONE)
    inbox = ClientInbox(keys=KEYS, suite=Suite.NONE)
    inbox.announce(0, begin(replace(STREAM, seq=2**32 - 2), 0))
    row = sender.seal(DatagramType.REPAIR, 0, pack_repair(Repair(1, 3, b"row")))
    piece = inbox.receive(row, 0)
    assert isinstance(piece, RepairPiece)
    assert piece == RepairPiece(piece.stream, 2**32 + 1, 3, b"row")


def test_the_answer_of_the_clock_needs_no_stream() -> None:
    sender = DatagramSender(cipher=cipher_for_audio(Suite.ENCRYPTED, KEYS), session=KEYS.session)
    inbox = ClientInbox(keys=KEYS, suite=Suite.ENCRYPTED)
    answer = ClockAnswer(1, 2, 3)
    datagram = sender.seal(DatagramType.CLOCK_ANSWER, 0, pack_clock_answer(answer))
    assert inbox.receive(datagram, 0) == answer


def test_receipts_count_what_is_ours_whatever_is_in_it() -> None:
    """Loss is a matter of datagrams; a replay and a forgery are none of ours."""
    sender, inbox = pair(Suite.ENCRYPTED)
    datagrams = [sealed(sender, k) for k in range(5)]
    datagrams.append(sender.seal(DatagramType.REPAIR, 9, b"nonsense"))
    datagrams += [sealed(sender, k) for k in range(6, 10)]
    for number in (0, 1, 1, 2, 3, 5, 8, 9):
        inbox.receive(datagrams[number], 0)
    inbox.receive(datagrams[7][:-1] + b"?", 0)
    assert inbox.receipts.tally(1, 0) == Tally(highest=9, received=7, bursts=2)


def test_other_datagrams_before_the_first_block_are_not_taken_for_blocks() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    for _ in range(3):
        sender.seal(DatagramType.CLOCK_ANSWER, 0, bytes(24))
    asked = sender.seal(DatagramType.CLOCK_ANSWER, 0, bytes(24))
    assert inbox.receive(asked, 600_000_000) is not None
    block = inbox.receive(sealed(sender, 100), 600_000_000)
    assert isinstance(block, Block) and block.first_seq == 107 - 3


def test_a_block_tells_which_announcement_placed_it() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    trackers = [begin(STREAM, 0) for _ in range(2)]
    for k, tracker in enumerate(trackers):
        inbox.announce(0, tracker)
        block = inbox.receive(sealed(sender, k), 0)
        assert isinstance(block, Block) and block.stream is tracker
