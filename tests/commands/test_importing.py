"""The command line takes in what municipalities have: boundaries, zones with faults, old reports."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import shapely
from typer.testing import CliRunner, Result

from city.errors import Conflict, InvalidInput, LampioneError, NotFound
from commands import report_import
from commands.importing import create_app, import_app
from commands.report_rows import RowFile
from commands.report_submissions import read_moment

ROME = ZoneInfo("Europe/Rome")
Run = Callable[..., dict[str, Any]]
ACCEPT = ("--accept", "Disegnate così dal Comune, si correggono l'anno prossimo")


@pytest.fixture
def run(own_registry: str) -> Run:
    """Run a command with --json on a registry of this test's own; its JSON, with `exit_code`."""

    def call(*arguments: object) -> dict[str, Any]:
        app = create_app if arguments[0] == "create" else import_app
        words = [str(argument) for argument in arguments[1:]]
        words = words if app is import_app else words[1:]
        result: Result = CliRunner().invoke(app, [*words, "--json"])
        if isinstance(result.exception, LampioneError):
            raise result.exception
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout) if result.stdout.startswith("{") else {"said": result.output}
        return {**found, "exit_code": result.exit_code}

    return call


def rows(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query, parameters).fetchall()


def layer_file(path: Path, *features: tuple[dict[str, Any], shapely.Geometry | None]) -> Path:
    document = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": properties,
                "geometry": json.loads(shapely.to_geojson(shape)) if shape is not None else None,
            }
            for properties, shape in features
        ],
    }
    path.write_text(json.dumps(document), "utf-8")
    return path


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """Thousandths of a degree from a corner well inside the demo's Padova."""
    return shapely.box(11.86 + west / 1e3, 45.39 + south / 1e3, 11.86 + east / 1e3, 45.39 + north / 1e3)


# --- boundaries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("province", "count"), [("28", 102), ("41", 50)])
def test_every_real_boundary_becomes_a_municipality(
    province: str, count: int, run: Run, own_registry: str, shared_data: Path
) -> None:
    file = shared_data / "boundaries" / f"limits_P_{province}_municipalities.geojson"
    done = run("import", "municipalities", file)
    assert (done["imported"], done["exit_code"]) == (count, 0)
    assert done["fields"] == {"name": "name", "istat_code": "com_istat_code"}
    kept = rows(
        own_registry,
        "SELECT count(*), count(DISTINCT prefix), bool_and(ST_IsValid(boundary)), bool_and(fallback_department_id > 0)"
        " FROM municipality WHERE istat_code LIKE %s",
        f"0{province}%",
    )
    assert kept == [(count, count, True, True)]
    again = run("import", "municipalities", file)
    assert again["imported"] == count
    assert rows(own_registry, "SELECT count(*) FROM municipality WHERE istat_code LIKE %s", f"0{province}%") == [
        (count,)
    ]


def test_importing_the_same_boundaries_again_changes_nothing(run: Run, own_registry: str, shared_data: Path) -> None:
    file = shared_data / "boundaries" / "limits_P_41_municipalities.geojson"
    run("import", "municipalities", file, "--only", "Urbino,Gradara")
    before = rows(own_registry, "SELECT version FROM registry_version")
    assert run("import", "municipalities", file, "--only", "Urbino,Gradara")["imported"] == 2
    assert rows(own_registry, "SELECT version FROM registry_version") == before


def test_official_names_of_columns_are_known_and_codes_get_their_zeros(
    run: Run, own_registry: str, tmp_path: Path
) -> None:
    far = shapely.box(9, 45, 9.1, 45.1)
    file = layer_file(tmp_path / "istat.geojson", ({"COMUNE": "San Donà", "PRO_COM_T": "001234", "COD_REG": 1}, far))
    assert run("import", "municipalities", file)["fields"] == {"name": "COMUNE", "istat_code": "PRO_COM_T"}
    assert rows(own_registry, "SELECT slug, prefix FROM municipality WHERE istat_code = '001234'") == [
        ("san-dona", "SND")
    ]


def test_a_municipality_is_created_from_its_boundary_among_many(run: Run, shared_data: Path) -> None:
    file = shared_data / "boundaries" / "limits_P_41_municipalities.geojson"
    made = run("create", "municipality", "Gradara", "--boundary", file)
    assert (made["slug"], made["istat_code"]) == ("gradara", "041020")
    assert made["square_kilometres"] == pytest.approx(18.4, rel=0.01)
    with pytest.raises(Conflict):
        run("create", "municipality", "Gradara", "--boundary", file)
    with pytest.raises(InvalidInput, match="none"):
        run("create", "municipality", "Atlantide", "--boundary", file)


