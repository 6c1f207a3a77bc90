"""Maps on paper and for the terminal's reader: areas, lines, points, labels, a legend and a scale; north is up.

```python
picture = Picture(Bounds(12.8, 43.8, 13.0, 44.0), title="Pesaro", subtitle="Quartieri")
picture.area(district, Style(fill="#4477aa", opacity=0.3, stroke="#224466"))
picture.dots(lons, lats, Style(fill="#cc3311"), radius=3)
picture.label(Place(12.91, 43.91), "Centro")
picture.legend("Segnalazioni", Style(fill="#cc3311"), mark="dot")
picture.png(); picture.svg()
```

The projection is Web Mercator, as in the map of the browser: true to angles, and over a municipality to lengths. What
is given first lies lowest. Labels are the exception: they are written above everything, each where the ones given
before it leave room.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo.cells import Bounds
from geo.drawing import Discs, Frame, Item, Path, Points, Polygon, Style, Words, as_png, as_svg
from geo.lettering import text_width
from geo.place import METRES_PER_DEGREE, Place

__all__ = ["Picture", "Style", "bounds_of"]

Mark: TypeAlias = Literal["area", "line", "dot"]

MARGIN: Final = 16.0
"""White around the map, in pixels."""
TITLE_SIZE: Final = 24.0
TEXT_SIZE: Final = 14.0
SMALL_SIZE: Final = 12.0
OTHER_FONTS: Final = 1.15
"""How much wider text may be in the font of whoever opens the SVG."""
ROW: Final = 24.0
"""The height of a row of the legend."""
LOWEST, HIGHEST = 0.45, 1.15
"""The map's height is between these shares of its width."""
PADDING: Final = 0.03
"""Ground shown around the bounds, as a share of them."""
INK: Final = "#222222"
PALE: Final = "#666666"
PAPER: Final = "#f7f5f0"
WHITE: Final = "#ffffff"
_BEYOND: Final = 40.0
"""Shapes are cut this many pixels outside the frame, so that no cut is seen."""


def bounds_of(*shapes: BaseGeometry | None) -> Bounds:
    """The box around shapes (WGS84). Raises ValueError where there is none."""
    known = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not known:
        raise ValueError("there is no shape")
    west, south, east, north = shapely.total_bounds(np.array(known, dtype=object)).tolist()
    return Bounds(west, south, east, north)


