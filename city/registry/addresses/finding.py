"""Streets and house numbers of the installation: what is near a place, and where what somebody typed may be.

All of it is public. Searches by place are ranges of cells, searches by words equality of short texts: row-level
security lets an index answer both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from city.database import ReadSession
from city.registry.addresses import street_match
from city.registry.addresses.street_names import HouseNumber, Reading, grams, readings, telling, words_of
from city.registry.municipality import MunicipalityView, Registry
from geo.nearby import FLAT_SQL, flat_metres, flat_values, ranges_near, square_of
from geo.place import Place

NUMBER_METRES: Final = 50.0
"""A house number farther away than this does not name a place."""
STREET_METRES: Final = 30.0
"""A street's line farther away does not."""
LARGEST_LIST: Final = 20
MOST_STREETS: Final = 80
"""Streets that are compared word by word."""
MOST_LOOKED_AT: Final = 400
MOST_NUMBERED: Final = 16
"""Streets in which the house number is looked for."""
WORST: Final = 0.55
"""What answers worse than this is no answer."""
ENOUGH: Final = 0.7
"""So well answered that other municipalities need not be asked."""
NEARNESS: Final = 0.08
"""What being at the very place adds to a score; half of it is left at one kilometre."""
NUMBERED: Final = 0.05
"""So much better a reading without house number must fit: a number is rather the house's than a word of the name."""
FAR_NUMBER: Final = 30
"""A house number that differs by more says nothing of where another one is."""

Precision = Literal["number", "near_number", "street"]
_FACTORS: Final = {"suffix": 0.98, "near_number": 0.9, "street": 0.85}
"""What is left of the score where the very number is not there."""


def _nearest_of(table: str, name: str, metres: float, shown: str) -> str:
    """The nearest row of `table` within so many metres, one look into the index for each range of cells."""
    square = FLAT_SQL.format("near")
    return f"""
    SELECT {shown} FROM (
      SELECT near.*, {square} AS square
      FROM unnest(%(near_firsts)s::bigint[], %(near_lasts)s::bigint[]) AS range (first, last), LATERAL (
        SELECT * FROM {table}
        WHERE municipality_id = %(municipality_id)s AND cell BETWEEN range.first AND range.last
        ORDER BY cell LIMIT 500
      ) AS near
      WHERE {square} <= {square_of(metres)!r}
      ORDER BY square LIMIT 1
    ) AS {name} JOIN street ON street.municipality_id = %(municipality_id)s AND street.id = {name}.street_id
    """  # noqa: S608


NAMED_SQL: Final = f"""
  coalesce(({_nearest_of("house_number", "house", NUMBER_METRES, "street.label || ' ' || house.written")}),
           ({_nearest_of("street_point", "point", STREET_METRES, "street.label")}))
"""
"""One expression: the address at a place (`at_values`), or NULL. Lines are looked at only where no number is near."""

_HOUSE_SQL: Final = _nearest_of(
    "house_number",
    "house",
    NUMBER_METRES,
    "street.label, street.locality, house.written, coalesce(house.postcode, street.postcode), house.lon, house.lat,"
    " house.square",
)
_LINE_SQL: Final = _nearest_of(
    "street_point",
    "point",
    STREET_METRES,
    "street.label, street.locality, NULL, street.postcode, point.lon, point.lat, point.square",
)


def at_values(place: Place) -> dict[str, Any]:
    """The values of NAMED_SQL but for the municipality's id."""
    ranges = ranges_near(place, max(NUMBER_METRES, STREET_METRES))
    return {
        **flat_values(place),
        "near_firsts": [cells.first for cells in ranges],
        "near_lasts": [cells.last for cells in ranges],
    }


@dataclass(frozen=True, slots=True)
class Found:
    """An address, where it is, and how it came to be found."""

    street: str
    number: str | None
    postcode: str | None
    locality: str | None
    municipality: MunicipalityView
    place: Place
    precision: Precision
    score: float = 1.0
    metres: float | None = None

    @property
    def label(self) -> str:
        """As it is said: `Via Roma 12/A`."""
        return f"{self.street} {self.number}" if self.number else self.street

    def as_json(self) -> dict[str, Any]:
        """JSON values, without what only one of the two searches knows."""
        return {
            "label": self.label,
            "street": self.street,
            "number": self.number,
            "postcode": self.postcode,
            "locality": self.locality,
            "municipality": {"slug": self.municipality.slug, "name": self.municipality.name},
            "place": {"lon": self.place.lon, "lat": self.place.lat},
            "precision": self.precision,
        }


