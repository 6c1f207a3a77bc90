"""What is wrong with a layer of areas: invalid rings, overlaps, gaps, slivers, what lies outside, what comes twice.

Shapes are laid over one another in degrees; areas and lengths are measured on a cylindrical equal-area projection of
the WGS84 ellipsoid that is true to scale at the layer's middle latitude (Snyder 1987, Map Projections, p. 81), so areas
are exact and lengths within 1 % over a province.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

SLIVER_METRES: Final = 10.0
"""An overlap or gap narrower than this is a sliver: two offices drew the same border twice."""
SMALLEST_M2: Final = 1.0
"""Less than this is rounding, no fault."""
OUTSIDE_SHARE: Final = 0.001
"""A shape with less than this share outside the boundary only follows another drawing of it."""
TILING_SHARE: Final = 0.5
"""A layer that covers less of its boundary is not meant to cover it (parks), and has no gaps."""

SERIOUS: Final = frozenset({"repaired", "overlaps", "gaps", "outside"})
"""Kinds of faults that stand against publishing a layer."""

EQUATOR_METRES: Final = 6_378_137.0
ECCENTRICITY: Final = math.sqrt(0.00669437999014)


class Area(NamedTuple):
    """A shape to check, with what people call it."""

    code: str
    name: str
    shape: BaseGeometry | None


class Repair(NamedTuple):
    """An invalid shape and what became of it: the reason GEOS gives, and its area before and after, in m²."""

    position: int
    reason: str
    before_m2: float
    after_m2: float


class Overlap(NamedTuple):
    """Two areas (positions) that share ground."""

    one: int
    other: int
    shape: BaseGeometry
    m2: float
    width_metres: float

    @property
    def is_sliver(self) -> bool:
        """Whether it is only a border drawn twice."""
        return self.width_metres < SLIVER_METRES


class Gap(NamedTuple):
    """Ground inside the boundary that no area covers."""

    shape: BaseGeometry
    m2: float
    width_metres: float

    @property
    def is_sliver(self) -> bool:
        """Whether it is only a border drawn twice."""
        return self.width_metres < SLIVER_METRES


class Outside(NamedTuple):
    """An area (position) that reaches over the boundary: the share of it outside (0 to 1), and how much."""

    position: int
    share: float
    m2: float
    shape: BaseGeometry
    width_metres: float

    @property
    def is_sliver(self) -> bool:
        """Whether it only follows another drawing of the boundary."""
        return self.width_metres < SLIVER_METRES


@dataclass(frozen=True)
class Faults:
    """What was found, the largest first, and the repaired shapes in the order given (None: nothing to keep)."""

    names: list[str]
    shapes: list[BaseGeometry | None]
    empty: list[int] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    same_codes: dict[str, int] = field(default_factory=dict)
    """Codes that come more than once, and how often."""
    same_names: dict[str, int] = field(default_factory=dict)
    covered: float | None = None
    """The share of the boundary that is covered; None without a boundary."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all was found."""
        return not self.counts()

    def counts(self) -> dict[str, int]:
        """How many of each kind were found; kinds that were not are left out."""
        kinds = {
            "repaired": len(self.repairs),
            "empty": len(self.empty),
            "overlaps": sum(not overlap.is_sliver for overlap in self.overlaps),
            "overlap_slivers": sum(overlap.is_sliver for overlap in self.overlaps),
            "gaps": sum(not gap.is_sliver for gap in self.gaps),
            "gap_slivers": sum(gap.is_sliver for gap in self.gaps),
            "outside": sum(not piece.is_sliver for piece in self.outside),
            "outside_slivers": sum(piece.is_sliver for piece in self.outside),
            "same_codes": len(self.same_codes),
            "same_names": len(self.same_names),
        }
        return {kind: count for kind, count in kinds.items() if count}

    def serious(self) -> dict[str, int]:
        """Those of them for which reports would go astray: with borders drawn twice (slivers) one can live."""
        return {kind: count for kind, count in self.counts().items() if kind in SERIOUS}

    def as_json(self, most: int = 200) -> dict[str, Any]:
        """Counts, sums and the `most` largest of each kind, as JSON values."""
        return {
            "areas": len(self.names),
            "covered_share": None if self.covered is None else round(self.covered, 5),
            "empty": [self.names[position] for position in self.empty],
            "repaired": [
                {
                    "name": self.names[repair.position],
                    "reason": repair.reason,
                    "before_m2": round(repair.before_m2, 1),
                    "after_m2": round(repair.after_m2, 1),
                }
                for repair in self.repairs
            ],
            "overlaps": {
                **_summary(self.overlaps),
                "largest": [
                    {
                        "one": self.names[overlap.one],
                        "other": self.names[overlap.other],
                        "m2": round(overlap.m2, 1),
                        "width_metres": round(overlap.width_metres, 2),
                    }
                    for overlap in self.overlaps[:most]
                ],
            },
            "gaps": {
                **_summary(self.gaps),
                "largest": [
                    {
                        "m2": round(gap.m2, 1),
                        "width_metres": round(gap.width_metres, 2),
                        "at": [round(value, 6) for value in gap.shape.representative_point().coords[0]],
                    }
                    for gap in self.gaps[:most]
                ],
            },
            "outside": [
                {
                    "name": self.names[piece.position],
                    "percent": round(piece.share * 100, 2),
                    "m2": round(piece.m2, 1),
                }
                for piece in self.outside[:most]
            ],
            "same_codes": self.same_codes,
            "same_names": self.same_names,
        }

    def as_geojson(self) -> dict[str, Any]:
        """Every fault that has a place, to look at on a map."""
        features = [
            _feature(overlap.shape, "overlap", overlap.m2, one=self.names[overlap.one], other=self.names[overlap.other])
            for overlap in self.overlaps
        ]
        features += [_feature(gap.shape, "gap", gap.m2) for gap in self.gaps]
        features += [
            _feature(piece.shape, "outside", piece.m2, name=self.names[piece.position]) for piece in self.outside
        ]
        features += [
            _feature(shape, "repaired", repair.after_m2, name=self.names[repair.position], reason=repair.reason)
            for repair in self.repairs
            if (shape := self.shapes[repair.position]) is not None
        ]
        return {"type": "FeatureCollection", "features": features}


