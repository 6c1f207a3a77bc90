"""Stories of an administrator: what is changed in the registry counts for the next report, and for the map."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient

from city.settings import PROJECT
from tests.stories.telling import COAST, FANO, ROME, URP, numbers_on_the_map, on_the_map, reported, wait_for_rest
from tests.trials import PASSWORD, visiting

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
PROVINCE: Final = "amministratore@provincia.example.org"
PESARO: Final = "/api/v1/registry/pesaro"


@pytest.fixture
def visitor(own_registry: str) -> Iterator[TestClient]:
    """A visitor of a house whose registry the test may change."""
    with visiting() as client:
        yield client


@pytest.fixture
def own_worker(own_registry: str, variable: Path) -> Iterator[None]:
    """A worker of that house."""
    with (variable / "own-worker.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", "workers"],
            stderr=log,
            cwd=PROJECT,
            env=dict(os.environ),
        )
        yield
        process.kill()
        process.wait()


def signed(client: TestClient, address: str) -> dict[str, str]:
    answer = client.post("/api/v1/session", json={"email": address, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_a_category_made_hidden_leaves_the_map_and_comes_back_with_its_reports(
    visitor: TestClient, own_registry: str, own_worker: None
) -> None:
    report = reported(visitor, COAST, "scritte sul muro della scuola", category="graffiti")
    elsewhere = reported(visitor, FANO, "scritte", category="graffiti", email="anna@example.org")
    assert numbers_on_the_map(visitor, COAST) == {report["number"]}
    headers = signed(visitor, ADMINISTRATOR)

    hidden = visitor.put(f"{PESARO}/categories/graffiti", json={"privacy": "hidden"}, headers=headers)
    assert hidden.status_code == 204, hidden.text
    late = reported(visitor, COAST, "altre scritte", category="graffiti")
    assert late["is_public"] is False, "the next report knows at once"
    wait_for_rest(own_registry)
    assert numbers_on_the_map(visitor, COAST) == set()
    assert on_the_map(visitor, COAST, 12) == []
    assert [row["number"] for row in visitor.get("/api/v1/reports").json()["reports"]] == [elsewhere["number"]]
    assert visitor.get(f"/api/v1/reports/{report['number']}").status_code == 404

    assert visitor.put(f"{PESARO}/categories/graffiti", json={}, headers=headers).status_code == 204
    wait_for_rest(own_registry)
    assert numbers_on_the_map(visitor, COAST) == {report["number"], late["number"]}


def test_a_new_rule_counts_for_the_next_report_and_one_that_ties_is_refused(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)
    rule: dict[str, Any] = {
        "department": "green",
        "category": "pothole",
        "layer": "pesaro-districts",
        "zone": "centro-mare",
        "note": {"it": "In centro ci pensa il Verde.", "en": "Downtown the parks office does it."},
    }
    made = visitor.post(f"{PESARO}/rules", json=rule, headers=headers)
    assert made.status_code == 201, made.text
    report = reported(visitor, COAST, "buca in viale Trieste", category="pothole")
    assert report["department"]["slug"] == "green"
    assert report["department"]["reason"]["rule"] == made.json()["id"]
    assert report["department"]["reason"]["note"] == rule["note"]

    tied = visitor.post(f"{PESARO}/rules", json=rule | {"department": "urp"}, headers=headers)
    assert tied.status_code == 409
    assert str(made.json()["id"]) in tied.json()["detail"], "which rule it would tie with"
    for wrong, field in (({"department": "ufo"}, "department"), ({"zone": "ufo"}, "zone"), ({"days": [8]}, "days.0")):
        refused = visitor.post(f"{PESARO}/rules", json=rule | {"priority": 1} | wrong, headers=headers)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    gone = visitor.delete(f"{PESARO}/rules/{made.json()['id']}", headers=headers)
    assert gone.status_code == 204
    assert reported(visitor, COAST, "buca", category="pothole")["department"]["slug"] == "public-works"


def test_nobody_administers_what_is_not_theirs(visitor: TestClient) -> None:
    rule = {"department": "urp", "category": "pothole", "priority": 9}
    for address, owner, status in (
        ("operatore.urp@pesaro.example.org", "pesaro", 403),
        ("consiglio@pesaro.example.org", "pesaro", 403),
        (ADMINISTRATOR, "fano", 403),
        (ADMINISTRATOR, "provincia", 403),
        (ADMINISTRATOR, "pesaro", 201),
        (PROVINCE, "fano", 201),
        (PROVINCE, "provincia", 201),
    ):
        answer = visitor.post(f"/api/v1/registry/{owner}/rules", json=rule, headers=signed(visitor, address))
        assert answer.status_code == status, (address, owner, answer.text)
    assert visitor.post(f"{PESARO}/rules", json=rule).status_code == 401
    inherited = visitor.get(f"{PESARO}/rules", headers=signed(visitor, ADMINISTRATOR)).json()[0]
    assert inherited["is_inherited"] is True
    for method in ("PUT", "DELETE"):
        answer = visitor.request(
            method,
            f"{PESARO}/rules/{inherited['id']}",
            headers=signed(visitor, ADMINISTRATOR),
            json=rule if method == "PUT" else None,
        )
        assert answer.status_code == 404, "the province's rule is not Pesaro's to change"


def test_somebody_new_may_sign_in_with_the_role_given_and_no_more(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)
    person = {
        "email": "nuova@pesaro.example.org",
        "name": "Nuova Collega",
        "role": "council",
        "password": PASSWORD,
    }
    assert visitor.post(f"{PESARO}/people", json=person, headers=headers).status_code == 201
    theirs = signed(visitor, "nuova@pesaro.example.org")
    assert visitor.get("/api/v1/session", headers=theirs).json()["roles"] == ["council"]
    assert visitor.get("/api/v1/desk/reports", headers=theirs).status_code == 200
    assert visitor.get(f"{PESARO}/people", headers=theirs).status_code == 403
    upwards = visitor.post(f"{PESARO}/people", json=person | {"role": "province_admin"}, headers=headers)
    assert upwards.status_code == 403
    stolen = visitor.post(f"{PESARO}/people", json=person | {"email": PROVINCE}, headers=headers)
    assert stolen.status_code == 409, "somebody else's colleague keeps the password they have"
    assert signed(visitor, PROVINCE)


def test_a_municipality_makes_a_category_of_its_own_and_the_province_one_for_all(visitor: TestClient) -> None:
    beach = {
        "group": "other",
        "name": {"it": "Spiaggia", "en": "Beach"},
        "deadline": {"amount": 5, "unit": "calendar_days"},
        "privacy": "public",
    }
    ours = signed(visitor, ADMINISTRATOR)
    assert visitor.put(f"{PESARO}/definitions/beach", json=beach, headers=ours).status_code == 204
    report = reported(visitor, COAST, "ombrelloni abbandonati", category="beach")
    assert (report["category"]["slug"], report["category"]["group"]) == ("beach", "other")
    assert report["is_public"]
    refused = visitor.post(
        "/api/v1/reports",
        json={
            **FANO._asdict(),
            "description": "ombrelloni",
            "category": "beach",
            "contact": {"email": "anna@example.org"},
        },
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "category")

    taken = visitor.put(f"{PESARO}/definitions/pothole", json=beach, headers=ours)
    assert (taken.status_code, taken.json()["field"]) == (409, "slug")
    moved = visitor.put(f"{PESARO}/definitions/beach", json=beach | {"group": "waste"}, headers=ours)
    assert (moved.status_code, moved.json()["field"]) == (409, "group")
    unknown = visitor.put(f"{PESARO}/definitions/boats", json=beach | {"group": "sea"}, headers=ours)
    assert (unknown.status_code, unknown.json()["field"]) == (422, "group")

    everyones = "/api/v1/registry/provincia/definitions/drone"
    drone = beach | {"name": {"it": "Droni", "en": "Drones"}}
    assert visitor.put(everyones, json=drone, headers=ours).status_code == 403
    assert visitor.put(everyones, json=drone, headers=signed(visitor, PROVINCE)).status_code == 204
    for slug in ("pesaro", "fano", "padova"):
        offered = visitor.get("/api/v1/categories", params={"municipality": slug}).json()["categories"]
        assert "drone" in {category["slug"] for category in offered}


# --- the calendar

YEAR: Final = 2027
"""Easter is on 28 March, and 24 September a Friday."""


def year_of(visitor: TestClient, owner: str, headers: dict[str, str]) -> dict[str, Any]:
    answer = visitor.get(f"/api/v1/registry/{owner}/calendar", params={"year": YEAR}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def names_of(calendar: dict[str, Any]) -> dict[str, str]:
    return {one["day"]: one["name"]["it"] for one in calendar["days_off"]}


def test_the_calendar_is_checked_and_changed(visitor: TestClient) -> None:
    ours, theirs = signed(visitor, ADMINISTRATOR), signed(visitor, PROVINCE)
    before = year_of(visitor, "pesaro", ours)
    assert names_of(before) | {"2027-03-29": "Lunedì dell'Angelo", "2027-09-24": "San Terenzio"} == names_of(before)
    assert before["time_zone"] == "Europe/Rome"
    close = {"name": "Ponte"}
    assert visitor.put(f"{PESARO}/closing-days/{YEAR}-12-24", json=close, headers=ours).status_code == 204
    everyone = "/api/v1/registry/provincia"
    assert visitor.put(f"{everyone}/closing-days/{YEAR}-12-31", json=close, headers=ours).status_code == 403
    assert visitor.put(f"{everyone}/closing-days/{YEAR}-12-31", json=close, headers=theirs).status_code == 204
    after = year_of(visitor, "pesaro", ours)
    assert {one["day"]: one["is_inherited"] for one in after["days_off"] if one["kind"] == "closing"} == {
        f"{YEAR}-12-24": False,
        f"{YEAR}-12-31": True,
    }
    assert after["working_days"] == before["working_days"] - 2
    fano = year_of(visitor, "fano", theirs)
    assert f"{YEAR}-12-24" not in names_of(fano)
    assert f"{YEAR}-12-31" in names_of(fano)
    assert names_of(fano)["2027-07-10"] == "San Paterniano"
    assert visitor.delete(f"{PESARO}/closing-days/{YEAR}-12-24", headers=ours).status_code == 204
    assert visitor.delete(f"{PESARO}/closing-days/{YEAR}-12-24", headers=ours).status_code == 404
    saint = {"day": "01-08", "name": "San Severino"}
    assert visitor.put(f"{PESARO}/patron", json=saint, headers=ours).status_code == 204
    assert names_of(year_of(visitor, "pesaro", ours))[f"{YEAR}-01-08"] == "San Severino"
    for bad in ("02-30", "13-01", "6-1"):
        answer = visitor.put(f"{PESARO}/patron", json={"day": bad, "name": "X"}, headers=ours)
        assert (answer.status_code, answer.json()["field"]) == (422, "day"), bad
    assert visitor.put(f"{everyone}/patron", json=saint, headers=theirs).status_code == 422


def test_a_calendar_is_read_by_whoever_works_there_and_set_by_its_administrators(visitor: TestClient) -> None:
    clerk, elsewhere = signed(visitor, URP), signed(visitor, "amministratore@fano.example.org")
    assert year_of(visitor, "pesaro", clerk)["year"] == YEAR
    assert visitor.get(f"{PESARO}/calendar", params={"year": YEAR}, headers=elsewhere).status_code == 403
    for method, what, body in (
        ("PUT", "office-hours", {"hours": None}),
        ("PUT", "patron", {"day": None}),
        ("PUT", f"closing-days/{YEAR}-12-24", {"name": "Ponte"}),
        ("DELETE", f"closing-days/{YEAR}-12-24", None),
    ):
        for headers in (clerk, elsewhere):
            answer = visitor.request(method, f"{PESARO}/{what}", json=body, headers=headers)
            assert answer.status_code == 403, (what, answer.text)


def test_office_hours_that_cannot_be_are_refused(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)

    def put(*hours: tuple[int, str, str]) -> Any:
        body = {"hours": [{"day": day, "opens": opens, "closes": closes} for day, opens, closes in hours]}
        return visitor.put(f"{PESARO}/office-hours", json=body, headers=headers)

    for bad in (
        [],
        [(1, "14:00", "08:00")],
        [(1, "08:00", "08:00")],
        [(1, "08:00", "14:00"), (1, "13:59", "18:00")],
        [(1, "08:00", "14:00"), (1, "08:00", "14:00")],
    ):
        answer = put(*bad)
        assert (answer.status_code, answer.json()["field"]) == (422, "hours"), bad
    assert put((8, "08:00", "14:00")).status_code == 422
    assert put((1, "8:00", "14:00")).status_code == 422
    assert put((1, "24:00", "24:00")).status_code == 422
    assert put((6, "08:00", "12:00"), (6, "12:00", "24:00")).status_code == 204
    calendar = year_of(visitor, "pesaro", headers)
    assert calendar["hours_from"] == "own"
    assert calendar["hours"] == [
        {"day": 6, "opens": "08:00", "closes": "12:00"},
        {"day": 6, "opens": "12:00", "closes": "24:00"},
    ]
    assert calendar["working_days"] < 53


def test_the_next_report_counts_by_the_new_calendar(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)
    today = datetime.now(ROME).date()
    unit = {"name": None, "privacy": None, "deadline": {"amount": 3, "unit": "working_days"}, "is_active": None}
    assert visitor.put(f"{PESARO}/categories/pothole", json=unit, headers=headers).status_code == 204
    every_day = [{"day": day, "opens": "00:00", "closes": "24:00"} for day in range(1, 8)]
    assert visitor.put(f"{PESARO}/office-hours", json={"hours": every_day}, headers=headers).status_code == 204

    def days_off() -> set[date]:
        return {
            date.fromisoformat(one["day"])
            for year in {today.year, (today + timedelta(days=30)).year}
            for one in visitor.get(f"{PESARO}/calendar", params={"year": year}, headers=headers).json()["days_off"]
        }

    def last_day(**more: Any) -> date:
        report = reported(visitor, COAST, "Buca profonda", category="pothole", **more)
        return datetime.fromisoformat(report["deadline_at"]).astimezone(ROME).date()

    def third_open_day() -> date:
        following = (today + timedelta(days=number) for number in range(1, 40))
        return [day for day in following if day not in days_off()][2]

    assert last_day() == third_open_day()
    tomorrow = today + timedelta(days=1)
    saint = {"day": tomorrow.strftime("%m-%d"), "name": "San Domani"}
    assert visitor.put(f"{PESARO}/patron", json=saint, headers=headers).status_code == 204
    assert last_day() == third_open_day()
    after = today + timedelta(days=2)
    assert visitor.put(f"{PESARO}/closing-days/{after}", json={"name": "Ponte"}, headers=headers).status_code == 204
    assert last_day() == third_open_day() >= today + timedelta(days=5)
    hours = unit | {"deadline": {"amount": 1, "unit": "working_hours"}}
    assert visitor.put(f"{PESARO}/categories/pothole", json=hours, headers=headers).status_code == 204
    report = reported(visitor, COAST, "Buca profonda", category="pothole")
    now, due = datetime.now(UTC), datetime.fromisoformat(report["deadline_at"])
    assert now < due <= now + timedelta(days=1 + len(days_off()), hours=1)


def test_the_ladder_is_inherited_and_may_be_ones_own(visitor: TestClient, own_registry: str, own_worker: None) -> None:
    ours, theirs, clerk = signed(visitor, ADMINISTRATOR), signed(visitor, PROVINCE), signed(visitor, URP)

    def ladder(owner: str = "pesaro") -> tuple[str, list[dict[str, Any]]]:
        answer = visitor.get(f"/api/v1/registry/{owner}/ladder", headers=clerk if owner == "pesaro" else theirs)
        assert answer.status_code == 200, answer.text
        return answer.json()["rungs_from"], answer.json()["rungs"]

    def put(owner: str, rungs: Any, headers: dict[str, str]) -> Any:
        return visitor.put(f"/api/v1/registry/{owner}/ladder", json={"rungs": rungs}, headers=headers)

    source, standard = ladder()
    assert (source, [rung["percent"] for rung in standard]) == ("standard", [75, 100, None, None])
    half = [{"percent": 50, "to": ["office"]}]
    assert put("provincia", half, ours).status_code == 403
    assert put("pesaro", half, clerk).status_code == 403
    assert put("provincia", half, theirs).status_code == 204
    assert ladder("fano") == ladder() == ("province", [{"percent": 50, "working_days": None, "to": ["office"]}])
    own = [{"working_days": 1, "to": ["head"]}, {"percent": 90, "to": ["person", "office"]}]
    assert put("pesaro", own, ours).status_code == 204
    source, rungs = ladder()
    assert (source, [rung["percent"] for rung in rungs]) == ("own", [90, None]), "lower steps first"
    assert ladder("fano")[0] == "province"
    for bad in (
        [{"to": ["head"]}],
        [{"percent": 50, "working_days": 1, "to": ["head"]}],
        [{"percent": 50, "to": ["head"]}, {"percent": 50, "to": ["office"]}],
        [{"percent": 0, "to": ["head"]}],
        [{"percent": 101, "to": ["head"]}],
        [{"percent": 50, "to": []}],
        [{"percent": 50, "to": ["mayor"]}],
    ):
        assert put("pesaro", bad, ours).status_code == 422, bad
    assert ladder()[1] == rungs
    wait_for_rest(own_registry)
    assert put("pesaro", [], ours).status_code == 204
    assert ladder() == ("own", [])
    reported(visitor, COAST, "Buca profonda", category="pothole")
    assert put("pesaro", None, ours).status_code == 204
    assert ladder()[0] == "province"
    wait_for_rest(own_registry)