# --- from a place to an address --------------------------------------------------------------------------------------


def nearest(session: ReadSession, municipality: MunicipalityView, place: Place) -> Found | None:
    """The house number nearest to `place`, or where none is near the street whose line is; None for neither."""
    values = {**at_values(place), "municipality_id": municipality.id}
    for statement in (_HOUSE_SQL, _LINE_SQL):
        row = session.raw.execute(statement, values).fetchone()
        if row is not None:
            street, locality, number, postcode, lon, lat, square = row
            metres = round(flat_metres(square), 1)
            precision: Precision = "number" if number else "street"
            return Found(street, number, postcode, locality, municipality, Place(lon, lat), precision, metres=metres)
    return None


# --- from words to an address ----------------------------------------------------------------------------------------


class _Street(NamedTuple):
    """A candidate as the database has it."""

    municipality_id: int
    id: int
    label: str
    words: str
    locality: str | None
    postcode: str | None
    lon: float
    lat: float


class _Match(NamedTuple):
    """A candidate, what of the query was its house number, and how well it answers."""

    street: _Street
    number: HouseNumber | None
    score: float


_STREETS_SQL: Final = f"""
WITH hit AS (
  SELECT municipality_id, street_id, count(*) AS shared FROM street_gram
  WHERE municipality_id = ANY(%(municipalities)s) AND gram = ANY(%(grams)s)
  GROUP BY municipality_id, street_id ORDER BY count(*) DESC, municipality_id, street_id LIMIT {MOST_LOOKED_AT}
)
SELECT street.municipality_id, street.id, label, words, locality, postcode, lon, lat
FROM hit JOIN street ON street.municipality_id = hit.municipality_id AND street.id = hit.street_id
WHERE lon IS NOT NULL
ORDER BY hit.shared::float8 / (%(count)s + gram_count - hit.shared) DESC, street.municipality_id, street.id
LIMIT {MOST_STREETS}
"""  # noqa: S608

_NUMBERS_SQL: Final = """
SELECT wanted.place, house.number, house.suffix, house.written, house.postcode, house.lon, house.lat
FROM unnest(%(places)s::integer[], %(municipalities)s::integer[], %(streets)s::integer[], %(numbers)s::integer[],
            %(suffixes)s::text[]) AS wanted (place, municipality_id, street_id, number, suffix), LATERAL (
  SELECT * FROM house_number
  WHERE municipality_id = wanted.municipality_id AND street_id = wanted.street_id
  ORDER BY house_number.number <> wanted.number, house_number.suffix <> wanted.suffix,
           abs(house_number.number - wanted.number) + (house_number.number + wanted.number) %% 2 * 5,
           house_number.suffix
  LIMIT 1
) AS house
"""
"""The wanted number in each street, or the one likeliest beside it: on the same side, a few doors away."""


def search(
    session: ReadSession,
    registry: Registry,
    query: str,
    *,
    municipality: MunicipalityView | None = None,
    near: Place | None = None,
    limit: int = 5,
) -> list[Found]:
    """What `query` may mean, the likeliest first; near `near` before elsewhere."""
    understood = readings(query)
    everywhere = [known.id for known in registry.municipalities.values() if known.has_addresses]
    if not understood or not everywhere:
        return []
    first = [municipality.id] if municipality else _likely(registry, understood, near)
    found = _found(session, registry, understood, first or everywhere, near)
    is_enough = bool(found) and found[0].score >= ENOUGH
    if municipality is None and first and not is_enough:
        elsewhere = [known for known in everywhere if known not in first]
        found = _ranked(found + _found(session, registry, understood, elsewhere, near), near)
    return found[:limit]


def _likely(registry: Registry, understood: Sequence[Reading], near: Place | None) -> list[int]:
    """Where to look first: in the municipality of `near`, and in those that the query names."""
    typed = set(understood[0].words)
    named = [known.id for known in registry.municipalities.values() if set(words_of(known.name)) <= typed]
    here = registry.boundaries.holding(near)[:1] if near else []
    chosen = dict.fromkeys([*here, *(named if here else [])])
    return [key for key in chosen if registry.municipalities[key].has_addresses]


