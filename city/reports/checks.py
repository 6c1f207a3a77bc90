"""What any station asks of words and places before it works with them."""

from __future__ import annotations

import math
import unicodedata
from typing import Final

from city.errors import InvalidInput, TooLarge
from geo.cells import Bounds
from geo.place import Place

LONGEST_TEXT: Final = 4_000
"""Letters of a description, a note or a reason."""
LONGEST_ADDRESS: Final = 200


def checked(place: Place) -> Place:
    """`place`, if it can be one at all. Raises InvalidInput naming the field and what would be right."""
    for name, value, most in (("lon", place.lon, 180.0), ("lat", place.lat, 90.0)):
        if not math.isfinite(value) or abs(value) > most:
            raise InvalidInput("intake.out_of_range", field=name, value=value, most=int(most))
    if place.lon == 0 and place.lat == 0:
        raise InvalidInput("intake.null_island", field="place")
    return place


def box(bbox: str | None) -> Bounds | None:
    """The box that `bbox` says as west,south,east,north. Raises InvalidInput."""
    if bbox is None:
        return None
    try:
        west, south, east, north = (float(part) for part in bbox.split(","))
    except ValueError as error:
        raise InvalidInput("reports.bad_bbox", field="bbox") from error
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):  # noqa: PLR2004
        raise InvalidInput("reports.bad_bbox", field="bbox")
    return Bounds(west, south, east, north)


def cleaned(words: str | None, *, field: str, longest: int = LONGEST_TEXT) -> str | None:
    """The text without surrounding space, in Unicode's composed form; None where nothing is left.

    Raises InvalidInput for control characters and lone surrogates, TooLarge for more than `longest` letters.
    """
    if words is None:
        return None
    if len(words) > longest * 2:
        raise TooLarge("intake.too_long", field=field, longest=longest, length=len(words))
    if not words.isascii():
        words = unicodedata.normalize("NFC", words)
    if not words.isprintable() and any(
        unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\r\t" for letter in words
    ):
        raise InvalidInput("intake.control_characters", field=field)
    words = words.strip()
    if len(words) > longest:
        raise TooLarge("intake.too_long", field=field, longest=longest, length=len(words))
    return words or None
