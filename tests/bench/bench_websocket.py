"""What the WebSocket code costs without any socket, beside the PyPI library `websockets`.

    python -m tests.bench.bench_websocket [--quick]

The same messages go through both state machines in turns, in this thread's processor time;
what is received comes in pieces of 64 KiB, as from a busy connection. The library masks in
C where its wheel has that, ours never.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from echowarp.wire.websocket import BinaryMessage, Role, WebSocket

PIECE_BYTES = 64 * 1024
MOST_BYTES = 1 << 20
ROUNDS = 7
NS_PER_S = 1e9

Way = Callable[["Case", list[bytes]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """to_reach: Mbit/s of ours on one core, None for no promise."""

    name: str
    size: int
    to_server: bool
    to_reach: int | None


RECEIVING = (
    Case(name="receive 8 KiB, masked", size=8_192, to_server=True, to_reach=400),
    Case(name="receive 64 KiB, masked", size=65_536, to_server=True, to_reach=400),
    Case(name="receive 8 KiB", size=8_192, to_server=False, to_reach=400),
    Case(name="receive 64 KiB", size=65_536, to_server=False, to_reach=1_000),
    Case(name="receive 960 bytes", size=960, to_server=False, to_reach=None),
)
SENDING = (
    Case(name="send 8 KiB, masked", size=8_192, to_server=True, to_reach=400),
    Case(name="send 64 KiB", size=65_536, to_server=False, to_reach=1_000),
    Case(name="send 960 bytes", size=960, to_server=False, to_reach=None),
)


def our_end(*, client: bool) -> WebSocket:
    """One of our ends."""
    role = Role.CLIENT if client else Role.SERVER
    return WebSocket(
        role, max_message_bytes=MOST_BYTES, random_bytes=os.urandom if client else None
    )


def their_end(*, client: bool) -> Protocol:
    """One end of the library, after its handshake."""
    if client:
        uri = parse_uri("ws://localhost/")
        return ClientProtocol(uri, state=State.OPEN, max_size=MOST_BYTES)
    return ServerProtocol(state=State.OPEN, max_size=MOST_BYTES)


def stream(case: Case, messages: int) -> list[bytes]:
    """So many messages as they travel, in pieces."""
    sender, payload = our_end(client=case.to_server), os.urandom(case.size)
    for _ in range(messages):
        sender.send_binary(payload)
    whole = b"".join(sender.to_send())
    return [whole[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES)]


def we_receive(case: Case, pieces: list[bytes]) -> int:
    """Returns how many bytes of messages came out."""
    end, came = our_end(client=not case.to_server), 0
    for piece in pieces:
        end.receive(piece, 0)
        for event in end.events():
            assert isinstance(event, BinaryMessage)
            came += len(event.data)
        end.to_send()
    return came


def they_receive(case: Case, pieces: list[bytes]) -> int:
    """Returns how many bytes of messages came out."""
    end, came = their_end(client=not case.to_server), 0
    for piece in pieces:
        end.receive_data(piece)
        for event in end.events_received():
            assert isinstance(event, Frame)
            came += len(event.data)
        end.data_to_send()
    return came


def we_send(case: Case, payloads: list[bytes]) -> int:
    """Returns how many bytes would go out."""
    end, sent = our_end(client=case.to_server), 0
    for payload in payloads:
        end.send_binary(payload)
        sent += sum(map(len, end.to_send()))
    return sent


def they_send(case: Case, payloads: list[bytes]) -> int:
    """Returns how many bytes would go out."""
    end, sent = their_end(client=case.to_server), 0
    for payload in payloads:
        end.send_binary(payload)
        sent += sum(map(len, end.data_to_send()))
    return sent


def least_ns(ways: tuple[Way, Way], case: Case, given: list[bytes]) -> tuple[int, int]:
    """The processor time of both ways, each in its least disturbed round; they take turns."""
    least = [sys.maxsize, sys.maxsize]
    for _ in range(ROUNDS):
        for n, way in enumerate(ways):
            begun_ns = time.thread_time_ns()
            way(case, given)
            least[n] = min(least[n], time.thread_time_ns() - begun_ns)
    assert ways[0](case, given) == ways[1](case, given), "something got lost"
    return least[0], least[1]


def judge(case: Case, ours_ns: int, theirs_ns: int, total_bytes: int) -> bool:
    """Prints a line. Returns whether it is as fast as it has to be."""
    ours, theirs = (8e3 * total_bytes / spent for spent in (ours_ns, theirs_ns))
    missed = case.to_reach is not None and ours < case.to_reach
    wanted = "-" if case.to_reach is None else str(case.to_reach)
    verdict = "MISSED" if missed else "ok"
    print(f"{case.name:<26}{ours:10.0f}{theirs:12.0f}{ours / theirs:8.2f}{wanted:>8}  {verdict}")
    return not missed


def main() -> int:
    """Prints the table. Returns the exit status: 1 when something is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer messages, rougher figures")
    total = (1 << 20) if parser.parse_args().quick else (16 << 20)
    print(f"{'Mbit/s of one core':<26}{'ours':>10}{'websockets':>12}{'ratio':>8}{'reach':>8}")
    good = []
    for case in RECEIVING:
        messages = total // case.size
        spent = least_ns((we_receive, they_receive), case, stream(case, messages))
        good.append(judge(case, *spent, messages * case.size))
    for case in SENDING:
        payloads = [os.urandom(case.size)] * (total // case.size)
        spent = least_ns((we_send, they_send), case, payloads)
        good.append(judge(case, *spent, len(payloads) * case.size))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