def _found(
    session: ReadSession, registry: Registry, understood: Sequence[Reading], where: Sequence[int], near: Place | None
) -> list[Found]:
    matches = _matches(registry, understood, _streets(session, understood, where), near)
    answers = [
        _answer(registry.municipalities[match.street.municipality_id], match, house)
        for match, house in zip(matches, _houses(session, matches), strict=True)
    ]
    return _ranked([answer for answer in answers if answer.score >= WORST], near)


def _streets(session: ReadSession, understood: Sequence[Reading], where: Sequence[int]) -> list[_Street]:
    wanted = grams(list(dict.fromkeys(word for reading in understood for word in telling(reading.words))))
    if not wanted or not where:
        return []
    rows = session.raw.execute(_STREETS_SQL, {"municipalities": list(where), "grams": wanted, "count": len(wanted)})
    return [_Street(*row) for row in rows]


def _matches(
    registry: Registry, understood: Sequence[Reading], streets: Sequence[_Street], near: Place | None
) -> list[_Match]:
    """Each street with the reading that fits it best; the best streets only."""
    typed = {word for reading in understood for word in reading.words}
    # A name that many municipalities have is compared once.
    scores: dict[tuple[str, frozenset[str]], tuple[float, Reading]] = {}
    matches = []
    for street in streets:
        there = words_of(registry.municipalities[street.municipality_id].name)
        around = frozenset((*words_of(street.locality or ""), *(there if typed.intersection(there) else ())))
        key = street.words, around
        if key not in scores:
            candidate = street_match.Candidate(tuple(street.words.split(" ")), around)
            scores[key] = max(
                ((street_match.score(reading.words, candidate), reading) for reading in understood),
                key=lambda scored: scored[0] + (NUMBERED if scored[1].number else 0),
            )
        score, reading = scores[key]
        if reading.postcode and reading.postcode == street.postcode:
            score = min(1.0, score + 0.02)
        matches.append(_Match(street, reading.number, score))
    matches.sort(key=lambda match: -(match.score + _nearness(Place(match.street.lon, match.street.lat), near)))
    return matches[:MOST_NUMBERED]


def _houses(session: ReadSession, matches: Sequence[_Match]) -> list[Sequence[Any] | None]:
    """For each match, the row of the house number it asks for, or of one beside it; None: none asked for, or there."""
    wanted = [(place, match.street, match.number) for place, match in enumerate(matches) if match.number]
    if not wanted:
        return [None] * len(matches)
    rows = session.raw.execute(
        _NUMBERS_SQL,
        {
            "places": [place for place, _, _ in wanted],
            "municipalities": [street.municipality_id for _, street, _ in wanted],
            "streets": [street.id for _, street, _ in wanted],
            "numbers": [number.number for _, _, number in wanted],
            "suffixes": [number.suffix for _, _, number in wanted],
        },
    )
    by_place: Mapping[int, Sequence[Any]] = {row[0]: row[1:] for row in rows}
    return [by_place.get(place) for place in range(len(matches))]


def _answer(municipality: MunicipalityView, match: _Match, house: Sequence[Any] | None) -> Found:
    street = match.street
    is_near = house is not None and match.number is not None and abs(house[0] - match.number.number) <= FAR_NUMBER
    if house is None or not is_near:
        factor = _FACTORS["street"] if match.number else 1.0
        place, number, postcode, precision = Place(street.lon, street.lat), None, street.postcode, "street"
    else:
        assert match.number is not None
        there, suffix, number, own_postcode, lon, lat = house
        place, postcode = Place(lon, lat), own_postcode or street.postcode
        is_exact = there == match.number.number
        precision = "number" if is_exact else "near_number"
        factor = (
            _FACTORS["near_number"] if not is_exact else 1.0 if suffix == match.number.suffix else _FACTORS["suffix"]
        )
    return Found(
        street.label,
        number,
        postcode,
        street.locality,
        municipality,
        place,
        precision,  # type: ignore[arg-type]  # one of the three
        score=round(match.score * factor, 4),
    )


def _ranked(found: list[Found], near: Place | None) -> list[Found]:
    return sorted(found, key=lambda answer: -(answer.score + _nearness(answer.place, near)))


def _nearness(place: Place, near: Place | None) -> float:
    return NEARNESS / (1 + place.distance_metres(near) / 1000) if near else 0.0
