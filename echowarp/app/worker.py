"""A worker process: sends a stream to some of the server's listeners.

It alone has their keys and numbers, is told what to do through one socket, and ends
when that socket does: when the server wants it to, or is no more.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from echowarp.app.engine import MAX_BACKLOG_NS
from echowarp.app.interpreter import make_ready
from echowarp.app.process_link import READ_BYTES, Failed, Ready, Unpacker, pack
from echowarp.app.sender import Block, Counters, Sender, SenderCommand
from echowarp.net.udp_server import UdpSender


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first order: where the stream is. live: its blocks are thrown away when late."""

    first_seq: int
    first_time: int
    block_ns: int
    live: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Tell your counters once you have come so far."""


Order: TypeAlias = Begin | Mark | SenderCommand
"""What a worker is told."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A listener's numbers are spent."""

    connection: int


News: TypeAlias = Ready | Counters | Exhausted | Failed
"""What a worker tells."""


def run_worker(link: socket.socket, udp: Sequence[socket.socket]) -> None:
    """All that a worker process runs."""
    # Who wants the server to stop tells its whole group or terminal; it still says
    # goodbye, and only then are workers done.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    make_ready()
    serve(link, udp)


def serve(link: socket.socket, udp: Sequence[socket.socket]) -> None:
    """Does what `link` brings until it ends."""

    def tell(news: News) -> None:
        link.sendall(pack(news))

    try:
        tell(Ready())
        obey(_orders(link), UdpSender(udp), tell)
    except ConnectionError:
        # The server is no more.
        return
    except Exception as error:
        tell(Failed(f"{type(error).__name__}: {error}"))


def _orders(link: socket.socket) -> Iterator[Order]:
    unpacker = Unpacker()
    while data := link.recv(READ_BYTES):
        for message in unpacker.feed(data):
            assert not isinstance(message, Ready | Exhausted | Failed | Counters)
            yield message


def obey(orders: Iterator[Order], udp: UdpSender, tell: Callable[[News], None]) -> None:
    """Obeys all of them, the first of which is Begin, and tells what came of it."""
    begin = next(orders, None)
    if begin is None:
        return
    assert isinstance(begin, Begin), "the first order tells where the stream is"
    sender = Sender(
        udp,
        first_seq=begin.first_seq,
        first_time=begin.first_time,
        block_ns=begin.block_ns,
        exhausted=lambda connection: tell(Exhausted(connection)),
    )
    for order in orders:
        assert not isinstance(order, Begin)
        if isinstance(order, Mark):
            tell(sender.counters)
        elif begin.live and isinstance(order, Block) and _is_late(order):
            sender.skip(order)
        else:
            sender.obey(order)
    tell(sender.counters)


def _is_late(block: Block) -> bool:
    """Clocks of processes agree: it is the machine's monotonic one."""
    return time.monotonic_ns() - block.captured_ns > MAX_BACKLOG_NS
