"""Zones, their faults and their changes as a picture for those who decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput
from city.registry.versions import Owned
from city.texts import operator_language, said
from commands.import_results import figure, size_of
from commands.zone_checks import Checked, LayerCheck
from geo.cells import Bounds
from geo.faults import Area
from geo.picture import Picture, Style, bounds_of
from geo.place import Place
from geo.zone_changes import Change

BOUNDARY: Final = Style(stroke="#444444", width=2.5)
ZONE: Final = Style(fill="#8fb3d9", opacity=0.35, stroke="#5b7fa6", width=1.0)
PLAIN: Final = Style(stroke="#5b7fa6", width=1.0)
OVERLAP: Final = Style(fill="#d7191c", opacity=0.75, stroke="#d7191c", width=1.5)
GAP: Final = Style(fill="#f2a900", opacity=0.75, stroke="#c98800", width=1.5)
SLIVER: Final = Style(fill="#7b3294", opacity=0.7, stroke="#7b3294", width=1.2)
OUTSIDE: Final = Style(fill="#0b8a6f", opacity=0.6, stroke="#0b8a6f", width=1.2)
REPAIRED: Final = Style(stroke="#000000", width=2.0, hatch="#000000")
NOBODY: Final = Style(hatch="#555555")
ADDED: Final = Style(fill="#2c9f45", opacity=0.45, stroke="#1b7a31", width=1.5)
REMOVED: Final = Style(fill="#d7191c", opacity=0.3, stroke="#a81214", width=1.5, hatch="#d7191c")
GAINED: Final = Style(fill="#1f78b4", opacity=0.65, stroke="#135a8a", width=1.0)
LOST: Final = Style(fill="#f2a900", opacity=0.5, stroke="#c98800", width=1.0)
BEFORE: Final = Style(stroke="#999999", width=1.0)
MOST_LABELS: Final = 8
LONGEST_LABEL: Final = 26


def save(picture: Picture, path: Path) -> None:
    """Write the picture as PNG or SVG, as the name says. Raises InvalidInput for another ending."""
    check_ending(path)
    if path.suffix.lower() == ".svg":
        path.write_text(picture.svg(), "utf-8")
    else:
        path.write_bytes(picture.png())


def check_ending(path: Path | None) -> None:
    """Raises InvalidInput for a picture that is neither PNG nor SVG: better before the work than after it."""
    if path is not None and path.suffix.lower() not in {".png", ".svg"}:
        raise InvalidInput("zones.picture_format", field="picture", value=path.name)


def of_faults(checked: Checked, day: str) -> Picture:
    """The layers that were checked, with what is wrong with them."""
    layers = checked.layers
    shapes = [layer.boundary for layer in layers]
    shapes += [area.shape for layer in layers for area in layer.areas]
    grounds = [one.ground for rules in checked.rules for one in rules.uncovered]
    names = ", ".join(dict.fromkeys(layer.owned.owner.name for layer in layers))
    titles = ", ".join(called(layer.owned) for layer in layers[:4]) + (" …" if len(layers) > 4 else "")  # noqa: PLR2004
    count = sum(sum(layer.faults.counts().values()) for layer in layers)
    picture = Picture(
        _bounds([*shapes, *grounds]),
        title=f"{names} – {titles}",
        subtitle=said("zones.picture_faults", count=figure(count), day=day),
        note="; ".join(_accepted(layer) for layer in layers if layer.last and layer.last.accepted_because),
    )
    for layer in layers:
        for area in layer.areas:
            picture.area(area.shape, ZONE if len(layers) == 1 else PLAIN)
    for ground in grounds[:1] if len({shapely.to_wkb(one) for one in grounds}) == 1 else grounds:
        picture.area(ground, NOBODY)
    for layer in layers:
        picture.line(layer.boundary, BOUNDARY)
        _draw_faults(picture, layer)
    for layer in layers:
        _label_faults(picture, layer)
    if len(layers) == 1:
        _label(picture, layers[0].areas)
    _fault_legend(picture, layers, has_nobodys=bool(grounds))
    return picture


def called(owned: Owned) -> str:
    """What people call the layer."""
    return owned.layer.name_en if operator_language() == "en" else owned.layer.name_it


def _accepted(layer: LayerCheck) -> str:
    return said("zones.accepted", reason=layer.last.accepted_because if layer.last else "")


def _draw_faults(picture: Picture, layer: LayerCheck) -> None:
    faults = layer.faults
    for piece in faults.outside:
        picture.area(piece.shape, SLIVER if piece.is_sliver else OUTSIDE)
    for gap in faults.gaps:
        picture.area(gap.shape, SLIVER if gap.is_sliver else GAP)
    for overlap in faults.overlaps:
        picture.area(overlap.shape, SLIVER if overlap.is_sliver else OVERLAP)
    for repair in faults.repairs:
        picture.area(faults.shapes[repair.position], REPAIRED)


def _label_faults(picture: Picture, layer: LayerCheck) -> None:
    """How large the largest are, where they are."""
    serious = [(gap.m2, gap.shape) for gap in layer.faults.gaps if not gap.is_sliver]
    serious += [(overlap.m2, overlap.shape) for overlap in layer.faults.overlaps if not overlap.is_sliver]
    for m2, shape in sorted(serious, key=lambda fault: -fault[0])[:MOST_LABELS]:
        picture.label(_inside(shape), size_of(m2), colour="#8a1012")


def _fault_legend(picture: Picture, layers: Sequence[LayerCheck], *, has_nobodys: bool) -> None:
    counts: dict[str, int] = {}
    for layer in layers:
        for kind, count in layer.faults.counts().items():
            counts[kind] = counts.get(kind, 0) + count
    slivers = sum(counts.get(f"{kind}_slivers", 0) for kind in ("overlap", "gap", "outside"))
    entries = [
        (counts.get("overlaps", 0), "faults.overlaps", OVERLAP),
        (counts.get("gaps", 0), "faults.gaps", GAP),
        (slivers, "zones.slivers", SLIVER),
        (counts.get("outside", 0), "faults.outside", OUTSIDE),
        (counts.get("repaired", 0), "faults.repaired", REPAIRED),
    ]
    picture.legend(said("zones.boundary"), BOUNDARY, mark="line")
    for count, key, style in entries:
        if count:
            picture.legend(f"{said(key)}: {figure(count)}", style)
    if has_nobodys:
        picture.legend(said("zones.no_rule"), NOBODY._replace(stroke="#555555"))


def of_changes(
    old: Sequence[Area], new: Sequence[Area], changes: Sequence[Change], *, title: str, subtitle: str
) -> Picture:
    """The new version over the old one's borders: what was added, what is gone, and who gained which ground."""
    picture = Picture(_bounds([area.shape for area in (*old, *new)]), title=title, subtitle=subtitle)
    kinds = {kind for change in changes for kind in change.kinds}
    for area in new:
        picture.area(area.shape, PLAIN._replace(fill="#ffffff"))
    for change in changes:
        # What one zone lost, another gained; only what went to nobody is drawn as lost.
        style = ADDED if change.old is None else REMOVED if change.new is None else GAINED
        picture.area(change.area.shape if style is not GAINED else change.gained_shape, style)
    for shape in _lost_to_nobody(changes, new):
        picture.area(shape, LOST)
        kinds.add("lost")
    for area in old:
        picture.line(area.shape, BEFORE)
    for area in new:
        picture.line(area.shape, PLAIN._replace(stroke="#222222"))
    for change in changes:
        moved = change.gained_shape
        if change.old is not None and change.gained and moved is not None and not change.is_redrawn:
            picture.label(_inside(moved), size_of(sum(share.m2 for share in change.gained)))
    _label(picture, [*(change.area for change in changes), *new])
    for kind, style in (("added", ADDED), ("removed", REMOVED), ("reshaped", GAINED), ("lost", LOST)):
        if kind in kinds:
            picture.legend(said(f"zones.legend_{kind}"), style)
    picture.legend(said("zones.legend_before"), BEFORE, mark="line")
    picture.legend(said("zones.legend_after"), PLAIN._replace(stroke="#222222"), mark="line")
    return picture


