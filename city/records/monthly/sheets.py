"""The map on paper, for the council's report: heat, hot spots or figures by zone, over boundaries and zones.

Shapes come from the registry in memory, numbers from the same records as the figures: a picture shows nothing that the
figures do not tell. Its size is bounded here, how much is drawn at once in `city/records/insight/kept.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from city.database import ReadSession
from city.errors import InvalidInput
from city.records.insight import hotspots
from city.records.insight.figures import SHARES, Question, figures
from city.records.insight.insight import LEAST, Period, Scope, Sieve
from city.records.insight.lines import layers
from city.registry.municipality import MunicipalityView
from city.texts import text
from geo.hotspots import CITY_CELL_METRES, PROVINCE_CELL_METRES, Grid
from geo.picture import Picture, Style, bounds_of
from geo.place import Place

Subject = Literal["heat", "hotspots", "zones"]
USUAL_WIDTH, SMALLEST_WIDTH, LARGEST_WIDTH = 1200, 900, 2000

SCALE: Final = ("#ffeda0", "#feb24c", "#fc7a37", "#e31a1c", "#96001f")
HOT: Final = ("#f4a582", "#d6604d", "#a50f26")
COLD: Final = ("#92c5de", "#4393c3", "#1c5290")
GROUND, EDGE, ZONE_EDGE, OTHERS = "#ffffff", "#333333", "#555555", "#bbbbbb"
ZONE_OPACITY: Final = 0.6
"""Words have to be read on it."""
NAME_SIZE: Final = 14.0
SURE: Final = (0.01, 0.001)
"""Below these q a hot spot is very likely, and nearly certain."""
BARE: Final = Style(fill=GROUND, hatch="#cccccc")
_HEAT: Final = """
SELECT floor((lon - %(west)s) / %(column_degrees)s)::integer, floor((lat - %(south)s) / %(row_degrees)s)::integer,
  count(*)
