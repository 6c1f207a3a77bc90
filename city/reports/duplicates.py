"""Is it this one? Reports nearby that are likely the same trouble: space × kinship of categories × words × time.

One query finds candidates (open, or solved lately; of a category that people take for this one; near), one sum says how
likely each is the same trouble:

    log-odds = FIRST + PER_REACH × metres / reach + KINSHIP[…] + PER_LIKENESS × likeness
             + PER_LOG_DAY × ln(1 + days between) + (SOLVED + PER_LOG_SOLVED_DAY × ln(1 + days since), if solved)
             + OTHER_NUMBERS, if both texts name numbers and none in common

The weights are a logistic regression on the labelled pairs of `tests/data/duplicates.tsv`; `kinship.toml` says which
categories are taken for one another, and how far each reaches. `./lampione evaluate duplicates` measures it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from city.registry.municipality import LAST_RESORT, CategoryView, MunicipalityView
from city.reports.likeness import READ_AT_MOST, Wording, wording_of
from city.settings import settings
from city.texts import LANGUAGES, text
from geo.cells import around, covering
from geo.place import Place

Kinship = Literal["same", "confused", "group", "unknown"]

MOST: Final = 5
MOST_MEASURED: Final = 6
"""Reports that are fetched, nearest first, to be measured exactly."""
MOST_LOOKED_AT: Final = 60
"""Reports that are looked at in each range of cells, some 30 m wide: even ten years in a city leave fewer there."""
MOST_KNOWN_KIN: Final = 2_000
SOLVED_WITHIN: Final = timedelta(days=30)
"""How lately a report must have been solved to be named; "it was solved last week" is worth knowing."""
LIKELY: Final = 0.4
"""From here on a citizen is asked. To be asked once too often costs a glance, not to be asked a second report."""
LIKELY_ODDS: Final = math.log(LIKELY / (1 - LIKELY))
COARSE_STEPS: Final = 4
"""A citizen learns likeness in quarters, and all else from those: fine steps would let strangers spell out,
try by try, the words that another citizen wrote."""

FIRST: Final = 1.11
PER_REACH: Final = -3.90
KINSHIP: Final[Mapping[Kinship, float]] = {"same": 0.0, "confused": -0.65, "group": -3.38, "unknown": -3.38}
PER_LIKENESS: Final = 4.71
PER_LOG_DAY: Final = -0.34
SOLVED: Final = 1.04
PER_LOG_SOLVED_DAY: Final = -1.28
OTHER_NUMBERS: Final = -1.62

ALIKE: Final = 0.5
PARTLY: Final = 0.25
SECONDS_OF_DAY: Final = 86_400

NEARBY_SQL: Final = f"""
    SELECT id, number, state, category_id, lon, lat, created_at, is_public,
      CASE WHEN NOT is_open THEN updated_at END AS solved_at, left(description, {READ_AT_MOST}) AS description
    FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS range (first, last), LATERAL (
      SELECT * FROM report
      WHERE municipality_id = %(municipality_id)s AND cell BETWEEN range.first AND range.last
      ORDER BY cell LIMIT {MOST_LOOKED_AT}
    ) AS near
    WHERE category_id = ANY (%(kin)s::integer[]) AND (is_public OR %(hidden_too)s::boolean AND parent_id IS NULL)
      AND (is_open OR state IN ('resolved', 'closed') AND updated_at > %(solved_since)s::timestamptz)
    ORDER BY (cell_x - %(near_x)s)::float8 ^ 2 + (cell_y - %(near_y)s)::float8 ^ 2 LIMIT {MOST_MEASURED}
"""  # noqa: S608
"""The nearest candidates (`search_values`), to be weighed afterwards (`likely`); `description` is for that alone.

One look into the index for each range: the order by cell leaves the planner no other way, whatever it guesses.
"""


class Sought(NamedTuple):
    """The report that others are compared with; `at` is when it was made, `categories` those of its municipality."""

    place: Place
    category: CategoryView
    wording: Wording
    at: datetime
    categories: Mapping[int, CategoryView]

    @classmethod
    def of(
        cls,
        municipality: MunicipalityView,
        place: Place,
        *,
        category: str,
        suggestions: Sequence[Mapping[str, Any]],
        description: str,
        at: datetime,
    ) -> Sought:
        """The report of `category`; where that is nothing yet, of the classifier's best guess."""
        slug = suggestions[0]["category"] if category == LAST_RESORT and suggestions else category
        known = municipality.categories
        return cls(place, known.get(slug, known[LAST_RESORT]), Wording(description), at, municipality.category_ids)


class Nearby(NamedTuple):
    """A report near another one, and how likely they are the same trouble.

    `days` and `solved_days` are counted back from the other; `score` is from 0 to 1; `contradicts`: other numbers.
    """

    id: UUID
    number: str
    state: str
    category: CategoryView
    kinship: Kinship
    created_at: datetime
    solved_at: datetime | None
    metres: float
    days: float
    solved_days: float | None
    likeness: float
    contradicts: bool
    score: float

    def why(self) -> dict[str, str]:
        """The reasons as a sentence, by language."""
        return {language: self._why(language) for language in LANGUAGES}

    def _why(self, language: str) -> str:
        words = text(f"duplicates.words.{_degree(self.likeness)}", language=language)
        if self.contradicts:
            words += " " + text("duplicates.words.numbers", language=language)
        return text(
            "duplicates.why",
            language=language,
            kinship=text(f"duplicates.kinship.{self.kinship}", language=language),
            metres=round(self.metres),
            when=self._when(language),
            words=words,
        )

    def _when(self, language: str) -> str:
        said, days = ("when", self.days) if self.solved_days is None else ("solved", self.solved_days)
        if said == "when" and days <= -1:
            return text("duplicates.when.later", language=language)
        whole = math.floor(max(days, 0.0))
        key = {0: "today", 1: "one"}.get(whole, "many")
        return text(f"duplicates.{said}.{key}", language=language, days=whole)


