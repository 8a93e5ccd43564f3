"""Device to device: real processes between the devices of a private PulseAudio, and JACK.

    python -m tests.bench.bench_devices [--quick] [--row N] [--seconds S]

Delay is counted from the moment a sample can be read at the source to the moment it
leaves the sink; damaged is every 2.5 ms that is no faithful copy (tests/bench/hearing.py).
A run is judged from 3 s (1 s with --quick) after the sound began; what was damaged before
is shown too. `client` is its processor time, as a share of a core. `off` is by how much the
delay that the client says each second differs from what is heard just then: the median,
and the largest. `machine` is for how long, in ms, the machine itself stood still at its
worst, as a program sees it that does nothing but wait and comes before others. A run that
misses something while it stood still for longer than MOST_STILL_MS is taken again, at most
twice.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np

from echowarp.config.impair import Impairment
from tests.bench.device_runs import MOST_OFF_MS, TAIL_S, Beside, Row, Run, Times, judged
from tests.bench.hearing import RATE, Samples
from tests.bench.jack import PERIOD_FRAMES, Probe, private_jack
from tests.bench.networks import proxy
from tests.cards import FRAME_BYTES, Recorder
from tests.demo.stats import stream
from tests.machine import MOST_STILL_MS, TRIES, Machine
from tests.proc import cpu_s
from tests.processes import Program, Stage, free_port, wait_until
from tests.pulse import private_pulse

SETTLE_S, QUICK_SETTLE_S = 3.0, 1.0
SECONDS, QUICK_SECONDS = 30.0, 5.0
SEED = 1


def _net(loss: float = 0, jitter_ms: float = 0, burst: int = 1) -> Impairment:
    return Impairment(loss_percent=loss, jitter_ms=jitter_ms, burst_packets=burst, seed=SEED)


ROWS = (
    Row(name="clean", network=_net(), delay_ms=45, damaged_percent=0),
    Row(name="1 % random loss", network=_net(1), delay_ms=60),
    Row(name="5 % random loss", network=_net(5), delay_ms=60),
    Row(name="20 ms jitter", network=_net(0, 20), delay_ms=75, field="117 ms"),
    Row(name="5 % loss, 20 ms jitter", network=_net(5, 20), delay_ms=90, field="136 ms"),
    Row(
        name="10 % in bursts of 3",
        network=_net(10, 0, 3),
        delay_ms=110,
        damaged_percent=0.1,
        glitches=2,
        field="256 ms, 1.4 % damaged",
    ),
    Row(
        name="clean, JACK of 256 frames",
        network=_net(),
        delay_ms=20,
        damaged_percent=0,
        field="19.7 ms",
        jack=True,
    ),
)
QUICK_ROWS = (ROWS[0], *ROWS[4:])
"""Loss and jitter only together."""


Playing: TypeAlias = AbstractContextManager[tuple[Path, Program, Program]]
"""Programs that play: a folder of theirs, the one that captures, the one that is heard."""


def through_pulse(row: Row, times: Times, environment: dict[str, str]) -> Run:
    """One run between the devices `mic` and `spk`."""
    return heard_through(_playing(row, environment, "mic", "spk"), times, environment)


def heard_through(playing: Playing, times: Times, environment: dict[str, str]) -> Run:
    """What becomes of a sound from the device `mic` to `spk`, by the programs of `playing`."""
    sound = times.sound
    with playing as (folder, server, client):
        wav = folder / "known.wav"
        pcm = _write(wav, sound)
        recorders = [Recorder(name, environment) for name in ("cap.monitor", "play.monitor")]
        try:
            for recorder in recorders:
                wait_until(lambda r=recorder: len(r.heard) > RATE, "the recorders record")  # type: ignore[misc]
            command = ["paplay", "--device=cap", str(wav)]
            started_s = _started_s(client)
            with _Share(client) as share, Machine() as machine:
                subprocess.run(command, env=environment, check=True)
            time.sleep(TAIL_S)
            assert server.running and client.running, (server.said, client.said)
        finally:
            for recorder in recorders:
                recorder.stop()
        went, came = (recorder.heard for recorder in recorders)
        at = went.find(pcm[:256])
        if at < 0 or went[at : at + len(pcm)] != pcm:
            raise RuntimeError("the source itself had a gap: this machine is too busy")
        # On the clock of the source, in frames from the sound's begin.
        sound_s = recorders[0].begun_s() + at / FRAME_BYTES / RATE
        begin = recorders[1].begun_s() - sound_s
        said = _said(client, started_s - sound_s)
        return judged(
            sound,
            _floats(came),
            begin * RATE,
            times,
            client,
            Beside(share=share.share, still_ms=machine.late_ms),
            said,
        )


def through_jack(row: Row, times: Times, environment: dict[str, str]) -> Run:
    """One run between the ports of one JACK client, which plays and records."""
    sound = times.sound
    with tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder:
        probe = Probe(Path(folder), sound, environment)
        with probe, _playing(row, environment, "probe", "probe") as (_, _, client):
            started_s = _started_s(client)
            with _Share(client) as share, Machine() as machine:
                begun_s = time.monotonic()
                came = probe.play()
            # JACK lets a whole period be read at once, which the client counts as captured.
            period_ms = 1000 * PERIOD_FRAMES / RATE
            said = [(at, ms - period_ms) for at, ms in _said(client, started_s - begun_s)]
            return judged(
                sound,
                came,
                0,
                times,
                client,
                Beside(share=share.share, still_ms=machine.late_ms),
                said,
            )


def _started_s(client: Program) -> float:
    """When the client's own time began, on the monotonic clock: by its next word."""
    before = len(client.stats)
    wait_until(lambda: len(client.stats) > before, "the client says how it fares")
    return time.monotonic() - float(client.stats[-1]["time"])


