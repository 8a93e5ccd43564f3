"""Draws terminals as an SVG that needs no font of its own and no colours of the reader's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CELL_WIDTH, CELL_HEIGHT = 8, 18
FONT_SIZE = 13
PADDING = 14
TITLE_HEIGHT = 26
GAP = 12

MONOSPACE = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
BACKGROUND, BAR = "#0d1117", "#21262d"
TEXT, COMMAND, TITLE = "#d0d7de", "#7ee787", "#8b949e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One terminal. title: above it; command: what was typed; rows: what stands below."""

    title: str
    command: str
    rows: Sequence[str]


def draw(windows: Sequence[Window], *, columns: int, description: str) -> str:
    """The text of an SVG file with the windows below each other.

    description: what a reader hears who cannot see it.
    """
    width = columns * CELL_WIDTH + 2 * PADDING
    body, top = [], 0
    for window in windows:
        height = TITLE_HEIGHT + 2 * PADDING + (len(window.rows) + 1) * CELL_HEIGHT
        body += _window(window, top, width, height)
        top += height + GAP
    height = top - GAP
    label = escape(description, quote=True)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{label}">',
            f'<g font-family="{MONOSPACE}" font-size="{FONT_SIZE}">',
            *body,
            "</g>",
            "</svg>\n",
        )
    )


def _window(window: Window, top: int, width: int, height: int) -> list[str]:
    baseline = top + TITLE_HEIGHT + PADDING + FONT_SIZE
    lines = [
        f'<rect fill="{BACKGROUND}" y="{top}" width="{width}" height="{height}" rx="8"/>',
        f'<path fill="{BAR}" d="M0 {top + TITLE_HEIGHT}v-{TITLE_HEIGHT - 8}q0-8 8-8h{width - 16}'
        f'q8 0 8 8v{TITLE_HEIGHT - 8}z"/>',
        _text(window.title, top + 17, TITLE),
        _text(f"$ {window.command}", baseline, COMMAND),
    ]
    for number, row in enumerate(window.rows, start=1):
        if row:
            lines.append(_text(row, baseline + number * CELL_HEIGHT, TEXT))
    return lines


def _text(text: str, y: int, fill: str) -> str:
    # The length holds the columns in place whatever font the reader has.
    return (
        f'<text fill="{fill}" x="{PADDING}" y="{y}" xml:space="preserve" '
        f'textLength="{len(text) * CELL_WIDTH}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(text)}</text>"
    )