# --- zones -----------------------------------------------------------------------------------------------------------


def test_real_zones_of_the_city_are_imported_with_their_faults(
    run: Run, own_registry: str, shared_data: Path, tmp_path: Path
) -> None:
    run(
        "import",
        "municipalities",
        shared_data / "boundaries" / "limits_P_28_municipalities.geojson",
        "--only",
        "Padova",
    )
    found = tmp_path / "faults.geojson"
    file = shared_data / "zones" / "omi-padova-city.geojson"
    target = ("--municipality", "padova", "--layer", "omi")
    refused = run("import", "zones", file, *target, "--faults", found)
    assert (refused["imported"], refused["refused"], refused["exit_code"]) == (0, True, 1)
    assert refused["serious"] == {"overlaps": 2, "gaps": 42, "outside": 11}
    assert len(json.loads(found.read_text())["features"]) > 700
    assert rows(own_registry, "SELECT FROM zone_layer WHERE slug = 'omi'") == []
    with pytest.raises(InvalidInput, match="reason"):
        run("import", "zones", file, *target, "--accept", "  sì ")
    reason = "Zone del catasto, servono solo per le statistiche"
    done = run("import", "zones", file, *target, "--faults", found, "--accept", reason)
    assert (done["imported"], done["exit_code"]) == (22, 0)
    assert rows(own_registry, "SELECT accepted_because, zones, faults->'overlaps' FROM layer_publication")[-1:] == [
        (reason, 22, 2)
    ]
    assert done["fields"] == {"code": "zona", "name": "descrizione"}
    faults = done["faults"]
    assert faults["overlaps"]["count"] == 45
    assert faults["overlaps"]["slivers"] == 43
    assert faults["gaps"]["slivers"] > 500
    assert faults["covered_share"] == pytest.approx(0.976, abs=0.001)
    assert len(faults["outside"]) == 11
    assert len(json.loads(found.read_text())["features"]) > 700
    kept = rows(
        own_registry,
        "SELECT count(*), bool_and(ST_IsValid(shape)) FROM zone JOIN zone_layer ON zone_layer.id = layer_id"
        " WHERE zone_layer.slug = 'omi'",
    )
    assert kept == [(22, True)]
    again = run("import", "zones", file, "--municipality", "padova", "--layer", "omi")
    assert again["changes"] == {"added": 0, "changed": 0, "closed": 0, "removed": 0, "unchanged": 22}


def test_a_provincial_file_gives_a_municipality_its_own_zones_only(run: Run, shared_data: Path) -> None:
    run("import", "municipalities", shared_data / "boundaries" / "limits_P_28_municipalities.geojson")
    file = shared_data / "zones" / "omi-prov-padova.geojson.gz"
    done = run("import", "zones", file, "--municipality", "tribano", "--layer", "omi", "--code-field", "zona", *ACCEPT)
    own = done["names"]
    assert 2 <= len(own) <= 8
    assert len(done["left_out"]) == 438 - len(own)
    assert [repair["reason"][:17] for repair in done["faults"]["repaired"]] == ["Self-intersection"]


@pytest.mark.parametrize("name", ["municipi", "localita", "quartieri", "circoscrizioni"])
def test_zones_with_other_columns_and_invalid_rings_go_in(name: str, run: Run, shared_data: Path) -> None:
    zones = shared_data / "zones"
    run("create", "municipality", "Bari", "--boundary", zones / "bari-municipi.geojson", "--dissolve")
    done = run("import", "zones", zones / f"bari-{name}.geojson", "--municipality", "bari", "--layer", name, *ACCEPT)
    assert done["imported"] >= 9
    assert done["exit_code"] == 0
    assert len(done["faults"]["repaired"]) == {"municipi": 1, "localita": 1}.get(name, 0)


