"""Values of a config file that are not plain text: quotes and escapes."""

from __future__ import annotations

import re

from echowarp.errors import ConfigError

ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_LETTERS = {character: letter for letter, character in ESCAPES.items()}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


def quote(value: str) -> str:
    """The text of a value, in quotes only where it would not survive without them."""
    if value and value.isprintable() and value == value.strip() and not value.startswith('"'):
        return value
    return '"' + "".join(map(_escape, value)) + '"'


def unquote(text: str) -> str:
    """The value of a text without spaces at its ends.

    Raises ValueError when quotes or escapes are wrong. The error does not repeat
    the text, which may be a password.
    """
    if not text.startswith('"'):
        return text
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        raise ValueError(
            'a value that begins with " must end with one: write \\" for each one in between'
        )
    return _ESCAPE.sub(_unescape, quoted[1])


def _escape(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        raise ConfigError("a value that is not text cannot be saved: rename the file it names")
    if character in _LETTERS:
        return "\\" + _LETTERS[character]
    if character.isprintable() or ord(character) > 0xFFFF:
        return character
    return f"\\u{ord(character):04x}"


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if code in ESCAPES:
        return ESCAPES[code]
    character = chr(int(code[1:], 16)) if len(code) > 1 else "\ud800"
    if "\ud800" <= character <= "\udfff":
        raise ValueError('wrong after a \\: there are \\" \\\\ \\n \\r \\t and \\uXXXX alone')
    return character
