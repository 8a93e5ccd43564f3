"""Starts and ends the server and the client of the demo."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"

GOODBYE_S = 3.0
"""The program promises to end within 2 s of a signal."""

_HAS_OUTPUT = """
import pyaudio
audio = pyaudio.PyAudio()
index = audio.get_default_output_device_info()["index"]
audio.is_format_supported(
    48000, output_device=index, output_channels=2, output_format=pyaudio.paInt16
)
"""


def has_output_device() -> bool:
    """Whether this machine has a default output device that plays 48 kHz stereo.

    Asked in a process of its own: PortAudio writes to stderr while it looks.
    """
    asked = subprocess.run([sys.executable, "-c", _HAS_OUTPUT], capture_output=True, check=False)
    return asked.returncode == 0


def free_port() -> int:
    """A port that is free on loopback, for TCP and UDP at once.

    Raises OSError when none was found.
    """
    for _ in range(20):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((LOOPBACK, port))
                except OSError:
                    continue
            return port
    raise OSError("no port is free for both TCP and UDP")


class Pair:
    """A server and a client as two processes, in a folder of their own.

    Both write `--stats` into `folder`, and what they say into `server.log` and
    `client.log` there; on a terminal the client shows its live line instead.
    """

    def __init__(self, folder: Path, *, source: Path, sink: str) -> None:
        self.server_stats, self.client_stats = folder / "server.stats", folder / "client.stats"
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []
        self._environment = os.environ | {
            "ECHOWARP_PASSWORD": secrets.token_urlsafe(12),
            "PYTHONPATH": str(ROOT),
        }
        self._port = str(free_port())
        self._source, self._sink = source, sink

    def start(self) -> None:
        """Starts the server, waits until it is up, starts the client."""
        options = ["--bind", LOOPBACK, "--ssl", "--source", str(self._source)]
        self._start("server", [*options, "--stats", str(self.server_stats)])
        deadline = time.monotonic() + 5
        while not self.server_stats.exists() and self._processes[0].poll() is None:
            if time.monotonic() > deadline:
                break  # the client tries again by itself
            time.sleep(0.05)
        options = ["--client", "--server_address", LOOPBACK, "--sink", self._sink]
        self._start("client", [*options, "--stats", str(self.client_stats)], live=True)

    def _start(self, name: str, options: list[str], *, live: bool = False) -> None:
        command = [sys.executable, "-m", "echowarp.main", "--udp_port", self._port, *options]
        log = self._folder / f"{name}.log"
        stderr: IO[bytes] | None = None
        if not (live and sys.stderr.isatty()):
            stderr = log.open("wb")
            self._logs.append(log)
        try:
            # A session of its own, so that Ctrl+C reaches the demo alone, which says goodbye once.
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        finally:
            if stderr is not None:
                stderr.close()
        self._processes.append(process)

    @property
    def running(self) -> bool:
        """Whether either still runs."""
        return any(process.poll() is None for process in self._processes)

    @property
    def one_failed(self) -> bool:
        """Whether one has ended with an error, so that the other waits in vain."""
        return any(process.poll() not in (None, 0) for process in self._processes)

    @property
    def statuses(self) -> tuple[int, int]:
        """Exit statuses of server and client, once both have ended."""
        server, client = self._processes
        return server.wait(), client.wait()

    def stop(self) -> None:
        """Asks both to leave, and makes them leave if they do not. Idempotent."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            _wait_or_kill(process)

    def said(self) -> list[str]:
        """What both have said, a line each."""
        return [
            f"{log.stem}: {line}"
            for log in self._logs
            for line in log.read_text("utf-8", "replace").splitlines()
        ]


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GOODBYE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
