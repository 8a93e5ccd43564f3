"""How fast datagrams are sealed and sent by one thread, two threads and two processes.

Why --workers are processes: two threads take turns at the interpreter's lock, and lose
time with it. Measured with Python 3.11 on two cores: two threads send 0.7 times what one
does, two processes 1.9 times. It takes an otherwise idle machine to see that.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from echowarp.app.interpreter import make_ready
from echowarp.app.sender import Block, Join, Open, Sender
from echowarp.crypto.suite import Suite
from echowarp.net.udp_server import UdpSender, Way
from tests.processes import LOOPBACK

LISTENERS = 100
FRAMES, BLOCK_NS = 240, 5_000_000
ROUNDS = 3


def send(seconds: float) -> float:
    """Sends blocks to a hundred listeners without a pause. Returns datagrams a second."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        # What does not fit is dropped by the kernel, as it would be on its way.
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        hole.bind((LOOPBACK, 0))
        sender = Sender(
            UdpSender((out,)),
            first_seq=0,
            first_time=0,
            block_ns=BLOCK_NS,
            exhausted=lambda _: None,
        )
        for n in range(LISTENERS):
            sender.obey(Join(n, Suite.ENCRYPTED, os.urandom(32), os.urandom(8)))
            sender.obey(Open(n, Way(0, hole.getsockname(), None)))
        block = Block(bytes(4 * FRAMES), FRAMES, 0, 0)
        begun_s = time.monotonic()
        while (took_s := time.monotonic() - begun_s) < seconds:
            sender.obey(block)
        return sender.counters.datagrams / took_s


def together(executor: Executor, count: int, seconds: float) -> float:
    """Datagrams a second of `count` of them at once."""
    return sum(executor.map(send, [seconds] * count))


def compare(seconds: float) -> tuple[float, float, float]:
    """Datagrams a second of one thread; how many times as many two threads, and two
    processes, send. The best of three rounds of `seconds` each: what else runs on the
    machine only takes from them."""
    make_ready()
    with (
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, get_context("spawn"), initializer=make_ready) as processes,
    ):
        together(processes, 2, 0.1)
        ways: Sequence[Callable[[], float]] = (
            lambda: send(seconds),
            lambda: together(threads, 2, seconds),
            lambda: together(processes, 2, seconds),
        )
        rounds = [[way() for way in ways] for _ in range(ROUNDS)]
    one, two_threads, two_processes = map(max, zip(*rounds, strict=True))
    return one, two_threads / one, two_processes / one
