"""Starts and ends the server and the client of the demo."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.processes import Program, Stage, TookTooLong

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


class Pair:
    """A server and a client as two processes, in a folder of their own.

    What they say goes into `server.log` and `client.log` there; on a terminal the
    client shows its live line instead.
    """

    def __init__(self, folder: Path, *, source: Path, sink: str) -> None:
        self._stage = Stage(folder, password=secrets.token_urlsafe(12))
        self._source, self._sink = source, sink

    def start(self) -> None:
        """Starts the server, waits until it is up, starts the client."""
        server = self._stage.server("--ssl", source=self._source, ready=False)
        # Otherwise the client tries again by itself, and the end tells what went wrong.
        with contextlib.suppress(TookTooLong):
            server.says("listening on port", patience_s=5)
        live: dict[str, Any] = {"stderr": sys.stderr.buffer} if sys.stderr.isatty() else {}
        self._stage.client(sink=self._sink, **live)

    @property
    def server(self) -> Program:
        """The server, once started."""
        return self._stage.programs[0]

    @property
    def client(self) -> Program:
        """The client, once started."""
        return self._stage.programs[1]

    @property
    def running(self) -> bool:
        """Whether either still runs."""
        return any(program.running for program in self._stage.programs)

    @property
    def one_failed(self) -> bool:
        """Whether one has ended with an error, so that the other waits in vain."""
        return any(program.process.poll() not in (None, 0) for program in self._stage.programs)

    def stop(self) -> None:
        """Asks both to leave, and makes them leave if they do not. Idempotent."""
        self._stage.close()

    def said(self) -> list[str]:
        """What both have said, a line each."""
        return self._stage.said()
