"""The part of a terminal that the program's output needs: lines, and one drawn anew."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\r|\n|\x1b\[[JK]|\x1b.|[^\r\n\x1b]+", re.DOTALL)


class Screen:
    """What stands on a terminal of `columns` columns and as many rows as it takes."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows = [""]
        self._column = 0

    @property
    def rows(self) -> list[str]:
        """The rows from the top, without spaces at their ends and empty rows at the end."""
        rows = [row.rstrip() for row in self._rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def feed(self, text: str) -> None:
        """Shows some output. Raises ValueError at a control code that is not known here."""
        for token in _TOKEN.findall(text):
            if token == "\r":
                self._column = 0
            elif token == "\n":
                self._rows.append("")
            elif token in ("\x1b[K", "\x1b[J"):
                self._rows[-1] = self._rows[-1][: self._column]
            elif token.startswith("\x1b"):
                raise ValueError(f"a control code that the picture does not know: {token!r}")
            else:
                self._write(token)

    def _write(self, text: str) -> None:
        while text:
            if self._column == self._columns:
                self._rows.append("")
                self._column = 0
            piece = text[: self._columns - self._column]
            text = text[len(piece) :]
            row = self._rows[-1].ljust(self._column)
            self._rows[-1] = row[: self._column] + piece + row[self._column + len(piece) :]
            self._column += len(piece)
