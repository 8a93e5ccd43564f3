"""What the processes of a self test left in their folder, as figures."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from echowarp.app.verdict import Figures
from echowarp.device.wav_reader import WavReader
from echowarp.errors import ConfigError
from echowarp.media.format import Format
from echowarp.wire.datagram import DatagramType

CARD = "card"
"""The client with a simulated card: CARD.stats and CARD.out are its files."""
RECORDING = "got.wav"


class Left:
    """What was left, and what was sent.

    folder: of the processes; fmt, sent: the sound; kinds: of datagrams under way to
    clients, counted by DatagramType.
    """

    def __init__(self, folder: Path, fmt: Format, sent: bytes, kinds: Counter[int]) -> None:
        self._folder = folder
        self._format = fmt
        self._sent = sent
        self._kinds = kinds

    def figures(self, devices: str) -> Figures:
        """What was measured; devices: those of this machine in one line."""
        lines = self._streams(CARD)
        last = lines[-1] if lines else {}
        # The last of all is written after the goodbye, with final counters and no connection.
        playing = lines[-2] if len(lines) > 1 else last
        delays = [line for line in lines if line["delay_ms"] is not None]
        names = delays[-1]["delay_parts_ms"] if delays else ()
        recorded, damaged = self._compare()
        lateness = self._lateness()
        blocks = self._kinds[DatagramType.BLOCK]
        extra = self._kinds[DatagramType.RESEND] + self._kinds[DatagramType.REPAIR]
        return Figures(
            blocks=last.get("received", 0) + last.get("lost", 0) + last.get("late", 0),
            concealed=last.get("concealed", 0),
            recorded=recorded,
            damaged=damaged,
            repaired=last.get("repaired", 0),
            resent=last.get("resent", 0),
            overhead=extra / blocks if blocks else 0.0,
            delay_ms=statistics.median(d["delay_ms"] for d in delays) if delays else None,
            delay_parts_ms={
                name: statistics.median(d["delay_parts_ms"][name] for d in delays) for name in names
            },
            target_ms=playing.get("target_ms"),
            reason=playing.get("target_reason") or "",
            wake_median_ms=None if lateness is None else lateness["median_ns"] / 1e6,
            wake_p99_ms=None if lateness is None else lateness["p99_ns"] / 1e6,
            devices=devices,
        )

    def _streams(self, name: str) -> list[dict[str, Any]]:
        path = self._folder / f"{name}.stats"
        if not path.exists():
            return []
        whole = path.read_text("utf-8").rpartition("\n")[0].splitlines()
        return [stream for line in whole for stream in json.loads(line)["streams"]]

    def _lateness(self) -> dict[str, int] | None:
        out = (self._folder / f"{CARD}.out").read_text("utf-8").splitlines()
        found: dict[str, int] | None = json.loads(out[-1]) if out else None
        return found

    def _compare(self) -> tuple[int, int]:
        """How many blocks should be in the recording, and how many are not as sent."""
        path = self._folder / RECORDING
        size = self._format.block_bytes
        got = _samples(path, len(self._sent) // self._format.frame_bytes)
        pieces = [got[at : at + size] for at in range(0, len(got), size)]
        start = self._start_of(pieces)
        if start is None:
            return len(self._sent) // size, len(self._sent) // size
        sent = [self._sent[at : at + size] for at in range(start, len(self._sent), size)]
        same = sum(one == other for one, other in zip(pieces, sent, strict=False))
        return len(sent), len(sent) - same

    def _start_of(self, pieces: list[bytes]) -> int | None:
        """Where in what was sent the recording begins: whoever is second hears less."""
        for n, piece in enumerate(pieces):
            at = self._sent.find(piece)
            if at >= 0:
                return max(0, at - n * self._format.block_bytes)
        return None


def _samples(path: Path, frames: int) -> bytes:
    """At most `frames` frames of a recording; none where it has none, or there is none."""
    try:
        reader = WavReader(str(path))
    except ConfigError:
        return b""
    try:
        return reader.read(frames)
    finally:
        reader.close()
