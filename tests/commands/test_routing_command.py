"""`./lampione routing dry-run`: other rules and zones on past reports, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from city.errors import InvalidInput, NotFound
from city.settings import PROJECT
from commands.routing import routing_app

Run = Callable[..., dict[str, Any]]
HERE = ("dry-run", "--municipality", "padova")


@pytest.fixture
def run(client: TestClient) -> Run:
    """Run a command with --json on two reports in Padova; its JSON."""
    for category in ("pothole", "unsafe-place"):
        body = {"lon": 11.8768, "lat": 45.4064, "description": "Guasto", "category": category}
        assert client.post("/api/v1/reports", json=body).status_code == 201

    def call(*arguments: object) -> dict[str, Any]:
        result: Result = CliRunner().invoke(routing_app, [*map(str, arguments), "--json"])
        if result.exception is not None:
            raise result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return call


def rules_file(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def state(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT (SELECT version FROM registry_version), (SELECT count(*) FROM routing_rule),"
            " (SELECT count(*) FROM zone), (SELECT max(updated_at) FROM report), (SELECT count(*) FROM job)"
        ).fetchall()


def test_the_rules_in_force_change_nothing(run: Run, database: str) -> None:
    before = state(database)
    found = run(*HERE, "--rules", PROJECT / "seed" / "rules.toml")
    assert (found["reports"], found["changed"], found["ties"], found["dangling"]) == (2, 0, [], [])
    assert state(database) == before


def test_other_rules_send_reports_elsewhere_and_the_map_shows_public_ones(
    run: Run, database: str, tmp_path: Path
) -> None:
    before = state(database)
    rules = rules_file(tmp_path / "r.toml", '[[rule]]\ncategory = "pothole"\ndepartment = "green"\n')
    found = run(*HERE, "--rules", rules, "--geojson", tmp_path / "g.geojson", "--picture", tmp_path / "p.png")
    moves = {(move["from"], move["to"]): move["count"] for move in found["moves"]}
    assert moves["mobility", "green"] == 1
    assert found["changed"] == 2
    features = json.loads((tmp_path / "g.geojson").read_text())["features"]
    assert [feature["properties"]["category"] for feature in features] == ["pothole"]
    assert (tmp_path / "p.png").stat().st_size > 1000
    assert state(database) == before


def test_other_zones_send_reports_elsewhere(run: Run, database: str, tmp_path: Path) -> None:
    before = state(database)
    park = {
        "type": "Feature",
        "properties": {"code": "all", "name": "Tutto"},
        "geometry": json.loads(shapely.to_geojson(shapely.box(11.86, 45.39, 11.89, 45.42))),
    }
    file = tmp_path / "z.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [park]}), "utf-8")
    found = run(*HERE, "--zones", file, "--layer", "padova-parks", "--picture", tmp_path / "p.svg")
    assert [(move["to"], move["count"]) for move in found["moves"]] == [("green", 1)]
    assert state(database) == before


def test_what_saving_would_refuse_is_said(run: Run, tmp_path: Path) -> None:
    rules = rules_file(
        tmp_path / "r.toml",
        '[[rule]]\ngroup = "roads"\ndepartment = "gone"\n[[rule]]\ngroup = "roads"\ndepartment = "green"\n',
    )
    found = run(*HERE, "--rules", rules)
    assert found["dangling"] == [{"rule": -1, "what": "department", "name": "gone"}]
    assert found["ties"] == [[-1, -2]]
    assert found["would_wait"] == 1
    shown = CliRunner().invoke(routing_app, [*HERE, "--rules", str(rules)])
    assert "aspetterebbero una persona" in shown.output
    assert "niente è stato cambiato" in shown.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule", "cannot be read"),
        ("", "no rule"),
        ('[[rule]]\ncategory = "pothole"\n', "Rule 1"),
        ('[[rule]]\ndepartment = "urp"\ncolour = "red"\n', "colour"),
        ('[[rule]]\ndepartment = "urp"\ndays = ["someday"]\n', "someday"),
        ('[[rule]]\ndepartment = "urp"\nfrom = "25:00"\nuntil = "26:00"\n', "Rule 1"),
    ],
)
def test_a_file_that_is_no_list_of_rules_is_refused(run: Run, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(*HERE, "--rules", rules_file(tmp_path / "r.toml", text))


def test_what_to_try_must_be_said(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--rules"):
        run(*HERE)
    with pytest.raises(InvalidInput, match="together"):
        run(*HERE, "--zones", tmp_path / "z.geojson")
    with pytest.raises(NotFound):
        run("dry-run", "--municipality", "nowhere", "--rules", PROJECT / "seed" / "rules.toml")
