"""Shapes on paper, in pixels from the upper left, and the two ways to put them there: PNG (Pillow) and SVG.

`geo.picture` knows the map; here lives only the drawing list and what is made of it.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from geo.lettering import write

Points: TypeAlias = NDArray[np.float64]
"""Pixels, shape (n, 2): x to the right, y down."""

OVERSAMPLED: Final = 2
"""A PNG is drawn this much larger and made smaller again: Pillow draws no smooth edges by itself."""
HATCH_PIXELS: Final = 8
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


class Style(NamedTuple):
    """How something is drawn. Colours are `#rrggbb`; None leaves it out.

    `opacity` (0 to 1) is the fill's; `width` the stroke's, in pixels; `hatch` the colour of slanted lines over it.
    """

    fill: str | None = None
    opacity: float = 1.0
    stroke: str | None = None
    width: float = 1.0
    hatch: str | None = None


class Polygon(NamedTuple):
    """Areas: for each part its outer ring and its holes."""

    parts: Sequence[Sequence[Points]]
    style: Style


class Path(NamedTuple):
    """Lines, stroked only."""

    lines: Sequence[Points]
    style: Style


class Discs(NamedTuple):
    """Round marks of one size, shape (n, 2)."""

    centres: Points
    radius: float
    style: Style


class Words(NamedTuple):
    """A line of text; `x` is its left (l), middle (m) or right (r) end, `y` its middle line."""

    x: float
    y: float
    text: str
    size: float
    colour: str = "#222222"
    halo: str | None = None
    anchor: str = "l"


class Frame(NamedTuple):
    """A window through which `items` are seen; they are in the pixels of the whole page."""

    left: float
    top: float
    right: float
    bottom: float
    items: Sequence[Polygon | Path | Discs | Words]


Item: TypeAlias = Polygon | Path | Discs | Words | Frame


# --- PNG -------------------------------------------------------------------------------------------------------------


def as_png(items: Iterable[Item], width: int, height: int) -> bytes:
    """The drawing as PNG, on white."""
    sheet = _Sheet(width, height)
    for item in items:
        sheet.draw(item)
    kept = io.BytesIO()
    sheet.image.reduce(OVERSAMPLED).save(kept, "PNG", optimize=True)
    return kept.getvalue()


class _Sheet:
    """The large picture on which a PNG is drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * OVERSAMPLED, height * OVERSAMPLED), "#ffffff")

    def draw(self, item: Item) -> None:
        """Put one item on the sheet."""
        if isinstance(item, Frame):
            self._framed(item)
        elif isinstance(item, Polygon):
            self._polygon(item)
        elif isinstance(item, Path):
            for line in item.lines:
                self._stroke(line, item.style)
        elif isinstance(item, Discs):
            self._discs(item)
        else:
            self._words(item)

    def _framed(self, frame: Frame) -> None:
        before = self.image.copy()
        for item in frame.items:
            self.draw(item)
        left, top, right, bottom = (round(value * OVERSAMPLED) for value in frame[:4])
        seen = self.image.crop((left, top, right, bottom))
        self.image = before
        self.image.paste(seen, (left, top))

    def _polygon(self, polygon: Polygon) -> None:
        style = polygon.style
        if style.fill or style.hatch:
            for rings in polygon.parts:
                self._fill(rings, style)
        for rings in polygon.parts:
            for ring in rings:
                self._stroke(ring, style)

    def _fill(self, rings: Sequence[Points], style: Style) -> None:
        """Through a mask no larger than the part, so that a thousand slivers do not cost a thousand pages."""
        outer = rings[0] * OVERSAMPLED
        wide, high = self.image.size
        left, top = np.maximum(np.floor(outer.min(axis=0)), 0).astype(int).tolist()
        right = min(wide, math.ceil(outer[:, 0].max()) + 1)
        bottom = min(high, math.ceil(outer[:, 1].max()) + 1)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", (right - left, bottom - top), 0)
        pen = ImageDraw.Draw(mask)
        for number, ring in enumerate(rings):
            inner = ring * OVERSAMPLED - (left, top)
            pen.polygon([(x, y) for x, y in inner.tolist()], fill=0 if number else 255)
        if style.fill:
            share = style.opacity
            self.image.paste(style.fill, (left, top), mask.point(lambda value: int(value * share)))
        if style.hatch:
            stripes = Image.fromarray(_stripes(left, top, right, bottom))
            self.image.paste(style.hatch, (left, top), ImageChops.multiply(mask, stripes))

    def _stroke(self, line: Points, style: Style) -> None:
        if not style.stroke or len(line) < 2:  # noqa: PLR2004  (a line has two ends)
            return
        points = [(x, y) for x, y in (line * OVERSAMPLED).tolist()]
        width = max(1, round(style.width * OVERSAMPLED))
        ImageDraw.Draw(self.image).line(points, fill=style.stroke, width=width, joint="curve")

    def _discs(self, discs: Discs) -> None:
        style, radius = discs.style, discs.radius * OVERSAMPLED
        reach = math.ceil(radius + style.width * OVERSAMPLED) + 1
        side = 2 * reach + 1
        stamp, mask = Image.new("RGB", (side, side), style.fill or "#ffffff"), Image.new("L", (side, side), 0)
        box = (reach - radius, reach - radius, reach + radius, reach + radius)
        ImageDraw.Draw(mask).ellipse(box, fill=int(255 * style.opacity) if style.fill else 0)
        if style.stroke:
            width = max(1, round(style.width * OVERSAMPLED))
            ImageDraw.Draw(stamp).ellipse(box, outline=style.stroke, width=width)
            ImageDraw.Draw(mask).ellipse(box, outline=255, width=width)
        for x, y in np.round(discs.centres * OVERSAMPLED).astype(int).tolist():
            self.image.paste(stamp, (x - reach, y - reach), mask)

    def _words(self, words: Words) -> None:
        write(
            ImageDraw.Draw(self.image),
            (words.x * OVERSAMPLED, words.y * OVERSAMPLED),
            words.text,
            words.size * OVERSAMPLED,
            colour=words.colour,
            halo=words.halo,
            halo_width=round(1.5 * OVERSAMPLED),
            anchor=words.anchor,
        )