def _lost_to_nobody(changes: Sequence[Change], new: Sequence[Area]) -> list[BaseGeometry]:
    covered = shapely.union_all(np.array([area.shape for area in new if area.shape is not None], dtype=object))
    return [
        shapely.difference(change.lost_shape, covered)
        for change in changes
        if change.new is not None and change.lost_shape is not None and any(to.other is None for to in change.lost)
    ]


def _label(picture: Picture, areas: Iterable[Area]) -> None:
    """Names where there is room, of the largest first."""
    known = [area for area in areas if area.shape is not None]
    for area in sorted(known, key=lambda one: -float(shapely.area(one.shape))):
        name = area.name if len(area.name) <= LONGEST_LABEL else area.name[:LONGEST_LABEL].rstrip(" ,.-") + "…"
        picture.label(_inside(area.shape), name)


def _inside(shape: BaseGeometry | None) -> Place:
    """A place well inside a shape."""
    parts = shapely.get_parts(shape)
    largest = parts[int(np.argmax(shapely.area(parts)))]
    inner = shapely.maximum_inscribed_circle(largest)
    lon, lat = inner.coords[0]
    return Place(lon, lat)


def _bounds(shapes: Sequence[BaseGeometry | None]) -> Bounds:
    try:
        return bounds_of(*shapes)
    except ValueError as error:
        raise InvalidInput("zones.nothing_to_draw", field="picture") from error