def search_values(sought: Sought, *, hidden_too: bool) -> dict[str, Any]:
    """What NEARBY_SQL needs, but for the municipality's id. `hidden_too` is for the eyes of staff only."""
    ranges = covering(around(sought.place, search_metres(sought.category)))
    x, y = sought.place.cell()
    return {
        "firsts": [cells.first for cells in ranges],
        "lasts": [cells.last for cells in ranges],
        "near_x": x,
        "near_y": y,
        "kin": _kin(sought),
        "hidden_too": hidden_too,
        "solved_since": sought.at - SOLVED_WITHIN,
    }


_known_kin: dict[int, tuple[Mapping[int, CategoryView], dict[str, list[int]]]] = {}
"""For the categories of each municipality (by identity, and held so that it stays theirs) the kin of each."""


def _kin(sought: Sought) -> list[int]:
    """The ids of all categories that are kin of the one sought, in order."""
    categories, found = _known_kin.get(id(sought.categories), (None, {}))
    if categories is None:
        if len(_known_kin) >= MOST_KNOWN_KIN:
            _known_kin.clear()
        _known_kin[id(sought.categories)] = sought.categories, found
    slug = sought.category.slug
    if slug not in found:
        found[slug] = sorted(
            number for number, category in sought.categories.items() if kinship(sought.category, category)
        )
    return found[slug]


def likely(sought: Sought, rows: Iterable[Mapping[str, Any]], *, coarsely: bool) -> list[Nearby]:
    """The rows of NEARBY_SQL within reach, most likely first, at most five.

    `coarsely` is for citizens: only what is likely, and nothing that would tell another citizen's words.
    """
    weighed = [near for row in rows if (near := _weighed(sought, row, coarsely=coarsely))]
    return sorted(weighed, key=lambda near: (-near.score, near.metres))[:MOST]


def kinship(one: CategoryView, other: CategoryView) -> Kinship | None:
    """How near two categories are to one another; None: nobody takes one for the other.

    What nobody has put into a category yet may be anything.
    """
    if one.slug == other.slug:
        return "same"
    if LAST_RESORT in {one.slug, other.slug}:
        return "unknown"
    if other.slug in _table().confused.get(one.slug, ()):
        return "confused"
    return "group" if one.group.slug == other.group.slug else None


def reach_metres(category: CategoryView) -> float:
    """How far apart two reports of one trouble of this category may lie."""
    return _table().reach.get(category.slug, settings().duplicate_radius_metres)


def search_metres(category: CategoryView) -> float:
    """How far is looked for others. Not as far as each kin category reaches: the ground grows with the square."""
    return max(reach_metres(category), settings().duplicate_radius_metres)


def _weighed(sought: Sought, row: Mapping[str, Any], *, coarsely: bool) -> Nearby | None:
    category = sought.categories[row["category_id"]]
    kin = kinship(sought.category, category)
    metres = sought.place.distance_metres(Place(row["lon"], row["lat"]))
    reach = max(reach_metres(sought.category), reach_metres(category))
    if kin is None or metres > min(reach, search_metres(sought.category)):
        return None
    created_at, solved_at = _moment(row["created_at"]), row.get("solved_at")
    solved_at = _moment(solved_at) if solved_at else None
    days, solved_days = _days(sought.at - created_at), _days(sought.at - solved_at) if solved_at else None
    odds = _wordless_odds(kin, metres / reach, days, solved_days)
    if coarsely and odds + PER_LIKENESS < LIKELY_ODDS:
        return None  # whatever it says
    wording = wording_of(row["description"] or "")
    likeness, contradicts = sought.wording.likeness(wording), sought.wording.contradicts(wording)
    if coarsely:
        likeness = round(likeness * COARSE_STEPS) / COARSE_STEPS
    odds += PER_LIKENESS * likeness + OTHER_NUMBERS * contradicts
    if coarsely and odds < LIKELY_ODDS:
        return None
    return Nearby(
        id=UUID(str(row["id"])),
        number=row["number"],
        state=row["state"],
        category=category,
        kinship=kin,
        created_at=created_at,
        solved_at=solved_at,
        metres=metres,
        days=days,
        solved_days=solved_days,
        likeness=likeness,
        contradicts=contradicts,
        score=1 / (1 + math.exp(-odds)),
    )


def _wordless_odds(kin: Kinship, share_of_reach: float, days: float, solved_days: float | None) -> float:
    odds = FIRST + PER_REACH * share_of_reach + KINSHIP[kin] + PER_LOG_DAY * math.log1p(abs(days))
    if solved_days is not None:
        odds += SOLVED + PER_LOG_SOLVED_DAY * math.log1p(max(solved_days, 0.0))
    return odds


def _degree(likeness: float) -> str:
    if likeness >= ALIKE:
        return "alike"
    return "partly" if likeness >= PARTLY else "other"


def _days(between: timedelta) -> float:
    return between.total_seconds() / SECONDS_OF_DAY


def _moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


class _Table(NamedTuple):
    confused: dict[str, set[str]]
    reach: dict[str, float]


@cache
def _table() -> _Table:
    read = tomllib.loads(Path(__file__).with_name("kinship.toml").read_text("utf-8"))
    confused: dict[str, set[str]] = {}
    for one, other in read["confused"]:
        confused.setdefault(one, set()).add(other)
        confused.setdefault(other, set()).add(one)
    return _Table(confused, {slug: float(far) for slug, far in read["reach"].items()})
