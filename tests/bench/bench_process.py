"""Processor time of a whole server and of its clients, for each block.

    python -m tests.bench.bench_process [--quick]

WAV to WAV over loopback, encrypted. Needs Linux, whose /proc tells the time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.app.sounds import BLOCK_BYTES, has_recorded, recorded_bytes
from tests.proc import cpu_s
from tests.processes import Stage, wait_until
from tests.recordings import speech_wav

BLOCKS_A_SECOND = 200


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
            f" {server_us * BLOCKS_A_SECOND / 1e4:.1f} % of a core,"
            f" client {client_us * BLOCKS_A_SECOND / 1e4:.1f} %"
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
        before = [cpu_s(program.pid) for program in stage.programs]
        size = recorded_bytes(sinks[0])
        enough = size + seconds * BLOCKS_A_SECOND * BLOCK_BYTES
        wait_until(
            lambda: recorded_bytes(sinks[0]) >= enough, "it is recorded", patience_s=seconds + 30
        )
        used_s = [
            cpu_s(program.pid) - then for program, then in zip(stage.programs, before, strict=True)
        ]
        count = (recorded_bytes(sinks[0]) - size) / BLOCK_BYTES
        assert server.running and all(client.running for client in clients)
    return 1e6 * used_s[0] / count, 1e6 * sum(used_s[1:]) / count / listeners


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 s in place of 20")
    quick = parser.parse_args().quick
    if Path("/proc/self/stat").exists():
        processes(2 if quick else 20)
    else:
        print("processes: not measured here, it needs /proc")


if __name__ == "__main__":
    main()