def _stripes(left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Slanted lines that go on from one shape to the next."""
    rows, columns = np.ogrid[top:bottom, left:right]
    pitch = HATCH_PIXELS * OVERSAMPLED
    return np.where((rows + columns) % pitch < 1.5 * OVERSAMPLED, 255, 0).astype(np.uint8)


# --- SVG -------------------------------------------------------------------------------------------------------------


def as_svg(items: Sequence[Item], width: int, height: int, title: str = "") -> str:
    """The drawing as SVG; all text in it is escaped."""
    body = [part for number, item in enumerate(items) for part in _svg(item, number)]
    hatches = sorted({style.hatch for style in _styles(items) if style.hatch})
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
                f' viewBox="0 0 {width} {height}" font-family="sans-serif">'
            ),
            f"<title>{_escaped(title)}</title>",
            "<defs>",
            *(_hatch(colour) for colour in hatches),
            "</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        ]
    )


def _svg(item: Item, number: int) -> Iterator[str]:
    if isinstance(item, Frame):
        left, top, right, bottom = item[:4]
        yield f'<clipPath id="frame-{number}">'
        yield f'<rect x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}"/></clipPath>'
        yield f'<g clip-path="url(#frame-{number})">'
        for inner in item.items:
            yield from _svg(inner, number)
        yield "</g>"
    elif isinstance(item, Polygon):
        path = " ".join(_path(ring) + "Z" for rings in item.parts for ring in rings)
        fill = _attributes(item.style)
        yield f'<path d="{path}" fill-rule="evenodd" {fill}/>'
        if item.style.hatch:
            yield f'<path d="{path}" fill-rule="evenodd" fill="url(#{_hatch_id(item.style.hatch)})"/>'
    elif isinstance(item, Path):
        path = " ".join(_path(line) for line in item.lines)
        yield f'<path d="{path}" {_attributes(item.style._replace(fill=None))} stroke-linejoin="round"/>'
    elif isinstance(item, Discs):
        yield f"<g {_attributes(item.style)}>"
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{item.radius:g}"/>' for x, y in item.centres.tolist())
        yield "</g>"
    else:
        yield _svg_words(item)


def _svg_words(words: Words) -> str:
    """The words, over a halo of their own: not every program that draws SVG knows of an order within one text."""
    anchor = {"l": "start", "m": "middle", "r": "end"}[words.anchor]
    written = _escaped(words.text)
    place = (
        f'<text x="{words.x:.1f}" y="{words.y:.1f}" font-size="{words.size:g}" text-anchor="{anchor}"'
        ' dominant-baseline="central"'
    )
    plain = f'{place} fill="{_escaped(words.colour)}">{written}</text>'
    if not words.halo:
        return plain
    halo = _escaped(words.halo)
    return (
        f'{place} fill="{halo}" stroke="{halo}" stroke-width="3" stroke-linejoin="round" aria-hidden="true">'
        f"{written}</text>{plain}"
    )


def _path(points: Points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())


def _attributes(style: Style) -> str:
    fill = f'fill="{_escaped(style.fill)}" fill-opacity="{style.opacity:g}"' if style.fill else 'fill="none"'
    stroke = f' stroke="{_escaped(style.stroke)}" stroke-width="{style.width:g}"' if style.stroke else ""
    return fill + stroke


def _hatch_id(colour: str) -> str:
    return "hatch-" + re.sub(r"\W", "", colour)


def _hatch(colour: str) -> str:
    side = HATCH_PIXELS / math.sqrt(2)
    return (
        f'<pattern id="{_hatch_id(colour)}" patternUnits="userSpaceOnUse" width="{side:.2f}" height="{side:.2f}"'
        f' patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="{side:.2f}" stroke="{_escaped(colour)}"'
        ' stroke-width="2"/></pattern>'
    )


def _styles(items: Iterable[Item]) -> Iterator[Style]:
    for item in items:
        if isinstance(item, Frame):
            yield from _styles(item.items)
        elif not isinstance(item, Words):
            yield item.style


def _escaped(text: str) -> str:
    return html.escape(_CONTROL.sub("", text), quote=True)
