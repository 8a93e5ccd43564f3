"""A JACK server without hardware, and a client of it that plays a sound and records.

    python -m tests.bench.jack SOUND RECORDING

The client is the device `probe`, both to hear and to play to. It says `ready`, waits
for a line, plays the file of float32 once and writes what came meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from tests.bench.hearing import RATE, Samples
from tests.pulse import raise_priority

PERIOD_FRAMES = 256
START_S = 10.0
_SAMPLE_BYTES = 4
_AUDIO = b"32 bit float mono audio"
_IS_INPUT, _IS_OUTPUT, _NO_START = 1, 2, 1


@contextlib.contextmanager
def private_jack() -> Iterator[dict[str, str]]:
    """Runs jackd with its dummy driver; gives the environment of its clients.

    Raises RuntimeError when it does not start.
    """
    name = f"echowarp-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="jack-") as folder:
        environment = {
            **os.environ,
            "HOME": folder,
            "PULSE_SERVER": "unix:/nowhere",
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
        }
        driver = f"-d dummy -r {RATE} -p {PERIOD_FRAMES} -C 2 -P 2".split()
        with Path(folder, "jack.log").open("wb") as log:
            command = ["jackd", "-R", "-P70", "-n", name, *driver]
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait = ["jack_wait", "-s", name, "-w", "-t", f"{START_S:g}"]
            waited = subprocess.run(wait, env=environment, capture_output=True)
            if waited.returncode or daemon.poll() is not None:
                raise RuntimeError(f"jackd does not start: {Path(folder, 'jack.log').read_text()}")
            yield environment
        finally:
            daemon.terminate()
            daemon.wait()


class Probe:
    """The client, as a process of its own: it has to keep JACK's time."""

    def __init__(self, folder: Path, sound: Samples, environment: dict[str, str]) -> None:
        self._recording = folder / "came.f32"
        file = folder / "known.f32"
        file.write_bytes(sound.astype("<f4").tobytes())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.jack", str(file), str(self._recording)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Probe:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the probe does not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def play(self) -> Samples:
        """Plays the sound; returns what came, from the moment it began."""
        self._process.communicate("go\n")
        assert self._process.returncode == 0, "the probe failed"
        return np.frombuffer(self._recording.read_bytes(), "<f4").astype(np.float64)


class _Client:
    """In the probe's process."""

    def __init__(self, sound: bytes) -> None:
        self._jack = jack = ctypes.CDLL("libjack.so.0")
        jack.jack_client_open.restype = jack.jack_port_register.restype = ctypes.c_void_p
        jack.jack_port_get_buffer.restype = ctypes.c_void_p
        jack.jack_port_get_buffer.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        handle = jack.jack_client_open(b"probe", _NO_START, None)
        if not handle:
            raise SystemExit("probe: there is no JACK server")
        self._handle = ctypes.c_void_p(handle)
        self._outputs = [self._port(f"out_{n}", _IS_OUTPUT) for n in (1, 2)]
        self._inputs = [self._port(f"in_{n}", _IS_INPUT) for n in (1, 2)]
        self._sound, self._came = sound, ctypes.create_string_buffer(len(sound))
        self._at = 0
        self._going, self.done = False, threading.Event()
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)(
            self._process
        )
        jack.jack_set_process_callback(self._handle, self._callback, None)
        if jack.jack_activate(self._handle):
            raise SystemExit("probe: JACK does not let it in")

    def _port(self, name: str, flags: int) -> int:
        port = self._jack.jack_port_register(
            self._handle, name.encode(), _AUDIO, ctypes.c_ulong(flags), ctypes.c_ulong(0)
        )
        assert port
        return int(port)

    def go(self) -> None:
        """From the next period on."""
        self._going = True

    def close(self) -> bytes:
        """Leaves JACK. Returns what came."""
        self._jack.jack_client_close(self._handle)
        return self._came.raw

    def _process(self, frames: int, _: object) -> int:
        size = frames * _SAMPLE_BYTES
        playing = self._going and self._at < len(self._sound)
        piece = self._sound[self._at : self._at + size] if playing else b""
        for port in self._outputs:
            there = self._jack.jack_port_get_buffer(port, frames)
            ctypes.memset(there, 0, size)
            ctypes.memmove(there, piece, len(piece))
        if playing:
            there = self._jack.jack_port_get_buffer(self._inputs[0], frames)
            ctypes.memmove(ctypes.addressof(self._came) + self._at, there, len(piece))
            self._at += len(piece)
        elif self._going:
            self.done.set()
        return 0


def main(sound: str, recording: str) -> None:
    """Runs the probe."""
    sys.setswitchinterval(0.0001)
    raise_priority()
    client = _Client(Path(sound).read_bytes())
    print("ready", flush=True)
    sys.stdin.readline()
    client.go()
    seconds = Path(sound).stat().st_size / _SAMPLE_BYTES / RATE
    if not client.done.wait(seconds + START_S):
        raise SystemExit("probe: JACK stands still")
    time.sleep(0.01)
    Path(recording).write_bytes(client.close())


if __name__ == "__main__":
    main(*sys.argv[1:])
