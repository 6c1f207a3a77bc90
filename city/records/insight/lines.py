"""By what figures are told: the lines of a table, which reports each counts, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

from city.errors import InvalidInput
from city.records.insight.insight import Period, Scope
from city.registry.municipality import MunicipalityView, Named
from city.texts import LANGUAGES, text

By = Literal["zone", "department", "category", "group", "month", "total"]
Across = Literal["department", "category", "group"]

KEYS: Final[dict[str, str]] = {
    "zone": "report.zone_ids",
    "department": "report.department_id",
    "category": "report.category_id",
    "group": "report.group_slug",
    "month": "report.month",
    "total": "NULL::integer",
}
"""What of a report says in which line it counts."""
assert set(KEYS) == set(get_args(By))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: its key (None: in no zone of the layer) and its name."""

    key: str | None
    name: Named | None

    def as_json(self) -> dict[str, Any]:
        """Key and name."""
        return {"key": self.key, "name": self.name and {"it": self.name.it, "en": self.name.en}}


TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines a key counts in; `all` are shown also with no report."""

    all: tuple[Line, ...]
    of: Callable[[Any], tuple[Line, ...]]

    def __call__(self, key: Any) -> tuple[Line, ...]:
        """The lines in which a report with this key counts."""
        return self.of(key)


def home(scope: Scope) -> MunicipalityView:
    """The municipality whose figures are told. Raises InvalidInput where it is not said."""
    if scope.municipality is None:
        raise InvalidInput("insight.which_municipality", field="municipality")
    return scope.municipality


def lines(scope: Scope, by: By, layer: str | None, period: Period) -> Lines:
    """The lines of figures by `by` (of which zone layer) over a period and the one before.

    Raises InvalidInput where the layer is not there, the municipality not said, or months are asked of odd days.
    """
    municipality = home(scope)
    if by == "zone":
        return _zones(municipality, layer, period)
    if by == "month":
        return _months(period)
    if by == "total":
        whole = total_line()
        return Lines((whole,), lambda _key: (whole,))
    if by == "group":
        groups = {slug: Line(slug, group.name) for slug, group in scope.groups.items()}
        return Lines(tuple(groups.values()), lambda key: (groups[key],))
    if by == "department":
        named = {d.id: Line(d.slug, d.name) for d in municipality.departments.values()}
    else:
        seen = [c for c in municipality.categories.values() if c.is_public or not scope.is_public]
        named = {c.id: Line(c.slug, c.name) for c in seen}
    return Lines(tuple(named.values()), lambda key: (named[key],) if key in named else ())


def total_line() -> Line:
    """The line of all together."""
    return Line(TOTAL, Named(*(text("insight.total", language=language) for language in LANGUAGES)))


def layers(municipality: MunicipalityView) -> list[str]:
    """The slugs of the zone layers that have zones here."""
    return sorted({municipality.zones[key].layer for key in municipality.index.keys})


def month_name(first: date) -> Named:
    """A month as people say it, with its year."""
    return Named(*(f"{text(f'insight.month.{first.month}', language=to)} {first.year}" for to in LANGUAGES))


def _months(period: Period) -> Lines:
    """The months of the period; those of the period before count beside them, in the same order."""
    if not period.by_month:
        raise InvalidInput("insight.whole_months", field="from", first=period.first, last=period.last)
    firsts = period.months()
    shown = tuple(Line(f"{first:%Y-%m}", month_name(first)) for first in firsts)
    places = dict(zip(map(_number, firsts), shown, strict=True))
    places |= dict(zip(map(_number, period.before().months()), shown, strict=True))
    return Lines(shown, lambda key: (places[key],) if key in places else ())


def _number(first: date) -> int:
    return first.year * 100 + first.month


def _zones(municipality: MunicipalityView, layer: str | None, period: Period) -> Lines:
    known = layers(municipality)
    if layer is None or layer not in known:
        raise InvalidInput("insight.which_layer", field="layer", value=layer or "-", known=", ".join(known) or "-")
    # A layer that was redrawn has several zones of one code: reports keep those of their time, the figures are one.
    newest = sorted((z for z in municipality.zones.values() if z.layer == layer), key=lambda zone: zone.valid_from)
    by_code = {zone.code: Line(zone.code, Named(zone.name, zone.name)) for zone in newest}
    by_id = {zone.id: by_code[zone.code] for zone in newest}
    in_force = {
        z.code for z in newest if z.valid_from < period.after and (z.valid_until or period.after) > period.first
    }
    nowhere = (Line(None, None),)

    def of(zone_ids: list[int]) -> tuple[Line, ...]:
        return tuple(dict.fromkeys(by_id[key] for key in zone_ids if key in by_id)) or nowhere

    return Lines(tuple(line for code, line in by_code.items() if code in in_force), of)
