"""`./dev demo [FILE.wav]`: sound through a real server and a real client over loopback."""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.demo import melody
from tests.demo.compare import compare
from tests.demo.processes import Pair, has_output_device
from tests.demo.stats import meter
from tests.demo.verdict import Run, problems, summary
from tests.demo.wav import WavError, WavReader

DEVICE_ERROR_STATUS = 5
SPARE_S = 30.0
"""What a run may take beyond the length of its sound before it counts as hung."""

_METER_EVERY_S = 2.0


def main() -> int:
    """Runs the demo. Returns 0 only if the sound really arrived."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.wav", help="sound to send")
    given: Path | None = parser.parse_args().file
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in order with what goes to stderr
    folder = Path(tempfile.mkdtemp(prefix="echowarp-demo-"))
    recording = folder / "received.wav"
    try:
        source = given or _write_melody(folder)
        return 0 if _demonstrate(folder, source.resolve(), recording) else 1
    except OSError as error:
        print(f"demo: {error.filename or recording}: {error.strerror}", file=sys.stderr)
        return 2
    except WavError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    finally:
        if not recording.exists():
            shutil.rmtree(folder)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _write_melody(folder: Path) -> Path:
    path = folder / "melody.wav"
    melody.write(path)
    return path


def _demonstrate(folder: Path, source: Path, recording: Path) -> bool:
    """Plays `source` to the default output device, or into `recording` without one."""
    with WavReader(source) as reader:
        length_s = reader.frames / reader.rate
        print(f"Source: {source}, {length_s:.1f} s, {reader.rate} Hz, {reader.channels} channels")
    if has_output_device():
        print("Sink:   the default output device")
        run = _run(folder, source, None, length_s)
        if run.client_status != DEVICE_ERROR_STATUS:
            return _report(run)
        print("The output device does not play, so the sound goes into a file.")
    else:
        print("There is no output device, so the sound goes into a file.")
    print(f"Sink:   {recording}")
    arrived = _report(_run(folder, source, recording, length_s))
    if recording.exists():
        print(f"Recorded: {recording}")
    return arrived


def _run(folder: Path, source: Path, recording: Path | None, length_s: float) -> Run:
    """One server and one client, from start to end. `recording` is None for a device."""
    attempt = Path(tempfile.mkdtemp(dir=folder))
    pair = Pair(attempt, source=source, sink=str(recording or "device"))
    try:
        pair.start()
        ended = _watch(pair, time.monotonic() + length_s + SPARE_S)
    finally:
        pair.stop()
    server_status, client_status = pair.server.ends(), pair.client.ends()
    if server_status or client_status:
        print(*pair.said(), sep="\n", file=sys.stderr)
    return Run(
        ended=ended,
        server_status=server_status,
        client_status=client_status,
        server_lines=pair.server.stats,
        client_lines=pair.client.stats,
        comparison=None if recording is None else compare(source, recording),
    )


def _watch(pair: Pair, deadline_s: float) -> bool:
    """Waits for both to end; without a terminal, says now and then how it goes.

    Returns whether they did before `deadline_s`, or one failed.
    """
    live = sys.stderr.isatty()
    next_s = time.monotonic() + _METER_EVERY_S
    while pair.running and not pair.one_failed:
        time.sleep(0.1)
        if time.monotonic() > deadline_s:
            return False
        if not live and time.monotonic() >= next_s:
            next_s += _METER_EVERY_S
            for line in pair.client.stats[-1:]:
                print(meter(line), flush=True)
    return True


def _report(run: Run) -> bool:
    """Prints figures and verdict. Returns whether the sound arrived."""
    print(*summary(run), sep="\n")
    against = problems(run)
    for problem in against:
        print(f"demo: {problem}", file=sys.stderr)
    print("The sound arrived." if not against else "The sound did NOT arrive.")
    return not against


if __name__ == "__main__":
    sys.exit(main())
