"""What `seed/` holds, as it lies there."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from city.settings import PROJECT

SEED: Final = PROJECT / "seed"

Progress = Callable[[str, float], None]
"""Hears the key of what is being done (in the catalogue) and how much of it, from 0 to 1."""


def toml(name: str) -> dict[str, Any]:
    """The tables of `seed/NAME.toml`."""
    return tomllib.loads((SEED / f"{name}.toml").read_text("utf-8"))


def features(path: str) -> list[dict[str, Any]]:
    """The features of a GeoJSON file in `seed/`."""
    found: list[dict[str, Any]] = orjson.loads((SEED / path).read_bytes())["features"]
    return found


def shape(feature: Mapping[str, Any]) -> BaseGeometry:
    """The shape of a feature."""
    found: BaseGeometry = shapely.from_geojson(orjson.dumps(feature["geometry"]).decode())
    return found


def categories() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every category of the taxonomy with its group."""
    for group in toml("taxonomy")["group"]:
        for category in group["category"]:
            yield group, category
