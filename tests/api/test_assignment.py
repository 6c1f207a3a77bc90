"""Who at the desk looks after a report, and what becomes of that when the report goes elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, FANO, URP, SignIn, reported
from tests.trials import Staffer

WORKS = "operatore.lavoripubblici@pesaro.example.org"
GREEN = "operatore.verde@pesaro.example.org"
CREW = "squadra.roads-coast@pesaro.example.org"
COUNCIL = "consiglio@pesaro.example.org"
PROVINCE = "amministratore@provincia.example.org"
WORKS_HANDLE = "operatore.lavoripubblici"


def pothole(client: TestClient) -> Any:
    return reported(client, COAST, "buca profonda in viale Trieste", category="pothole")


def person(staffer: Staffer, handle: str, **parameters: Any) -> Any:
    found = [one for one in staffer.get("/people", **parameters)["people"] if one["handle"] == handle]
    assert len(found) == 1, handle
    return found[0]


def attempt(staffer: Staffer, method: str, report: dict[str, Any], what: str, body: Any = None) -> httpx.Response:
    url = f"/api/v1/desk/reports/{report['id']}"
    seen = staffer.client.get(url, headers=staffer.headers)
    headers = staffer.headers | {"If-Match": seen.headers.get("etag", '"v1"')}
    return staffer.client.request(method, f"{url}/{what}", headers=headers, json=body)


def test_a_report_is_given_to_a_colleague_of_its_department_only(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    urp = signed_in(URP)
    works, green = person(urp, WORKS_HANDLE), person(urp, "operatore.verde")
    assert works["roles"] == ["clerk"]
    assert not works["looks_after_all"]
    able = {one["handle"] for one in urp.get("/people", department=report["department"]["slug"])["people"]}
    assert {WORKS_HANDLE, "operatore.urp"} <= able
    assert not {"operatore.verde", "squadra.roads-coast", "consiglio"} & able

    given = urp.change("PUT", report["id"], "person", {"person": works["id"]})
    assert (given["person_id"], given["person"], given["version"]) == (works["id"], works["name"], 2)
    assert given["timeline"][-1]["what"] == "person"
    assert not given["timeline"][-1]["is_public"]
    assert urp.change("PUT", report["id"], "person", {"person": works["id"]})["version"] == 2, "nothing has changed"

    refused = attempt(urp, "PUT", report, "person", {"person": green["id"]})
    assert (refused.status_code, refused.json()["field"]) == (409, "person")
    unknown = attempt(urp, "PUT", report, "person", {"person": 2**31 - 1})
    assert (unknown.status_code, unknown.json()["field"]) == (404, "person")
    back = urp.change("PUT", report["id"], "person", {"person": None})
    assert (back["person_id"], back["person"]) == (None, None)


def test_who_takes_a_report_relieves_nobody(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    works, urp = signed_in(WORKS), signed_in(URP)
    assert works.change("POST", report["id"], "take", {})["person_id"] == person(works, WORKS_HANDLE)["id"]
    refused = attempt(urp, "POST", report, "take")
    assert refused.status_code == 409
    assert "already looked after by" in refused.json()["detail"]
    urp_id = person(urp, "operatore.urp")["id"]
    assert urp.change("PUT", report["id"], "person", {"person": urp_id})["person_id"] == urp_id


def test_of_two_who_take_the_same_report_at_once_one_has_it(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    staff = [signed_in(URP), signed_in(WORKS)]
    together = threading.Barrier(len(staff))

    def take(staffer: Staffer) -> int:
        together.wait()
        url = f"/api/v1/desk/reports/{report['id']}/take"
        return client.post(url, headers=staffer.headers | {"If-Match": '"v1"'}).status_code

    with ThreadPoolExecutor(len(staff)) as desks:
        answers = list(desks.map(take, staff))
    assert sorted(answers) == [200, 412]
    assert staff[0].get(f"/reports/{report['id']}")["version"] == 2


def test_whoever_looks_after_it_is_off_it_when_it_goes_to_another_department(
    client: TestClient, signed_in: SignIn
) -> None:
    urp, works = signed_in(URP), signed_in(WORKS)
    changes: list[Callable[[str], Any]] = [
        lambda key: urp.change("PUT", key, "department", {"department": "green", "reason": "È nel parco."}),
        lambda key: urp.change("PUT", key, "category", {"category": "dangerous-tree"}),
    ]
    for change in changes:
        report = pothole(client)
        works.change("POST", report["id"], "take", {})
        passed_on = change(report["id"])
        assert passed_on["department"] != report["department"]["slug"]
        assert passed_on["person_id"] is None
        assert [entry["details"]["to"] for entry in passed_on["timeline"] if entry["what"] == "person"][-1] is None

    report = pothole(client)
    urp.change("POST", report["id"], "take", {})
    kept = urp.change("PUT", report["id"], "department", {"department": "green", "reason": "È nel parco."})
    assert kept["person"], "the front desk looks after every department's reports"
    crew = pothole(client)
    works.change("POST", crew["id"], "take", {})
    assert works.change("PUT", crew["id"], "crew", {"crew": "roads-coast"})["person"], "the department is the same"


def test_what_is_over_is_given_to_nobody(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    urp = signed_in(URP)
    urp.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Buca chiusa."})
    assert attempt(urp, "POST", report, "take").status_code == 409


def test_neither_crews_nor_councils_nor_other_departments_give_reports_away(
    client: TestClient, signed_in: SignIn
) -> None:
    report = pothole(client)
    signed_in(URP).change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    for address, status in ((CREW, 403), (COUNCIL, 403), (GREEN, 403)):
        staffer = signed_in(address)
        for method, what, body in (("POST", "take", None), ("PUT", "person", {"person": None})):
            assert attempt(staffer, method, report, what, body).status_code == status, (address, what)
    assert client.get("/api/v1/desk/people", headers=signed_in(COUNCIL).headers).status_code == 403


def test_colleagues_are_those_of_the_own_municipality(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, FANO, "buca in viale Adriatico", category="pothole", contact={"email": "a@example.org"})
    here = {one["id"] for one in signed_in(URP).get("/people")["people"]}
    province = signed_in(PROVINCE)
    there = {one["id"] for one in province.get("/people", municipality="fano")["people"]}
    assert here
    assert there
    assert not here & there
    url, town = f"/api/v1/desk/reports/{report['id']}/person", {"municipality": "fano"}
    headers = province.headers | {"If-Match": '"v1"'}
    foreign = client.put(url, headers=headers, params=town, json={"person": min(here)})
    assert foreign.status_code == 404, "nobody of another municipality"
    own = client.put(url, headers=headers, params=town, json={"person": min(there)})
    assert own.status_code in {200, 409}


def test_who_is_employed_elsewhere_gives_reports_away_and_takes_none(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    province, works = signed_in(PROVINCE), person(signed_in(URP), WORKS_HANDLE)
    url, town = f"/api/v1/desk/reports/{report['id']}", {"municipality": "pesaro"}
    headers = province.headers | {"If-Match": '"v1"'}
    taken = client.post(f"{url}/take", headers=headers, params=town)
    assert taken.status_code == 409
    assert "Only those who work for Pesaro" in taken.json()["detail"]
    given = client.put(f"{url}/person", headers=headers, params=town, json={"person": works["id"]})
    assert (given.status_code, given.json()["person"]) == (200, works["name"])
