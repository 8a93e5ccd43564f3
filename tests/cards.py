"""Sound through the devices of the private PulseAudio, and what became of it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from tests.bench.hearing import REACH, judge, noise
from tests.demo.stats import stream as of_stream
from tests.processes import Program, Stage, wait_until

RATE, FRAME_BYTES = 48_000, 4
_PIECE_BYTES = 64
_READ_BYTES = 4096
_LATENCY_MS = 5
_LISTEN_ON_S = 0.5
"""How long is still recorded after the last sound was played."""


class Recorder:
    """Records a device of PulseAudio, and knows when each sample came."""

    def __init__(self, device: str, environment: dict[str, str]) -> None:
        self._heard = bytearray()
        self._begun_s: list[float] = []
        self._process = subprocess.Popen(
            [
                *("parec", f"--device={device}", "--raw", "--format=s16le", f"--rate={RATE}"),
                *("--channels=2", f"--latency-msec={_LATENCY_MS}"),
            ],
            env=environment,
            stdout=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while data := os.read(fd, _READ_BYTES):
            self._heard += data
            self._begun_s.append(time.monotonic() - len(self._heard) / FRAME_BYTES / RATE)

    @property
    def heard(self) -> bytes:
        """What was recorded so far, s16le stereo."""
        return bytes(self._heard)

    def begun_s(self) -> float:
        """When the first sample was there, on the monotonic clock."""
        return median(self._begun_s)

    def stop(self) -> None:
        """Records no more. Idempotent."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What became of a known sound.

    damaged, glitches: how much of it is no faithful copy, share of 0..1, and how often
    that began: the clock of the device is followed, so no copy is exact to the bit;
    delay_ms: from the source device to the sink device, as measured; told_ms: as the
    client's statistics tell it; concealed: blocks that were filled in while it was played, not
    while recorders and players began or ended beside it; lost: of the whole run.
    """

    damaged: float
    glitches: int
    delay_ms: float
    told_ms: float
    concealed: int
    lost: int


def travel(stage: Stage, environment: dict[str, str], seconds: float, *, loopback: bool) -> Journey:
    """Plays noise into the source device of a server; a client plays it to the sink device.

    loopback: the server captures what an output device plays (-o), not a microphone.
    """
    wav = stage.folder / "known.wav"
    pcm = _noise_wav(wav, seconds)
    captured = ("-o", "--device", "cap") if loopback else ("--device", "mic")
    server = stage.server("--ssl", *captured, source="device", environment=environment)
    client = stage.client("--device", "spk", sink="device", environment=environment)
    wait_until(lambda: client.stream.get("received", 0) > 0, "the client plays")
    recorders = [Recorder(name, environment) for name in ("cap.monitor", "play.monitor")]
    try:
        _wait_for_sound(recorders)
        before = _concealed(client)
        _play(wav, environment, lambda: [server, client])
        time.sleep(_LISTEN_ON_S)
        concealed = _concealed(client) - before
    finally:
        for recorder in recorders:
            recorder.stop()
    assert client.leave() == 0, client.said
    assert server.leave() == 0, server.said
    stream = client.stream
    told = [delay for line in client.stats if (delay := of_stream(line).get("delay_ms"))]
    went, came = recorders
    start = _start(went.heard, pcm)
    ahead = round((went.begun_s() - came.begun_s()) * RATE)
    # At its very start it has not arrived yet.
    frames = len(pcm) // FRAME_BYTES - REACH
    heard = judge(
        _mono(went.heard), _shifted(_mono(came.heard), ahead), first=start + REACH, count=frames
    )
    return Journey(
        damaged=heard.damaged,
        glitches=heard.glitches,
        delay_ms=1000 * heard.delay_frames / RATE,
        told_ms=median(told),
        concealed=concealed,
        lost=stream["lost"],
    )


def _concealed(client: Program) -> int:
    """How many blocks the client has filled in by now, in its next words."""
    told = len(client.stats)
    wait_until(lambda: len(client.stats) > told, "the client says how it fares")
    return int(client.stream["concealed"])


def _noise_wav(path: Path, seconds: float) -> bytes:
    """Writes the sound that `judge` judges best, the same on both sides. Returns its samples."""
    samples = np.rint(noise(seconds) * 32767).astype("<i2")
    pcm = np.repeat(samples, 2).tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)
    return pcm


def _mono(heard: bytes) -> npt.NDArray[np.float64]:
    whole = len(heard) // FRAME_BYTES * FRAME_BYTES
    samples = np.frombuffer(heard[:whole], "<i2").reshape(-1, 2)
    return np.asarray(samples[:, 0] / 32768, np.float64)


def _shifted(samples: npt.NDArray[np.float64], frames: int) -> npt.NDArray[np.float64]:
    """Without its first `frames` frames, or with so many zeros before it."""
    return samples[frames:] if frames >= 0 else np.concatenate([np.zeros(-frames), samples])


def _wait_for_sound(recorders: list[Recorder]) -> None:
    for recorder in recorders:
        wait_until(lambda r=recorder: len(r.heard) > RATE, "the recorders record")  # type: ignore[misc]


def _play(wav: Path, environment: dict[str, str], running: Callable[[], list[Program]]) -> None:
    subprocess.run(["paplay", "--device=cap", str(wav)], env=environment, check=True)
    for program in running():
        assert program.running, program.said


def _start(heard: bytes, pcm: bytes) -> int:
    """The frame at which the sound begins, by its first piece that is whole; negative
    where its beginning is lost. Raises AssertionError where nothing is heard of it."""
    for offset in range(0, len(pcm), _PIECE_BYTES):
        at = heard.find(pcm[offset : offset + _PIECE_BYTES])
        if at >= 0:
            assert at % FRAME_BYTES == 0
            return (at - offset) // FRAME_BYTES
    raise AssertionError("nothing of the sound was heard")
