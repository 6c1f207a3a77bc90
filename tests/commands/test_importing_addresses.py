"""The register of addresses is filled from the files municipalities have: numbers in tables and layers, lines."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyogrio.raw
import pytest
import shapely
from typer.testing import CliRunner

from city.database import reading
from city.errors import Conflict, InvalidInput, NotFound
from city.registry import view
from city.registry.addresses import finding
from commands import address_import, address_rows
from commands.importing import create_app, import_app
from geo.place import Place

Run = Callable[..., dict[str, Any]]
ALESSANDRIA = shapely.box(8.40, 44.75, 8.85, 45.05)
HEAD = "CodiceVia;DUG;DUF;CAP;Civico;Esponente;CoordX;CoordY"
"""As the open data of a real municipality have it."""


@pytest.fixture
def run(own_registry: str) -> Run:
    """Run an import with --json on a registry of this test's own; its JSON."""

    def call(*arguments: object, app: Any = import_app) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    assert own_registry
    return call


@pytest.fixture
def alessandria(run: Run, tmp_path: Path) -> str:
    """A municipality around the real house numbers."""
    boundary = tmp_path / "boundary.geojson"
    boundary.write_text(shapely.to_geojson(ALESSANDRIA), "utf-8")
    run("Alessandria", "--boundary", boundary, "--istat", "006003", app=create_app)
    return "alessandria"


def table(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines, ""]), "utf-8")
    return path


def rows(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query, parameters).fetchall()


def numbers(url: str) -> set[str]:
    found = rows(url, "SELECT label || ' ' || written FROM street JOIN house_number ON street_id = street.id")
    return {row[0] for row in found}


ROMA_2 = "10;Via;Roma;15121;2;;8.611;44.911"
ROMA_2A = "10;Via;Roma;15121;2;A;8.6111;44.911"
ROMA_4 = "10;Via;Roma;15121;4;;8.6112;44.9112"
MARCONI = "11;Piazza;Marconi;15121;1;BIS;8.62;44.92"


# --- the real file ---------------------------------------------------------------------------------------------------


def test_the_real_register_is_imported_whole_and_a_second_time_changes_nothing(
    run: Run, alessandria: str, own_registry: str, shared_data: Path, tmp_path: Path
) -> None:
    file = shared_data / "addresses" / "alessandria-numeri-civici.csv.zip"
    with pytest.raises(InvalidInput, match="EPSG:3003"):
        run("addresses", file, "--municipality", alessandria)
    assert rows(own_registry, "SELECT count(*) FROM street") == [(0,)]
    arguments = (file, "--municipality", alessandria, "--crs", "EPSG:3003", "--rejects", tmp_path / "rejects.csv")
    first = run("addresses", *arguments)
    assert (first["rows"], first["rejected"], first["elsewhere"]) == (26_160, 0, 0)
    assert first["columns"] == {
        "street": "DUF",
        "kind": "DUG",
        "code": "CodiceVia",
        "number": "Civico",
        "suffix": "Esponente",
        "postcode": "CAP",
        "locality": "QuartiereSobborgo",
        "x": "CoordX",
        "y": "CoordY",
    }
    assert first["changes"]["streets_added"] == 770
    assert first["changes"]["added"] + first["changes"]["repeated"] == 26_160
    assert first["changes"]["repeated"] < 50
    again = run("addresses", *arguments)["changes"]
    assert [again[name] for name in ("added", "changed", "removed", "streets_added", "streets_changed")] == [0] * 5
    assert again["unchanged"] == first["changes"]["added"]
    there = rows(
        own_registry,
        "SELECT house_number.lon, house_number.lat FROM street JOIN house_number ON street_id = street.id"
        " WHERE label = 'Via Dazio' AND number = 90 AND suffix = 'H'",
    )
    # The same point by PostGIS's own hand.
    referee = rows(
        own_registry,
        "SELECT ST_X(p), ST_Y(p) FROM ST_Transform("
        "ST_SetSRID(ST_MakePoint(1472210.82998134, 4978439.947517), 3003), 4326) AS p",
    )
    assert Place(*there[0]).distance_metres(Place(*referee[0])) < 5


# --- what comes in ---------------------------------------------------------------------------------------------------


