"""Small charts as SVG, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 380, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 44
COLOURS = ("#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#868e96", "#e8a600")
INK, GRID, PAPER = "#343a40", "#dee2e6", "#ffffff"
FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points in the order in which they are joined. lone: marks without a line."""

    name: str
    points: Sequence[tuple[float, float]]
    lone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One diagram. x_ticks, y_ticks: ascending, the first and the last are the edges;
    logarithmic: the y axis, whose lowest tick stands for all below it."""

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    series: Sequence[Series]
    logarithmic: bool = False


def draw(charts: Sequence[Chart], *, columns: int, description: str) -> str:
    """The text of an SVG file with the charts, and one legend below them.

    description: what a reader hears who cannot see it.
    """
    rows = -(-len(charts) // columns)
    width, height = columns * WIDTH, rows * HEIGHT + 30
    names = [series.name for chart in charts for series in chart.series]
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(dict.fromkeys(names))}
    body = []
    for n, chart in enumerate(charts):
        body.append(f'<g transform="translate({n % columns * WIDTH} {n // columns * HEIGHT})">')
        body += _chart(chart, colours)
        body.append("</g>")
    step = (width - LEFT) / len(colours)
    for n, (name, colour) in enumerate(colours.items()):
        x = LEFT + n * step
        body.append(f'<rect x="{x:.0f}" y="{height - 22}" width="14" height="5" fill="{colour}"/>')
        body.append(_text(x + 19, height - 16, name))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            f'aria-label="{escape(description, quote=True)}">',
            f'<rect width="{width}" height="{height}" fill="{PAPER}" rx="6"/>',
            f'<g font-family="{FONT}" font-size="11" fill="{INK}">',
            *body,
            "</g>",
            "</svg>\n",
        )
    )


def _chart(chart: Chart, colours: dict[str, str]) -> list[str]:
    def x_of(value: float) -> float:
        first, last = chart.x_ticks[0], chart.x_ticks[-1]
        share = (min(max(value, first), last) - first) / (last - first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y_of(value: float) -> float:
        first, last = chart.y_ticks[0], chart.y_ticks[-1]
        value = min(max(value, first), last)
        if chart.logarithmic:
            first, last, value = math.log(first), math.log(last), math.log(value)
        return HEIGHT - BOTTOM - (value - first) / (last - first) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 20, chart.title, bold=True)]
    for tick in chart.x_ticks:
        x = x_of(tick)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM, GRID))
        parts.append(_text(x, HEIGHT - BOTTOM + 14, f"{tick:g}", anchor="middle"))
    for n, tick in enumerate(chart.y_ticks):
        y = y_of(tick)
        label = f"{tick:g}" if n or not chart.logarithmic else f"≤ {tick:g}"
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, GRID))
        parts.append(_text(LEFT - 5, y + 4, label, anchor="end"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 12, chart.x_label, anchor="middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f' transform="rotate(-90 12 {middle:.0f})"'
    parts.append(_text(12, middle, chart.y_label, anchor="middle", more=turned))
    for series in chart.series:
        colour = colours[series.name]
        points = [(x_of(x), y_of(y)) for x, y in series.points]
        if not series.lone:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(
                f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>'
            )
        if len(points) <= 20:
            size = 5 if series.lone else 3
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>' for x, y in points
            ]
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path stroke="{colour}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, more: str = ""
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"'
    return f"<text {place}{weight}{more}>{escape(text)}</text>"
