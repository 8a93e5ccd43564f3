"""A terminal for the program: what it shows there, and keys to press."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from typing import Any

from tests.processes import Program, wait_until

COLUMNS, ROWS = 120, 30
_CODE = re.compile(r"\[(\d*)([AJK])")


def screen(shown: bytes, columns: int = COLUMNS) -> list[str]:
    """The rows of a terminal after these bytes. Raises ValueError for codes that the
    program has no need of."""
    rows, row, column = [""], 0, 0
    at, text = 0, shown.decode("utf-8", "replace")
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\r":
            column = 0
        elif char == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif char == "\x1b":
            code = _CODE.match(text, at)
            if code is None:
                raise ValueError(f"an escape that is none of ours: {text[at : at + 8]!r}")
            at = code.end()
            if code[2] == "A":
                row -= int(code[1])
                continue
            rows[row] = rows[row][:column]
            if code[2] == "J":
                rows[row + 1 :] = [""] * len(rows[row + 1 :])
        elif char < " ":
            raise ValueError(f"a control character: {char!r}")
        else:
            if column == columns:
                row += 1
                rows += [""] * (row == len(rows))
                column = 0
            before = rows[row].ljust(column)
            rows[row] = before[:column] + char + before[column + 1 :]
            column += 1
    return rows


class Teletype:
    """A pseudo-terminal; `options` start a program on it as its controlling terminal."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)
        self.shown = b""
        self._read_from = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def options(self) -> dict[str, Any]:
        """For `Program`."""
        return {
            "stdin": self._slave,
            "stdout": self._slave,
            "stderr": self._slave,
            "environment": {"TERM": "xterm"},
            "prepare": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        }

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 4096):
                self.shown += data
        except OSError:
            return  # closed

    @property
    def text(self) -> str:
        """All that was shown, as text."""
        return self.shown.decode("utf-8", "replace").replace("\r\n", "\n")

    def shows(self, text: str) -> str:
        """Waits until `text` is shown after what was last waited for; returns what came
        before it."""
        wait_until(lambda: self.text.find(text, self._read_from) >= 0, f"{text!r} is shown")
        found = self.text.find(text, self._read_from)
        before = self.text[self._read_from : found]
        self._read_from = found + len(text)
        return before

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self._master, keys.encode())

    def answer(self, prompt: str, answer: str = "") -> str:
        """Waits for a prompt and answers with Enter; returns what stood before the prompt."""
        before = self.shows(prompt)
        self.shows(": ")
        self.press(answer + "\n")
        return before

    def choose(self, question: str, choice: str) -> None:
        """Answers a list with the number of the entry that begins with `choice`."""
        self.shows(question)
        listed = self.answer("Number [", "") if not choice else self.shows("Number [")
        if choice:
            number = next(
                m[1]
                for m in re.finditer(r"^ *(\d+)  (.*)$", listed, re.M)
                if m[2].startswith(choice)
            )
            self.shows(": ")
            self.press(number + "\n")

    def close(self, program: Program) -> None:
        """After the end of the program."""
        assert not program.running
        os.close(self._slave)
        self._thread.join(5)
        os.close(self._master)
