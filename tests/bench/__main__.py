"""`./dev bench [--quick]`: what the hot paths cost.

Figures depend on the machine; ratios, taken within one run, less so.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.session.datagrams import DatagramReceiver, DatagramSender
from echowarp.wire.datagram import DatagramType, pack_block, parse_block, parse_header
from tests.app.sounds import BLOCK_BYTES, has_recorded, recorded_bytes
from tests.processes import Program, Stage, wait_until
from tests.recordings import speech_wav
from tests.session.pair import Pair

KEYS = SessionKeys(
    control_client=bytes(32),
    control_server=bytes(32),
    udp_client=bytes(32),
    audio_hmac=bytes(range(32)),
    audio_gcm=bytes(range(32)),
    session=bytes(8),
)
BLOCKS_A_SECOND = 200
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


def cpu_s(program: Program) -> float:
    """Processor time that a process has used, as Linux tells it."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(seconds: float) -> None:
    """Processor time of server and clients, WAV to WAV with --ssl, for each block."""
    print(f"WAV to WAV, --ssl, {seconds:g} s         server us/block  a listener  client us/block")
    server_alone_us = 0.0
    for listeners in (1, 10):
        server_us, client_us = _of_processes(listeners, seconds)
        server_alone_us = server_alone_us or server_us
        name = "1 listener" if listeners == 1 else f"{listeners} listeners"
        print(
            f"{name:<30} {server_us:15.0f} {server_us / listeners:11.0f} {client_us:16.0f}"
            f"   server x{server_us / server_alone_us:.1f},"
            f" {server_us * BLOCKS_A_SECOND / 1e4:.1f} % of a core"
        )


def _of_processes(listeners: int, seconds: float) -> tuple[float, float]:
    """Microseconds a block: of the server, and of a client on average."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder)) as stage,
    ):
        speech_wav(stage.folder / "in.wav", 2)
        server = stage.server("--ssl", "--loop", source="in.wav")
        clients = [stage.client(sink=f"{n}.wav") for n in range(listeners)]
        sinks = [stage.folder / f"{n}.wav" for n in range(listeners)]
        for sink in sinks:
            has_recorded(sink, 0.5)
        before = [cpu_s(program) for program in stage.programs]
        size = recorded_bytes(sinks[0])
        enough = size + seconds * BLOCKS_A_SECOND * BLOCK_BYTES
        wait_until(
            lambda: recorded_bytes(sinks[0]) >= enough, "it is recorded", patience_s=seconds + 30
        )
        used_s = [
            cpu_s(program) - then for program, then in zip(stage.programs, before, strict=True)
        ]
        count = (recorded_bytes(sinks[0]) - size) / BLOCK_BYTES
        assert server.running and all(client.running for client in clients)
    return 1e6 * used_s[0] / count, 1e6 * sum(used_s[1:]) / count / listeners


def main() -> int:
    """Runs the measurements and prints their tables."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, rougher figures")
    quick: bool = parser.parse_args().quick
    blocks(500 if quick else 10_000)
    handshakes(3 if quick else 30)
    if Path("/proc/self/stat").exists():
        processes(3 if quick else 20)
    else:
        print("processes: not measured here, it needs /proc")
    return 0


if __name__ == "__main__":
    sys.exit(main())
