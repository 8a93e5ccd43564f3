"""How blocks travel to the web door, and what becomes of those that find no room."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from echowarp.app.sender import Block
from echowarp.app.web_door import WebEar
from echowarp.app.web_messages import BlockCutter, SoundBlock, pack_block

BLOCKS = [SoundBlock(2**40 + n, 2**41 + 240 * n, n, bytes([n]) * (n * 7)) for n in range(5)]


@pytest.mark.parametrize("size", [1, 3, 28, 29, 1000])
def test_blocks_are_cut_wherever_they_break(size: int) -> None:
    data, cutter = b"".join(map(pack_block, BLOCKS)), BlockCutter()
    found = []
    for at in range(0, len(data), size):
        found += cutter.feed(data[at : at + size])
    assert found == BLOCKS


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def block(n: int) -> Block:
    return Block(bytes([n % 256]) * 960, 240, 0, n)


def received(sock: socket.socket) -> list[int]:
    """The numbers of all blocks that are there."""
    cutter, found = BlockCutter(), list[int]()
    while True:
        try:
            data = sock.recv(1 << 16)
        except BlockingIOError:
            return found
        found += [each.seq for each in cutter.feed(data)]


def test_nothing_is_sent_where_nobody_listens(pair: tuple[socket.socket, socket.socket]) -> None:
    ear = WebEar()
    ear.hear(0, 0, block(0))
    ear.pipe = (pair[0], bytearray())
    ear.hear(1, 240, block(1))
    assert received(pair[1]) == []
    ear.listeners = 1
    ear.hear(2, 480, block(2))
    assert received(pair[1]) == [2]


def test_a_door_that_stands_still_loses_whole_blocks(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """What it reads later is in one piece, and begins anew where it reads again."""
    ear = WebEar()
    ear.pipe, ear.listeners = (pair[0], bytearray()), 1
    for n in range(2000):
        ear.hear(n, 240 * n, block(n))
    cutter, found = BlockCutter(), list[int]()
    for n in range(2000, 2100):
        found += [each.seq for each in cutter.feed(pair[1].recv(1 << 20))]
        ear.hear(n, 240 * n, block(n))
    first = next(n for n, (a, b) in enumerate(pairwise(found)) if b - a > 1)
    assert found[: first + 1] == list(range(first + 1))
    assert 0 < first < 1999
    assert found[first + 1] >= 2000
    assert found[-1] >= 2098


def test_a_door_that_is_gone_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    ear = WebEar()
    ear.pipe, ear.listeners = (pair[0], bytearray()), 1
    pair[1].close()
    ear.hear(0, 0, block(0))
    ear.hear(1, 240, block(1))
    assert ear.pipe is None
