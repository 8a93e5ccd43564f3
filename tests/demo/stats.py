"""Reads the JSON lines of `--stats` while they are being written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SILENCE_DB = -60.0
"""A level at or below this is silence to a listener."""

Line = Mapping[str, Any]


def read_lines(path: Path) -> list[Line]:
    """The complete lines so far; none where the file does not exist yet.

    Raises ValueError for a complete line that is not a JSON object.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    for line in lines:
        if not isinstance(line, dict):
            raise ValueError(f"{path}: a line of statistics is not an object: {line!r}")
    return lines


def stream(line: Line) -> Line:
    """The first stream in a line of statistics; empty where there is none."""
    streams = line.get("streams") or [{}]
    first: Line = streams[0]
    return first


def last_stream(lines: list[Line]) -> Line:
    """The newest stream in `lines`: the last line may come after it has ended."""
    for line in reversed(lines):
        if found := stream(line):
            return found
    return {}


def loudest_db(lines: list[Line]) -> float | None:
    """The highest level of any line, or None where none has one."""
    levels = [level for line in lines if (level := stream(line).get("level_db")) is not None]
    return max(levels, default=None)


def meter(line: Line) -> str:
    """One line for people: time, level as a bar, blocks received and lost, delay."""
    now = stream(line)
    level_db = now.get("level_db")
    bar = "#" * round(max(0.0, min(60.0, (level_db if level_db is not None else -60) + 60)) / 3)
    return (
        f"{line.get('time', 0):5.1f} s  {line.get('state', '?'):<10} [{bar:<20}] "
        f"received {shown(now.get('received'))}, lost {shown(now.get('lost'))}, "
        f"delay {shown(now.get('delay_ms'), ' ms')}"
    )


def shown(value: object, unit: str = "") -> str:
    """A figure for people; `-` for one that is unknown. A delay may come with its parts."""
    if isinstance(value, Mapping):
        value = value.get("total", value.get("total_ms"))
    if isinstance(value, float):
        value = round(value, 1)
    return "-" if value is None else f"{value}{unit}"