def check(areas: Sequence[Area], boundary: BaseGeometry | None = None) -> Faults:
    """Repair and check areas (WGS84) within `boundary`. Pure: nothing given is changed."""
    measure = Measure(areas, boundary)
    shapes, repairs = _repaired(areas, measure)
    whole = shapely.union_all(np.array([shape for shape in shapes if shape is not None], dtype=object))
    covered = None
    if boundary is not None:
        covered = measure.m2(shapely.intersection(whole, boundary)) / max(measure.m2(boundary), SMALLEST_M2)
    return Faults(
        names=[area.name or area.code for area in areas],
        shapes=shapes,
        empty=[position for position, shape in enumerate(shapes) if shape is None],
        repairs=repairs,
        overlaps=_overlaps(shapes, measure),
        gaps=_gaps(whole, boundary, measure) if covered is None or covered >= TILING_SHARE else [],
        outside=_outside(shapes, boundary, measure) if boundary is not None else [],
        same_codes=_repeated([area.code for area in areas]),
        same_names=_repeated([area.name for area in areas]),
        covered=covered,
    )


def left_over(ground: BaseGeometry, taken: Sequence[BaseGeometry]) -> BaseGeometry:
    """What of the ground (WGS84) nobody has taken; strips as narrow as a border drawn twice are left out."""
    rest = shapely.difference(ground, shapely.union_all(np.array(taken, dtype=object))) if taken else ground
    parts = np.array(polygons_of(rest), dtype=object)
    if not len(parts):
        return shapely.MultiPolygon()
    _, widths = Measure([], ground).sizes(parts)
    return shapely.MultiPolygon(list(parts[widths >= SLIVER_METRES]))


def repaired(shape: BaseGeometry) -> BaseGeometry | None:
    """The shape as valid areas only: lines and points that come of the repair are left out; None if nothing is left."""
    valid = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
    polygons = polygons_of(valid)
    if not polygons:
        return None
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def square_metres(shape: BaseGeometry) -> float:
    """The area of a WGS84 shape on the ellipsoid, in m²."""
    return Measure([Area("", "", shape)], None).m2(shape)


