"""Stories of who may do what: roles of a municipality's own, and appointments for some categories and zones only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.records.worklists import Order, Worklist
from city.registry.staff.roles import ADMINISTRATORS
from city.reports.lifecycle import State
from tests.stories.telling import COAST, FANO, INLAND, east_of, plain, reported, wait_for_rest
from tests.stories.test_administrator import ADMINISTRATOR, PESARO, PROVINCE, own_worker, signed  # noqa: F401
from tests.trials import PASSWORD, Postbox, Staffer, eventually, visiting

GREEN_DOWNTOWN: Final = {"groups": ["green"], "zones": ["pesaro-districts/centro-mare"]}


@pytest.fixture
def visitor(own_registry: str) -> Iterator[TestClient]:
    """A visitor of a house whose registry the test may change."""
    with visiting() as client:
        yield client


def person(visitor: TestClient, name: str, **post: Any) -> Staffer:
    """Somebody new in Pesaro, signed in."""
    body = {"email": f"{name}@pesaro.example.org", "name": name.title(), "password": PASSWORD, **post}
    made = visitor.post(f"{PESARO}/people", json=body, headers=signed(visitor, ADMINISTRATOR))
    assert made.status_code == 201, made.text
    return Staffer(visitor, signed(visitor, body["email"]))


def numbers(page: Any) -> set[str]:
    return {row["number"] for row in page["reports"]}


def told(visitor: TestClient, staffer: Staffer, since: str | None = None) -> str:
    """What a stream tells of what was missed."""
    parameters: dict[str, Any] = {"seconds": 0} | ({"last_event_id": since} if since else {})
    return visitor.get("/api/v1/stream", params=parameters, headers=staffer.headers).text


def test_a_clerk_for_green_downtown_sees_counts_finds_and_hears_only_of_that(visitor: TestClient) -> None:
    clerk = person(visitor, "verde", role="clerk", **GREEN_DOWNTOWN)
    since = re.findall(r"^id: (.+)$", told(visitor, clerk), re.MULTILINE)[-1]
    tree = reported(visitor, COAST, "albero caduto sul viale", category="dangerous-tree")
    hills = reported(visitor, INLAND, "albero caduto sulla strada", category="dangerous-tree")
    hole = reported(visitor, east_of(COAST, 30), "buca vicino all'albero", category="pothole")

    assert numbers(clerk.get("/reports")) == {tree["number"]}
    assert clerk.get("/reports", total=True)["total"] == 1
    assert numbers(clerk.get("/reports", q="albero")) == {tree["number"]}
    assert numbers(clerk.get("/reports", q=hole["number"])) == set()
    counts = {one["name"]: one["count"] for one in clerk.get("/worklists")["worklists"]}
    assert (counts["department"], counts["unassigned"]) == (1, 1)
    for other in (hills, hole):
        assert visitor.get(f"/api/v1/desk/reports/{other['id']}", headers=clerk.headers).status_code == 404
        denied = visitor.post(
            f"/api/v1/desk/reports/{other['id']}/moves",
            headers=clerk.headers | {"If-Match": '"v1"'},
            json={"to": "in_progress"},
        )
        assert denied.status_code == 403, denied.text
    seen = clerk.get(f"/reports/{tree['id']}")
    assert {one["number"] for one in seen["near_duplicates"]} == set()
    heard = told(visitor, clerk, since)
    assert tree["number"] in heard
    assert hills["number"] not in heard
    assert hole["number"] not in heard
    months = visitor.get("/api/v1/insight/months", headers=clerk.headers).json()["rows"]
    assert sum(row["received"] for row in months) == 1
    assert "Only the categories and zones" in visitor.get("/api/v1/insight/report.html", headers=clerk.headers).text

    desk = Staffer(visitor, signed(visitor, "operatore.urp@pesaro.example.org"))
    desk.change("PUT", tree["id"], "category", {"category": "pothole"})
    gone = told(visitor, clerk, since)
    assert "event: gone" in gone
    assert tree["number"] not in gone
    assert numbers(clerk.get("/reports")) == set()


def test_whoever_has_it_passes_it_on_when_it_becomes_another_matter(visitor: TestClient) -> None:
    person(visitor, "verde", role="clerk", department="green", **GREEN_DOWNTOWN)
    desk = Staffer(visitor, signed(visitor, "operatore.urp@pesaro.example.org"))
    tree = reported(visitor, COAST, "albero caduto sul viale", category="dangerous-tree")
    hills = reported(visitor, INLAND, "albero caduto sulla strada", category="dangerous-tree")
    people = {one["name"]: one["id"] for one in desk.get("/people", department="green")["people"]}
    assert "Verde" in people
    assert "Verde" in {one["name"] for one in desk.get("/people", report=tree["id"])["people"]}
    assert "Verde" not in {one["name"] for one in desk.get("/people", report=hills["id"])["people"]}
    green = signed(visitor, "verde@pesaro.example.org")
    for report, status in ((tree, 200), (hills, 404)):
        asked = visitor.get("/api/v1/desk/people", params={"report": report["id"]}, headers=green)
        assert asked.status_code == status, asked.text

    given = desk.change("PUT", tree["id"], "person", {"person": people["Verde"]})
    assert given["person"] == "Verde"
    for path, body in (("person", {"person": people["Verde"]}), ("updates", {"text": "@verde guarda"})):
        seen = visitor.get(f"/api/v1/desk/reports/{hills['id']}", headers=desk.headers)
        refused = visitor.request(
            "PUT" if path == "person" else "POST",
            f"/api/v1/desk/reports/{hills['id']}/{path}",
            headers=desk.headers | {"If-Match": seen.headers["etag"]},
            json=body,
        )
        assert refused.status_code in (409, 422), refused.text
        assert "Verde" in refused.text or "verde" in refused.text
    moved = desk.change("PUT", tree["id"], "category", {"category": "pothole"})
    assert moved["person"] is None, "what is no green any more is not theirs"


def test_of_reports_that_hang_together_those_of_other_matters_are_not_named(visitor: TestClient) -> None:
    clerk = person(visitor, "verde", role="clerk", **GREEN_DOWNTOWN)
    desk = Staffer(visitor, signed(visitor, "operatore.urp@pesaro.example.org"))
    tree, twin = (reported(visitor, COAST, "albero caduto", category="dangerous-tree") for _ in range(2))
    hole, hills = (
        reported(visitor, COAST, "buca", category="pothole"),
        reported(visitor, INLAND, "albero caduto", category="dangerous-tree"),
    )
    for other in (twin, hole, hills):
        desk.change("PUT", other["id"], "master", {"master": tree["id"]})
    for category in ("dangerous-tree", "pothole"):
        desk.change("POST", tree["id"], "children", {"text": "Transennare.", "category": category})
    parts = {one["category"]: one for one in desk.get(f"/reports/{tree['id']}")["children"]}

    def named(reader: Staffer, report: Any) -> tuple[set[str], set[str], str]:
        seen = reader.get(f"/reports/{report['id']}")
        group = seen["together"]["duplicates"] + [one for one in [seen["together"]["master"]] if one]
        return {one["number"] for one in group}, {one["number"] for one in seen["children"]}, str(seen)

    all_of_it = {twin["number"], hole["number"], hills["number"]}
    assert named(desk, tree)[:2] == (all_of_it, {one["number"] for one in parts.values()})
    together, children, everything = named(clerk, tree)
    assert (together, children) == ({twin["number"]}, {parts["dangerous-tree"]["number"]})
    for hidden in (hole, hills, parts["pothole"]):
        assert hidden["number"] not in everything
        assert hidden["id"] not in everything
    assert named(clerk, twin)[0] == {tree["number"]}

    desk.change("PUT", tree["id"], "category", {"category": "pothole"})
    for report in (twin, parts["dangerous-tree"]):
        together, _, everything = named(clerk, report)
        assert together == set()
        assert tree["number"] not in everything
        assert tree["id"] not in everything
        assert tree["id"] in named(desk, report)[2]
    listed = clerk.get("/reports")
    assert numbers(listed) == {twin["number"], parts["dangerous-tree"]["number"]}
    assert {(one["master"], one["parent"]) for one in listed["reports"]} == {(None, None)}
    assert {one["master"] for one in desk.get("/reports")["reports"]} == {None, tree["id"]}


def test_many_at_once_stop_at_the_same_border(visitor: TestClient) -> None:
    clerk = person(visitor, "verde", role="clerk", **GREEN_DOWNTOWN)
    tree = reported(visitor, COAST, "albero caduto sul viale", category="dangerous-tree")
    hole = reported(visitor, COAST, "buca", category="pothole")
    action = {"do": "note", "text": "Vista."}
    stack = {"action": action, "reports": [{"id": tree["id"]}, {"id": hole["id"]}], "preview": True}
    looked = visitor.post("/api/v1/desk/bulk", headers=clerk.headers, json=stack).json()
    assert [one["number"] for one in looked["changed"]] == [tree["number"]]
    assert [one["id"] for one in looked["refused"]] == [hole["id"]]


@pytest.mark.usefixtures("own_worker")
def test_letters_to_an_office_leave_out_whose_appointment_is_for_other_places(
    visitor: TestClient, own_registry: str, postbox: Postbox
) -> None:
    office = {"name": {"it": "Settore Verde", "en": "Parks"}}
    without = visitor.put(f"{PESARO}/departments/green", json=office, headers=signed(visitor, ADMINISTRATOR))
    assert without.status_code == 204, "an office without an address: its people are written to"
    person(visitor, "centro", role="clerk", department="green", **GREEN_DOWNTOWN)
    person(visitor, "colline", role="clerk", department="green", zones=["pesaro-districts/castelli"])
    desk = Staffer(visitor, signed(visitor, "operatore.urp@pesaro.example.org"))
    tree = reported(visitor, COAST, "albero caduto", category="dangerous-tree", email="anna@example.org")
    desk.change("POST", tree["id"], "questions", {"text": "È sul viale?"})
    answered = visitor.post(
        f"/api/v1/reports/{tree['number']}/answers",
        headers={"Receipt-Token": tree["receipt_token"]},
        json={"text": "Sì."},
    )
    assert answered.status_code == 200, answered.text
    wait_for_rest(own_registry)
    assert "viale" in plain(postbox.to("centro@pesaro.example.org")[0])
    assert postbox.to("operatore.verde@pesaro.example.org"), "nobody looks after it, so all of the office are told"
    assert not postbox.to("colline@pesaro.example.org")


def test_a_crew_member_for_one_place_takes_and_does_only_that(visitor: TestClient) -> None:
    desk = Staffer(visitor, signed(visitor, "operatore.urp@pesaro.example.org"))
    driver = person(visitor, "stradino", role="crew", crew="roads-coast", zones=["pesaro-districts/centro-mare"])
    here, there = (reported(visitor, place, "buca", category="pothole") for place in (COAST, INLAND))
    for report in (here, there):
        if desk.get(f"/reports/{report['id']}")["crew"] != "roads-coast":
            desk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    day = visitor.get("/api/v1/crew/day", headers=driver.headers).json()
    assert [job["number"] for job in day["jobs"]] == [here["number"]]
    now = datetime.now(UTC).isoformat()
    notes = [
        {
            "id": str(uuid4()),
            "kind": "note",
            "report": report["id"],
            "sequence": number,
            "device_at": now,
            "base_version": 1,
            "text": "Vista.",
        }
        for number, report in enumerate((here, there))
    ]
    batch = {"device": "tablet", "sent_at": now, "operations": notes}
    answer = visitor.post("/api/v1/crew/sync", headers=driver.headers, json=batch)
    assert answer.status_code == 200, answer.text
    assert [one["result"] for one in answer.json()["results"]] == ["applied", "refused"]


def test_a_municipality_makes_a_role_of_its_own(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)
    inherited = {one["slug"] for one in visitor.get(f"{PESARO}/roles", headers=headers).json() if one["is_inherited"]}
    assert inherited == {"council", "crew", "clerk", "head", "municipality_admin", "province_admin"}
    body: dict[str, Any] = {
        "name": {"it": "Lettore verde pubblico", "en": "Reader of public green"},
        "rights": ["read"],
    }
    address = f"{PESARO}/roles/lettore-verde"
    for wrong, field, status in (
        ({"rights": []}, "rights", 422),
        ({"rights": ["fly"]}, "rights.0", 422),
        ({"rights": ["contact"]}, "rights", 422),
        ({"name": {"it": "x" * 121, "en": "Reader"}}, "name.it", 422),
        ({"name": {"it": "", "en": "Reader"}}, "name.it", 422),
        ({"name": {"it": "Lettore", "en": "Reader", "de": "Leser"}}, "name.de", 422),
    ):
        refused = visitor.put(address, json=body | wrong, headers=headers)
        assert (refused.status_code, refused.json()["field"]) == (status, field), refused.text
    assert visitor.put(f"{PESARO}/roles/clerk", json=body, headers=headers).status_code == 409, "the province's name"
    made = visitor.put(address, json=body, headers=headers)
    assert made.status_code == 200, made.text

    reader = person(visitor, "lettrice", role="lettore-verde", groups=["green"])
    everything = visitor.put(address, json=body | {"rights": ["read", "administer"]}, headers=headers)
    assert (everything.status_code, everything.json()["field"]) == (409, "rights"), (
        "who administers, does so everywhere"
    )
    assert visitor.get("/api/v1/session", headers=reader.headers).json()["rights"] == ["read"]
    tree = reported(visitor, INLAND, "albero caduto", category="dangerous-tree", email="anna@example.org")
    reported(visitor, COAST, "buca", category="pothole")
    assert numbers(reader.get("/reports")) == {tree["number"]}
    assert "reporter" not in reader.get(f"/reports/{tree['id']}")
    assert visitor.get("/api/v1/desk/people", headers=reader.headers).status_code == 403

    assert visitor.put(address, json=body | {"rights": ["read", "contact"]}, headers=headers).status_code == 200
    assert reader.get(f"/reports/{tree['id']}")["reporter"]["email"] == "anna@example.org", "it counts at once"
    assert visitor.get("/api/v1/registry/fano/roles", headers=signed(visitor, PROVINCE)).json()[-1]["slug"] != (
        "lettore-verde"
    )

    refused = visitor.delete(address, headers=headers)
    assert refused.status_code == 409
    assert "1" in refused.json()["detail"]
    listed = visitor.get(f"{PESARO}/people", headers=headers).json()
    hers = next(one for one in listed if one["email"] == "lettrice@pesaro.example.org")
    assert hers["appointments"][0]["groups"] == ["green"]
    gone = visitor.delete(f"{PESARO}/people/{hers['id']}/appointments/{hers['appointments'][0]['id']}", headers=headers)
    assert gone.status_code == 200
    assert visitor.delete(address, headers=headers).status_code == 204
    assert visitor.delete(address, headers=headers).status_code == 404


def test_an_appointment_names_what_is_there(visitor: TestClient) -> None:
    headers = signed(visitor, ADMINISTRATOR)
    known = visitor.get(f"{PESARO}/people", headers=headers).json()
    clerk = next(one for one in known if one["email"] == "operatore.verde@pesaro.example.org")
    address = f"{PESARO}/people/{clerk['id']}/appointments"
    for wrong, field in (
        ({"role": "nobody"}, "role"),
        ({"role": "clerk", "groups": ["ufo"]}, "groups"),
        ({"role": "clerk", "categories": ["ufo"]}, "categories"),
        ({"role": "clerk", "zones": ["pesaro-districts/ufo"]}, "zones"),
        ({"role": "clerk", "zones": ["ufo"]}, "zones.0"),
        ({"role": "crew"}, "crew"),
        ({"role": "municipality_admin", "groups": ["green"]}, "role"),
    ):
        refused = visitor.post(address, json=wrong, headers=headers)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert visitor.post(address, json={"role": "province_admin"}, headers=headers).status_code == 403
    given = visitor.post(address, json={"role": "council", "categories": ["pothole"]}, headers=headers)
    assert given.status_code == 201, given.text
    assert given.json()["roles"] == ["clerk", "council"]
    theirs = Staffer(visitor, signed(visitor, clerk["email"]))
    hole = reported(visitor, COAST, "buca", category="pothole")
    assert theirs.get(f"/reports/{hole['id']}")["state"] in {State.RECEIVED.value, State.ASSIGNED.value}
    denied = visitor.put(
        f"/api/v1/desk/reports/{hole['id']}/crew", json={"crew": None}, headers=theirs.headers | {"If-Match": '"v1"'}
    )
    assert denied.status_code == 403, "to read it is one thing"


def test_the_last_administrator_cannot_be_taken_away(visitor: TestClient) -> None:
    headers = signed(visitor, PROVINCE)
    provincia = "/api/v1/registry/provincia"
    refused = visitor.put(
        f"{provincia}/roles/municipality_admin",
        json={"name": {"it": "Amministratore", "en": "Administrator"}, "rights": ["read"]},
        headers=headers,
    )
    assert (refused.status_code, refused.json()["field"]) == (409, "rights")
    assert visitor.delete(f"{provincia}/roles/province_admin", headers=headers).status_code == 409

    role = {"name": {"it": "Gestione utenti", "en": "User management"}, "rights": ["administer"]}
    mine = signed(visitor, ADMINISTRATOR)
    assert visitor.put(f"{PESARO}/roles/users", json=role, headers=mine).status_code == 200
    manager = person(visitor, "gestione", role="users")
    listed = visitor.get(f"{PESARO}/people", headers=manager.headers).json()
    first = next(one for one in listed if one["email"] == ADMINISTRATOR)
    gone = visitor.delete(
        f"{PESARO}/people/{first['id']}/appointments/{first['appointments'][0]['id']}", headers=manager.headers
    )
    assert gone.status_code == 200, "somebody is left"
    own = next(one for one in listed if one["email"] == "gestione@pesaro.example.org")
    last = f"{PESARO}/people/{own['id']}"
    for answer in (
        visitor.delete(f"{last}/appointments/{own['appointments'][0]['id']}", headers=manager.headers),
        visitor.patch(last, json={"is_active": False}, headers=manager.headers),
        visitor.put(f"{PESARO}/roles/users", json=role | {"rights": ["read"]}, headers=manager.headers),
    ):
        assert answer.status_code in (403, 409), answer.text
    assert visitor.get(f"{PESARO}/people", headers=manager.headers).status_code == 200


@pytest.mark.parametrize("way", ["deactivated", "dismissed", "role edited"])
def test_of_two_administrators_who_take_each_other_away_at_once_one_stays(
    visitor: TestClient, own_registry: str, way: str
) -> None:
    role = {"name": {"it": "Gestione utenti", "en": "User management"}, "rights": ["administer"]}
    assert visitor.put(f"{PESARO}/roles/users", json=role, headers=signed(visitor, ADMINISTRATOR)).status_code == 200
    mine, theirs = signed(visitor, ADMINISTRATOR), person(visitor, "gestione", role="users").headers
    known = {one["email"]: one for one in visitor.get(f"{PESARO}/people", headers=mine).json()}
    first, second = known[ADMINISTRATOR], known["gestione@pesaro.example.org"]

    def take_away(other: dict[str, Any], by: dict[str, str]) -> int:
        address = f"{PESARO}/people/{other['id']}"
        if way == "dismissed":
            return visitor.delete(f"{address}/appointments/{other['appointments'][0]['id']}", headers=by).status_code
        if way == "role edited" and other is second:
            return visitor.put(f"{PESARO}/roles/users", json=role | {"rights": ["read"]}, headers=by).status_code
        return visitor.patch(address, json={"is_active": False}, headers=by).status_code

    with psycopg.connect(own_registry, autocommit=True) as keeper, ThreadPoolExecutor(2) as pool:
        home = keeper.execute("SELECT id FROM municipality WHERE slug = 'pesaro'").fetchone()
        assert home is not None
        keeper.execute("SELECT pg_advisory_lock(%s, %s)", (ADMINISTRATORS, home[0]))
        both = [pool.submit(take_away, second, mine), pool.submit(take_away, first, theirs)]
        waiting = "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = %s::oid"
        eventually(lambda: (keeper.execute(waiting, (ADMINISTRATORS,)).fetchone() or [False])[0])
        keeper.execute("SELECT pg_advisory_unlock(%s, %s)", (ADMINISTRATORS, home[0]))
        assert sorted(one.result() for one in both) == [200, 409]


def test_no_view_forgets_an_appointment_to_a_department_some_categories_and_a_zone(visitor: TestClient) -> None:
    clerk = person(visitor, "verde", role="clerk", department="green", **GREEN_DOWNTOWN)
    tree = reported(visitor, COAST, "albero pericolante", category="dangerous-tree")
    reported(visitor, INLAND, "albero pericolante", category="dangerous-tree")
    reported(visitor, COAST, "buca", category="pothole")
    for name in Worklist:
        assert numbers(clerk.get("/reports", worklist=name.value)) <= {tree["number"]}
    for order in Order:
        assert numbers(clerk.get("/reports", order=order.value, with_reporters=True)) == {tree["number"]}
    for path in ("/feedback", "/conflicts", "/filters", "/people", f"/templates?report={tree['id']}"):
        clerk.get(path)
    clerk.get(f"/reports/{tree['id']}/questions")
    insight = "/api/v1/insight"
    for path in (
        *("months", "flow", "zones?by=zone&layer=pesaro-districts", "zones?by=total&across=department", "ageing"),
        *("ageing?at=2026-01", "recurrence", "hotspots", "satisfaction", "satisfaction?by=zone&layer=pesaro-districts"),
        *("map.svg", "map.svg?by=zones", "map.svg?by=hotspots", "report.html", "report.csv"),
    ):
        answer = visitor.get(f"{insight}/{path}", headers=clerk.headers)
        assert answer.status_code == 200, (path, answer.text)
    total = visitor.get(f"{insight}/zones?by=total", headers=clerk.headers).json()["rows"]
    assert [row["received"] for row in total] == [1]


def test_whom_the_province_employs_has_the_same_role_in_every_municipality(visitor: TestClient) -> None:
    body = {
        "email": "osservatorio@provincia.example.org",
        "name": "Osservatorio",
        "password": PASSWORD,
        "role": "council",
        "groups": ["roads"],
    }
    made = visitor.post("/api/v1/registry/provincia/people", json=body, headers=signed(visitor, PROVINCE))
    assert made.status_code == 201, made.text
    reader = Staffer(visitor, signed(visitor, body["email"]))
    holes = [
        reported(visitor, place, "buca", category="pothole", email="anna@example.org")["number"]
        for place in (COAST, FANO)
    ]
    reported(visitor, COAST, "albero pericolante", category="dangerous-tree")
    for municipality, number in zip(("pesaro", "fano"), holes, strict=True):
        assert numbers(reader.get("/reports", municipality=municipality)) == {number}
    refused = visitor.get("/api/v1/registry/pesaro/people", headers=reader.headers)
    assert refused.status_code == 403
