"""The words and the meter of the live line."""

from __future__ import annotations

from dataclasses import dataclass

METER_CELLS = 12
METER_FLOOR_DB = -60.0
PERSON_CELLS = 4
SEPARATOR = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """Somebody who is heard. level_db, delay_ms, loss_percent: as of View."""

    name: str
    level_db: float
    talks: bool
    muted: bool
    delay_ms: float | None
    loss_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the live line shows. None where unknown or without meaning.

    level_db: 0 is full scale; loss_percent: of the last seconds; bits_per_s: sent
    or received now; reason: why the delay is what it is; volume: what is unusual about it;
    people: who is heard, in place of the one level, delay and loss; own: how our own
    microphone is; safety: whether it is end to end.
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
    people: tuple[PersonView, ...] = ()
    own: str = ""
    safety: str = ""


def meter(level_db: float, *, unicode: bool, cells: int = METER_CELLS) -> str:
    """A bar from -60 dB to full scale."""
    share = min(1.0, max(0.0, 1 - level_db / METER_FLOOR_DB))
    full = round(share * cells)
    on, off = ("█", "░") if unicode else ("#", "-")
    return on * full + off * (cells - full)


def render(view: View, *, unicode: bool, columns: int) -> str:
    """One line of text, the most telling first; what does not fit is left out whole."""
    parts = [view.state]
    parts += [part for part in (view.own, view.safety) if part]
    parts += [_person(person, unicode=unicode) for person in view.people]
    if view.level_db is not None and not view.people:
        bar = meter(view.level_db, unicode=unicode)
        parts.append(f"{bar} {view.level_db:6.1f} dB")
    if view.volume:
        parts.append(view.volume)
    if view.delay_ms is not None and not view.people:
        parts.append(f"delay {view.delay_ms:.0f} ms")
    if view.loss_percent is not None and not view.people:
        parts.append(f"loss {view.loss_percent:.1f} %")
    if view.bits_per_s:
        parts.append(f"{view.bits_per_s / 1e6:.2f} Mbit/s")
    parts += [part for part in (view.peers, view.reason, view.sound) if part]
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(SEPARATOR) + len(part) < columns:
            line += SEPARATOR + part
    return line


def _person(person: PersonView, *, unicode: bool) -> str:
    """Name, level, delay and loss; a star for who talks."""
    star = "*" if person.talks else ""
    words = [person.name + star, meter(person.level_db, unicode=unicode, cells=PERSON_CELLS)]
    if person.muted:
        words.append("muted")
    if person.delay_ms is not None:
        words.append(f"{person.delay_ms:.0f} ms")
    if person.loss_percent is not None:
        words.append(f"{person.loss_percent:.1f} %")
    return " ".join(words)