def test_changed_zones_are_closed_so_that_old_reports_keep_theirs(run: Run, own_registry: str, tmp_path: Path) -> None:
    old = layer_file(
        tmp_path / "old.geojson",
        ({"code": "a", "name": "A"}, box(0, 0, 5, 5)),
        ({"code": "b", "name": "B"}, box(5, 0, 9, 5)),
    )
    new = layer_file(
        tmp_path / "new.geojson",
        ({"code": "a", "name": "A"}, box(0, 0, 6, 5)),
        ({"code": "c", "name": "C"}, box(6, 0, 9, 5)),
    )
    target = ("--municipality", "padova", "--layer", "prova")
    run("import", "zones", old, *target, "--valid-from", "2020-01-01")
    done = run("import", "zones", new, *target, "--valid-from", "2026-01-01")
    assert done["changes"] == {"added": 2, "changed": 0, "closed": 2, "removed": 0, "unchanged": 0}
    same_day = run("import", "zones", old, *target, "--valid-from", "2026-01-01")
    assert same_day["changes"] == {"added": 1, "changed": 1, "closed": 0, "removed": 1, "unchanged": 0}
    kept = rows(
        own_registry,
        "SELECT zone.code, valid_from::text, valid_until::text FROM zone JOIN zone_layer ON zone_layer.id = layer_id"
        " WHERE zone_layer.slug = 'prova' ORDER BY 2, 1",
    )
    assert kept == [
        ("a", "2020-01-01", "2026-01-01"),
        ("b", "2020-01-01", "2026-01-01"),
        ("a", "2026-01-01", None),
        ("b", "2026-01-01", None),
    ]


def test_roads_need_a_half_width(run: Run, tmp_path: Path) -> None:
    road = shapely.LineString([(11.86, 45.39), (11.88, 45.41)])
    file = layer_file(tmp_path / "roads.geojson", ({"sigla": "SP 1"}, road))
    target = ("--municipality", "padova", "--layer", "strade")
    with pytest.raises(InvalidInput, match="corridors"):
        run("import", "zones", file, *target)
    with pytest.raises(InvalidInput, match="half-width"):
        run("import", "zones", file, *target, "--kind", "corridors")
    done = run("import", "zones", file, *target, "--kind", "corridors", "--half-width", 12)
    assert done["names"] == ["SP 1"]


def test_a_wrong_system_is_named_and_overruled(run: Run, tmp_path: Path) -> None:
    gauss = shapely.box(1725158, 5032143, 1725658, 5032643)
    file = layer_file(tmp_path / "gauss.geojson", ({"nome": "Centro"}, gauss))
    target = ("--municipality", "padova", "--layer", "gauss")
    with pytest.raises(InvalidInput, match="EPSG:3003") as caught:
        run("import", "zones", file, *target)
    assert "Gauss-Boaga" in caught.value.sentence("it")
    assert run("import", "zones", file, *target, "--crs", "EPSG:3003")["imported"] == 1


def test_what_cannot_be_imported_is_said(run: Run, tmp_path: Path) -> None:
    file = layer_file(tmp_path / "far.geojson", ({"nome": "Lontano"}, shapely.box(9, 45, 9.1, 45.1)))
    with pytest.raises(InvalidInput, match="Nothing of this file"):
        run("import", "zones", file, "--municipality", "padova", "--layer", "x")
    with pytest.raises(NotFound):
        run("import", "zones", file, "--municipality", "atlantide", "--layer", "x")
    with pytest.raises(InvalidInput, match="has no column"):
        run("import", "municipalities", file, "--name-field", "denominazione")
    empty = layer_file(tmp_path / "empty.geojson", ({"nome": "Vuoto"}, None))
    with pytest.raises(InvalidInput, match="no geometry"):
        run("import", "zones", empty, "--municipality", "padova", "--layer", "x")


# --- reports ---------------------------------------------------------------------------------------------------------

INSIDE = {"lon": 11.8768, "lat": 45.4064}


def test_the_real_reports_are_imported_around_themselves(
    run: Run, own_registry: str, shared_data: Path, tmp_path: Path
) -> None:
    file = shared_data / "reports-dev" / "seeclickfix-2024-08-31.jsonl"
    made = run("create", "municipality", "Prova USA", "--around", file, "--time-zone", "America/New_York")
    assert made["parts"] > 50
    target = ("--municipality", "prova-usa", "--rejects", tmp_path / "rejects.csv")
    done = run("import", "reports", file, *target)
    # Nine rows of the file are there twice, to the letter.
    assert (done["rows"], done["accepted"], done["duplicate"]) == (400, 391, 9)
    assert (done["outside"], done["refused"], done["rejects"]) == (0, 0, None)
    again = run("import", "reports", file, *target)
    assert (again["accepted"], again["duplicate"]) == (0, 400)
    dates = rows(own_registry, "SELECT min(created_at), max(created_at), count(*) FROM report")
    assert dates[0][0] >= datetime(2024, 8, 30, tzinfo=UTC)
    assert dates[0][1] <= datetime(2024, 9, 1, tzinfo=UTC)
    assert rows(own_registry, "SELECT count(*) FROM job WHERE actor = 'tell_reporter'") == [(0,)]


