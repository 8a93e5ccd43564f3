from __future__ import annotations

import random

import pytest

from echowarp.crypto.limits import MAX_NUMBERS
from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.session.broadcast import Broadcast
from echowarp.session.datagrams import DatagramSender
from echowarp.wire.datagram import BlockBody, Header, parse_block, parse_header
from tests.crypto.known import PROTOCOL, case_name, unhex

LAST = 2**32 - 1


def sender(session: bytes = b"sessions") -> DatagramSender:
    return DatagramSender(cipher=DatagramCipher(Suite.NONE, b""), session=session)


def broadcast(*connections: int) -> Broadcast[str]:
    cast: Broadcast[str] = Broadcast(first_seq=10, first_time=1000)
    for connection in connections:
        cast.add(connection, sender(bytes((connection,)) * 8))
    return cast


def send(
    cast: Broadcast[str], payload: bytes = b"pcm!", *, frames: int = 1, lost_frames: int = 0
) -> list[tuple[int, str, Header, BlockBody]]:
    sent = []
    for connection, way, datagram in cast.block(payload, frames=frames, lost_frames=lost_frames):
        header, body = parse_header(datagram), parse_block(datagram[18:])
        sent.append((connection, way, header, body))
    return sent


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
@pytest.mark.parametrize("suite", Suite)
def test_the_media_datagram_of_the_vectors(case: dict[str, str], suite: Suite) -> None:
    session, expected = unhex(case, "session", f"media_number_3_suite_{suite.value}")
    names = {Suite.INTEGRITY: "audio_hmac", Suite.ENCRYPTED: "audio_gcm"}
    key = bytes.fromhex(case[names[suite]]) if suite in names else b""
    cast: Broadcast[str] = Broadcast(first_seq=0x00010203 - 3, first_time=0x04050607 - 3)
    cast.add(1, DatagramSender(cipher=DatagramCipher(suite, key), session=session))
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


def test_seq_and_time_wrap() -> None:
    cast: Broadcast[str] = Broadcast(first_seq=LAST, first_time=LAST - 100)
    cast.add(1, sender())
    cast.open(1, "way")
    positions = [(body.seq, body.time) for _ in range(3) for *_, body in send(cast, frames=240)]
    assert positions == [(LAST, LAST - 100), (0, 139), (1, 379)]
    assert (cast.seq, cast.time) == (LAST + 3, LAST - 100 + 720)
    late: Broadcast[str] = Broadcast(first_seq=0, first_time=LAST)
    late.add(1, sender())
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


def test_who_is_not_there_is_no_matter() -> None:
    cast = broadcast(1)
    cast.open(9, "way")
    cast.pause(9)
    cast.remove(9)
    assert cast.open_listeners == 0
    assert send(cast) == []


@pytest.mark.parametrize("seed", range(10))
def test_no_number_is_ever_used_twice(seed: int) -> None:
    """Listeners open, pause, come, go, and blocks are abandoned half-way, in any order."""
    choose = random.Random(seed)
    cast = broadcast()
    last: dict[bytes, int] = {}
    senders = 0
    for _ in range(2000):
        connection = choose.randint(1, 4)
        action = choose.choice(("add", "open", "pause", "remove", "block", "block", "cut"))
        if action == "add":
            senders += 1
            cast.add(connection, sender(senders.to_bytes(8, "big")))
        elif action == "open":
            cast.open(connection, choose.choice("xyz"))
        elif action == "pause":
            cast.pause(connection)
        elif action == "remove":
            cast.remove(connection)
        else:
            for _, _, datagram in cast.block(b"pcm!", frames=1, lost_frames=0):
                header = parse_header(datagram)
                assert header.number > last.get(header.session, -1)
                last[header.session] = header.number
                if action == "cut":
                    break
    assert sum(number + 1 for number in last.values()) == cast.blocks_sent > 100


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
