"""What the user types: single keys that act at once, and commands that begin with a slash."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from queue import SimpleQueue

ENTER = "\r\n"
ERASE = "\x7f\x08"
LEAVE = "\x1b"
MAX_LINE_CHARACTERS = 200
READ_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A typed command: its word, in lower case and without the slash, and what follows."""

    word: str
    rest: str = ""


def parse_command(line: str) -> Command | None:
    """The command in a line, with or without its slash; None in an empty one."""
    word, _, rest = line.strip().removeprefix("/").partition(" ")
    return Command(word=word.lower(), rest=rest.strip()) if word else None


class Typing:
    """Tells keys from commands. `line`: what of a command has been typed so far."""

    def __init__(self) -> None:
        self.line = ""

    def typed(self, characters: str) -> list[str | Command]:
        """The keys, in lower case, and the commands that were finished."""
        done: list[str | Command] = []
        for character in characters:
            if not self.line:
                if character == "/":
                    self.line = character
                else:
                    done.append(character.lower())
            elif character in ENTER:
                command = parse_command(self.line)
                self.line = ""
                if command is not None:
                    done.append(command)
            elif character in ERASE:
                self.line = self.line[:-1]
            elif character == LEAVE:
                self.line = ""
            elif character.isprintable() and len(self.line) < MAX_LINE_CHARACTERS:
                self.line += character
        return done


class LineReader:
    """Reads commands from a descriptor that is no terminal, a line each."""

    def __init__(self, descriptor: int) -> None:
        self._commands: SimpleQueue[Command] = SimpleQueue()
        # Past Python's own buffer: a thread that waits in it would not let us end.
        threading.Thread(target=self._run, args=(descriptor,), name="commands", daemon=True).start()

    def read(self) -> list[Command]:
        """The commands that have come since the last call."""
        commands = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands

    def _run(self, descriptor: int) -> None:
        held = b""
        while True:
            try:
                data = os.read(descriptor, READ_BYTES)
            except OSError:
                return
            held += data
            *lines, held = held.split(b"\n")
            if not data:
                lines, held = [held], b""
            for line in lines:
                command = parse_command(line.decode("utf-8", "replace"))
                if command is not None:
                    self._commands.put(command)
            if not data:
                return
            held = held[-READ_BYTES:]
