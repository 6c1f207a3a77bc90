"""The layers in files that municipalities have: what names and numbers things in them, and what an import says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput, LampioneError
from city.registry.layers import ZoneChanges
from city.texts import said
from geo.faults import Faults
from geo.reading import ITALY, Feature, Layer, UnreadableLayer, read_layer, suspected

NAME_FIELDS: Final = [
    "name",
    "nome",
    "denominazione",
    "denom",
    "comune",
    "nome_com",
    "municipality",
    "descrizione",
    "descrizion",
    "description",
    "quartiere",
    "localita",
    "circoscrizione",
    "nome_circ",
    "municipio",
    "label",
    "etichetta",
    "titolo",
    "title",
    "zona",
    "zone",
    "comune_nom",
    "den_com",
]


CODE_FIELDS: Final = [
    "code",
    "codice",
    "cod",
    "sigla",
    "zona",
    "zone",
    "id_zona",
    "cod_zona",
    "linkzona",
    "numero",
    "numero_cir",
    "num",
    "id",
    "fid",
    "objectid",
    "gid",
    "pchiave",
]


ISTAT_FIELDS: Final = [
    "com_istat_code",
    "pro_com_t",
    "istat_code",
    "istat",
    "codice_istat",
    "cod_istat",
    "codistat",
    "pro_com",
    "com_istat_code_num",
    "istat_com",
]


TELLING: Final = 0.6
"""A name with this share of different values names the features; one with fewer names something larger."""


@dataclass(frozen=True)
class Source:
    """A file with layers, and how to read it where that cannot be guessed."""

    path: Path
    crs: str | None = None
    layer: str | None = None
    name_field: str | None = None
    code_field: str | None = None


@dataclass
class Imported:
    """What an import did."""

    source: Layer
    fields: dict[str, str | None]
    """What was read from which property of the file; None: made by ourselves."""
    faults: Faults
    names: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Names of what was not imported, and the reason as a sentence."""
    changes: ZoneChanges | None = None
    refusal: LampioneError | None = None
    """Why it was not published."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "imported": len(self.names),
            "names": self.names,
            "left_out": [{"name": name, "reason": reason} for name, reason in self.left_out],
            "format": self.source.format,
            "crs": self.source.crs,
            "fields": self.fields,
            "changes": None
            if self.changes is None
            else {name: getattr(self.changes, name) for name in ZoneChanges.__slots__},
            "faults": self.faults.as_json(),
            "serious": self.faults.serious(),
            "refused": self.refusal is not None,
        }


def read(source: Source, boundary: BaseGeometry | None = None) -> Layer:
    """The layer of the file, which must have something in `boundary`.

    Raises InvalidInput: unreadable, or a coordinate system that cannot be right, with the one it looks like.
    """
    try:
        layer = read_layer(source.path, crs=source.crs, layer=source.layer)
    except UnreadableLayer as error:
        raise InvalidInput(f"reading.{error.reason}", field="file", **error.values) from error
    if not layer.shapes:
        raise InvalidInput("reading.no_shapes", field="file", path=source.path.name)
    _check_place(layer, boundary)
    return layer


def _check_place(layer: Layer, boundary: BaseGeometry | None) -> None:
    if layer.is_on_earth and _touches(layer, boundary or ITALY):
        return
    guesses = suspected(layer.sample, boundary or ITALY) or suspected(layer.sample)
    likely = [guess for guess in guesses if guess.crs != layer.crs and guess.share >= guesses[0].share / 2]
    if likely:
        others = ", ".join(guess.crs for guess in likely[1:4])
        raise InvalidInput(
            "reading.suspected" if layer.crs else "reading.suspected_undeclared",
            field="crs",
            declared=layer.crs or "-",
            crs=likely[0].crs,
            name=likely[0].name,
            others=said("reading.others", others=others) if others else "",
        )
    if not layer.is_on_earth:
        raise InvalidInput("reading.not_on_earth", field="crs", declared=layer.crs or "-")
    if boundary is not None:
        raise InvalidInput("importing.nothing_inside", field="file")


def _touches(layer: Layer, place: BaseGeometry) -> bool:
    shapely.prepare(place)
    return bool(shapely.intersects(place, np.array(layer.shapes, dtype=object)).any())


def find_field(
    features: Sequence[Feature], wanted: str | None, candidates: Sequence[str], *, unique: bool
) -> str | None:
    """The property to read: the one asked for, else the first likely one that every feature has and that tells them
    apart (all of them, if `unique`; else most of them, or better than the others).

    Raises InvalidInput for one that is not there, with those that are.
    """
    names = list(dict.fromkeys(name for feature in features for name in feature.properties))
    if wanted is not None:
        if wanted not in names:
            raise InvalidInput("importing.no_field", field="fields", value=wanted, known=", ".join(names) or "-")
        return wanted
    by_lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, float] = {}
    for name in (by_lower[candidate] for candidate in candidates if candidate in by_lower):
        values = [words(feature.properties.get(name)) for feature in features]
        if all(values):
            found[name] = len(set(values)) / len(values)
    enough = 1.0 if unique else TELLING
    telling = [name for name, share in found.items() if share >= enough]
    if telling or unique or not found:
        return next(iter(telling), None)
    return max(found, key=lambda name: found[name])


def words(value: Any) -> str:
    """A property as text: numbers without a useless fraction, spaces tidied, "" for nothing."""
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return re.sub(r"\s+", " ", str(value)).strip()


def istat_code(feature: Feature, name: str | None) -> str:
    """The ISTAT code in the property `name`, with its leading zeros; "" where there is none."""
    code = words(feature.properties.get(name)) if name else ""
    return code.zfill(6) if code.isdigit() else code
