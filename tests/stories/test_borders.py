"""Stories of a border: whose is a report on the line, and what does somebody beyond it hear?"""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

from geo.place import Place
from tests.stories.telling import counted, hand_in, numbers_on_the_map, reported

PESARO_FANO = (Place(12.945, 43.862), Place(12.938, 43.85))
"""An edge that both municipalities share."""


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.813, 1])
def test_a_report_on_the_shared_edge_has_exactly_one_home(client: TestClient, share: float) -> None:
    start, end = PESARO_FANO
    place = Place(start.lon + (end.lon - start.lon) * share, start.lat + (end.lat - start.lat) * share)
    report = reported(client, place, "buca profonda proprio sul confine", email="anna@example.org")
    home = report["municipality"]["slug"]
    assert home in {"pesaro", "fano"}
    assert report["number"].startswith({"pesaro": "PS-", "fano": "FA-"}[home])
    assert report["department"]["slug"] == "public-works"
    if share in {0, 1}:
        assert home == "pesaro", "a point of both belongs to the first hosted one"
    listed = client.get("/api/v1/reports").json()["reports"]
    assert [(row["number"], row["municipality"]) for row in listed] == [(report["number"], home)]
    assert numbers_on_the_map(client, place) == {report["number"]}
    again = reported(client, place, "la stessa buca", category="pothole", email="anna@example.org")
    assert again["municipality"]["slug"] == home
    assert [near["number"] for near in again["near_duplicates"]] == [report["number"]]


def test_a_step_to_either_side_decides(client: TestClient) -> None:
    west = reported(client, Place(12.9405, 43.856), "buca", category="pothole", email="anna@example.org")
    east = reported(client, Place(12.9425, 43.856), "buca", category="pothole", email="anna@example.org")
    assert (west["municipality"]["slug"], east["municipality"]["slug"]) == ("pesaro", "fano")


@pytest.mark.parametrize(
    ("place", "nearest"),
    [(Place(12.93, 43.93), "Pesaro"), (Place(13.1, 43.9), "Fano"), (Place(11.70, 45.40), "Padova")],
)
def test_outside_every_municipality_the_nearest_one_is_named(
    client: TestClient, database: str, place: Place, nearest: str
) -> None:
    with psycopg.connect(database) as admin:
        row = admin.execute(
            "SELECT name, ST_Distance(boundary::geography, %s::geography) / 1000 FROM municipality"
            " WHERE boundary IS NOT NULL ORDER BY 2 LIMIT 1",
            (place.wkt(),),
        ).fetchone()
    assert row is not None
    assert row[0] == nearest, "PostGIS is the referee"
    for path, body in (
        ("reports", {"description": "una boa alla deriva"}),
        ("suggestions", {"text": "una boa alla deriva"}),
    ):
        answer = client.post(f"/api/v1/{path}", json={"lon": place.lon, "lat": place.lat, **body})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["type"], problem["field"]) == ("/problems/invalid-input", "place")
        assert f"nearest one is {nearest}" in problem["detail"]
        said = float(problem["detail"].split(" km")[0].split()[-1])
        assert said == pytest.approx(row[1], rel=0.01, abs=0.06)
    assert counted(database, "report") == 0


def test_swapped_coordinates_are_told_apart_from_a_place_outside(client: TestClient) -> None:
    answer = hand_in(client, Place(43.8861, 12.861), "buca")
    assert answer.status_code == 422
    assert "swapped" in answer.json()["detail"]
    assert "Pesaro" in answer.json()["detail"]
