"""Names of people and of rooms: what may be one, and which two look alike.

Names are compared casefolded. One that only looks like another is refused as well: both
are reduced to a skeleton, in which letters that resemble each other are one, after the
idea of Unicode Technical Standard 39, section 4, with a small table of our own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from echowarp.errors import ConfigError

MAX_CHARACTERS = 32
MAX_NAME_BYTES = 128
MAX_TYPED_CHARACTERS = 1024
"""Longer input is refused before any work is spent on it."""
MAX_SUGGESTIONS = 1000
MAX_MARKS = 4
"""Accents on one letter, which no language exceeds; a pile of them covers other people's rows.
Source: Unicode Technical Standard 39, section 5.4."""

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing, besides those that Unicode calls unprintable."""

_LETTERS = {
    "l": "1|iıɩɪǀ∣іїӏιƖłІӀᎥ",
    "o": "0оοօøѳഠ๐໐၀",
    "a": "аαɑᴀ",
    "b": "вьʙƅᏼᏏ",
    "c": "сϲᴄⅽ",
    "d": "ԁɗđᴅ",
    "e": "еєɛεᴇ",
    "f": "ғƒꜰ",
    "g": "ɡɢցԍ",
    "h": "нһհħʜ",
    "j": "јϳᴊ",
    "k": "кκᴋ",
    "m": "мᴍ",
    "n": "пηոɴ",
    "p": "рρᴘ",
    "q": "ԛզ",
    "r": "гᴦʀ",
    "s": "ѕƽꜱ",
    "t": "тτŧᴛ",
    "u": "иυսµμᴜ",
    "v": "νѵᴠ",
    "w": "шԝωաᴡ",
    "x": "хχ×",
    "y": "уγүʏ",
    "z": "ᴢ",
    "3": "зӡɜ",
    "-": "‐‑‒–—―−_",
    "'": "’‘ʼ`´ʹ",
}
_CAPITALS = {
    "a": "ΑА",
    "b": "ΒВᏴ",
    "c": "СᏟ",
    "d": "Ꭰ",
    "e": "ΕЕᎬ",
    "g": "ᏀԌ",
    "h": "ΗНᎻ",
    "j": "ЈᎫ",
    "k": "ΚКᏦ",
    "l": "ΙᏞԼ",
    "m": "ΜМᎷ",
    "n": "Ν",
    "o": "ΟОՕ",
    "p": "ΡРᏢ",
    "r": "Ꮢ",
    "s": "ЅՏᏚ",
    "t": "ΤТᎢ",
    "u": "Ս",
    "v": "Ꮩ",
    "w": "ԜᏔ",
    "x": "ΧХ",
    "y": "ΥУҮ",
    "z": "ΖᏃ",
}
"""Capitals that look like another letter than their small ones do."""


def _table(resembling: dict[str, str]) -> dict[int, str]:
    return {ord(each): letter for letter, others in resembling.items() for each in others}


_SMALL_TABLE, _CAPITAL_TABLE = _table(_LETTERS), _table(_CAPITALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name that may be one.

    shown: as typed, in NFKC; key: what it is compared by; skeleton: what it looks like.
    """

    shown: str
    key: str
    skeleton: str


def parse_name(text: str, what: str = "name") -> Name:
    """Makes a name of what somebody typed or sent.

    what: how an error calls it. Raises ConfigError, with a line for people, when it is
    empty, over 32 characters or 128 bytes in NFKC, begins or ends with a blank, begins
    with a combining mark, piles them up, or holds what cannot be seen: control, format and
    bidirectional characters, private ones, invisible letters.
    """
    if len(text) > MAX_TYPED_CHARACTERS:
        raise ConfigError(f"the {what} is too long: use at most {MAX_CHARACTERS} characters")
    shown = unicodedata.normalize("NFKC", text)
    if not shown:
        raise ConfigError(f"the {what} is empty: give one")
    if shown != shown.strip():
        raise ConfigError(f"the {what} begins or ends with a blank: remove it")
    if not shown.isprintable() or any(_is_hidden(each) for each in shown):
        raise ConfigError(f"the {what} contains a character that cannot be seen: remove it")
    if unicodedata.combining(shown[0]):
        raise ConfigError(f"the {what} begins with an accent that has no letter: remove it")
    if _most_marks(shown) > MAX_MARKS:
        raise ConfigError(f"the {what} has too many accents on one letter: remove some")
    # Only now, so that the text is known to be one.
    if len(shown) > MAX_CHARACTERS or len(shown.encode()) > MAX_NAME_BYTES:
        raise ConfigError(
            f"the {what} is too long: use at most {MAX_CHARACTERS} characters and "
            f"{MAX_NAME_BYTES} bytes"
        )
    key = unicodedata.normalize("NFKC", shown.casefold())
    return Name(shown=shown, key=key, skeleton=_skeleton(shown))


def _most_marks(text: str) -> int:
    most = marks = 0
    for each in text:
        marks = marks + 1 if unicodedata.combining(each) else 0
        most = max(most, marks)
    return most


def _is_hidden(character: str) -> bool:
    # Variation selectors are marks, and so count as printable.
    name = unicodedata.name(character, "")
    return character in INVISIBLE or "VARIATION SELECTOR" in name


def _skeleton(shown: str) -> str:
    small = _bare(shown).translate(_CAPITAL_TABLE).casefold()
    letters = _bare(small).translate(_SMALL_TABLE)
    return " ".join(letters.replace("rn", "m").replace("vv", "w").split())


def _bare(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(each for each in decomposed if not unicodedata.combining(each))


class Clash(Enum):
    """How a name is like one that is in use."""

    SAME = auto()
    LOOKS_LIKE = auto()


HolderT = TypeVar("HolderT", bound=Hashable)


class NameBook(Generic[HolderT]):
    """The names in use, each with who or what has it."""

    def __init__(self) -> None:
        self._by_key: dict[str, tuple[Name, HolderT]] = {}
        self._by_skeleton: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def holder(self, key: str) -> HolderT | None:
        """Who has the name of that key."""
        held = self._by_key.get(key)
        return None if held is None else held[1]

    def clash(self, name: Name) -> tuple[Clash, Name, HolderT] | None:
        """The name in use that this one is, or looks like, and who has it."""
        if name.key in self._by_key:
            return (Clash.SAME, *self._by_key[name.key])
        key = self._by_skeleton.get(name.skeleton)
        return None if key is None else (Clash.LOOKS_LIKE, *self._by_key[key])

    def add(self, name: Name, holder: HolderT) -> None:
        """Takes a name into use; it must clash with none."""
        assert self.clash(name) is None, "a name is asked for before it is given"
        self._by_key[name.key] = name, holder
        self._by_skeleton[name.skeleton] = name.key

    def remove(self, name: Name) -> None:
        """A name is free again."""
        del self._by_key[name.key]
        del self._by_skeleton[name.skeleton]

    def suggestion(self, name: Name) -> str:
        """A free name like this one: with 2 behind it, or 3, ...; empty when none is found."""
        for number in range(2, MAX_SUGGESTIONS):
            free = _numbered(name.shown, number)
            if free is not None and self.clash(free) is None:
                return free.shown
        return ""


def _numbered(shown: str, number: int) -> Name | None:
    tail = str(number)
    head = shown[: MAX_CHARACTERS - len(tail)]
    while len((head + tail).encode()) > MAX_NAME_BYTES:
        head = head[:-1]
    try:
        return parse_name(head.rstrip() + tail)
    except ConfigError:
        # Cut in the midst of what belongs together: another number may fare better.
        return None
