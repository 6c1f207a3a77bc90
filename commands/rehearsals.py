"""Try other rules or zones on past reports, and show who would have got what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select

from city.database import PROVINCE, provincial, reading
from city.registry import view
from city.registry.ground import with_zones
from city.registry.municipality import MunicipalityView, RuleView
from city.registry.tables import ZoneLayer
from city.registry.territory import PROVINCE_SLUG, slug_of
from city.reports import coverage, rehearsal
from city.reports.coverage import Dangling
from city.reports.rehearsal import Move, Rehearsal
from city.reports.routing import Routing
from city.texts import operator_language, said
from commands.import_results import figure, print_json
from commands.layers import Source
from commands.rule_files import read_rules
from commands.zone_import import ZoneTarget, read_zones
from geo.picture import Picture, Style, bounds_of

PALETTE: Final = ("#d7191c", "#1f78b4", "#2c9f45", "#7b3294", "#e07b00", "#0b8a8a", "#b03a77", "#5b5b00")
STAYS: Final = Style(fill="#b5b5b5")
BORDER: Final = Style(stroke="#444444", width=2.5)
ZONE: Final = Style(stroke="#8fa8c2", width=1.0)
MOST_DRAWN: Final = 20_000
"""Grey dots on a picture; more make it no clearer."""
MOST_ROWS: Final = 20
MOST_SHOWN: Final = 1
"""Examples of a move on the terminal; JSON has more."""


@dataclass(frozen=True)
class Trial:
    """What to try: rules, or zones for a layer, or both."""

    municipality: str
    rules: Path | None
    zones: Path | None
    layer: str | None
    months: int
    half_width_metres: float | None = None
    crs: str | None = None


@dataclass(frozen=True)
class Tried:
    """What came of it, and what saving would refuse: names that are not there, rules that tie."""

    trial: Trial
    rehearsal: Rehearsal
    after: MunicipalityView
    boundary: BaseGeometry | None
    dangling: list[Dangling]
    ties: list[tuple[RuleView, RuleView]]
    day: date

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            **self.rehearsal.as_json(),
            "months": self.trial.months,
            "dangling": [{"rule": one.rule.id, "what": one.what, "name": one.name} for one in self.dangling],
            "ties": [[one.id, other.id] for one, other in self.ties],
        }


def try_out(trial: Trial, now: datetime) -> Tried:
    """Route the reports of the last months as they are routed today, and as they would be.

    Raises InvalidInput for files that cannot be read, NotFound for a municipality that is not there.
    """
    registry = view.newest()
    before = registry.municipality(trial.municipality)
    day = before.local(now).date()
    after = before
    if trial.zones is not None:
        after = _with_zones(after, trial)
    if trial.rules is not None:
        given = read_rules(trial.rules, trial.municipality)
        owners = {PROVINCE_SLUG: PROVINCE, trial.municipality: before.id}
        after = rehearsal.with_rules(after, {owners[slug]: rules for slug, rules in given.items() if slug in owners})
    with reading(before.id) as session:
        reports = rehearsal.past_reports(session.raw, before, trial.months)
    known = {(one.rule.id, one.what) for one in coverage.dangling(before, day)}
    return Tried(
        trial,
        rehearsal.rehearse(before, after, reports, day),
        after,
        registry.boundaries.area(before.id),
        [one for one in coverage.dangling(after, day) if (one.rule.id, one.what) not in known],
        coverage.ties(after, day),
        day,
    )


def _with_zones(municipality: MunicipalityView, trial: Trial) -> MunicipalityView:
    assert trial.zones is not None
    slug = slug_of(trial.layer or "")
    with provincial() as session:
        of_layer = select(ZoneLayer).where(
            ZoneLayer.slug == slug, ZoneLayer.municipality_id.in_({PROVINCE, municipality.id})
        )
        known = session.scalars(of_layer.order_by(ZoneLayer.municipality_id.desc())).first()
        kind = known.kind if known else "corridors" if trial.half_width_metres else "areas"
        target = ZoneTarget(trial.municipality, slug, kind, trial.half_width_metres)
        _, zones = read_zones(session, Source(trial.zones, trial.crs), target)
    return with_zones(municipality, slug, zones, known.tolerance_metres if known else 0.0)


# --- on paper --------------------------------------------------------------------------------------------------------


def as_geojson(tried: Tried) -> dict[str, Any]:
    """The public reports that would go elsewhere, as points."""
    reports = tried.rehearsal.reports
    categories = tried.rehearsal.municipality.category_ids
    features = [
        {
            "type": "Feature",
            "properties": {
                "number": reports.numbers[one],
                "category": categories[int(reports.categories[one])].slug,
                "from": move.before.slug,
                "to": move.after.slug,
            },
            "geometry": {"type": "Point", "coordinates": [float(reports.lons[one]), float(reports.lats[one])]},
        }
        for move in tried.rehearsal.moves
        for one in _public(tried, move).tolist()
    ]
    return {"type": "FeatureCollection", "features": features}


def picture_of(tried: Tried) -> Picture:
    """Where the reports are that would go elsewhere, coloured by where to; only public ones."""
    found, language = tried.rehearsal, operator_language()
    reports = found.reports
    bounds = bounds_of(tried.boundary) if tried.boundary is not None else bounds_of(*tried.after.index.areas)
    picture = Picture(
        bounds,
        title=said("rehearsal.picture_title", name=found.municipality.name),
        subtitle=_summary(tried),
        note=said("rehearsal.picture_note"),
    )
    layers = _layers(tried)
    for key, area in zip(tried.after.index.keys, tried.after.index.areas, strict=True):
        if tried.after.zones[key].counts_on(tried.day) and tried.after.zones[key].layer in layers:
            picture.line(area, ZONE)
    picture.line(tried.boundary, BORDER)
    moved = np.concatenate([position for move in found.moves for position in move.positions] or [np.zeros(0, np.intp)])
    stays = reports.is_public.copy()
    stays[moved] = False
    still = stays.nonzero()[0][:MOST_DRAWN]
    picture.dots(reports.lons[still], reports.lats[still], STAYS, 2)
    picture.legend(said("rehearsal.stays", count=figure(len(reports) - found.changed)), STAYS, mark="dot")
    for number, move in enumerate(found.moves[: len(PALETTE)]):
        style = Style(fill=PALETTE[number], stroke="#ffffff", width=0.7)
        public = _public(tried, move)
        picture.dots(reports.lons[public], reports.lats[public], style, 4)
        names = {"before": move.before.name(language), "after": move.after.name(language)}
        picture.legend(said("rehearsal.move", count=figure(move.count), **names), style, mark="dot")
    return picture


def _layers(tried: Tried) -> set[str | None]:
    """The layers that matter: the one that is tried, else those of which the tried rules speak."""
    if tried.trial.layer is not None:
        return {slug_of(tried.trial.layer)}
    return {rule.layer for rule in tried.after.rules if rule.id < 0}


def _public(tried: Tried, move: Move) -> Any:
    positions = np.concatenate(move.positions)
    return positions[tried.rehearsal.reports.is_public[positions]]


# --- on the terminal -------------------------------------------------------------------------------------------------


def show(tried: Tried, *, as_json: bool) -> None:
    """Who would get what, with examples and reasons."""
    if as_json:
        print_json(tried.as_json())
        return
    console = Console(markup=False, highlight=False)
    found = tried.rehearsal
    console.print(said("rehearsal.title", name=found.municipality.name, months=tried.trial.months), style="bold")
    console.print(_summary(tried))
    for key in ("other_crew", "would_wait", "would_not_wait"):
        count = getattr(found, key)
        if count:
            console.print(said(f"rehearsal.{key}", count=figure(count)))
    if found.moves:
        console.print(_moves(tried))
    for one in tried.dangling:
        console.print("! " + said(f"zones.dangling_{one.what}", rule=_called(one.rule), name=one.name), soft_wrap=True)
    for one_rule, other in tried.ties:
        console.print("! " + said("zones.tie", one=_called(one_rule), other=_called(other)), soft_wrap=True)
    console.print(said("rehearsal.nothing_written"))


def _summary(tried: Tried) -> str:
    found = tried.rehearsal
    share = 100 * found.changed / len(found.reports) if len(found.reports) else 0.0
    return said(
        "rehearsal.summary", reports=figure(len(found.reports)), changed=figure(found.changed), share=figure(share, 1)
    )


def _moves(tried: Tried) -> Table:
    language = operator_language()
    categories = tried.rehearsal.municipality.categories
    table = Table(show_lines=True)
    for column in ("from_to", "count", "categories", "examples"):
        table.add_column(said(f"rehearsal.column_{column}"), overflow="fold")
    for move in tried.rehearsal.moves[:MOST_ROWS]:
        kinds = sorted(move.by_category.items(), key=lambda one: -one[1])
        examples = [
            f"{example.number}\n  {said('rehearsal.before')} {_reason(example.before)}"
            f"\n  {said('rehearsal.after')} {_reason(example.after)}"
            for example in move.examples[:MOST_SHOWN]
        ]
        table.add_row(
            f"{move.before.name(language)}\n→ {move.after.name(language)}",
            figure(move.count),
            "\n".join(f"{categories[slug].name(language)} {figure(count)}" for slug, count in kinds[:4]),
            "\n".join(examples) or said("rehearsal.only_hidden"),
        )
    return table


def _reason(routing: Routing) -> str:
    if routing.problem:
        return said(routing.problem)
    return said("rehearsal.fallback") if routing.rule is None else _called(routing.rule)


def _called(rule: RuleView) -> str:
    """A rule as a clerk knows it: its number, and its note or what it says."""
    number = said("rehearsal.new_rule", number=-rule.id) if rule.id < 0 else f"{rule.id}"
    if rule.note:
        return f"{number}: {rule.note(operator_language())}"
    where = "/".join(part for part in (rule.layer, rule.zone) if part)
    told = [part for part in (rule.category, rule.group, where) if part]
    return f"{number}: {', '.join(told) or said('rehearsal.any')} → {rule.department}"
