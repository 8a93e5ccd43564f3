"""`--self_test`: the real program, as processes, over loopback and a made-up network.

A server sends noise to two clients. One records, so that every sample can be compared
with what was sent; the other has a sound card that is simulated, so that there is a
clock to play by, and a delay to measure.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from echowarp.app.ends import DEFAULT_CHANNELS, DEFAULT_RATE
from echowarp.app.impairment import ImpairedPath
from echowarp.app.self_test_figures import CARD, RECORDING, Left
from echowarp.app.verdict import Figures, report
from echowarp.config.impair import Impairment
from echowarp.config.settings import Settings
from echowarp.device.card import list_all
from echowarp.device.wav_writer import WavSink
from echowarp.errors import ConfigError, DeviceError, EchoWarpError
from echowarp.media.format import NS_PER_S, Format
from echowarp.net.proxy import LOOPBACK, Fate, Proxy, free_ports

log = logging.getLogger(__name__)

DURATION_S = 10.0
MAX_DURATION_S = 600.0
"""The noise is kept in memory."""
START_S, END_S = 15.0, 15.0
"""What starting and saying goodbye may take on a busy machine."""
LOOK_S = 0.05
PROGRESS_S = 0.25
"""The live line is drawn anew so often."""
SERVER, RECORDER = "server", "recorder"


def run_self_test(
    settings: Settings,
    impairment: Impairment,
    say: Callable[[str], None],
    show: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs the test and says what it found; shows meanwhile, in a live line, how far it is.

    Raises EchoWarpError when not all is well.
    """
    duration_s = settings.duration or DURATION_S
    if duration_s > MAX_DURATION_S:
        raise ConfigError(f"--duration: a self test lasts at most {MAX_DURATION_S:g} s")
    fmt = Format.for_blocks(
        rate=settings.sample_rate or DEFAULT_RATE,
        channels=settings.channels or DEFAULT_CHANNELS,
        block_ms=settings.block_ms,
    )
    say(f"self test: {duration_s:g} s of {fmt} over loopback; {impairment}")
    with tempfile.TemporaryDirectory(prefix="echowarp-") as folder:
        run = _Run(settings, impairment, fmt, Path(folder), show)
        try:
            problems = run.play(duration_s)
        except KeyboardInterrupt:
            show("")
            say("stopped before its end: there is nothing to tell yet")
            return
        show("")
        figures = run.figures(_devices(settings))
    report(figures, settings, problems, say)


def _devices(settings: Settings) -> str:
    """The devices of this machine in one line."""
    repair = not settings.ignore_device_encoding_names
    try:
        devices = list_all(settings.device_encoding_names, repair)
    except DeviceError as error:
        return f"none: {error}"
    if not devices:
        return "none that PortAudio knows; files and pipes need none"
    defaults = {
        "input": next((d for d in devices if d.is_default_input), None),
        "output": next((d for d in devices if d.is_default_output), None),
    }
    named = [
        f"{kind} '{d.name}' at {d.default_rate} Hz" if d is not None else f"no {kind}"
        for kind, d in defaults.items()
    ]
    return f"{len(devices)}; by default {', '.join(named)}"


