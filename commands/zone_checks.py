"""Check the zones that are in force, and the rules over them: what a clerk must know before a report goes astray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from city.database import ReadSession, provincial
from city.registry import publishing, versions, view
from city.registry.municipality import MunicipalityView, RuleView
from city.registry.tables import LayerPublication
from city.registry.versions import Owned
from city.reports import coverage
from city.reports.coverage import Dangling, Uncovered
from commands.zone_import import boundary_of
from geo.faults import Area, Faults, check

WHOLLY: Final = 0.999
"""A road with this share outside the boundary is nobody's here."""


@dataclass(frozen=True)
class LayerCheck:
    """A layer in force and its faults."""

    owned: Owned
    areas: list[Area]
    boundary: BaseGeometry | None
    faults: Faults
    publications: list[LayerPublication]

    @property
    def last(self) -> LayerPublication | None:
        """Who published it last."""
        return self.publications[0] if self.publications else None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        layer = self.owned.layer
        return {
            "owner": self.owned.owner.slug,
            "layer": layer.slug,
            "kind": layer.kind,
            "tolerance_metres": layer.tolerance_metres,
            "zones": len(self.areas),
            "faults": self.faults.as_json(),
            "serious": self.faults.serious(),
            "published": publication_json(self.last),
        }


@dataclass(frozen=True)
class RulesCheck:
    """The rules of a municipality over the zones in force."""

    municipality: MunicipalityView
    uncovered: list[Uncovered] = field(default_factory=list)
    dangling: list[Dangling] = field(default_factory=list)
    ties: list[tuple[RuleView, RuleView]] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every report finds its department."""
        return not (self.uncovered or self.dangling or self.ties)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "municipality": self.municipality.slug,
            "without_department": [
                {
                    "category": one.category.slug,
                    "m2": round(one.m2, 1),
                    "share": round(one.share, 5),
                    "minutes_a_week": one.minutes,
                    "zones": [f"{zone.layer}/{zone.code}" for zone in one.zones],
                }
                for one in self.uncovered
            ],
            "dangling": [{"rule": one.rule.id, "what": one.what, "name": one.name} for one in self.dangling],
            "ties": [[one.id, other.id] for one, other in self.ties],
        }


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    layers: list[LayerCheck]
    rules: list[RulesCheck]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found but borders drawn twice."""
        return not any(layer.faults.serious() for layer in self.layers) and all(rule.is_clean for rule in self.rules)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "clean": self.is_clean,
            "layers": [layer.as_json() for layer in self.layers],
            "rules": [rules.as_json() for rules in self.rules],
        }

    def as_geojson(self) -> dict[str, Any]:
        """Every fault that has a place."""
        features = []
        for layer in self.layers:
            whose = {"owner": layer.owned.owner.slug, "layer": layer.owned.layer.slug}
            found = layer.faults.as_geojson()["features"]
            features += [feature | {"properties": whose | feature["properties"]} for feature in found]
        for rules in self.rules:
            for ground, lacking in by_ground(rules.uncovered):
                properties = {
                    "owner": rules.municipality.slug,
                    "fault": "no_department",
                    "categories": [one.category.slug for one in lacking],
                    "m2": round(lacking[0].m2, 1),
                }
                geometry = orjson.loads(shapely.to_geojson(ground))
                features.append({"type": "Feature", "properties": properties, "geometry": geometry})
        return {"type": "FeatureCollection", "features": features}


def by_ground(found: Sequence[Uncovered]) -> list[tuple[BaseGeometry, list[Uncovered]]]:
    """Together what lacks a department on the same ground."""
    grounds: dict[bytes, tuple[BaseGeometry, list[Uncovered]]] = {}
    for one in found:
        grounds.setdefault(shapely.to_wkb(one.ground), (one.ground, []))[1].append(one)
    return list(grounds.values())


def publication_json(publication: LayerPublication | None) -> dict[str, Any] | None:
    """Who published a layer, as JSON values."""
    if publication is None:
        return None
    return {
        "at": publication.published_at.isoformat(),
        "by": publication.published_by,
        "source": publication.source,
        "valid_from": publication.valid_from.isoformat(),
        "faults": publication.faults,
        "accepted_because": publication.accepted_because,
    }


def check_zones(owner: str | None, layer: str | None, day: date) -> Checked:
    """The layers (of one owner, of one name; else all) as they are in force on `day`, and the rules over them.

    Rules are checked where no single layer was asked for. Raises NotFound.
    """
    with provincial() as session:
        layers = [_layer(session, owned, day) for owned in versions.layers(session, owner, layer)]
    registry = view.newest()
    if layer is not None:
        return Checked(layers, [])
    municipalities = [registry.slugs[owner]] if owner in registry.slugs else [] if owner else registry.slugs.values()
    rules = [
        RulesCheck(
            municipality,
            coverage.uncovered(municipality, boundary, day) if boundary is not None else [],
            coverage.dangling(municipality, day),
            coverage.ties(municipality, day),
        )
        for municipality in municipalities
        for boundary in [registry.boundaries.area(municipality.id)]
    ]
    return Checked(layers, rules)


def _layer(session: ReadSession, owned: Owned, day: date) -> LayerCheck:
    areas = versions.as_areas(versions.zones_on(session, owned.layer, day))
    boundary = boundary_of(session, owned.owner)
    faults = check(areas, boundary)
    if owned.layer.kind == "corridors":
        # Roads cross one another, leave the municipality and cover little of it: only one that is elsewhere is wrong.
        elsewhere = [piece for piece in faults.outside if piece.share > WHOLLY]
        faults = Faults(names=faults.names, shapes=faults.shapes, empty=faults.empty, outside=elsewhere)
    return LayerCheck(owned, areas, boundary, faults, publishing.publications(session, owned.layer))
