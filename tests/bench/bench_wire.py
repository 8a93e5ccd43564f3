"""What sealing, opening and a handshake cost, beside the copy of a block.

    python -m tests.bench.bench_wire [--quick]

Figures depend on the machine; ratios, taken within one run, less so.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.session.datagrams import DatagramReceiver, DatagramSender
from echowarp.wire.datagram import DatagramType, pack_block, parse_block, parse_header
from tests.app.sounds import BLOCK_BYTES
from tests.session.pair import Pair

KEYS = SessionKeys(
    control_client=bytes(32),
    control_server=bytes(32),
    udp_client=bytes(32),
    audio_hmac=bytes(range(32)),
    audio_gcm=bytes(range(32)),
    session=bytes(8),
)
ROUNDS = 5


def each_ns(work: Callable[[], object], times: int) -> float:
    """What one call of `work` takes in the least disturbed round, nanoseconds."""
    rounds = []
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        begun_ns = time.perf_counter_ns()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter_ns() - begun_ns) / times)
    gc.enable()
    return min(rounds)


def blocks(times: int) -> None:
    """What sealing and opening cost for one block of 5 ms, beside a copy of it."""
    payload = os.urandom(BLOCK_BYTES)
    copy_ns = each_ns(lambda: bytearray(payload).clear(), times)
    print(f"one block of {BLOCK_BYTES} bytes        microseconds   copies")
    print(f"{'copy':<30} {copy_ns / 1000:12.2f} {1:8.1f}")
    for suite in Suite:
        for what, cost_ns in zip(("seal", "open"), _of_suite(suite, payload, times), strict=True):
            name = f"{what}, {suite.label}"
            print(f"{name:<30} {cost_ns / 1000:12.2f} {cost_ns / copy_ns:8.1f}")
    print()


def _of_suite(suite: Suite, payload: bytes, times: int) -> tuple[float, float]:
    """What sealing and what opening takes, nanoseconds."""
    body = pack_block(1, 240, payload)

    def new_sender() -> DatagramSender:
        return DatagramSender(cipher=cipher_for_audio(suite, KEYS), session=KEYS.session)

    timed, sender = new_sender(), new_sender()
    sealed = iter([sender.seal(DatagramType.BLOCK, 0, body) for _ in range(ROUNDS * times)])
    receiver = DatagramReceiver(cipher=cipher_for_audio(suite, KEYS), suite=suite)

    def open_next() -> None:
        datagram = next(sealed)
        opened = receiver.open(parse_header(datagram), datagram)
        assert opened is not None
        parse_block(opened)

    seal_ns = each_ns(lambda: timed.seal(DatagramType.BLOCK, 0, body), times)
    return seal_ns, each_ns(open_next, times)


def handshakes(times: int) -> None:
    """Whole handshakes with a password, both ends in this process."""

    def shake() -> None:
        Pair(server_random=os.urandom, client_random=os.urandom).to_running()

    cost_ns = each_ns(shake, times)
    a_second = 1e9 / cost_ns
    print(f"handshakes, both ends          {cost_ns / 1e6:12.2f} ms each, {a_second:.0f} a second")
    print()


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, rougher figures")
    quick = parser.parse_args().quick
    blocks(500 if quick else 10_000)
    handshakes(3 if quick else 30)


if __name__ == "__main__":
    main()