def _said(client: Program, ahead_s: float) -> list[tuple[float, float]]:
    """The delays in ms that the client has said, and when. ahead_s: when its own time began,
    seconds after the sound."""
    told = [(float(line["time"]) + ahead_s, stream(line).get("delay_ms")) for line in client.stats]
    return [(at_s, float(delay_ms)) for at_s, delay_ms in told if delay_ms is not None]


def _write(path: Path, sound: Samples) -> bytes:
    """Writes the sound as stereo WAV, and returns its samples."""
    mono = np.rint(sound * 32_767).astype("<i2")
    pcm = np.repeat(mono, 2).tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return pcm


def _floats(pcm: bytes) -> Samples:
    """The first channel, -1..1."""
    samples = np.frombuffer(pcm[: len(pcm) // FRAME_BYTES * FRAME_BYTES], "<i2")
    return samples[::2].astype(np.float64) / 32_768


@contextlib.contextmanager
def _playing(
    row: Row, environment: Mapping[str, str], source: str, sink: str
) -> Iterator[tuple[Path, Program, Program]]:
    """A server and a client that plays, with the network between them."""
    with (
        tempfile.TemporaryDirectory(prefix="echowarp-bench-") as folder,
        Stage(Path(folder, "stage")) as stage,
    ):
        server = stage.server("--ssl", "--device", source, source="device", environment=environment)
        with proxy(free_port(), stage.port, row.network) as between:
            client = stage.client(
                "--device", sink, sink="device", port=between.port, environment=environment
            )
            wait_until(lambda: client.stream.get("received", 0) > 0, "the client plays")
            yield stage.folder, server, client


class _Share:
    """How much of a core a program uses while this is entered."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.share = 0.0

    def __enter__(self) -> _Share:
        self._begun_s, self._used_s = time.monotonic(), cpu_s(self._program.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        used_s = cpu_s(self._program.pid) - self._used_s
        self.share = used_s / (time.monotonic() - self._begun_s)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s each")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--row", type=int)
    arguments = parser.parse_args()
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    settle_s = QUICK_SETTLE_S if arguments.quick else SETTLE_S
    times = Times(settle_s=settle_s, seconds=seconds)
    rows: tuple[Row, ...] = QUICK_ROWS if arguments.quick else ROWS
    rows = rows if arguments.row is None else (rows[arguments.row],)
    sys.setswitchinterval(0.0001)  # the proxy and the recorders share this process
    print(
        f"{f'{seconds:g} s each':27}{'delay ms':>9}{'most':>7}{'shown':>7}{'<=':>5}"
        f"{'off ms':>8}{'most':>6}{'<=':>3}"
        f"{'damaged %':>11}{'<=':>6}{'glitches/min':>14}{'<=':>3}{'at start %':>12}"
        f"{'concealed':>11}{'client %':>10}{'machine':>9}  best of the field"
    )
    with contextlib.ExitStack() as stack:
        pulse = stack.enter_context(private_pulse()) if any(not r.jack for r in rows) else {}
        for row in rows:
            if row.jack and shutil.which("jackd") is None:
                print(f"{row.name:27} not measured: jackd is not installed")
                continue
            for _ in range(TRIES):
                run = measured(row, times, pulse)
                show(row, run)
                if run.missed(row) in ([], ["client"]) or run.still_ms <= MOST_STILL_MS:
                    break


def measured(row: Row, times: Times, pulse: dict[str, str]) -> Run:
    """One run."""
    if not row.jack:
        return through_pulse(row, times, pulse)
    with private_jack() as environment:
        return through_jack(row, times, environment)


def show(row: Row, run: Run) -> None:
    """Prints the row of one run."""
    missed = run.missed(row)
    verdict = f"MISSED: {', '.join(missed)}" if missed else "ok"
    print(
        f"{row.name:27}{run.delay_ms:9.1f}{run.most_ms:7.1f}{run.told.ms:7.1f}{row.delay_ms:5g}"
        f"{run.told.off_ms:8.1f}{run.told.most_off_ms:6.1f}{MOST_OFF_MS:3g}"
        f"{100 * run.heard.damaged:11.3f}{row.damaged_percent:6g}"
        f"{run.heard.glitches_a_minute:14.1f}{row.glitches:3g}"
        f"{100 * run.start.damaged:12.3f}{run.concealed:11}"
        f"{100 * run.client:10.1f}{run.still_ms:9.1f}  {row.field}  {verdict}  ({run.reason})",
        flush=True,
    )


if __name__ == "__main__":
    main()
