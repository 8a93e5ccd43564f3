"""`./dev picture`: docs/terminal.svg, the README's picture, from a real run.

A server and a client run in a terminal each, over loopback, with a password and
with encryption; the client plays on a device of a private PulseAudio. What stands
on both terminals some seconds into the sound is what the picture shows. On a machine so busy that
the system's audio libraries write their complaints to the terminal, it tries again.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.demo import melody
from tests.picture.screen import Screen
from tests.picture.svg import Window, draw
from tests.pulse import private_pulse

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "terminal.svg"
COLUMNS, ROWS = 118, 24
PLAYING = "playing "
SETTLE_S = 7.0
"""So long after the first sound the figures are those of a running stream."""
PATIENCE_S = 20.0
GOODBYE_S = 3.0
ATTEMPTS = 4
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")

SERVER = "echowarp --ssl --source melody.wav --bind 127.0.0.1"
CLIENT = "echowarp --client --server_address 127.0.0.1"
DESCRIPTION = (
    "Two terminals. In the first a server streams a WAV file, in the second a client "
    "plays it: each shows its log, and below it a live line with state, format, level and rate."
)


class Disturbed(Exception):
    """Something else wrote to the terminals. The text is what."""


class Program:
    """The program in a terminal of its own, and what stands there."""

    def __init__(self, command: str, *, folder: str, env: dict[str, str]) -> None:
        self.command = command
        self.screen = Screen(COLUMNS)
        self.terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        _, *arguments = shlex.split(command)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "echowarp", *arguments],
            cwd=folder,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._pending = b""

    def read(self) -> bool:
        """Shows what has come. False once the program has ended."""
        try:
            self._pending += os.read(self.terminal, 65536)
        except OSError:  # how Linux says that nobody has the other end open
            return False
        text = self._pending.decode("utf-8", "ignore")
        # A character or a control code may have been cut in two.
        whole = text.rpartition("\x1b")[0] if "\x1b" in text[-2:] else text
        self._pending = self._pending[len(whole.encode()) :]
        self.screen.feed(whole)
        return True

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self.terminal)

    def window(self, title: str) -> Window:
        """What stands in the terminal now."""
        return Window(title=title, command=self.command, rows=self.screen.rows)

    def foreign_rows(self) -> list[str]:
        """Rows that the program did not write, but a library in it."""
        return [row for row in self.screen.rows[:-1] if not LOG_LINE.match(row)]


def watch(programs: list[Program], seconds: float, until: str = "") -> bool:
    """Shows what the programs say for some time, or until the last one's live line
    begins with a text. Returns whether it does; False also when a program ends."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([each.terminal for each in programs], [], [], left)
        for each in programs:
            if each.terminal in ready and not each.read():
                return False
        if until and programs[-1].screen.rows[-1:] and _live(programs[-1]).startswith(until):
            return True
    return not until and _live(programs[-1]).startswith(PLAYING)


def _live(program: Program) -> str:
    rows = program.screen.rows
    return rows[-1] if rows else ""


def take(folder: str, env: dict[str, str]) -> str:
    """Runs both and returns the picture. Raises RuntimeError when no sound came, Disturbed."""
    melody.write(Path(folder, "melody.wav"))
    programs = [Program(SERVER, folder=folder, env=env)]
    try:
        watch(programs, 1.0)
        programs.append(Program(CLIENT, folder=folder, env=env))
        if not (watch(programs, PATIENCE_S, PLAYING) and watch(programs, SETTLE_S)):
            said = "\n".join(row for each in programs for row in each.screen.rows)
            raise RuntimeError(f"no sound arrived:\n{said}")
        foreign = [row for each in programs for row in each.foreign_rows()]
        if foreign:
            raise Disturbed("\n".join(foreign))
        windows = [
            program.window(title)
            for program, title in zip(programs, ("server", "client"), strict=True)
        ]
    finally:
        for each in reversed(programs):
            each.stop()
    return draw(windows, columns=COLUMNS, description=DESCRIPTION)


def main() -> int:
    """Makes the picture. Returns the exit status."""
    for _ in range(ATTEMPTS):
        try:
            picture = attempt()
        except Disturbed as error:
            print(f"picture: once more, as something wrote to the terminal:\n{error}")
            continue
        except RuntimeError as error:
            print(f"picture: {error}", file=sys.stderr)
            return 1
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture, "utf-8")
        print(f"{PICTURE.relative_to(ROOT)} is new: look at it")
        return 0
    print("picture: this machine is too busy for a picture", file=sys.stderr)
    return 1


def attempt() -> str:
    """One picture, with devices and in a folder of its own. Raises what `take` raises."""
    with private_pulse() as pulse, tempfile.TemporaryDirectory(prefix="picture-") as folder:
        env = {
            **pulse,
            "ECHOWARP_PASSWORD": "a password for the picture",
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
            "TERM": "xterm-256color",
        }
        env.pop("NO_COLOR", None)
        return take(folder, env)


if __name__ == "__main__":
    sys.exit(main())
