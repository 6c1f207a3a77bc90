"""Letters on a picture, with the font that comes with Pillow: nothing needs to be installed on the machine.

That font has no accented letters, so accents are drawn over the plain ones; the few other signs it lacks are written
with those it has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from PIL import ImageDraw, ImageFont

SMALLER: Final = 0.62
"""The size of a raised figure, as a share of the letters'."""
ABOVE: Final = 0.07
"""Air between a letter and its accent, in ems."""
HEAVY: Final = 0.075
"""How thick an accent is, in ems."""

_WRITTEN: Final = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "−": "-",
        "→": ">",
        "←": "<",
        "×": "x",
        "€": "EUR",
        "≥": ">=",
        "≤": "<=",
        "ß": "ss",
        "Đ": "D",
        "đ": "d",
        "Ø": "O",
        "ø": "o",
        "Æ": "AE",
        "æ": "ae",
        "\u00a0": " ",
        "\u202f": " ",
    }
)
_RAISED: Final = {"¹": "1", "²": "2", "³": "3"}
# Each accent as lines in ems, to the right and up from above the middle of its letter.
_ACCENTS: Final[dict[str, list[list[tuple[float, float]]]]] = {
    "\u0300": [[(-0.12, 0.15), (0.06, 0.0)]],
    "\u0301": [[(-0.06, 0.0), (0.12, 0.15)]],
    "\u0302": [[(-0.13, 0.0), (0.0, 0.13), (0.13, 0.0)]],
    "\u030c": [[(-0.13, 0.13), (0.0, 0.0), (0.13, 0.13)]],
    "\u0303": [[(-0.15, 0.03), (-0.06, 0.1), (0.06, 0.03), (0.15, 0.1)]],
    "\u0304": [[(-0.14, 0.06), (0.14, 0.06)]],
    "\u0308": [[(-0.13, 0.06), (-0.08, 0.06)], [(0.08, 0.06), (0.13, 0.06)]],
    "\u030a": [[(0.0, 0.0), (0.07, 0.07), (0.0, 0.14), (-0.07, 0.07), (0.0, 0.0)]],
}
_RUN: Final = re.compile(r"([¹²³])|([^¹²³\u0300-\u036f]+)([\u0300-\u036f]*)")


class _Run(NamedTuple):
    """Letters set at `x`, and the accents over the last of them."""

    x: float
    text: str
    size: float
    rise: float
    accents: str


@lru_cache(maxsize=64)
def font(size: float) -> Any:
    """The font in a size (pixels)."""
    return ImageFont.load_default(size)


def text_width(text: str, size: float) -> float:
    """How wide a line of text is, in pixels."""
    return _set(text, size)[1]


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    *,
    colour: str,
    halo: str | None = None,
    halo_width: int = 0,
    anchor: str = "l",
) -> None:
    """Write a line of text: `at` is its left (l), middle (m) or right (r) end, on its middle line."""
    runs, wide = _set(text, size)
    x = at[0] - {"l": 0.0, "m": wide / 2, "r": wide}[anchor]
    baseline = at[1] + size * 0.36
    for ink, thick in ((halo, halo_width), (colour, 0)):
        if ink is None:
            continue
        for run in runs:
            spot = (x + run.x, baseline - run.rise)
            dotless = run.accents and run.text.endswith("i")
            said = run.text[:-1] if dotless else run.text
            pen.text(spot, said, font=font(run.size), fill=ink, anchor="ls", stroke_width=thick, stroke_fill=ink)
            if dotless:
                stem = _stem(spot[0] + font(run.size).getlength(said), spot[1], run.size, thick)
                pen.rectangle(stem, fill=ink)
            for line in _accents(run):
                points = [(spot[0] + right, spot[1] - up) for right, up in line]
                pen.line(points, fill=ink, width=max(1, round(size * HEAVY)) + 2 * thick, joint="curve")


def _set(text: str, size: float) -> tuple[list[_Run], float]:
    """The runs of a line and its width."""
    runs: list[_Run] = []
    x = 0.0
    for raised, letters, accents in _RUN.findall(_plain(text)):
        written = _RAISED.get(raised, letters)
        here = size * SMALLER if raised else size
        runs.append(_Run(x, written, here, size * 0.32 if raised else 0.0, accents))
        x += font(here).getlength(written)
    return runs, x


def _plain(text: str) -> str:
    """Accents apart from their letters; raised figures stay what they are."""
    return unicodedata.normalize("NFD", text.translate(_WRITTEN))


def _accents(run: _Run) -> Iterator[list[tuple[float, float]]]:
    """The lines of the accents, in pixels to the right and up from the run's beginning."""
    if not run.accents:
        return
    letter = run.text[-1]
    middle = font(run.size).getlength(run.text) - font(run.size).getlength(letter) / 2
    top = -font(run.size).getbbox("x" if letter == "i" else letter, anchor="ls")[1] + ABOVE * run.size
    for accent in run.accents:
        for line in _ACCENTS.get(accent, ()):
            yield [(middle + right * run.size, top + up * run.size) for right, up in line]


def _stem(x: float, baseline: float, size: float, thick: int) -> tuple[float, float, float, float]:
    """An i without its dot, for one that bears an accent."""
    middle, half = x + font(size).getlength("i") / 2, size * HEAVY / 2
    top = font(size).getbbox("x", anchor="ls")[1]
    return middle - half - thick, baseline + top - thick, middle + half + thick, baseline - 1 + thick
