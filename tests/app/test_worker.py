"""What a worker does with its orders, and how messages travel."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from echowarp.app import worker
from echowarp.app.engine import MAX_BACKLOG_NS
from echowarp.app.process_link import Failed, Ready, Unpacker, pack
from echowarp.app.sender import Block, Counters, Join, Open
from echowarp.app.worker import Begin, Exhausted, Mark, News, Order
from echowarp.crypto.suite import Suite
from echowarp.net.udp_server import UdpSender, Way
from echowarp.wire.datagram import DatagramType, parse_block, parse_header

SESSION, KEY = bytes(range(8)), bytes(range(32))


@pytest.fixture
def heard() -> Iterator[socket.socket]:
    """What a listener hears."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def block(n: int, *, late_ns: int = 0) -> Block:
    return Block(bytes([n]) * 8, 2, 0, time.monotonic_ns() - late_ns)


def obey(heard: socket.socket, *orders: Order, live: bool = True) -> tuple[list[News], list[int]]:
    """Lets a worker obey. Returns what it tells, and the seqs that were heard."""
    told: list[News] = []
    begin = Begin(first_seq=7, first_time=70, block_ns=5_000_000, live=live)
    join = Join(1, Suite.NONE, b"", SESSION)
    there = Open(1, Way(0, heard.getsockname(), None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        worker.obey(iter([begin, join, there, *orders]), UdpSender((sock,)), told.append)
    counters = told[-1]
    assert isinstance(counters, Counters)
    datagrams = [heard.recv(2000) for _ in range(counters.datagrams + counters.rows)]
    headers = [parse_header(each) for each in datagrams]
    assert [header.number for header in headers] == list(range(len(datagrams)))
    return told, [
        parse_block(datagram[18:]).seq
        for header, datagram in zip(headers, datagrams, strict=True)
        if header.kind == DatagramType.BLOCK
    ]


def test_it_goes_on_where_the_stream_is(heard: socket.socket) -> None:
    told, seqs = obey(heard, block(1), Mark(), block(2))
    assert seqs == [7, 8]
    assert [counters.datagrams for counters in told if isinstance(counters, Counters)] == [1, 2]


def test_late_blocks_of_a_live_stream_are_thrown_away(heard: socket.socket) -> None:
    """The others keep their place; a file's are sent however late they are."""
    orders = (block(1), block(2, late_ns=2 * MAX_BACKLOG_NS), block(3))
    assert obey(heard, *orders)[1] == [7, 9]
    assert obey(heard, *orders, live=False)[1] == [7, 8, 9]


def test_without_orders_there_is_nothing_to_tell(heard: socket.socket) -> None:
    told: list[News] = []
    worker.obey(iter(()), UdpSender(()), told.append)
    assert told == []


def test_an_error_is_told() -> None:
    """Here: a second beginning. What ends a worker is one line at the server's end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        begin = Begin(first_seq=0, first_time=0, block_ns=1, live=True)
        ours.sendall(pack(begin) + pack(begin))
        worker.serve(theirs, ())
        ready, failed = Unpacker().feed(ours.recv(10_000))
    assert ready == Ready()
    assert isinstance(failed, Failed)
    assert failed.text.startswith("AssertionError")


def test_the_end_of_the_link_is_the_end_of_the_worker() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        worker.serve(theirs, ())


def test_messages_in_pieces() -> None:
    messages: list[Order | News] = [
        Join(1, Suite.ENCRYPTED, KEY, SESSION),
        Mark(),
        block(3),
        Exhausted(4),
    ]
    stream = b"".join(pack(message) for message in messages)
    unpacker = Unpacker()
    assert [m for byte in stream for m in unpacker.feed(bytes([byte]))] == messages
    assert list(unpacker.feed(stream + stream)) == messages * 2


def test_a_key_is_not_shown() -> None:
    assert repr(KEY) not in repr(Join(1, Suite.ENCRYPTED, KEY, SESSION))
