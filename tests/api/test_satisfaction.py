"""How content reporters are: staff see how ratings are spread, the public nothing that may point at somebody."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, reported

LAMP, HOLE = "lampione spento davanti al civico 12", "buca profonda in viale Trieste"
URL = "/api/v1/insight/satisfaction"


@pytest.fixture
def rated(client: TestClient, database: str) -> None:
    """Lamps rated 5 seven times, 4 six times and 1 twice; three holes rated 2; a hidden one rated 1."""
    ratings = [*[5] * 7, *[4] * 6, *[1] * 2]
    given = [(reported(client, COAST, LAMP)["id"], rating) for rating in ratings]
    given += [(reported(client, COAST, HOLE)["id"], 2) for _ in range(3)]
    given += [(reported(client, COAST, "mi sento poco sicura", category="unsafe-place")["id"], 1)]
    reported(client, COAST, LAMP)
    with psycopg.connect(database) as admin:
        for report_id, rating in given:
            admin.execute("UPDATE report SET rating = %s WHERE id = %s", (rating, report_id))


def rows(client: TestClient, headers: dict[str, str] | None = None, **asked: str) -> dict[str, Any]:
    answer = client.get(URL, params={"municipality": "pesaro"} | asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return {row["key"]: row for row in answer.json()["rows"]}


@pytest.mark.usefixtures("rated")
def test_staff_see_how_ratings_are_spread(client: TestClient, signed_in: SignIn) -> None:
    clerk = signed_in(URP).headers
    total = rows(client, clerk)["total"]
    assert (total["rated"], total["ratings"], total["mean"]) == (19, [3, 3, 0, 6, 7], round(68 / 19, 2))
    by_category = rows(client, clerk, by="category")
    assert by_category["lamp-out"]["ratings"] == [2, 0, 0, 6, 7]
    assert (by_category["pothole"]["rated"], by_category["pothole"]["mean"]) == (3, None), "too few for a mean"
    assert by_category["graffiti"]["rated"] == 0
    lighting = signed_in("operatore.illuminazione@pesaro.example.org").headers
    assert rows(client, lighting)["total"]["rated"] == 15, "of one's own department"


@pytest.mark.usefixtures("rated")
def test_the_public_is_not_told_what_may_point_at_somebody(client: TestClient) -> None:
    total = rows(client)["total"]
    assert total["rated"] == 18, "what is hidden does not count"
    by_category = rows(client, by="category")
    assert "unsafe-place" not in by_category
    for row in (total, *by_category.values()):
        told = [number for number in row["ratings"] if number is not None]
        assert all(number == 0 or number >= 5 for number in told), row
        withheld = row["ratings"].count(None)
        assert withheld == 0 or row["rated"] is None or row["rated"] - sum(told) >= 5, row
        assert row["mean"] is None or withheld == 0, row
    assert by_category["pothole"]["rated"] is None
    assert by_category["graffiti"]["ratings"] == [0] * 5


def test_what_cannot_be_asked_is_said(client: TestClient) -> None:
    asked = {"municipality": "pesaro", "by": "zone"}
    assert client.get(URL, params=asked).json()["field"] == "layer"
    assert client.get(URL).json()["field"] == "municipality"
