"""No tile is too large for a telephone: 30 kB zipped, also where real borders, or very many reports, meet."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import psycopg
import pytest

from city.database import public_directly
from commands.layers import Source
from commands.municipality_import import import_municipalities
from commands.zone_import import ZoneTarget, import_zones
from geo import pyramid
from geo.place import Place, morton
from geo.tile_statements import MOST_SINGLES
from geo.tiles import Tile, heat_tile, reports_tile, zones_tile

MOST_BYTES = 30_000
PADOVA = Place(11.8768, 45.4064)


def zipped(tile: bytes) -> int:
    return len(gzip.compress(tile, 6, mtime=0))


@pytest.fixture
def real(own_registry: str, shared_data: Path) -> str:
    """A province of 102 municipalities with real borders, and a city with its zones."""
    import_municipalities(Source(shared_data / "boundaries" / "limits_P_28_municipalities.geojson"))
    source = Source(shared_data / "zones" / "omi-padova-city.geojson")
    import_zones(source, ZoneTarget("padova", "omi", accepted_because="confini come li disegna il catasto"))
    return own_registry


def test_zones_with_real_borders(real: str) -> None:
    for zoom in range(15):
        around = Tile.at(PADOVA, zoom)
        for x in range(max(0, around.x - 1), around.x + 2):
            for y in range(max(0, around.y - 1), around.y + 2):
                tile = Tile(zoom, x, y)
                if tile.exists:
                    with public_directly() as connection:
                        assert zipped(zones_tile(connection, tile)) <= MOST_BYTES, tile


def test_borders_stay_where_they_are(real: str) -> None:
    with public_directly() as connection:
        drawn = mapbox_vector_tile.decode(zones_tile(connection, Tile.at(PADOVA, 10)))
    names = {feature["properties"]["name"] for feature in drawn["municipalities"]["features"]}
    assert {"Padova", "Abano Terme", "Vigonza"} <= names
    assert all(feature["geometry"]["coordinates"] for feature in drawn["zones"]["features"])


@pytest.mark.parametrize("extra", [0, 1])
def test_as_many_reports_as_a_tile_may_show_one_by_one_and_one_more(database: str, extra: int) -> None:
    place = Place(12.9135, 43.9098)
    count = MOST_SINGLES + extra
    with psycopg.connect(database) as connection:
        crowd(connection, place, count)
        while pyramid.fold(connection):
            pass
        for zoom in range(17):
            tile = Tile.at(place, zoom)
            for make in (reports_tile, heat_tile):
                assert zipped(make(connection, tile)) <= MOST_BYTES, tile
        features = mapbox_vector_tile.decode(reports_tile(connection, Tile.at(place, 14)))["reports"]["features"]
        assert sum(feature["properties"]["count"] for feature in features) == count
        assert all(("number" in feature["properties"]) == (extra == 0) for feature in features)
        connection.rollback()


def crowd(connection: psycopg.Connection[Any], place: Place, count: int) -> None:
    """Reports all over one tile of zoom 14, of every group and state, with numbers as they are."""
    tile = Tile.at(place, 14)
    connection.execute(
        "INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by, department_id,"
        " routing, lon, lat, cell, cell_x, cell_y, description, language, source, is_public, is_open, created_at,"
        " month, updated_at, deadline_at)"
        " SELECT municipality.id, gen_random_uuid(), municipality.prefix || '-2026-' || row, "
        " (ARRAY['received', 'assigned', 'planned', 'in_progress', 'waiting'])[1 + row %% 5], kind.id, kind.group_slug,"
        " 'citizen', fallback_department_id, '{}', 0, 0,"
        " (%(first)s::bigint << 20) + floor(random() * 1048576)::bigint, 0, 0, 'prova', 'it', 'web', true, true,"
        " now() - row * interval '7 hours', 202603, now(), now()"
        " FROM municipality, generate_series(1, %(count)s) AS row, LATERAL ("
        "   SELECT id, group_slug FROM category ORDER BY id OFFSET row %% 40 LIMIT 1) AS kind"
        " WHERE municipality.slug = 'pesaro'",
        {"first": morton(tile.x, tile.y), "count": count},
    )
    # Column and row are the cell's own: every second bit of its key.
    for axis, name in ((0, "cell_x"), (1, "cell_y")):
        bits = " + ".join(f"(((cell >> {2 * bit + axis}) & 1) << {bit})" for bit in range(24))
        connection.execute(f"UPDATE report SET {name} = {bits}")  # type: ignore[call-overload]
    connection.execute("DELETE FROM tile_delta")
    pyramid.rebuild(connection)