def test_a_sheet_from_excel_is_read_and_every_bad_row_kept_with_its_reason(
    run: Run, own_registry: str, tmp_path: Path
) -> None:
    file = tmp_path / "foglio.csv"
    lines = [
        "Oggetto;Descrizione;X;Y;Data;Tipologia;Email",
        (
            'Buca;"Buca profonda, davanti al civico 5; è pericolosa";11,8768;45,4064;31/08/2024 14:05;'
            "Buca nella strada;a@b.it"
        ),
        "Lampione;;11,8769;45,4065;01/09/2024;;non-una-mail",
        "Fuori;Lontano da qui;9,19;45,46;01/09/2024;;",
        "Scambiate;Prima la latitudine;45,4064;11,8768;01/09/2024;;",
        "Vuota;;;;01/09/2024;;",
        ";;11,8768;45,4064;01/09/2024;;",
        "Futuro;Dal futuro;11,8768;45,4064;01/09/2099;;",
        "Data;Data impossibile;11,8768;45,4064;ieri;;",
        "Troppe;celle;11,8768;45,4064;01/09/2024;;;;",
        f"Lunga;{'a' * 5000};11,8768;45,4064;01/09/2024;;",
    ]
    file.write_bytes("\r\n".join(lines).encode("cp1252"))
    done = run(
        "import", "reports", file, "--municipality", "padova", "--map", "text=Descrizione,lon=X,lat=Y,email=Email"
    )
    assert (done["accepted"], done["duplicate"], done["outside"], done["refused"]) == (2, 0, 1, 7)
    kept = rows(
        own_registry,
        "SELECT description, created_at, category.slug, decided_by, reporter.email, source FROM report"
        " JOIN category ON category.id = category_id LEFT JOIN reporter ON report_id = report.id ORDER BY created_at",
    )
    assert kept[0] == (
        "Buca profonda, davanti al civico 5; è pericolosa",
        datetime(2024, 8, 31, 14, 5, tzinfo=ROME),
        "pothole",
        "citizen",
        "a@b.it",
        "import",
    )
    assert (kept[1][0], kept[1][4]) == ("Lampione", None)
    assert rows(own_registry, "SELECT count(*) FROM job") == [(0,)]
    with Path(done["rejects"]).open(encoding="utf-8-sig", newline="") as rejects:
        rejected = list(csv.reader(rejects))
    assert rejected[0][:3] == ["row", "reason", "Oggetto"]
    assert [row[0] for row in rejected[1:]] == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert all(row[1] for row in rejected[1:])
    assert Path(done["rejects"]) == tmp_path / "foglio.csv.rejects.csv"


