"""The words and the meters of the live rows: a line for each person, and one for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from echowarp.ui.cells import cells, fill

METER_CELLS = 12
METER_FLOOR_DB = -60.0
SEPARATOR = "  "
NAME_CELLS = 20
"""A name that is longer is cut in the rows; `/list` has it whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """Somebody who is there. level_db: None for one who is not heard; talks: is speaking
    now; note: what else there is to say; delay_ms, loss_percent: as of View."""

    name: str
    level_db: float | None = None
    talks: bool = False
    note: str = ""
    delay_ms: float | None = None
    loss_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the live line shows. None where unknown or without meaning.

    level_db: 0 is full scale; loss_percent: of the last seconds; bits_per_s: sent
    or received now; reason: why the delay is what it is; volume: what is unusual about it;
    people: who is there, each with a row of their own in place of the one level, delay and
    loss; safety: whether it is end to end.
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
    safety: str = ""


def meter(level_db: float, *, unicode: bool, cells: int = METER_CELLS) -> str:
    """A bar from -60 dB to full scale."""
    share = min(1.0, max(0.0, 1 - level_db / METER_FLOOR_DB))
    full = round(share * cells)
    on, off = ("█", "░") if unicode else ("#", "-")
    return on * full + off * (cells - full)


def render(view: View, *, unicode: bool, columns: int, lines: int) -> tuple[str, ...]:
    """The rows to show on a terminal of that size: people take half of it at most."""
    line = _line(view, unicode=unicode, columns=columns)
    return (*_people(view.people, max(1, lines // 2 - 1), columns, unicode=unicode), line)


def _line(view: View, *, unicode: bool, columns: int) -> str:
    """One line of text, the most telling first; what does not fit is left out whole."""
    parts = [view.state, view.safety]
    if view.level_db is not None and not view.people:
        parts.append(_level(view.level_db, unicode=unicode))
    parts.append(view.volume)
    if not view.people:
        parts += _delay_and_loss(view.delay_ms, view.loss_percent)
    if view.bits_per_s:
        parts.append(f"{view.bits_per_s / 1e6:.2f} Mbit/s")
    return _joined([*parts, view.peers, view.reason, view.sound], columns)


def _people(
    people: tuple[PersonView, ...], most: int, columns: int, *, unicode: bool
) -> tuple[str, ...]:
    shown = people if len(people) <= most else people[: most - 1]
    width = min(NAME_CELLS, max((cells(person.name) for person in shown), default=0))
    rows = [_person(person, width, columns, unicode=unicode) for person in shown]
    if len(shown) < len(people):
        rows.append(f"  and {len(people) - len(shown)} more: /list")
    return tuple(rows)


def _person(person: PersonView, width: int, columns: int, *, unicode: bool) -> str:
    """Name, level, what they do, delay and loss; a star before who talks."""
    star = "*" if person.talks else " "
    name = f"{star} {fill(person.name, width)}"
    if person.level_db is None:
        return _joined([name, person.note], columns)
    level = _level(person.level_db, unicode=unicode)
    known = _delay_and_loss(person.delay_ms, person.loss_percent)
    return _joined([name, level, *known, person.note], columns)


def _level(level_db: float, *, unicode: bool) -> str:
    return f"{meter(level_db, unicode=unicode)} {level_db:6.1f} dB"


def _delay_and_loss(delay_ms: float | None, loss_percent: float | None) -> list[str]:
    delay = "" if delay_ms is None else f"delay {delay_ms:.0f} ms"
    loss = "" if loss_percent is None else f"loss {loss_percent:.1f} %"
    return [delay, loss]


def _joined(parts: list[str], columns: int) -> str:
    """The parts that are there, without those that do not fit."""
    line, *rest = (part for part in parts if part)
    for part in rest:
        if cells(line) + len(SEPARATOR) + cells(part) < columns:
            line += SEPARATOR + part
    return line
