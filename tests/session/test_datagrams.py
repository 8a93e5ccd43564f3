from __future__ import annotations

import struct

import pytest

from echowarp.crypto.limits import MAX_NUMBERS, NumbersSpent
from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.session.datagrams import FORGED_AHEAD, DatagramReceiver, DatagramSender
from echowarp.wire.datagram import parse_header
from tests.crypto.known import PROTOCOL, case_name, unhex

SESSION = b"sessions"
BODY = b"\x00\x01\x02"
KEY_NAME = {Suite.NONE: None, Suite.INTEGRITY: "audio_hmac", Suite.ENCRYPTED: "audio_gcm"}


def cipher(suite: Suite, key: bytes = b"K" * 32) -> DatagramCipher:
    return DatagramCipher(suite, b"" if suite is Suite.NONE else key)


def ends(suite: Suite) -> tuple[DatagramSender, DatagramReceiver]:
    return (
        DatagramSender(cipher=cipher(suite), session=SESSION),
        DatagramReceiver(cipher=cipher(suite), suite=suite),
    )


def open_one(receiver: DatagramReceiver, datagram: bytes) -> bytes | None:
    return receiver.open(parse_header(datagram), datagram)


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
@pytest.mark.parametrize("suite", Suite)
def test_known_answers(case: dict[str, str], suite: Suite) -> None:
    name = KEY_NAME[suite]
    key = b"" if name is None else bytes.fromhex(case[name])
    session, body, media = unhex(case, "session", "body", f"media_number_3_suite_{suite.value}")
    sender = DatagramSender(cipher=DatagramCipher(suite, key), session=session)
    assert [sender.seal(1, 0, body) for _ in range(4)][3] == media
    receiver = DatagramReceiver(cipher=DatagramCipher(suite, key), suite=suite)
    assert open_one(receiver, media) == body


@pytest.mark.parametrize("suite", Suite)
def test_numbers_count_from_0_and_come_once(suite: Suite) -> None:
    sender, receiver = ends(suite)
    assert receiver.highest == -1
    sealed = [sender.seal(1, 0, BODY) for _ in range(5)]
    assert [parse_header(datagram).number for datagram in sealed] == [0, 1, 2, 3, 4]
    assert sender.sent == 5
    for k in (0, 3, 1, 4, 2):
        assert open_one(receiver, sealed[k]) == BODY
        assert open_one(receiver, sealed[k]) is None
    assert (receiver.highest, receiver.replayed, receiver.forged) == (4, 5, 0)


@pytest.mark.parametrize("suite", [Suite.INTEGRITY, Suite.ENCRYPTED])
def test_a_flipped_bit_is_dropped_and_moves_nothing(suite: Suite) -> None:
    sender, receiver = ends(suite)
    datagram = sender.seal(1, 0, BODY)
    for bit in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[bit // 8] ^= 1 << bit % 8
        assert open_one(receiver, bytes(changed)) is None
    assert receiver.forged == 8 * len(datagram)
    assert receiver.highest == -1
    assert open_one(receiver, datagram) == BODY


@pytest.mark.parametrize("suite", [Suite.INTEGRITY, Suite.ENCRYPTED])
def test_a_truncated_datagram_is_dropped(suite: Suite) -> None:
    sender, receiver = ends(suite)
    datagram = sender.seal(1, 0, BODY)
    for size in range(18, len(datagram)):
        assert open_one(receiver, datagram[:size]) is None


def test_a_number_far_ahead_is_dropped_only_where_no_tag_guards_it() -> None:
    for suite in Suite:
        sender, receiver = ends(suite)
        assert open_one(receiver, sender.seal(1, 0, BODY)) == BODY
        sender._next_number = 1 + FORGED_AHEAD
        far = sender.seal(1, 0, BODY)
        assert open_one(receiver, far) == (None if suite is Suite.NONE else BODY)
    sender, receiver = ends(Suite.NONE)
    sender._next_number = FORGED_AHEAD
    assert open_one(receiver, sender.seal(1, 0, BODY)) is None
    sender._next_number = FORGED_AHEAD - 1
    assert open_one(receiver, sender.seal(1, 0, BODY)) == BODY


def test_older_than_the_window_is_dropped() -> None:
    sender, receiver = ends(Suite.ENCRYPTED)
    sealed = [sender.seal(1, 0, b"") for _ in range(1025)]
    assert open_one(receiver, sealed[1024]) == b""
    assert open_one(receiver, sealed[0]) is None
    assert open_one(receiver, sealed[1]) == b""


def test_spent_numbers() -> None:
    sender, _ = ends(Suite.ENCRYPTED)
    sender._next_number = MAX_NUMBERS - 1
    assert parse_header(sender.seal(1, 0, BODY)).number == MAX_NUMBERS - 1
    for _ in range(2):
        with pytest.raises(NumbersSpent):
            sender.seal(1, 0, BODY)
    assert sender.sent == MAX_NUMBERS


def test_a_number_is_spent_even_if_sealing_fails() -> None:
    sender, _ = ends(Suite.ENCRYPTED)
    with pytest.raises(struct.error):
        sender.seal(256, 0, BODY)
    assert parse_header(sender.seal(1, 0, BODY)).number == 1