def test_importing_again_tells_what_was_added_changed_and_removed(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    arguments = ("--municipality", alessandria)
    run("addresses", table(tmp_path / "a.csv", ROMA_2, ROMA_2A, MARCONI), *arguments)
    assert numbers(own_registry) == {"Via Roma 2", "Via Roma 2/A", "Piazza Marconi 1 bis"}
    ids = rows(own_registry, "SELECT id FROM street WHERE name = 'Roma'")
    renamed = [line.replace(";Roma;", ";Roma Capitale;") for line in (ROMA_2.replace("8.611;", "8.612;"), ROMA_4)]
    changes = run("addresses", table(tmp_path / "b.csv", *renamed), *arguments)["changes"]
    assert (changes["added"], changes["changed"], changes["removed"]) == (1, 1, 2)
    assert (changes["streets_added"], changes["streets_changed"], changes["streets_removed"]) == (0, 1, 1)
    assert numbers(own_registry) == {"Via Roma Capitale 2", "Via Roma Capitale 4"}
    assert rows(own_registry, "SELECT id FROM street WHERE name = 'Roma Capitale'") == ids
    assert rows(own_registry, "SELECT count(*) FROM street_gram WHERE street_id <> %s", ids[0][0]) == [(0,)]


def test_a_file_that_lacks_much_is_taken_for_the_wrong_one(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    many = [f"10;Via;Roma;15121;{number};;8.61;{44.9 + number / 1e5}" for number in range(1, 201)]
    run("addresses", table(tmp_path / "a.csv", *many), "--municipality", alessandria)
    half = table(tmp_path / "b.csv", *many[:100])
    with pytest.raises(Conflict, match="100 entries out of 200"):
        run("addresses", half, "--municipality", alessandria)
    assert len(numbers(own_registry)) == 200
    changes = run("addresses", half, "--municipality", alessandria, "--may-remove")["changes"]
    assert changes["removed"] == 100


def test_bad_rows_are_kept_aside_with_their_reason(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    lines = [
        ROMA_2,
        "10;Via;Roma;15121;SNC;;8.611;44.911",
        "10;Via;;15121;3;;8.611;44.911",
        "10;Via;Roma;15121;5;;;",
        "10;Via;Roma;15121;7;;12.5;41.9",
        "10;Via;Roma",
        ROMA_2,
    ]
    file = table(tmp_path / "civici.csv", *lines)
    done = run("addresses", file, "--municipality", alessandria)
    assert (done["rejected"], done["changes"]["added"], done["changes"]["repeated"]) == (5, 1, 1)
    with Path(done["rejects"]).open(encoding="utf-8-sig", newline="") as rejects:
        found = {int(row["row"]): row["reason"] for row in csv.DictReader(rejects)}
    assert sorted(found) == [2, 3, 4, 5, 6]
    assert "SNC" in found[2]
    assert set(done["reasons"]) == {
        "addresses.no_number",
        "addresses.no_street",
        "addresses.no_place",
        "addresses.outside",
        "importing.unreadable_row",
    }
    assert numbers(own_registry) == {"Via Roma 2"}


def test_rows_of_other_municipalities_are_left_out_by_their_code(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    """As in the national archive, with its names of columns and its decimal commas."""
    head = "CODICE_COMUNE,CODICE_ISTAT,PROGRESSIVO_NAZIONALE,ODONIMO,CIVICO,ESPONENTE,COORD_X_COMUNE,COORD_Y_COMUNE"
    file = table(
        tmp_path / "anncsu.csv",
        'A182,006003,1,VIA GIOVANNI XXIII,12,BIS,"8,61","44,91"',
        'H501,058091,2,VIA DEL CORSO,1,,"12,48","41,9"',
        head=head,
    )
    done = run("addresses", file, "--municipality", alessandria)
    assert (done["elsewhere"], done["rejected"]) == (1, 0)
    assert numbers(own_registry) == {"Via Giovanni XXIII 12 bis"}


@pytest.mark.parametrize("kind", ["csv.gz", "csv.zip", "cp1252", "geojson", "gpkg", "shp"])
def test_every_kind_of_file_is_read(kind: str, run: Run, alessandria: str, own_registry: str, tmp_path: Path) -> None:
    file = _file_of(kind, tmp_path)
    done = run("addresses", file, "--municipality", alessandria)
    assert done["changes"]["added"] == 2
    assert numbers(own_registry) == {"Via Libertà 2/A", "Via Libertà 4"}
    assert rows(own_registry, "SELECT DISTINCT kind, name FROM street") == [("Via", "Libertà")]


def _file_of(kind: str, folder: Path) -> Path:
    told = [("Via Libertà", "2/A", 8.611, 44.911), ("Via Libertà", "4", 8.612, 44.912)]
    text = "via,civico,lon,lat\n" + "".join(f"{street},{number},{lon},{lat}\n" for street, number, lon, lat in told)
    if kind == "csv.gz":
        (folder / "c.csv.gz").write_bytes(gzip.compress(text.encode()))
        return folder / "c.csv.gz"
    if kind == "csv.zip":
        with zipfile.ZipFile(folder / "c.zip", "w") as archive:
            archive.writestr("leggimi.pdf", b"%PDF")
            archive.writestr("dati/civici.csv", text)
        return folder / "c.zip"
    if kind == "cp1252":
        (folder / "c.csv").write_bytes(text.replace(",", ";").encode("cp1252"))
        return folder / "c.csv"
    name = {"geojson": "c.geojson", "gpkg": "c.gpkg", "shp": "c.shp"}[kind]
    driver = {"geojson": "GeoJSON", "gpkg": "GPKG", "shp": "ESRI Shapefile"}[kind]
    pyogrio.raw.write(
        str(folder / name),
        shapely.to_wkb([shapely.Point(lon, lat) for _, _, lon, lat in told]),
        [np.array([row[0] for row in told], dtype=object), np.array([row[1] for row in told], dtype=object)],
        ["odonimo", "civico"],
        geometry_type="Point",
        crs="EPSG:4326",
        driver=driver,
    )
    return folder / name


def test_missing_and_unknown_columns_are_named(run: Run, alessandria: str, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", "Roma;2;8.61;44.91", head="Pippo;Civico;lon;lat")
    with pytest.raises(InvalidInput, match="street"):
        run("addresses", file, "--municipality", alessandria)
    with pytest.raises(InvalidInput, match="Pluto"):
        run("addresses", file, "--municipality", alessandria, "--map", "street=Pluto")
    done = run("addresses", file, "--municipality", alessandria, "--map", "street=Pippo")
    assert done["changes"]["added"] == 1


def test_swapped_coordinates_are_recognised(run: Run, alessandria: str, own_registry: str, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", "Via Roma;2;44.91;8.61", head="via;civico;lon;lat")
    with pytest.raises(InvalidInput, match="swapped"):
        run("addresses", file, "--municipality", alessandria)
    run("addresses", file, "--municipality", alessandria, "--crs", "swapped")
    assert rows(own_registry, "SELECT lon, lat FROM house_number") == [(8.61, 44.91)]


def test_an_import_that_is_stopped_has_changed_nothing(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_rows, "PIECE", 2)
    file = table(tmp_path / "a.csv", ROMA_2, ROMA_2A, ROMA_4, MARCONI)
    heard: list[int] = []

    def interrupt(_done: int, _size: int, read: int) -> None:
        heard.append(read)
        if read == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        address_import.import_addresses(address_import.Plan(file, alessandria), interrupt)
    assert heard == [2, 4]
    assert numbers(own_registry) == set()
    run("addresses", file, "--municipality", alessandria)
    assert len(numbers(own_registry)) == 4


# --- streets ---------------------------------------------------------------------------------------------------------


def test_the_streets_of_a_real_extract_are_found_by_place(
    run: Run, own_registry: str, shared_data: Path, tmp_path: Path
) -> None:
    boundary = tmp_path / "monaco.geojson"
    boundary.write_text(shapely.to_geojson(shapely.box(7.40, 43.72, 7.44, 43.76)), "utf-8")
    run("Monaco", "--boundary", boundary, app=create_app)
    file = shared_data / "osm" / "monaco-latest.osm.pbf"
    done = run("streets", file, "--municipality", "monaco")
    assert done["changes"]["streets_added"] == done["changes"]["added"] > 150
    again = run("streets", file, "--municipality", "monaco")["changes"]
    assert (again["added"], again["changed"], again["streets_added"]) == (0, 0, 0)
    assert again["unchanged"] == done["changes"]["added"]
    middle = rows(
        own_registry,
        "SELECT ST_X(p), ST_Y(p) FROM street, ST_PointOnSurface(shape) AS p WHERE label = 'Avenue de la Costa'",
    )[0]
    registry = view.load()
    monaco = registry.municipality("monaco")
    with reading(monaco.id) as session:
        found = finding.nearest(session, monaco, Place(*middle))
        assert found is not None
        assert (found.label, found.precision) == ("Avenue de la Costa", "street")
        assert found.metres is not None
        assert found.metres < 10


def line_file(path: Path, *streets: tuple[str, list[tuple[float, float]]]) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"nome": name},
            "geometry": {"type": "LineString", "coordinates": points},
        }
        for name, points in streets
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def test_lines_join_the_streets_that_the_register_knows(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    run("addresses", table(tmp_path / "a.csv", ROMA_2, MARCONI), "--municipality", alessandria)
    lines = line_file(
        tmp_path / "lines.geojson",
        ("via roma", [(8.610, 44.911), (8.613, 44.911)]),
        ("Vicolo Nuovo", [(8.63, 44.93), (8.631, 44.93)]),
        ("Via Lontana", [(9.63, 44.93), (9.631, 44.93)]),
    )
    done = run("streets", lines, "--municipality", alessandria)
    assert (done["changes"]["streets_added"], done["changes"]["added"], done["elsewhere"]) == (1, 2, 1)
    known = rows(own_registry, "SELECT label, origins FROM street ORDER BY label")
    assert known == [
        ("Piazza Marconi", ["numbers"]),
        ("Via Roma", ["lines", "numbers"]),
        ("Vicolo Nuovo", ["lines"]),
    ]
    # Numbers renewed: the street keeps its line; lines renewed without it: it keeps its numbers.
    run("addresses", table(tmp_path / "b.csv", ROMA_4), "--municipality", alessandria)
    run(
        "streets",
        line_file(tmp_path / "l.geojson", ("Vicolo Nuovo", [(8.63, 44.93), (8.631, 44.93)])),
        "--municipality",
        alessandria,
    )
    known = rows(own_registry, "SELECT label, origins FROM street ORDER BY label")
    assert known == [("Via Roma", ["numbers"]), ("Vicolo Nuovo", ["lines"])]
    assert rows(
        own_registry, "SELECT count(*) FROM street_point JOIN street ON id = street_id WHERE label = 'Via Roma'"
    ) == [(0,)]


def test_the_register_takes_over_streets_that_only_lines_have_named(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    run(
        "streets",
        line_file(tmp_path / "l.geojson", ("Via Roma", [(8.61, 44.911), (8.613, 44.911)])),
        "--municipality",
        alessandria,
    )
    before = rows(own_registry, "SELECT id FROM street")
    run("addresses", table(tmp_path / "a.csv", ROMA_2), "--municipality", alessandria)
    assert rows(own_registry, "SELECT id FROM street") == before
    assert rows(own_registry, "SELECT reference FROM street") == [("code:10",)]


def test_lines_of_streets_with_one_name_go_to_the_nearest(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    head = "via;civico;lon;lat;frazione"
    file = table(tmp_path / "a.csv", "Via Roma;1;8.61;44.91;Centro", "Via Roma;1;8.75;44.88;Spinetta", head=head)
    run("addresses", file, "--municipality", alessandria)
    lines = line_file(
        tmp_path / "lines.geojson",
        ("Via Roma", [(8.609, 44.91), (8.612, 44.91)]),
        ("Via Roma", [(8.749, 44.88), (8.752, 44.88)]),
    )
    run("streets", lines, "--municipality", alessandria)
    found = rows(
        own_registry,
        "SELECT locality, round(ST_X(ST_StartPoint(ST_GeometryN(shape, 1)))::numeric, 3)::float"
        " FROM street ORDER BY locality",
    )
    assert found == [("Centro", 8.609), ("Spinetta", 8.749)]


def test_a_municipality_knows_whether_it_has_addresses(
    run: Run, alessandria: str, own_registry: str, tmp_path: Path
) -> None:
    assert view.load().municipality(alessandria).has_addresses is False
    before = rows(own_registry, "SELECT version FROM registry_version")
    file = table(tmp_path / "a.csv", ROMA_2)
    run("addresses", file, "--municipality", alessandria)
    assert view.load().municipality(alessandria).has_addresses is True
    after = rows(own_registry, "SELECT version FROM registry_version")
    assert after > before
    run("addresses", file, "--municipality", alessandria)
    assert rows(own_registry, "SELECT version FROM registry_version") == after


def test_a_zip_without_a_table_and_a_file_that_is_none_are_refused(run: Run, alessandria: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "via,civico,lon,lat\n")
        archive.writestr("b.csv", "via,civico,lon,lat\n")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty.csv").write_bytes(b"")
    table(tmp_path / "head.csv")
    for name in ("two.zip", "noise.bin", "empty.csv", "head.csv", "missing.csv"):
        with pytest.raises(InvalidInput):
            run("addresses", tmp_path / name, "--municipality", alessandria)
    for name in ("noise.bin", "missing.osm.pbf"):
        with pytest.raises(InvalidInput):
            run("streets", tmp_path / name, "--municipality", alessandria)
    with pytest.raises(NotFound):
        run("addresses", table(tmp_path / "a.csv", ROMA_2), "--municipality", "atlantide")


def test_what_was_done_is_told_in_plain_words(
    run: Run, alessandria: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run
    monkeypatch.setenv("LAMPIONE_LANGUAGE", "it")
    file = table(tmp_path / "civici.csv", ROMA_2, ROMA_2, "10;Via;Roma;15121;SNC;;8.611;44.911")
    told = CliRunner().invoke(import_app, ["addresses", str(file), "--municipality", alessandria])
    assert told.exit_code == 0, told.output
    for words in (
        "Numeri civici da civici.csv",
        "Strade",
        "Righe che ripetono un civico già letto",
        "civici.csv.rejects",
    ):
        assert words in told.output.replace("\n", ""), told.output