@pytest.mark.parametrize("form", ["jsonl", "array", "geojson", "geojson-indented"])
def test_json_in_every_form_is_read_row_by_row(
    form: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.report_rows.PIECE", 7)
    flat = [{"descrizione": f"Lampione spento numero {number}", **INSIDE} for number in range(5)]
    features = [
        {
            "type": "Feature",
            "properties": {"descrizione": row["descrizione"]},
            "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
        }
        for row in flat
    ]
    collection = {"type": "FeatureCollection", "name": "x", "features": features}
    content = {
        "jsonl": "\n".join(json.dumps(row) for row in flat) + "\n{broken\n",
        "array": json.dumps(flat),
        "geojson": json.dumps(collection),
        "geojson-indented": json.dumps(collection, indent=2),
    }[form]
    file = tmp_path / "reports.json"
    file.write_text(content)
    done = run("import", "reports", file, "--municipality", "padova")
    assert (done["accepted"], done["refused"]) == (5, 1 if form == "jsonl" else 0)


def test_a_bad_row_harms_no_other_and_a_stop_is_resumed(
    run: Run, own_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "reports.jsonl"
    told = [{"text": f"Buca numero {number} in via Roma", **INSIDE} for number in range(60)]
    told[7]["text"] = "con un\u0007campanello"
    told[8] |= {"category": "mezza lettera \ud800", "address": "via \ud800"}
    file.write_text("\n".join(json.dumps(row) for row in told))
    monkeypatch.setattr(report_import, "CHUNK", 10)

    keep, chunks = report_import._Intake.keep, []

    def stopping(*arguments: Any) -> Any:
        chunks.append(1)
        if len(chunks) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return keep(*arguments)

    monkeypatch.setattr(report_import._Intake, "keep", stopping)
    done = run("import", "reports", file, "--municipality", "padova")
    assert (done["refused"], done["stopped"], done["exit_code"]) == (2, True, 130)
    kept = done["accepted"]
    assert 18 <= kept < 58
    done = run("import", "reports", file, "--municipality", "padova")
    assert (done["accepted"], done["duplicate"], done["refused"], done["stopped"]) == (58 - kept, kept, 2, False)
    assert rows(own_registry, "SELECT count(*) FROM report") == [(58,)]
    assert "campanello" in Path(done["rejects"]).read_text("utf-8-sig")


def test_the_files_categories_can_be_translated(run: Run, own_registry: str, tmp_path: Path) -> None:
    file = tmp_path / "reports.csv"
    file.write_text(
        "text,lon,lat,category\n"
        "qualcosa non va,11.8768,45.4064,Strade\n"
        "qualcosa non va bene,11.8768,45.4064,Altro\n"
        "lampione spento da giorni in via Roma,11.8768,45.4064,Ignota\n"
    )
    table = tmp_path / "map.toml"
    table.write_text('"STRADE" = "pothole"\n"Altro" = "-"\n')
    target = ("--municipality", "padova", "--category-map", table)
    assert run("import", "reports", file, *target)["accepted"] == 3
    kept = dict(rows(own_registry, "SELECT description, decided_by FROM report"))
    assert kept["qualcosa non va"] == "citizen"
    assert kept["lampione spento da giorni in via Roma"] == "classifier"
    table.write_text('"Strade" = "potholes"\n')
    with pytest.raises(InvalidInput, match="potholes"):
        run("import", "reports", file, *target)


def test_columns_that_are_missing_are_asked_for(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "reports.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="text, lon, lat"):
        run("import", "reports", file, "--municipality", "padova")
    with pytest.raises(InvalidInput, match="has no column"):
        run("import", "reports", file, "--municipality", "padova", "--map", "text=c")
    with pytest.raises(InvalidInput, match="colour"):
        run("import", "reports", file, "--municipality", "padova", "--map", "colour=a")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-08-31T11:06:35-04:00", datetime(2024, 8, 31, 15, 6, 35, tzinfo=UTC)),
        ("2024-08-31T11:06:35Z", datetime(2024, 8, 31, 11, 6, 35, tzinfo=UTC)),
        ("2024-08-31 11:06:35", datetime(2024, 8, 31, 9, 6, 35, tzinfo=UTC)),
        ("2024-08-31 11:06:35 UTC", datetime(2024, 8, 31, 11, 6, 35, tzinfo=UTC)),
        ("2024-01-31", datetime(2024, 1, 30, 23, 0, tzinfo=UTC)),
        ("31/08/2024 11:06", datetime(2024, 8, 31, 9, 6, tzinfo=UTC)),
        ("05.02.2024", datetime(2024, 2, 4, 23, 0, tzinfo=UTC)),
        ("1725102395", datetime(2024, 8, 31, 11, 6, 35, tzinfo=UTC)),
        ("1725102395000", datetime(2024, 8, 31, 11, 6, 35, tzinfo=UTC)),
    ],
)
def test_dates_without_a_zone_are_the_municipalitys(written: str, expected: datetime) -> None:
    assert read_moment(written, ROME) == expected


@pytest.mark.parametrize("written", ["ieri", "31/31/2024", "2024-13-01", "12"])
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(written, ROME)


def test_a_broken_list_says_so(tmp_path: Path) -> None:
    file = tmp_path / "reports.geojson"
    file.write_text('{"type": "FeatureCollection", "features": [{"type": "Feature", "prop')
    with pytest.raises(InvalidInput):
        list(RowFile(file).rows())
    file.write_text('{"type": "FeatureCollection",\n "items": []}')
    with pytest.raises(InvalidInput):
        list(RowFile(file).rows())
