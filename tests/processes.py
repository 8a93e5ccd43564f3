"""Starts the real program as processes, and ends every one that it started.

Needs nothing but what the program itself needs: the demo uses it as well.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tests.demo.stats import Line, last_stream, read_lines

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
PROGRAM = (sys.executable, "-m", "echowarp.main")
PASSWORD = "correct horse"

GOODBYE_S = 3.0
"""The program promises to end within 2 s of a signal."""
PATIENCE_S = 45.0
"""For anything that should happen soon, however busy the machine is."""

_FIRST_PORT, _PORTS = 10_000, 20_000
"""Below what systems give to outgoing connections, which would take a port between
its choice and its use."""
_numbers = count(os.getpid() * 97)


class TookTooLong(AssertionError):
    """Something that was waited for did not happen."""


def wait_until(
    happened: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S
) -> None:
    """Returns once `happened()` is true. Raises TookTooLong, with `what`, when it stays false."""
    deadline_s = time.monotonic() + patience_s
    while not happened():
        if time.monotonic() > deadline_s:
            raise TookTooLong(f"{what}: not within {patience_s:g} s")
        time.sleep(0.01)


def free_port() -> int:
    """A port that is free for TCP and UDP, on all addresses, and that nobody is given
    by chance.

    Raises OSError when none was found.
    """
    for _ in range(200):
        port = _FIRST_PORT + next(_numbers) % _PORTS
        if all(_is_free(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise OSError("no port is free for both TCP and UDP")


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


class Program:
    """One process of the program.

    name: what it is called in messages, and its files in `folder`: what it says is
    in NAME.log, its statistics, if `stats`, in NAME.stats. stdin, stdout, stderr: as
    for Popen; stdin is closed and stdout goes to NAME.out unless given.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        arguments: list[str],
        *,
        password: str | None = None,
        stats: bool = True,
        environment: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.log, self.out = folder / f"{name}.log", folder / f"{name}.out"
        self.stats_file = folder / f"{name}.stats"
        files = (self.out.open("wb"), self.log.open("wb"))
        try:
            # A session of its own, so that Ctrl+C reaches only who started it, who says
            # goodbye once.
            self.process = subprocess.Popen(
                [*PROGRAM, *arguments, *(("--stats", str(self.stats_file)) if stats else ())],
                cwd=folder,
                env=self._environment(environment or {}, password),
                stdin=stdin,
                stdout=files[0] if stdout is None else stdout,
                stderr=files[1] if stderr is None else stderr,
                start_new_session=True,
                preexec_fn=prepare,
            )
        finally:
            for file in files:
                file.close()

    @staticmethod
    def _environment(changes: Mapping[str, str], password: str | None) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k != "ECHOWARP_PASSWORD"}
        given = {} if password is None else {"ECHOWARP_PASSWORD": password}
        return inherited | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | given | dict(changes)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text("utf-8", "replace")

    @property
    def stats(self) -> list[Line]:
        """The lines of its statistics so far."""
        return read_lines(self.stats_file)

    @property
    def stream(self) -> Line:
        """Its newest figures of a stream; empty before there are any."""
        return last_stream(self.stats)

    def says(self, text: str, *, patience_s: float = PATIENCE_S) -> None:
        """Waits until it has said `text`. Raises TookTooLong, also when it ends before."""

        def said() -> bool:
            running = self.running
            if text in self.said:
                return True
            if not running:
                raise TookTooLong(f"{self.name} ended without saying {text!r}:\n{self.said}")
            return False

        try:
            wait_until(said, f"{self.name} says {text!r}", patience_s=patience_s)
        except TookTooLong as error:
            raise TookTooLong(f"{error}; it said:\n{self.said}") from None

    def ends(self, *, patience_s: float = PATIENCE_S) -> int:
        """Waits for its end and returns its exit status. Raises TookTooLong."""
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"{self.name} does not end:\n{self.said}") from None

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and waits for its end."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """SIGTERM; returns the exit status of a goodbye in time. Raises TookTooLong."""
        self.process.terminate()
        return self.ends(patience_s=GOODBYE_S)

    def close(self) -> None:
        """Ends it whatever it does."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(GOODBYE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Stage:
    """Servers and clients of one port in one folder, made if need be; all are ended
    with it.

    password: of whoever is not given another; None for none.
    """

    def __init__(self, folder: Path, *, password: str | None = PASSWORD) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.password = password
        self.programs: list[Program] = []

    def run(self, name: str, *arguments: str, **options: Any) -> Program:
        """Starts the program with exactly these arguments. options: as for Program."""
        names = {program.name for program in self.programs}
        unique = next(n for n in self._names(name) if n not in names)
        program = Program(self.folder, unique, list(arguments), **options)
        self.programs.append(program)
        return program

    @staticmethod
    def _names(name: str) -> Iterator[str]:
        yield name
        yield from (f"{name}-{n}" for n in count(2))

    def server(
        self,
        *arguments: str,
        source: str | Path = "tone",
        bind: str | None = LOOPBACK,
        ready: bool = True,
        name: str = "server",
        **options: Any,
    ) -> Program:
        """Starts a server and, if `ready`, waits until it listens."""
        where = () if bind is None else ("--bind", bind)
        fixed = (*where, "--udp_port", str(self.port), "--source", str(source))
        options.setdefault("password", self.password)
        program = self.run(name, *fixed, *arguments, **options)
        if ready:
            program.says("listening on port")
        return program

    def client(
        self,
        *arguments: str,
        sink: str | Path = "null",
        address: str = LOOPBACK,
        port: int | None = None,
        name: str = "client",
        **options: Any,
    ) -> Program:
        """Starts a client. port: the stage's unless given."""
        where = ("--client", "--server_address", address, "--udp_port", str(port or self.port))
        options.setdefault("password", self.password)
        return self.run(name, *where, "--sink", str(sink), *arguments, **options)

    def close(self) -> None:
        """Ends all programs. Idempotent."""
        for program in self.programs:
            if program.running:
                program.signal(signal.SIGTERM)
        for program in self.programs:
            program.close()

    def said(self) -> list[str]:
        """What all have said, a line each."""
        return [f"{p.name}: {line}" for p in self.programs for line in p.said.splitlines()]

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
