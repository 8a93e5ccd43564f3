"""The file cache over loopback, beside the PyPI library `websockets` at both ends.

    python -m tests.bench.bench_cache [--quick]

Both do the same work: the same store, the same client's logic, the protocol's own chunks
and pieces, SHA-256 and files on disk at both ends. What differs is the HTTP, the WebSocket
and the sockets. Theirs is measured in its two kinds, with threads and with asyncio, and the
faster one counts. Rows take turns, so that whatever else the machine does hits all.
"""

from __future__ import annotations

import argparse
import asyncio
import filecmp
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echowarp.app.cache_store import CacheStore
from echowarp.app.run_cache import _Courier
from echowarp.config.cache_options import CacheSettings
from echowarp.session.cache_client import Task
from echowarp.session.file_cache import CacheConnection
from echowarp.ui.terminal import Terminal
from tests.processes import LOOPBACK, PROGRAM, ROOT, free_port

MIB = 1 << 20
UP_MBITS, DOWN_MBITS, TIMES, MEMORY_MIB = 100.0, 200.0, 1.0, 64.0
"""What must be reached."""

_SPEEDS = re.compile(r"up ([\d.]+) Mbit/s, down ([\d.]+) Mbit/s")
_MODULE = (sys.executable, "-m", "tests.bench.bench_cache")
_TAKES: dict[str, Any] = {"max_size": MIB, "compression": None}


@dataclass(frozen=True, slots=True)
class Row:
    """One round: Mbit/s, and the most memory that each end took, MiB."""

    up: float
    down: float
    server_mib: float
    client_mib: float

    def better(self, other: Row | None) -> Row:
        """The better of both in each speed, the worse in memory."""
        if other is None:
            return self
        return Row(
            max(self.up, other.up),
            max(self.down, other.down),
            max(self.server_mib, other.server_mib),
            max(self.client_mib, other.client_mib),
        )


class _ThreadLink:
    """A connection of `websockets.sync`."""

    def __init__(self, uri: str) -> None:
        from websockets.sync.client import connect

        self._link = connect(uri, **_TAKES)

    def run(self, task: Task, on_turn: Callable[[], None]) -> None:
        while not task.done:
            frames = task.to_send()
            for frame in frames:
                self._link.send(frame)
            if not frames:
                _give(task, self._link.recv())
            on_turn()


