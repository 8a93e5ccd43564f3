"""The acceptance runs, at their full length: `python -m tests.accept [--seconds N]`.

Prints a table of verdicts; the exit status is 1 if any failed. The suite runs the
same functions, shorter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.app.sounds import recorded_bytes
from tests.cards import travel
from tests.processes import PASSWORD, Stage, TookTooLong, wait_until
from tests.pulse import private_pulse
from tests.recordings import read_pcm, speech_wav

FULL_S = 60.0
RETURN_S = 3.0
"""Within so long of a server's return every client plays again."""
LISTENERS = 10
SPARE_S = 30.0
"""What a run may take beyond the length of its sound before it counts as hung."""

SUITES: dict[str, tuple[str, ...]] = {"--ssl": ("--ssl",), "-i": ("-i",), "neither": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the table."""

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED':<7} {self.name:<44} {self.detail}"


def bit_exact(folder: Path, seconds: float) -> list[Verdict]:
    """A recording through each suite, with and without a password, side by side."""
    pcm = speech_wav(folder / "speech.wav", seconds)
    with ExitStack() as stack:
        runs = []
        for word, password in (("a password", PASSWORD), ("no password", None)):
            for suite, options in SUITES.items():
                name = f"{suite}, {word}"
                place = folder / name.replace(" ", "_")
                stage = stack.enter_context(Stage(place, password=password))
                stage.server(*options, source=folder / "speech.wav", ready=False)
                runs.append((name, stage))
        for _, stage in runs:
            stage.programs[0].says("listening on port")
            stage.client(sink="got.wav")
        return [_compared(name, stage, pcm, seconds) for name, stage in runs]


def _compared(name: str, stage: Stage, pcm: bytes, seconds: float) -> Verdict:
    statuses = [program.ends(patience_s=seconds + SPARE_S) for program in stage.programs]
    recording = stage.folder / "got.wav"
    got = read_pcm(recording)[2] if recording.exists() else b""
    passed = got == pcm and not any(statuses)
    detail = f"{len(got) // 4} of {len(pcm) // 4} frames"
    detail += ", bit-exact" if got == pcm else ", NOT the same"
    return Verdict(name=f"bit-exact: {name}", passed=passed, detail=detail)


def through_cards(folder: Path, seconds: float, *, loopback: bool = False) -> list[Verdict]:
    """Through two null sinks of PulseAudio: device source to device sink."""
    kind = "-o (monitor)" if loopback else "microphone"
    with private_pulse() as environment, Stage(folder) as stage:
        journey = travel(stage, environment, seconds, loopback=loopback)
    passed = journey.glitches == 0 and journey.damaged == 0 and journey.concealed == 0
    detail = (
        f"{100 * journey.damaged:.3f} % damaged, {journey.concealed} concealed, delay "
        f"{journey.delay_ms:.0f} ms (the client tells {journey.told_ms:.0f} ms)"
    )
    return [Verdict(name=f"devices: {kind} to speaker", passed=passed, detail=detail)]


def ten_clients(folder: Path, seconds: float) -> list[Verdict]:
    """Ten clients record; one is killed half-way; nine are undisturbed."""
    pcm = speech_wav(folder / "speech.wav", seconds)
    with Stage(folder) as stage:
        server = stage.server("--ssl", source="speech.wav")
        clients = [stage.client(sink=f"{n}.wav") for n in range(LISTENERS)]
        half = len(pcm) // 2
        wait_until(
            lambda: all(recorded_bytes(folder / f"{n}.wav") > half for n in range(LISTENERS)),
            "ten clients record",
            patience_s=seconds + SPARE_S,
        )
        clients[0].kill()
        statuses = [p.ends(patience_s=seconds + SPARE_S) for p in (server, *clients[1:])]
    undisturbed = shortest = 0
    for n in range(1, LISTENERS):
        got = read_pcm(folder / f"{n}.wav")[2]
        # A client that joined later begins later; what it has is whole to the end.
        undisturbed += pcm.endswith(got) and len(got) > half
        shortest = min(shortest or len(got), len(got))
    got = read_pcm(folder / "0.wav")[2]
    passed = undisturbed == LISTENERS - 1 and not any(statuses) and bool(got) and got in pcm
    detail = f"{undisturbed} of 9 bit-exact, the shortest {shortest / 192_000:.2f} s"
    return [Verdict(name="ten clients, one killed", passed=passed, detail=detail)]


def restart(folder: Path, seconds: float) -> list[Verdict]:
    """The server is killed and comes back: every client plays again soon."""
    pcm = speech_wav(folder / "speech.wav", seconds)
    with Stage(folder) as stage:
        server = stage.server("--ssl", source="speech.wav")
        sinks = [folder / f"{n}.wav" for n in range(3)]
        for sink in sinks:
            stage.client("-r", "0", sink=sink.name)
        for sink in sinks:
            wait_until(lambda s=sink: recorded_bytes(s) > 192_000, "the clients play")  # type: ignore[misc]
        server.kill()
        for client in stage.programs[1:]:
            client.says("nothing listens there")
        sizes = [recorded_bytes(sink) for sink in sinks]
        server = stage.server("--ssl", source="speech.wav")
        back_s = time.monotonic()
        took_s = [0.0] * len(sinks)
        while not all(took_s) and time.monotonic() < back_s + 5 * RETURN_S:
            for n, sink in enumerate(sinks):
                if not took_s[n] and recorded_bytes(sink) > sizes[n]:
                    took_s[n] = time.monotonic() - back_s
            time.sleep(0.005)
        statuses = [program.ends(patience_s=seconds + SPARE_S) for program in stage.programs[1:]]
    whole = sum(pcm.endswith(read_pcm(sink)[2][-96_000:]) for sink in sinks)
    passed = all(0 < took <= RETURN_S for took in took_s) and not any(statuses)
    detail = ", ".join(f"{took:.2f} s" for took in took_s) + " after its return"
    name = "server killed and restarted"
    return [Verdict(name=name, passed=passed and whole == len(sinks), detail=detail)]


def _in_folder(run: Callable[[Path, float], list[Verdict]], seconds: float) -> list[Verdict]:
    with tempfile.TemporaryDirectory(prefix="echowarp-accept-") as folder:
        try:
            return run(Path(folder), seconds)
        except (AssertionError, OSError) as error:
            kind = "took too long" if isinstance(error, TookTooLong) else type(error).__name__
            detail = " ".join(f"{kind}: {error}".split())
            return [Verdict(name=run.__name__.replace("_", " "), passed=False, detail=detail)]


def main() -> int:
    """Runs everything. Returns 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="./dev accept", description="The acceptance runs.")
    parser.add_argument("--seconds", type=float, default=FULL_S, help="length of the sound")
    seconds: float = parser.parse_args().seconds
    if seconds < 8:
        parser.error("--seconds must be at least 8: the killed client needs time to be missed")
    verdicts = []
    # What measures times runs alone.
    for together in ((bit_exact, ten_clients), (through_cards,), (restart,)):
        with ThreadPoolExecutor() as pool:
            for rows in pool.map(lambda run: _in_folder(run, seconds), together):
                verdicts += rows
                print(*rows, sep="\n", flush=True)
    failed = sum(not verdict.passed for verdict in verdicts)
    print(f"{len(verdicts) - failed} of {len(verdicts)} passed, {seconds:g} s of sound each")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