FROM report WHERE {scope} AND report.created_at >= %(start_at)s AND report.created_at < %(end_at)s{sieve}
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the picture is to show, and how."""

    subject: Subject
    period: Period
    sieve: Sieve
    layer: str | None
    """Whose zones are drawn; None: of the layer that covers most."""
    figure: str
    language: str
    width: int
    now: datetime


def draw(session: ReadSession, scope: Scope, sheet: Sheet, kind: Literal["png", "svg"]) -> bytes:
    """The picture. Raises InvalidInput, Forbidden."""
    sheet.sieve.clauses(scope)  # whether what is asked for is there
    picture = _Page(session, scope, sheet).drawn()
    return picture.png() if kind == "png" else picture.svg().encode()


class _Page:
    """One picture while it is drawn."""

    def __init__(self, session: ReadSession, scope: Scope, sheet: Sheet) -> None:
        self._session, self._scope, self._sheet = session, scope, sheet
        self._boundaries = dict(zip(scope.registry.boundaries.keys, scope.registry.boundaries.areas, strict=True))
        own = scope.municipality
        alone = own is not None and own.id in self._boundaries
        self._ours = [self._boundaries[own.id]] if own and alone else list(self._boundaries.values())
        self._layer = fitting_layer(own, sheet.layer) if own else None
        self._zones = _zone_shapes(own, self._layer, sheet.period) if own and self._layer else {}

    def drawn(self) -> Picture:
        subject = {"heat": self._heat, "hotspots": self._hotspots, "zones": self._by_zone}
        return subject[self._sheet.subject]()

    # --- words -------------------------------------------------------------------------------------------------------

    def _said(self, key: str, **values: object) -> str:
        return text(f"insight.{key}", language=self._sheet.language, **values)

    def _number(self, value: float) -> str:
        shown = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"  # noqa: PLR2004
        return shown if self._sheet.language == "en" else shown.translate(str.maketrans(",.", ".,"))

    def _place(self) -> str:
        return self._scope.municipality.name if self._scope.municipality else self._said("map.everywhere")

    def _what(self) -> str:
        sieve, language = self._sheet.sieve, self._sheet.language
        own = self._scope.municipality
        if own and sieve.category and sieve.category in own.categories:
            return own.categories[sieve.category].name(language)
        return self._scope.groups[sieve.group].name(language) if sieve.group else self._said("map.everything")

    def _period(self) -> str:
        period = self._sheet.period
        return self._said("map.period", first=f"{period.first:%d/%m/%Y}", last=f"{period.last:%d/%m/%Y}")

    def _note(self, *more: str) -> str:
        day = f"{self._sheet.now.astimezone(self._scope.zone):%d/%m/%Y}"
        return " ".join((self._said("map.note" if self._scope.is_public else "map.note_staff", day=day), *more))

    def _picture(self, title: str, subtitle: list[str], note: str) -> Picture:
        """The sheet with its ground: the neighbours' boundaries, and our own land white."""
        bounds = bounds_of(*self._ours)
        picture = Picture(bounds, self._sheet.width, title=title, subtitle=" · ".join(subtitle), note=note)
        for boundary in self._boundaries.values():
            picture.line(boundary, Style(stroke=OTHERS))
        for boundary in self._ours:
            picture.area(boundary, Style(fill=GROUND))
        return picture

    def _over(self, picture: Picture) -> None:
        """What is drawn above the colours: borders of zones and of the municipality, and names."""
        for shape in self._zones.values():
            picture.line(shape, Style(stroke=ZONE_EDGE, width=0.8))
        for boundary in self._ours:
            picture.line(boundary, Style(stroke=EDGE, width=1.8))
        own = self._scope.municipality
        if own:
            for (_, name), shape in self._zones.items():
                picture.label(_middle(shape), name, size=NAME_SIZE)
        else:
            for key, boundary in self._boundaries.items():
                picture.label(_middle(boundary), self._scope.registry.municipalities[key].name)
        picture.legend(self._said("map.boundary"), Style(stroke=EDGE, width=1.8), "line")
        if self._zones:
            picture.legend(self._said("map.zone"), Style(stroke=ZONE_EDGE, width=0.8), "line")

    # --- heat --------------------------------------------------------------------------------------------------------

    def _heat(self) -> Picture:
        grid = Grid.over(bounds_of(*self._ours), CITY_CELL_METRES if self._scope.municipality else PROVINCE_CELL_METRES)
        counted = self._counted(grid)
        note = self._note(self._said("map.few_squares", metres=self._number(grid.cell_metres)))
        title = self._said("map.heat", place=self._place())
        total = sum(counted.values())
        said = [self._what(), self._period()]
        if total >= LEAST or not self._scope.is_public:
            said.append(self._said("map.total", count=self._number(total)))
        picture = self._picture(title, said, note)
        shown = {cell: count for cell, count in counted.items() if count >= LEAST}
        edges = counted_classes(list(shown.values()))
        for (least, most), colour in zip(edges, colours(len(edges)), strict=True):
            squares = [grid.square(*cell) for cell, count in shown.items() if least <= count <= most]
            picture.area(self._on_land(squares), Style(fill=colour))
            picture.legend(self._range(least, most), Style(fill=colour))
        if not edges:
            picture.legend(self._said("map.no_square", least=LEAST), Style(fill=GROUND, stroke=OTHERS))
        self._over(picture)
        return picture

    def _counted(self, grid: Grid) -> dict[tuple[int, int], int]:
        clause, values = self._scope.clause()
        sieved, more = self._sheet.sieve.clauses(self._scope)
        rows = self._session.raw.execute(
            _HEAT.format(scope=clause, sieve=sieved),
            values
            | more
            | {
                "west": grid.west,
                "south": grid.south,
                "column_degrees": grid.column_degrees,
                "row_degrees": grid.row_degrees,
                "start_at": self._sheet.period.start_at,
                "end_at": self._sheet.period.end_at,
            },
        )
        return {(column, row): count for column, row, count in rows}

    def _on_land(self, squares: list[shapely.Polygon]) -> BaseGeometry:
        """The squares as one shape, cut where our land ends: nobody reports the sea."""
        land = shapely.union_all(np.array(self._ours, dtype=object))
        return shapely.intersection(shapely.union_all(np.array(squares, dtype=object)), land)

    def _range(self, least: int, most: int) -> str:
        key = "map.class_one" if least == most else "map.class_range"
        return self._said(key, least=self._number(least), most=self._number(most))

    # --- hot spots ---------------------------------------------------------------------------------------------------

    def _hotspots(self) -> Picture:
        found = hotspots.features(self._session, self._scope, self._sheet.sieve.group)
        title = self._said("map.hotspots", place=self._place())
        if found["computed_at"] is None:
            picture = self._picture(title, [self._what()], self._note(self._said("map.not_yet")))
            self._over(picture)
            return picture
        metres = self._number(found["cell_metres"])
        day = f"{datetime.fromisoformat(found['computed_at']).astimezone(self._scope.zone):%d/%m/%Y}"
        said = [self._what(), self._said("map.since", day=day)]
        picture = self._picture(
            title,
            said,
            self._note(self._said("map.chance", metres=metres)),
        )
        by_class: dict[str, list[shapely.Polygon]] = {}
        for feature in found["features"]:
            ring = feature["geometry"]["coordinates"][0]
            by_class.setdefault(_sureness(feature["properties"]), []).append(shapely.Polygon(ring))
        for name, colour in _SPOT_COLOURS.items():
            if name in by_class:
                picture.area(self._on_land(by_class[name]), Style(fill=colour, opacity=0.9))
                picture.legend(self._said(f"map.{name}"), Style(fill=colour, opacity=0.9))
        if not by_class:
            picture.legend(self._said("map.nothing"), Style(fill=GROUND, stroke=OTHERS))
        self._over(picture)
        return picture

    # --- zones -------------------------------------------------------------------------------------------------------

    def _by_zone(self) -> Picture:
        sheet = self._sheet
        asked = Question("zone", self._layer, sheet.period, sheet.sieve, sheet.now)
        rows = {row["key"]: row for row in figures(self._session, self._scope, asked)}
        name = self._said(f"figure.{sheet.figure}")
        title = self._said("map.zones", place=self._place(), figure=name)
        picture = self._picture(title, [self._what(), self._period()], self._note())
        values = {code: self._value(rows.get(code)) for code, _ in self._zones}
        edges = even_classes([value for value in values.values() if value is not None])
        for (least, most), colour in zip(edges, colours(len(edges)), strict=True):
            for (code, _), shape in self._zones.items():
                value = values[code]
                if value is not None and least <= round(value) <= most:
                    picture.area(shape, Style(fill=colour, opacity=ZONE_OPACITY))
            picture.legend(self._range(least, most), Style(fill=colour, opacity=ZONE_OPACITY))
        unknown = [shape for (code, _), shape in self._zones.items() if values[code] is None]
        for shape in unknown:
            picture.area(shape, BARE)
        if unknown:
            picture.legend(self._said("map.no_figure"), BARE)
        self._zones = {
            (code, f"{name}: {self._number(value)}" if (value := values[code]) is not None else name): shape
            for (code, name), shape in self._zones.items()
        }
        self._over(picture)
        return picture

    def _value(self, row: dict[str, Any] | None) -> float | None:
        value = row[self._sheet.figure] if row else None
        if value is None:
            return None
        return float(value) * 100 if self._sheet.figure in SHARES else float(value)