class _Run:
    """One run of the three processes, in a folder of their own."""

    def __init__(
        self,
        settings: Settings,
        impairment: Impairment,
        fmt: Format,
        folder: Path,
        show: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._impairment = impairment
        self._format = fmt
        self._folder = folder
        self._show = show
        self._sent = b""
        self._kinds: Counter[int] = Counter()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def play(self, duration_s: float) -> list[str]:
        """Lets them play. Returns what went wrong, a few words each."""
        self._write_source(duration_s)
        ports = free_ports()
        server_port = next(ports)
        password = secrets.token_hex()
        with ExitStack() as stack:
            stack.callback(self._end_all)
            self._start(SERVER, password, "echowarp.main", self._server_arguments(server_port))
            self._await_server()
            for name, sink, module in (
                (RECORDER, RECORDING, "echowarp.main"),
                (CARD, "device", "echowarp.app.clocked_client"),
            ):
                port = next(ports)
                stack.enter_context(self._proxy(name, port, server_port))
                arguments = ("--client", "--server_address", LOOPBACK, "--udp_port", str(port))
                target = ("--sink", sink, "--latency", self._settings.latency)
                self._start(name, password, module, (*arguments, *target))
            problems = list(self._await_ends(duration_s))
        if self._settings.verbose:
            for name in self._programs:
                for line in self._said(name):
                    log.debug("%s: %s", name, line)
        return problems

    def figures(self, devices: str) -> Figures:
        """What was measured."""
        return Left(self._folder, self._format, self._sent, self._kinds).figures(devices)

    def _write_source(self, duration_s: float) -> None:
        """Noise, of which no two blocks are alike."""
        frames = round(duration_s * self._format.rate)
        noise = random.Random(self._impairment.seed)
        self._sent = noise.randbytes(frames * self._format.frame_bytes)
        sink = WavSink(str(self._folder / "sent.wav"), self._format, overwrite=False)
        sink.write(self._sent)
        sink.close()

    def _server_arguments(self, port: int) -> tuple[str, ...]:
        settings = self._settings
        protection = ("--ssl",) * settings.is_ssl + ("-i",) * settings.is_integrity_control
        where = ("--bind", LOOPBACK, "--udp_port", str(port))
        return (*where, "--source", "sent.wav", "--block_ms", f"{settings.block_ms:g}", *protection)

    def _proxy(self, name: str, port: int, server_port: int) -> Proxy:
        down = _fate(ImpairedPath(self._impairment, f"{name} down"), self._kinds)
        up = _fate(ImpairedPath(self._impairment, f"{name} up"), self._kinds)
        delay_s = self._impairment.delay_ms / 1000
        return Proxy(port, server_port, down=down, up=up, tcp_delay_s=delay_s)

    # The processes.

    def _start(self, name: str, password: str, module: str, arguments: tuple[str, ...]) -> None:
        package = str(Path(__file__).resolve().parents[2])
        paths = filter(None, (package, os.environ.get("PYTHONPATH")))
        environ = {
            **os.environ,
            "ECHOWARP_PASSWORD": password,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUTF8": "1",
        }
        log_file, out_file = self._folder / f"{name}.log", self._folder / f"{name}.out"
        with log_file.open("wb") as log_to, out_file.open("wb") as out_to:
            self._programs[name] = subprocess.Popen(
                (sys.executable, "-m", module, *arguments, "--stats", f"{name}.stats"),
                cwd=self._folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out_to,
                stderr=log_to,
            )

    def _await_server(self) -> None:
        deadline_s = time.monotonic() + START_S
        while not any("listening on port" in line for line in self._said(SERVER)):
            if self._programs[SERVER].poll() is not None or time.monotonic() > deadline_s:
                said = " ".join(self._said(SERVER)[-1:])
                raise EchoWarpError(f"self test: the server did not start: {said}")
            time.sleep(LOOK_S)

    def _await_ends(self, duration_s: float) -> Iterator[str]:
        began_s = time.monotonic()
        for name in (RECORDER, CARD, SERVER):
            while (status := self._programs[name].poll()) is None:
                passed_s = time.monotonic() - began_s
                if passed_s > START_S + duration_s + END_S:
                    break
                self._show(f"self test: {min(passed_s, duration_s):.0f} s of {duration_s:g} s")
                time.sleep(PROGRESS_S)
            if status is None:
                yield f"the {name}'s process did not end"
            elif status:
                said = " ".join(self._said(name)[-1:])
                yield f"the {name}'s process ended with status {status}: {said}"

    def _end_all(self) -> None:
        for program in self._programs.values():
            if program.poll() is None:
                program.kill()
            program.wait()

    def _said(self, name: str) -> list[str]:
        return (self._folder / f"{name}.log").read_text("utf-8", "replace").splitlines()


def _fate(path: ImpairedPath, kinds: Counter[int]) -> Fate:
    """Decides for each datagram, and counts it by its kind."""

    def decide(datagram: bytes) -> tuple[float, ...]:
        kinds[datagram[0]] += 1
        return tuple(delay_ns / NS_PER_S for delay_ns in path.delays_ns())

    return decide
