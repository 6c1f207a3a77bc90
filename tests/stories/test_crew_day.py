"""Stories of a crew in the morning: the day's jobs, in order, with all that is needed where there is no network."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, east_of, photo_taken_at, reported
from tests.trials import Staffer, eventually

CREW = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW = "squadra.roads-hills@pesaro.example.org"
COUNCIL = "consiglio@pesaro.example.org"
REPORTER = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "+39 0721 123456"}


def job(client: TestClient, clerk: Staffer, metres: float, words: str = "buca profonda", **more: Any) -> Any:
    """A pothole so far east of the crew's yard, given to the crew."""
    place = east_of(COAST, metres)
    report = reported(client, place, words, category="pothole", contact=REPORTER, **more)
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    return report


def day(client: TestClient, staff: Staffer, **asked: Any) -> Any:
    answer = client.get("/api/v1/crew/day", headers=staff.headers, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_day_is_nearest_first_and_emergencies_before_all(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    far, near, middle = (job(client, clerk, metres) for metres in (900, 100, 400))
    danger = job(client, clerk, 700, "voragine con cavo scoperto, si prende la scossa")
    reported(client, COAST, "buca che nessuna squadra ha", category="pothole", contact=REPORTER)
    ended = job(client, clerk, 50)
    clerk.change("POST", ended["id"], "moves", {"to": "rejected", "reason": "Area privata."})

    from_here = day(client, crew, lon=COAST.lon, lat=COAST.lat)
    assert [found["id"] for found in from_here["jobs"]] == [r["id"] for r in (danger, far, middle, near)]
    assert [found["is_emergency"] for found in from_here["jobs"]] == [True, False, False, False]
    from_the_east = day(client, crew, lon=east_of(COAST, 2000).lon, lat=COAST.lat)
    assert from_the_east["jobs"][0]["id"] == danger["id"]
    assert len(day(client, crew)["jobs"]) == 4
    assert from_here["more"] == 0


@pytest.mark.usefixtures("worker")
def test_a_job_carries_all_that_is_needed_and_nothing_of_the_reporter(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk, 0, "buca davanti al forno", photo=photo_taken_at(COAST), address="Viale Trieste 3")
    clerk.change("POST", report["id"], "updates", {"text": "Portare due transenne.", "is_public": False})
    clerk.change("POST", report["id"], "moves", {"to": "planned"})

    def with_photo() -> Any:
        found = day(client, crew)["jobs"][0]
        return found if found["photos"] else None

    found = eventually(with_photo)
    assert found["number"] == report["number"]
    assert (found["state"], found["description"], found["address"]) == (
        "planned",
        "buca davanti al forno",
        "Viale Trieste 3",
    )
    assert found["category"]["name"]["it"]
    assert found["moves"] == ["in_progress", "resolved", "waiting"]
    assert found["questions"] is not None
    assert "Portare due transenne." in [entry["note"] for entry in found["timeline"]]
    for size in ("large", "medium", "small"):
        picture = client.get(found["photos"][0]["links"][size], headers=crew.headers)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    seen = clerk.get(f"/reports/{report['id']}")
    assert found["version"] == seen["version"]
    for secret in ("anna@", "Bianchi", *REPORTER.values()):
        assert secret not in str(found)
    form = day(client, crew)["form"]
    assert {reason["slug"] for reason in form["reasons"]} >= {"material", "access", "other"}
    assert {material["group"] for material in form["materials"]} >= {None, "roads", "lighting"}


def test_the_tablet_fetches_cheaply_while_nothing_has_changed(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk, 0)
    first = client.get("/api/v1/crew/day", headers=crew.headers)
    known = crew.headers | {"If-None-Match": first.headers["etag"]}
    same = client.get("/api/v1/crew/day", headers=known)
    assert (same.status_code, same.content) == (304, b"")
    clerk.change("POST", report["id"], "updates", {"text": "Ci passa il bus.", "is_public": False})
    assert client.get("/api/v1/crew/day", headers=known).status_code == 200


def test_a_crew_sees_its_own_day_only(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew, others = signed_in(URP), signed_in(CREW), signed_in(OTHER_CREW)
    report = job(client, clerk, 0)
    assert [found["id"] for found in day(client, crew)["jobs"]] == [report["id"]]
    assert day(client, others)["jobs"] == []
    url = "/api/v1/crew/day"
    foreign = client.get(url, headers=others.headers, params={"crew": "roads-coast"})
    assert (foreign.status_code, foreign.json()["field"]) == (403, "crew")
    which = client.get(url, headers=clerk.headers)
    assert (which.status_code, which.json()["field"]) == (422, "crew")
    assert "roads-coast" in which.json()["detail"]
    assert day(client, clerk, crew="roads-coast")["jobs"][0]["id"] == report["id"]
    assert client.get(url, headers=signed_in(COUNCIL).headers).status_code == 403
    assert client.get(url, headers=crew.headers, params={"crew": "nobody"}).status_code == 422
    away = client.get(url, headers=crew.headers, params={"municipality": "fano"})
    assert away.status_code == 403
    half = client.get(url, headers=crew.headers, params={"lat": 43.9})
    assert (half.status_code, half.json()["field"]) == (422, "lon")
    assert client.get(url, headers=crew.headers, params={"lon": 500, "lat": 43.9}).status_code == 422
