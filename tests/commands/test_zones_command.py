"""`./lampione zones`: list, check and diff, as JSON, GeoJSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely
from PIL import Image
from typer.testing import CliRunner, Result

from city.errors import InvalidInput, NotFound
from commands.importing import import_app
from commands.zones import zones_app

Run = Callable[..., Any]
ACCEPT = ("--accept", "Servono solo alle statistiche")


@pytest.fixture
def run(own_registry: str) -> Run:
    """Run a command with --json on a registry of this test's own; its JSON and exit code."""

    def call(*arguments: object) -> tuple[Any, int]:
        app = import_app if arguments[0] == "import" else zones_app
        words = [str(argument) for argument in (arguments[1:] if app is import_app else arguments)]
        result: Result = CliRunner().invoke(app, [*words, "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return json.loads(result.stdout), result.exit_code

    return call


def layer_file(path: Path, **zones: shapely.Geometry) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"code": name.lower(), "name": name},
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for name, shape in zones.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def box(west: float, east: float) -> shapely.Polygon:
    return shapely.box(11.86 + west / 1e3, 45.40, 11.86 + east / 1e3, 45.41)


def test_the_demo_is_clean_and_says_so(run: Run) -> None:
    found, exit_code = run("check")
    assert (found["clean"], exit_code) == (True, 0)
    assert len(found["layers"]) == 13
    assert {rules["municipality"] for rules in found["rules"]} >= {"padova", "pesaro"}
    listed, _ = run("list", "--municipality", "padova")
    assert [layer["layer"] for layer in listed] == ["padova-districts", "padova-lighting", "padova-parks"]
    assert {layer["published"]["by"] for layer in listed} == {"seed"}


def test_faults_in_the_database_are_found_drawn_and_written(run: Run, tmp_path: Path) -> None:
    file = layer_file(tmp_path / "a.geojson", A=box(0, 6), B=box(4, 9))
    target = ("--municipality", "padova", "--layer", "prova")
    assert run("import", "zones", file, *target)[1] == 1
    run("import", "zones", file, *target, *ACCEPT)
    found, exit_code = run("check", *target, "--faults", tmp_path / "f.geojson", "--picture", tmp_path / "f.png")
    assert (found["clean"], exit_code) == (False, 1)
    (layer,) = found["layers"]
    assert layer["serious"] == {"overlaps": 1}
    assert layer["published"]["accepted_because"] == ACCEPT[1]
    features = json.loads((tmp_path / "f.geojson").read_text())["features"]
    assert [feature["properties"]["fault"] for feature in features] == ["overlap"]
    with Image.open(tmp_path / "f.png") as image:
        assert image.width == 1200
    run("check", *target, "--picture", tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text().startswith("<svg")


def test_categories_without_a_department_are_told(run: Run, own_registry: str, tmp_path: Path) -> None:
    with psycopg.connect(own_registry) as connection:
        connection.execute("DELETE FROM routing_rule WHERE department_slug = 'urp'")
        connection.execute("UPDATE routing_rule SET department_slug = 'gone' WHERE category_slug = 'graffiti'")
    found, exit_code = run("check", "--municipality", "padova", "--faults", tmp_path / "f.geojson")
    assert exit_code == 1
    (rules,) = found["rules"]
    lacking = {one["category"]: one["share"] for one in rules["without_department"]}
    assert lacking["other"] == pytest.approx(1)
    features = json.loads((tmp_path / "f.geojson").read_text())["features"]
    assert any("other" in feature["properties"]["categories"] for feature in features)


def test_a_clerk_sees_sentences(own_registry: str) -> None:
    shown = CliRunner().invoke(zones_app, ["check", "--municipality", "pesaro"])
    assert "Nessun difetto" in shown.output
    assert "padova-parks" in CliRunner().invoke(zones_app, ["list"]).output


def test_a_new_file_is_compared_with_what_is_in_force(run: Run, tmp_path: Path) -> None:
    old = layer_file(tmp_path / "old.geojson", A=box(0, 5), B=box(5, 9))
    new = layer_file(tmp_path / "new.geojson", A=box(0, 6), B=box(6, 9), C=box(9, 12))
    target = ("--municipality", "padova", "--layer", "prova")
    run("import", "zones", old, *target, "--valid-from", "2020-01-01")
    here = ("prova", "--municipality", "padova")
    with pytest.raises(InvalidInput, match="one version"):
        run("diff", *here)
    found, exit_code = run(
        "diff", *here, "--file", new, "--picture", tmp_path / "d.png", "--geojson", tmp_path / "d.geojson"
    )
    assert exit_code == 0
    assert {change["code"]: change["kinds"] for change in found["changes"]} == {
        "a": ["reshaped"],
        "b": ["reshaped"],
        "c": ["added"],
    }
    assert found["changes"][0]["gained_from"][0]["zone"] == "B"
    assert (tmp_path / "d.png").stat().st_size > 1000
    assert len(json.loads((tmp_path / "d.geojson").read_text())["features"]) == 3
    run("import", "zones", new, *target, "--valid-from", "2026-01-01")
    assert run("diff", *here)[0]["changes"] == found["changes"]
    assert run("diff", *here, "--from", "2026-02-01")[0]["changes"] == []
    shown = CliRunner().invoke(zones_app, ["diff", *here])
    assert "ha un altro confine" in " ".join(shown.output.split())


def test_what_cannot_be_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="padova-parks"):
        run("check", "--municipality", "padova", "--layer", "nothing")
    with pytest.raises(NotFound):
        run("check", "--municipality", "nowhere")
    with pytest.raises(InvalidInput, match="png"):
        run("check", "--picture", tmp_path / "a.gif")
    with pytest.raises(InvalidInput, match="not both"):
        run("diff", "padova-parks", "--municipality", "padova", "--file", tmp_path / "a", "--to", "2026-01-01")


def test_a_tolerance_is_kept_with_the_layer(run: Run, tmp_path: Path) -> None:
    file = layer_file(tmp_path / "a.geojson", A=box(0, 6))
    target = ("--municipality", "padova", "--layer", "prova")
    run("import", "zones", file, *target, "--tolerance", 25)
    run("import", "zones", file, *target)
    listed, _ = run("list", "--municipality", "padova")
    assert {layer["layer"]: layer["tolerance_metres"] for layer in listed}["prova"] == 25