class _AsyncLink:
    """A connection of `websockets.asyncio`."""

    def __init__(self, uri: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._link: Any = self._loop.run_until_complete(self._connect(uri))

    async def _connect(self, uri: str) -> Any:
        from websockets.asyncio.client import connect

        return await connect(uri, **_TAKES)

    def run(self, task: Task, on_turn: Callable[[], None]) -> None:
        self._loop.run_until_complete(self._run(task, on_turn))

    async def _run(self, task: Task, on_turn: Callable[[], None]) -> None:
        while not task.done:
            frames = task.to_send()
            for frame in frames:
                await self._link.send(frame)
            if not frames:
                _give(task, await self._link.recv())
            on_turn()


def _give(task: Task, message: str | bytes) -> None:
    if isinstance(message, str):
        task.text(message)
    else:
        task.binary(message)


def _take(connection: CacheConnection, message: str | bytes) -> None:
    if isinstance(message, str):
        connection.text(message)
    else:
        connection.binary(message)


def their_server(kind: str, folder: str, port: int) -> None:
    """Serves a cache with `websockets` until it is ended."""
    store = CacheStore(folder, max_bytes=None, ttl_s=None, now_s=time.time)
    if kind == "asyncio":
        asyncio.run(_serve_async(store, port))
        return
    from websockets.sync.server import serve

    def answer(link: Any) -> None:
        connection = CacheConnection(store)
        for message in link:
            _take(connection, message)
            while frames := connection.to_send():
                for frame in frames:
                    link.send(frame)
        connection.closed()

    with serve(answer, LOOPBACK, port, **_TAKES) as server:
        print("ready", flush=True)
        server.serve_forever()


async def _serve_async(store: CacheStore, port: int) -> None:
    from websockets.asyncio.server import serve

    async def answer(link: Any) -> None:
        connection = CacheConnection(store)
        async for message in link:
            _take(connection, message)
            while frames := connection.to_send():
                for frame in frames:
                    await link.send(frame)
        connection.closed()

    async with serve(answer, LOOPBACK, port, **_TAKES):
        print("ready", flush=True)
        await asyncio.Event().wait()


def their_client(kind: str, uri: str, file: str, output: str) -> None:
    """One round trip with `websockets`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    link: Any = _ThreadLink(uri) if kind == "threads" else _AsyncLink(uri)
    settings = CacheSettings(input=file, output=output)
    _Courier(settings, link, Terminal(sys.stderr, live=False)).round_trip(only_up=False)


def measure(kind: str, folder: Path, file: Path) -> Row:
    """One round trip of a file between two processes of their own."""
    port, cache, output = free_port(), folder / "cache", folder / "out.bin"
    uri = f"ws://{LOOPBACK}:{port}/audio"
    if kind == "ours":
        served = [*PROGRAM, "--source", "none", "--bind", LOOPBACK, "--udp_port", str(free_port())]
        served += ["--web_port", str(port), "--cache_dir", str(cache)]
        asked = [*PROGRAM, "cache", "-s", uri, "-i", str(file), "-o", str(output)]
    else:
        served = [*_MODULE, "--server", kind, str(cache), str(port)]
        asked = [*_MODULE, "--client", kind, uri, str(file), str(output)]
    with subprocess.Popen(
        served, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            _await_ready(server)
            client = subprocess.Popen(asked, cwd=ROOT, stderr=subprocess.PIPE, text=True)
            assert client.stderr is not None
            said = client.stderr.read()
            _, status, usage = os.wait4(client.pid, 0)
            client.returncode = os.waitstatus_to_exitcode(status)
            assert client.returncode == 0, said
            server_mib = _most_mib(server.pid)
        finally:
            server.terminate()
    speeds = _SPEEDS.search(said)
    assert speeds is not None and "verified" in said, said
    # In pieces: what this process ever held counts as a child's own, too.
    assert filecmp.cmp(output, file, shallow=False)
    output.unlink()
    for each in cache.iterdir():
        each.unlink()
    return Row(float(speeds[1]), float(speeds[2]), server_mib, usage.ru_maxrss / 1024)


def _await_ready(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    said = []
    for line in server.stdout:
        said.append(line)
        if "ready" in line or "listening on port" in line:
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return
    raise AssertionError("".join(said))


def _most_mib(pid: int) -> float:
    """The most memory of a process and of its children, as Linux tells it."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    return max([own, *(_most_mib(int(child)) for child in children)])


def table(size: int, rounds: int) -> None:
    """Prints the rows, and whether what must be reached was."""
    found: dict[str, Row] = {}
    with tempfile.TemporaryDirectory(prefix="echowarp-bench-") as name:
        folder = Path(name)
        (folder / "cache").mkdir()
        file = folder / "in.bin"
        with file.open("wb") as out:
            for _ in range(size // MIB):
                out.write(os.urandom(MIB))
        for _ in range(rounds):
            for kind in ("ours", "threads", "asyncio"):
                found[kind] = measure(kind, folder, file).better(found.get(kind))
    print(f"{size // MIB} MiB there and back        up      down   server   client")
    print(f"{'best of ' + str(rounds):<22} Mbit/s    Mbit/s      MiB      MiB")
    names = {"ours": "echowarp", "threads": "websockets, threads", "asyncio": "websockets, asyncio"}
    for kind, row in found.items():
        print(
            f"{names[kind]:<20} {row.up:8.0f} {row.down:9.0f} {row.server_mib:8.1f}"
            f" {row.client_mib:8.1f}"
        )
    ours, theirs = found["ours"], (found["threads"], found["asyncio"])
    up, down = max(row.up for row in theirs), max(row.down for row in theirs)
    _judge("up, Mbit/s", ours.up, UP_MBITS)
    _judge("down, Mbit/s", ours.down, DOWN_MBITS)
    _judge("up, times theirs", ours.up / up, TIMES)
    _judge("down, times theirs", ours.down / down, TIMES)
    _judge("server, MiB", ours.server_mib, MEMORY_MIB, most=True)
    _judge("client, MiB", ours.client_mib, MEMORY_MIB, most=True)


def _judge(what: str, value: float, bound: float, *, most: bool = False) -> None:
    is_good = value <= bound if most else value >= bound
    sign = "<=" if most else ">="
    print(f"{what:<20} {value:8.1f}  {sign} {bound:g}  {'ok' if is_good else 'MISSED'}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="32 MiB once, in place of 256 thrice")
    parser.add_argument("--server", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.server:
        kind, folder, port = arguments.server
        their_server(kind, folder, int(port))
    elif arguments.client:
        their_client(*arguments.client)
    elif not Path("/proc/self/status").exists():
        print("cache: not measured here, it needs /proc")
    else:
        quick = arguments.quick
        table(32 * MIB if quick else 256 * MIB, 1 if quick else 3)


if __name__ == "__main__":
    main()
