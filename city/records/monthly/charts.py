"""The charts of the monthly report: few colours, told apart in black and white too, every number in a table as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from geo.drawing import Item, Path, Polygon, Style, Words, as_svg
from geo.lettering import text_width

WIDTH: Final = 680
"""Pixels; on A4 between the margins one is a quarter of a millimetre."""
SIZE: Final = 11.0
INK, PALE, GRID = "#1f2933", "#52606d", "#d9dee3"
STRONG, LIGHT = "#0b4f8a", "#9cc5e8"
AGES: Final = ("#dceaf7", "#b3d1ec", "#fbd38d", "#f6993f", "#dd5b3a", "#8f1d1d")
"""From young to old; darker each, so that they are told apart without colour too."""
LEGEND_HEIGHT: Final = 24.0
WIDER: Final = 1.12
"""How much wider words may be in the reader's font than in ours."""


class Bar(NamedTuple):
    """A bar with its name: how long, what is written beside it, and a mark (such as last month's length)."""

    name: str
    value: int | None
    said: str
    mark: int | None = None


def bars(title: str, rows: Sequence[Bar], mark: str) -> str:
    """Bars one below the other, longest as given; `mark` names the little line on them."""
    height_of_row, top = 22.0, 8.0
    left = min(260.0, max((text_width(row.name, SIZE) * WIDER for row in rows), default=0.0) + 12)
    room = WIDTH - left - 60
    most = max((max(row.value or 0, row.mark or 0) for row in rows), default=0) or 1
    items: list[Item] = []
    for at, row in enumerate(rows):
        y = top + at * height_of_row
        items.append(Words(left - 8, y + 8, _fitted(row.name, left - 12), SIZE, INK, anchor="r"))
        long = room * (row.value or 0) / most
        if row.value:
            items.append(_box(left, y, left + long, y + 16, Style(fill=STRONG)))
        reach = max(long, room * row.mark / most if row.mark else 0.0)
        if row.mark:
            x = left + room * row.mark / most
            items.append(Path([np.array([[x, y - 2], [x, y + 18]])], Style(stroke="#e8830c", width=2.5)))
        items.append(Words(left + reach + 6, y + 8, row.said, SIZE, INK))
    items.append(Path([np.array([[left, top - 4], [left, top + len(rows) * height_of_row]])], Style(stroke=PALE)))
    y = top + len(rows) * height_of_row + 4
    items.append(Path([np.array([[left + 8, y + 4], [left + 8, y + 20]])], Style(stroke="#e8830c", width=2.5)))
    items.append(Words(left + 18, y + 12, mark, SIZE, PALE))
    return as_svg(items, WIDTH, round(y + LEGEND_HEIGHT), title)


class Pair(NamedTuple):
    """Two columns side by side over one name."""

    name: str
    first: int | None
    second: int | None


def columns(title: str, pairs: Sequence[Pair], legend: tuple[str, str], missing: str) -> str:
    """Pairs of columns over time; where a number is not told, `missing` stands."""
    top, height, left = 22.0, 150.0, 8.0
    bottom = top + height
    step = (WIDTH - 2 * left) / max(len(pairs), 1)
    most = max((value or 0 for pair in pairs for value in pair[1:]), default=0) or 1
    items: list[Item] = [
        Path([np.array([[left, y], [WIDTH - left, y]])], Style(stroke=GRID))
        for y in (bottom - height * share for share in (0.25, 0.5, 0.75, 1.0))
    ]
    wide = min(22.0, step * 0.42)
    for at, pair in enumerate(pairs):
        middle = left + step * (at + 0.5)
        for value, x, colour in ((pair.first, middle - wide, STRONG), (pair.second, middle, LIGHT)):
            high = height * (value or 0) / most
            if value:
                items.append(_box(x, bottom - high, x + wide - 1, bottom, Style(fill=colour)))
            said = missing if value is None else str(value) if value else ""
            items.append(Words(x + wide / 2, bottom - high - 7, said, SIZE - 2.5, INK, anchor="m"))
        items.append(Words(middle, bottom + 12, pair.name, SIZE, INK, anchor="m"))
    items.append(Path([np.array([[left, bottom], [WIDTH - left, bottom]])], Style(stroke=PALE)))
    items += _legend(left, bottom + 36, zip(legend, (STRONG, LIGHT), strict=True))
    return as_svg(items, WIDTH, round(bottom + 48), title)


def stacks(title: str, rows: Sequence[tuple[str, Sequence[int | None], str]], classes: Sequence[str]) -> str:
    """Bars made of classes: name, numbers by class (None: not told, left out), what is written behind."""
    height_of_row, top = 22.0, 8.0
    left = min(260.0, max((text_width(row[0], SIZE) * WIDER for row in rows), default=0.0) + 12)
    room = WIDTH - left - 60
    most = max((sum(value or 0 for value in row[1]) for row in rows), default=0) or 1
    items: list[Item] = []
    for at, (name, values, said) in enumerate(rows):
        y = top + at * height_of_row
        items.append(Words(left - 8, y + 8, _fitted(name, left - 12), SIZE, INK, anchor="r"))
        x = left
        for value, colour in zip(values, AGES, strict=True):
            if value:
                long = room * value / most
                items.append(_box(x, y, x + long, y + 16, Style(fill=colour, stroke="#ffffff", width=0.8)))
                x += long
        items.append(Words(x + 6, y + 8, said, SIZE, INK))
    items.append(Path([np.array([[left, top - 4], [left, top + len(rows) * height_of_row]])], Style(stroke=PALE)))
    y = top + len(rows) * height_of_row + 14
    legend = _legend(8.0, y, zip(classes, AGES, strict=True))
    below = max(item.y for item in legend if isinstance(item, Words))
    return as_svg([*items, *legend], WIDTH, round(below + 14), title)


def _legend(x: float, y: float, named: Iterable[tuple[str, str]]) -> list[Item]:
    items: list[Item] = []
    at = x
    for name, colour in named:
        wide = 26 + text_width(name, SIZE) * WIDER + 16
        if at > x and at + wide > WIDTH:
            at, y = x, y + LEGEND_HEIGHT - 4
        items.append(_box(at, y - 6, at + 18, y + 6, Style(fill=colour, stroke=PALE, width=0.5)))
        items.append(Words(at + 24, y, name, SIZE, PALE))
        at += wide
    return items


def _fitted(name: str, room: float) -> str:
    """The name, cut where it is too long for its place."""
    while name and text_width(name, SIZE) * WIDER > room:
        name = name.rstrip("…")[:-1].rstrip() + "…"
        if name == "…":
            break
    return name


def _box(left: float, top: float, right: float, bottom: float, style: Style) -> Polygon:
    return Polygon([[np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])]], style)
