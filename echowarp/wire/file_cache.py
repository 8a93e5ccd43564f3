"""Messages of the audio file cache: JSON objects in text frames, file bytes in binary ones.

Others speak this protocol as well, with types in small letters or in capitals; so a type
is read in any case, and an answer is spelled as its question was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from echowarp.errors import ProtocolError

CHUNK_BYTES = 8192
"""What an upload sends at once."""
PIECE_BYTES = 65536
"""What a download asks for at once."""
MAX_GET_BYTES = 1 << 20
"""What one answer may hold: it is in memory whole."""
MAX_MESSAGE_BYTES = 1 << 20
"""What a server takes in one message: far more than any client's chunk."""

MAX_TIME_S = 250_000_000_000
"""In the year 9892: a calendar has every time before."""

START, STOP, GET, LIST = "start", "stop", "get", "list"
STARTED, STOPPED, LISTED, ERROR = "started", "stopped", "listed", "error"

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
ID_RULE = "an id is 1 to 128 of A-Z a-z 0-9 . _ - and begins with no dot"


class Case(Enum):
    """How a type is spelled."""

    SMALL = "started"
    CAPITALS = "STARTED"
    CAPITAL = "Started"

    def spell(self, word: str) -> str:
        """A type of ours in this case."""
        if self is Case.SMALL:
            return word
        return word.upper() if self is Case.CAPITALS else word.capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a cache. size: bytes; sha256: in small hexadecimal digits; time_s: when
    its upload ended, seconds since 1970."""

    id: str
    size: int
    sha256: str
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One control message.

    type: in small letters; stream_id: None where there is none, or none that may be;
    offset, length: bytes, None where there is no whole number from 0 on; message: for
    people; streams: what `listed` lists, None elsewhere.
    """

    type: str
    case: Case = Case.SMALL
    stream_id: str | None = None
    offset: int | None = None
    length: int | None = None
    message: str = ""
    streams: tuple[Entry, ...] | None = None


def is_id(text: object) -> bool:
    """Whether this may be the id of a stream."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def parse_message(text: str) -> Message:
    """Reads one message. Raises ProtocolError for what is no JSON object with a type."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("this is not JSON") from None
    if not isinstance(fields, dict):
        raise ProtocolError("this is not a JSON object")
    word = fields.get("type")
    if not isinstance(word, str) or not word.isascii():
        raise ProtocolError("there is no type")
    stream_id, message = fields.get("streamId"), fields.get("message")
    return Message(
        type=word.lower(),
        case=_case(word),
        stream_id=stream_id if is_id(stream_id) else None,
        offset=_whole(fields.get("offset")),
        length=_whole(fields.get("length")),
        message=message if isinstance(message, str) else "",
        streams=_streams(fields.get("streams")) if word.lower() == LISTED else None,
    )


def pack_message(message: Message) -> str:
    """The text of a message; what is None or empty is left out."""
    fields: dict[str, Any] = {"type": message.case.spell(message.type)}
    if message.stream_id is not None:
        fields["streamId"] = message.stream_id
    if message.offset is not None:
        fields["offset"] = message.offset
    if message.length is not None:
        fields["length"] = message.length
    if message.message:
        fields["message"] = message.message
    if message.streams is not None:
        fields["streams"] = _listing(message.streams)
    return json.dumps(fields, separators=(",", ":"))


def pack_entry(entry: Entry) -> str:
    """A file's facts as a JSON object, with the keys that `listed` has."""
    return json.dumps(_facts(entry), separators=(",", ":"))


def parse_entry(text: str) -> Entry:
    """Reads what `pack_entry` wrote. Raises ProtocolError."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("this is not JSON") from None
    return _entry(fields)


def _case(word: str) -> Case:
    if word.isupper():
        return Case.CAPITALS
    return Case.CAPITAL if word[:1].isupper() else Case.SMALL


def _whole(value: object) -> int | None:
    # Some languages have one kind of number and write 65536.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def _listing(streams: Iterable[Entry]) -> list[Mapping[str, Any]]:
    return [_facts(entry) for entry in streams]


def _facts(entry: Entry) -> Mapping[str, Any]:
    return {"id": entry.id, "size": entry.size, "sha256": entry.sha256, "time": entry.time_s}


def _streams(value: object) -> tuple[Entry, ...]:
    if not isinstance(value, list):
        raise ProtocolError("a listing without streams")
    return tuple(map(_entry, value))


def _entry(fields: object) -> Entry:
    if not isinstance(fields, dict):
        raise ProtocolError("a file is listed that is no object")
    size, digest, time_s = _whole(fields.get("size")), fields.get("sha256"), fields.get("time")
    if not is_id(fields.get("id")) or size is None:
        raise ProtocolError("a file is listed without an id and a size")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest.lower()):
        raise ProtocolError("a file is listed without its SHA-256")
    if isinstance(time_s, bool) or not isinstance(time_s, int | float):
        raise ProtocolError("a file is listed without its time")
    if not 0 <= time_s < MAX_TIME_S:
        raise ProtocolError("a file is listed with a time that no calendar has")
    return Entry(id=fields["id"], size=size, sha256=digest.lower(), time_s=float(time_s))