class Measure:
    """Metres and square metres around one middle latitude."""

    def __init__(self, areas: Sequence[Area], boundary: BaseGeometry | None = None) -> None:
        known = [area.shape for area in areas if area.shape is not None] if boundary is None else [boundary]
        bounds = shapely.total_bounds(np.array(known, dtype=object)) if known else (0, 0, 0, 0)
        middle = (bounds[1] + bounds[3]) / 2
        sine = math.sin(math.radians(middle if math.isfinite(middle) else 0.0))
        self._scale = max(1e-6, math.sqrt(1 - sine**2)) / math.sqrt(1 - (ECCENTRICITY * sine) ** 2)

    def flat(self, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees (n, 2) → metres (n, 2)."""
        sine = np.sin(np.radians(degrees[:, 1]))
        bent = ECCENTRICITY * sine
        authalic = (1 - ECCENTRICITY**2) * (sine / (1 - bent**2) - np.log((1 - bent) / (1 + bent)) / (2 * ECCENTRICITY))
        east = EQUATOR_METRES * self._scale * np.radians(degrees[:, 0])
        return np.column_stack([east, EQUATOR_METRES * authalic / (2 * self._scale)])

    def m2(self, shape: BaseGeometry) -> float:
        """The area in m²."""
        return float(shapely.area(shapely.transform(shape, self.flat)))

    def sizes(self, shapes: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Areas in m², and widths in metres: that of the strip with the same area and outline."""
        flat = shapely.transform(shapes, self.flat)
        area, outline = shapely.area(flat), shapely.length(flat)
        return area, np.divide(2 * area, outline, out=np.zeros_like(area), where=outline > 0)


def _repaired(areas: Sequence[Area], measure: Measure) -> tuple[list[BaseGeometry | None], list[Repair]]:
    shapes: list[BaseGeometry | None] = []
    repairs = []
    for position, area in enumerate(areas):
        if area.shape is None or area.shape.is_empty:
            shapes.append(None)
            continue
        shape = repaired(area.shape)
        if not shapely.is_valid(area.shape):
            after = 0.0 if shape is None else measure.m2(shape)
            repairs.append(Repair(position, shapely.is_valid_reason(area.shape), measure.m2(area.shape), after))
        shapes.append(shape)
    return shapes, repairs


def _overlaps(shapes: Sequence[BaseGeometry | None], measure: Measure) -> list[Overlap]:
    positions = np.array([position for position, shape in enumerate(shapes) if shape is not None])
    known = np.array([shape for shape in shapes if shape is not None], dtype=object)
    if len(known) == 0:
        return []
    ones, others = STRtree(known).query(known, predicate="intersects")
    ones, others = ones[ones < others], others[ones < others]
    shared = _areas_of(shapely.intersection(known[ones], known[others]))
    areas, widths = measure.sizes(shared)
    found = [
        Overlap(int(positions[one]), int(positions[other]), shape, float(m2), float(width))
        for one, other, shape, m2, width in zip(ones, others, shared, areas, widths, strict=True)
        if m2 > SMALLEST_M2
    ]
    return sorted(found, key=lambda overlap: -overlap.m2)


def _gaps(whole: BaseGeometry, boundary: BaseGeometry | None, measure: Measure) -> list[Gap]:
    """What the boundary has and the areas have not; without a boundary, the holes inside them."""
    if boundary is None:
        holes = [shapely.Polygon(ring) for part in polygons_of(whole) for ring in part.interiors]
    else:
        holes = polygons_of(shapely.difference(boundary, whole))
    if not holes:
        return []
    pieces = np.array(holes, dtype=object)
    areas, widths = measure.sizes(pieces)
    found = [
        Gap(shape, float(m2), float(width))
        for shape, m2, width in zip(pieces, areas, widths, strict=True)
        if m2 > SMALLEST_M2
    ]
    return sorted(found, key=lambda gap: -gap.m2)


def _outside(shapes: Sequence[BaseGeometry | None], boundary: BaseGeometry, measure: Measure) -> list[Outside]:
    shapely.prepare(boundary)
    found = []
    for position, shape in enumerate(shapes):
        if shape is None or shapely.contains(boundary, shape):
            continue
        piece = shapely.difference(shape, boundary)
        m2 = measure.m2(piece)
        share = m2 / max(measure.m2(shape), SMALLEST_M2)
        if m2 > SMALLEST_M2 and share > OUTSIDE_SHARE:
            _, widths = measure.sizes(np.array(polygons_of(piece), dtype=object))
            found.append(Outside(position, min(1.0, share), m2, piece, float(widths.max())))
    return sorted(found, key=lambda piece: -piece.share)


def _areas_of(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Only what has an area: neighbours also share lines and points."""
    kept = [
        shape if shape.geom_type in {"Polygon", "MultiPolygon"} else shapely.MultiPolygon(polygons_of(shape))
        for shape in shapes
    ]
    return np.array(kept, dtype=object)


def polygons_of(shape: BaseGeometry) -> list[shapely.Polygon]:
    """The single areas, however deep they lie; lines and points are left out."""
    return [part for part in _flat(shape) if isinstance(part, shapely.Polygon) and not part.is_empty]


def _flat(shape: BaseGeometry) -> list[BaseGeometry]:
    """The single parts, however deep they lie."""
    parts = list(shapely.get_parts(shape))
    return [piece for part in parts for piece in (_flat(part) if hasattr(part, "geoms") else [part])]


def _repeated(values: Sequence[str]) -> dict[str, int]:
    return {value: count for value, count in Counter(values).items() if value and count > 1}


def _summary(found: Sequence[Overlap] | Sequence[Gap]) -> dict[str, Any]:
    slivers = [one for one in found if one.is_sliver]
    return {
        "count": len(found),
        "m2": round(sum(one.m2 for one in found), 1),
        "slivers": len(slivers),
        "slivers_m2": round(sum(one.m2 for one in slivers), 1),
    }


def _feature(shape: BaseGeometry, fault: str, m2: float, **properties: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"fault": fault, "m2": round(m2, 1), **properties},
        "geometry": orjson.loads(shapely.to_geojson(shape)),
    }
