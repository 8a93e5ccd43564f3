"""The live line of something that has an end: a bar, and how long it will take."""

from __future__ import annotations

from echowarp.ui.status import SEPARATOR

BAR_CELLS = 24


def render_progress(
    what: str,
    done_bytes: int,
    all_bytes: int | None,
    seconds: float,
    *,
    unicode: bool,
    columns: int,
) -> str:
    """One line. all_bytes: None where nobody knows; seconds: since it began."""
    bits_per_s = 8 * done_bytes / seconds if seconds > 0 else 0.0
    parts = [what]
    if all_bytes:
        share = min(1.0, done_bytes / all_bytes)
        full = int(share * BAR_CELLS)
        on, off = ("█", "░") if unicode else ("#", "-")
        parts += [on * full + off * (BAR_CELLS - full), f"{int(share * 100)} %"]
    parts += [megabytes(done_bytes), f"{bits_per_s / 1e6:.0f} Mbit/s"]
    if all_bytes and done_bytes:
        parts.append(f"{clock(seconds * (all_bytes - done_bytes) / done_bytes)} left")
    line = ""
    for part in parts:
        longer = part if not line else line + SEPARATOR + part
        if len(longer) >= columns:
            break
        line = longer
    return line


def megabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count} bytes" if count < 100_000 else f"{count / 1e6:.1f} MB"


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
