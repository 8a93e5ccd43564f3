"""The words and the meter of the live line."""

from __future__ import annotations

from dataclasses import dataclass

METER_CELLS = 12
METER_FLOOR_DB = -60.0
SEPARATOR = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the live line shows. None where unknown or without meaning.

    level_db: 0 is full scale; loss_percent: of the last seconds; bits_per_s: sent
    or received now; reason: why the delay is what it is; volume: what is unusual about it.
    """

    state: str
    peers: str
    sound: str
    level_db: float | None
    delay_ms: float | None
    loss_percent: float | None
    bits_per_s: float
    reason: str = ""
    volume: str = ""


def meter(level_db: float, *, unicode: bool) -> str:
    """A bar from -60 dB to full scale."""
    share = min(1.0, max(0.0, 1 - level_db / METER_FLOOR_DB))
    full = round(share * METER_CELLS)
    on, off = ("█", "░") if unicode else ("#", "-")
    return on * full + off * (METER_CELLS - full)


def render(view: View, *, unicode: bool, columns: int) -> str:
    """One line of text, the most telling first; what does not fit is left out whole."""
    parts = [view.state]
    if view.level_db is not None:
        bar = meter(view.level_db, unicode=unicode)
        parts.append(f"{bar} {view.level_db:6.1f} dB")
    if view.volume:
        parts.append(view.volume)
    if view.delay_ms is not None:
        parts.append(f"delay {view.delay_ms:.0f} ms")
    if view.loss_percent is not None:
        parts.append(f"loss {view.loss_percent:.1f} %")
    if view.bits_per_s:
        parts.append(f"{view.bits_per_s / 1e6:.2f} Mbit/s")
    parts += [part for part in (view.peers, view.reason, view.sound) if part]
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(SEPARATOR) + len(part) < columns:
            line += SEPARATOR + part
    return line
