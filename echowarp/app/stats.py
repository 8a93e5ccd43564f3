"""`--stats`: one JSON object a second. The fields are described in the README."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any, TextIO

from echowarp.errors import ConfigError
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

STREAM_FIELDS: Mapping[str, Any] = {
    "rate": None,
    "channels": None,
    "codec": "pcm",
    "suite": None,
    "sent": 0,
    "received": 0,
    "lost": 0,
    "late": 0,
    "duplicate": 0,
    "reordered": 0,
    "repaired": 0,
    "resent": 0,
    "concealed": 0,
    "rejected": 0,
    "target_ms": None,
    "target_reason": None,
    "delay_ms": None,
    "delay_parts_ms": {"capture": None, "network": None, "buffer": None, "device": None},
    "rtt_ms": None,
    "jitter_ms": None,
    "drift_ppm": None,
    "bitrate": 0,
    "level_db": None,
    "talker": None,
}
"""Every field of a stream, with what it says where there is nothing to say."""


def stream_fields(**known: Any) -> dict[str, Any]:
    """A stream's object: the known fields over the defaults. A field that is not
    in the table is our own bug."""
    assert known.keys() <= STREAM_FIELDS.keys(), known.keys() - STREAM_FIELDS.keys()
    return {**STREAM_FIELDS, **known}


class StatsWriter:
    """Writes lines to a file or, for `-`, to standard error."""

    def __init__(self, path: str, *, overwrite: bool, terminal: Terminal) -> None:
        """Raises ConfigError when the file cannot be made, or is there already."""
        self._terminal = terminal
        self._path = path
        self._file: TextIO | None = None
        if path == "-":
            return
        if os.path.isdir(path):
            raise ConfigError(f"--stats {path}: is a folder, not a file to write to")
        try:
            self._file = open(path, "w" if overwrite else "x", encoding="utf-8")  # noqa: SIM115
        except FileExistsError:
            raise ConfigError(
                f"--stats {path}: exists already; --overwrite allows to replace it"
            ) from None
        except OSError as error:
            raise ConfigError(f"--stats {path}: {error.strerror}") from error

    def write(self, fields: Mapping[str, Any]) -> None:
        """One line. A disk that is full ends the statistics, not the sound."""
        line = json.dumps(fields, allow_nan=False)
        if self._path == "-":
            self._terminal.print(line)
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            log.error("%s: no more statistics: %s", self._path, error.strerror)
            self._file = None

    def close(self) -> None:
        """Closes the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                log.error("%s: the statistics are incomplete: %s", self._path, error.strerror)


def ms(duration_ns: float | None) -> float | None:
    """Nanoseconds as milliseconds with three decimals; None stays None."""
    return None if duration_ns is None else round(duration_ns / 1e6, 3)