_SPOT_COLOURS: Final = {
    **{f"hot_{step}": HOT[step - 1] for step in (3, 2, 1)},
    **{f"cold_{step}": COLD[step - 1] for step in (1, 2, 3)},
}


def _sureness(properties: dict[str, Any]) -> str:
    step = 1 + sum(properties["q"] <= q for q in SURE)
    return f"{properties['kind']}_{step}"


def counted_classes(values: list[int]) -> list[tuple[int, int]]:
    """At most five ranges of counts with round ends, both included: 5–9, 10–19, 20–49 … the last ones the widest."""
    if not values:
        return []
    least, most = min(values), max(values)
    rounds = [step * 10**power for power in range(10) for step in (1, 2, 5)]
    starts = [least, *(edge for edge in rounds if least < edge <= most)]
    starts = [least, *starts[1:][-(len(SCALE) - 1) :]]
    return [*((start, following - 1) for start, following in pairwise(starts)), (starts[-1], most)]


def even_classes(values: list[float]) -> list[tuple[int, int]]:
    """At most five ranges of whole numbers, equally wide, counted from zero: what is nearly alike is drawn alike."""
    if not values:
        return []
    most = max(round(value) for value in values)
    rounds = (step * 10**power for power in range(10) for step in (1, 2, 5))
    step = next(wide for wide in rounds if wide * len(SCALE) > most)
    return [(start, start + step - 1) for start in range(0, most + 1, step)]


def colours(many: int) -> list[str]:
    """The first so many colours of the scale: few classes do not look alarming."""
    return list(SCALE[:many])


def fitting_layer(municipality: MunicipalityView, wished: str | None) -> str | None:
    """The zone layer wished for; else of those that cover most the one with most zones: districts, not roads or parks.

    Raises InvalidInput.
    """
    known = layers(municipality)
    if wished is not None:
        if wished not in known:
            raise InvalidInput("insight.which_layer", field="layer", value=wished, known=", ".join(known) or "-")
        return wished
    areas = dict(zip(municipality.index.keys, shapely.area(municipality.index.areas).tolist(), strict=True))
    of_layer = {layer: [k for k in areas if municipality.zones[k].layer == layer] for layer in known}
    covered = {layer: sum(areas[key] for key in keys) for layer, keys in of_layer.items()}
    widest = [layer for layer in known if covered[layer] > 0.8 * max(covered.values())]
    return max(widest, key=lambda layer: len(of_layer[layer])) if widest else None


def _zone_shapes(municipality: MunicipalityView, layer: str, period: Period) -> dict[tuple[str, str], BaseGeometry]:
    """The zones of a layer as they were on the period's last day, by code and name."""
    shapes = zip(municipality.index.keys, municipality.index.areas, strict=True)
    found = [(municipality.zones[key], shape) for key, shape in shapes]
    return {
        (zone.code, zone.name): shape for zone, shape in found if zone.layer == layer and zone.counts_on(period.last)
    }


def _middle(shape: BaseGeometry) -> Place:
    point = shapely.point_on_surface(shape)
    return Place(point.x, point.y)