class Picture:
    """A map of `bounds`, `width` pixels wide; its height follows from the bounds, title and legend."""

    def __init__(
        self, bounds: Bounds, width: int = 1200, *, title: str = "", subtitle: str = "", note: str = ""
    ) -> None:
        """`note` is the small line below everything: sources, the day."""
        self.width, self.title, self.subtitle, self.note = width, title, subtitle, note
        self._items: list[Polygon | Path | Discs] = []
        self._labels: list[Words] = []
        self._taken: list[tuple[float, float, float, float]] = []
        self._legend: list[tuple[str, Style, Mark]] = []
        self._top = MARGIN + (TITLE_SIZE * 1.5 if title else 0) + (TEXT_SIZE * 1.7 if subtitle else 0)
        self._fit(bounds)

    def _fit(self, bounds: Bounds) -> None:
        """Choose scale and height so that the bounds stand in the middle of the map."""
        left, top = _mercator(np.array([[bounds.west, bounds.north]]))[0]
        right, bottom = _mercator(np.array([[bounds.east, bounds.south]]))[0]
        wide, high = max(right - left, 1e-9) * (1 + 2 * PADDING), max(bottom - top, 1e-9) * (1 + 2 * PADDING)
        inner = self.width - 2 * MARGIN
        self._map_height = round(inner * min(HIGHEST, max(LOWEST, high / wide)))
        self._scale = min(inner / wide, self._map_height / high)
        self._centre = np.array([(left + right) / 2, (top + bottom) / 2])
        self._middle = np.array([self.width / 2, self._top + self._map_height / 2])
        self.metres_per_pixel = (
            360 * METRES_PER_DEGREE * math.cos(math.radians((bounds.south + bounds.north) / 2)) / self._scale
        )

    def pixels(self, degrees: NDArray[np.float64]) -> Points:
        """Degrees (n, 2), longitude first → pixels (n, 2)."""
        placed: Points = (_mercator(degrees) - self._centre) * self._scale + self._middle
        return placed

    # --- what is drawn -----------------------------------------------------------------------------------------------

    def area(self, shape: BaseGeometry | None, style: Style) -> None:
        """Polygons (WGS84) with their holes; other parts of the shape are left out."""
        parts = [
            [np.array(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
            for polygon in self._parts(shape)
            if isinstance(polygon, shapely.Polygon)
        ]
        if parts:
            self._items.append(Polygon(parts, style))

    def line(self, shape: BaseGeometry | None, style: Style) -> None:
        """Lines, or the outlines of areas (WGS84)."""
        outline = shape.boundary if shape is not None and "Polygon" in shape.geom_type else shape
        lines = [
            np.array(part.coords) for part in self._parts(outline) if part.geom_type in {"LineString", "LinearRing"}
        ]
        if lines:
            self._items.append(Path(lines, style))

    def dots(self, lons: NDArray[np.float64], lats: NDArray[np.float64], style: Style, radius: float = 4.0) -> None:
        """Round marks of `radius` pixels at many places: arrays of degrees, shape (n,). Those not seen are left out."""
        centres = self.pixels(np.column_stack([np.asarray(lons, dtype=float), np.asarray(lats, dtype=float)]))
        left, top, right, bottom = self._frame
        seen = (
            (centres[:, 0] > left - radius)
            & (centres[:, 0] < right + radius)
            & (centres[:, 1] > top - radius)
            & (centres[:, 1] < bottom + radius)
        )
        if seen.any():
            self._items.append(Discs(centres[seen], radius, style))

    def circle(self, place: Place, metres: float, style: Style) -> None:
        """A circle on the ground."""
        centres = self.pixels(np.array([place]))
        self._items.append(Discs(centres, max(1.0, metres / self.metres_per_pixel), style))

    def label(self, place: Place, text: str, *, size: float = SMALL_SIZE, colour: str = INK) -> bool:
        """Words in the middle of `place`, unless earlier labels need the room; whether they are written."""
        x, y = self.pixels(np.array([place]))[0].tolist()
        half = text_width(text, size) / 2 + 2
        box = (x - half, y - size * 0.7, x + half, y + size * 0.7)
        left, top, right, bottom = self._frame
        outside = box[0] < left or box[1] < top or box[2] > right or box[3] > bottom
        if outside or any(_meet(box, other) for other in self._taken):
            return False
        self._taken.append(box)
        self._labels.append(Words(x, y, text, size, colour, halo=WHITE, anchor="m"))
        return True

    def legend(self, text: str, style: Style, mark: Mark = "area") -> None:
        """A line of the legend, in the order given."""
        self._legend.append((text, style, mark))

    # --- what becomes of it ------------------------------------------------------------------------------------------

    def png(self) -> bytes:
        """The picture as PNG."""
        items, height = self._page()
        return as_png(items, self.width, height)

    def svg(self) -> str:
        """The picture as SVG, to print in any size."""
        items, height = self._page()
        return as_svg(items, self.width, height, self.title)

    @property
    def _frame(self) -> tuple[float, float, float, float]:
        return MARGIN, self._top, self.width - MARGIN, self._top + self._map_height

    def _parts(self, shape: BaseGeometry | None) -> list[Any]:
        """The parts of a shape that are seen, in pixels."""
        if shape is None or shape.is_empty:
            return []
        placed = shapely.transform(shape, self.pixels)
        left, top, right, bottom = self._frame
        window = shapely.box(left - _BEYOND, top - _BEYOND, right + _BEYOND, bottom + _BEYOND)
        if not shapely.contains_properly(window, shapely.envelope(placed)):
            valid = placed if shapely.is_valid(placed) else shapely.make_valid(placed)
            placed = shapely.intersection(valid, window)
        return [leaf for part in shapely.get_parts(placed) for leaf in shapely.get_parts(part) if not leaf.is_empty]

    def _page(self) -> tuple[list[Item], int]:
        left, top, right, bottom = self._frame
        ground = _box(left, top, right, bottom, Style(fill=PAPER))
        items: list[Item] = [Frame(left, top, right, bottom, [ground, *self._items, *self._labels, *self._scale_bar()])]
        items.append(_box(left, top, right, bottom, Style(stroke=PALE)))
        y = MARGIN
        if self.title:
            items.append(Words(MARGIN, y + TITLE_SIZE * 0.55, self.title, TITLE_SIZE))
            y += TITLE_SIZE * 1.5
        if self.subtitle:
            items.append(Words(MARGIN, y + TEXT_SIZE * 0.55, self.subtitle, TEXT_SIZE, PALE))
        y = self._legend_rows(items, bottom + 8)
        for line in _wrapped(self.note, SMALL_SIZE, right - left):
            items.append(Words(MARGIN, y + SMALL_SIZE, line, SMALL_SIZE, PALE))
            y += SMALL_SIZE * 1.5
        return items, math.ceil(y + MARGIN / 2)

    def _legend_rows(self, items: list[Item], y: float) -> float:
        """The legend below the map, as many in a row as fit; where it ends."""
        x = MARGIN
        for text, style, mark in self._legend:
            wide = 34 + text_width(text, TEXT_SIZE) * OTHER_FONTS + 20
            if x > MARGIN and x + wide > self.width - MARGIN:
                x, y = MARGIN, y + ROW
            items.append(_sample(x, y + ROW / 2, style, mark))
            items.append(Words(x + 34, y + ROW / 2, text, TEXT_SIZE))
            x += wide
        return y + ROW if self._legend else y

    def _scale_bar(self) -> list[Polygon | Path | Discs | Words]:
        """How long so many metres are, lower left; and where north is, upper right."""
        left, top, right, bottom = self._frame
        metres = _round_metres((right - left) / 4 * self.metres_per_pixel)
        long = metres / self.metres_per_pixel
        x, y = left + 14, bottom - 14
        said = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"  # noqa: PLR2004  (a kilometre)
        ticks = np.array([[x, y - 6], [x, y], [x + long, y], [x + long, y - 6]])
        tip = np.array([[right - 24, top + 12], [right - 17, top + 34], [right - 24, top + 29], [right - 31, top + 34]])
        return [
            _box(left + 6, bottom - 34, x + long + 8, bottom - 6, Style(fill=WHITE, opacity=0.8)),
            Path([ticks], Style(stroke=INK, width=1.5)),
            Words(x + long / 2, y - 9, said, SMALL_SIZE, anchor="m"),
            _box(right - 38, top + 6, right - 10, top + 56, Style(fill=WHITE, opacity=0.8)),
            Polygon([[np.vstack([tip, tip[:1]])]], Style(fill=INK)),
            Words(right - 24, top + 45, "N", SMALL_SIZE, anchor="m"),
        ]


def _mercator(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees (n, 2) → shares of the world's width from its upper left corner (n, 2)."""
    sine = np.sin(np.radians(np.clip(degrees[:, 1], -85.051128, 85.051128)))
    y = 0.5 - np.log((1 + sine) / (1 - sine)) / (4 * math.pi)
    return np.column_stack([(degrees[:, 0] + 180) / 360, y])


def _wrapped(text: str, size: float, room: float) -> list[str]:
    """The text in lines that have room; none of no text."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) * OTHER_FONTS <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _box(left: float, top: float, right: float, bottom: float, style: Style) -> Polygon:
    return Polygon([[np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])]], style)


def _sample(x: float, y: float, style: Style, mark: Mark) -> Item:
    if mark == "dot":
        return Discs(np.array([[x + 14, y]]), 5.0, style)
    if mark == "line":
        return Path([np.array([[x + 2, y], [x + 26, y]])], style)
    return _box(x + 2, y - 7, x + 26, y + 7, style)


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _round_metres(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20 … metres that is not more than `most`."""
    ten = 10.0 ** math.floor(math.log10(max(most, 1e-6)))
    return ten * max(step for step in (1, 2, 5) if step * ten <= most or step == 1)
