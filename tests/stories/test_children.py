"""Stories of child jobs: one trouble, work for several, and nothing of it for the public."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from tests.stories.outside_world import ANNA, ROADS, api_of, hand_over, link_in, with_body
from tests.stories.telling import (
    COAST,
    URP,
    SignIn,
    as_holder,
    numbers_on_the_map,
    plain,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, Staffer

CREW = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW = "squadra.green@pesaro.example.org"

pytestmark = pytest.mark.usefixtures("worker")


def parent_report(client: TestClient, postbox: Postbox) -> dict[str, Any]:
    report: dict[str, Any] = reported(
        client, COAST, "albero caduto sul marciapiede, che è rotto", category="pothole", email=ANNA
    )
    wait_for_receipt(postbox, report, ANNA)
    return report


def child_of(clerk: Staffer, report: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    seen = clerk.change("POST", report["id"], "children", {"text": text, **more})
    children: list[dict[str, Any]] = seen["children"]
    return children[-1]


def refused(client: TestClient, clerk: Staffer, report_id: str, what: str, body: dict[str, Any]) -> Any:
    seen = client.get(f"/api/v1/desk/reports/{report_id}", headers=clerk.headers)
    headers = clerk.headers | {"If-Match": seen.headers["etag"]}
    answer = client.post(f"/api/v1/desk/reports/{report_id}/{what}", json=body, headers=headers)
    assert answer.status_code in {409, 422}, answer.text
    return answer.json()


def solve(who: Staffer, report_id: str) -> Any:
    return who.change("POST", report_id, "moves", {"to": "resolved", "reason": "Fatto."})


def letters_of(postbox: Postbox) -> list[Any]:
    return [message for message in postbox.messages if "tutte le parti sono finite" in str(message["Subject"])]


def test_a_report_with_parts_waits_for_them_and_the_desk_hears_once_when_all_are_done(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    road = child_of(clerk, report, "Rifare il marciapiede", department="public-works", crew="roads-coast")
    tree = child_of(clerk, report, "Togliere l'albero", category="dangerous-tree")
    assert (road["department"], road["crew"], road["state"]) == ("public-works", "roads-coast", "assigned")
    assert tree["category"] == "dangerous-tree"
    assert tree["department"] != road["department"], "by the rules of its own category"
    mails = len(postbox.to(ANNA))

    crew = signed_in(CREW)
    assert [row["id"] for row in crew.get("/reports")["reports"]] == [road["id"]], "as with any report"
    seen = crew.get(f"/reports/{road['id']}")
    assert (seen["parent"], seen["is_public"], seen.get("reporter")) == (report["id"], False, None)
    assert signed_in(OTHER_CREW).get("/reports")["reports"] == []

    told = refused(client, clerk, report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    assert (told["field"], road["number"] in told["detail"]) == ("leave_children", True)
    solve(crew, road["id"])
    wait_for_rest(database)
    assert letters_of(postbox) == []
    solve(clerk, tree["id"])
    wait_for_rest(database)
    with provincial() as session:
        for (municipality_id,) in session.raw.execute("SELECT id FROM municipality WHERE slug = 'pesaro'").fetchall():
            for _ in range(3):
                promise(session, "look_after_children", municipality_id=municipality_id, report_id=report["id"])
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert now["state"] == "assigned", "it stays with the desk"
    assert [entry["what"] for entry in now["timeline"]].count("children_done") == 1
    letters = letters_of(postbox)
    assert letters
    assert len({str(letter["To"]) for letter in letters}) == len(letters), "each is told once"
    assert road["number"] in plain(letters[0])
    assert len(postbox.to(ANNA)) == mails, "what goes on inside is no news for the citizen"

    clerk.change("POST", tree["id"], "moves", {"to": "reopened", "reason": "Manca un ramo."})
    solve(clerk, tree["id"])
    wait_for_rest(database)
    again = clerk.get(f"/reports/{report['id']}")
    assert [entry["what"] for entry in again["timeline"]].count("children_done") == 2, "done anew, said anew"
    solve(clerk, report["id"])
    wait_for_rest(database)
    assert as_holder(client, report)["state"] == "resolved"


def test_a_report_may_be_solved_with_its_last_part_or_without_them(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    part = child_of(clerk, report, "Rifare il marciapiede", resolve_when_done=True)
    assert part["department"] == clerk.get(f"/reports/{report['id']}")["department"], "the parent's, if nothing is said"
    wait_for_rest(database)
    solve(clerk, part["id"])
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert now["state"] == "resolved"
    assert "Tutti i lavori necessari sono finiti." in plain(postbox.to(ANNA)[-1])

    other = parent_report(client, postbox)
    left = child_of(clerk, other, "Ridipingere la panchina")
    move = {"to": "resolved", "reason": "Il pericolo non c'è più.", "leave_children": True}
    assert clerk.change("POST", other["id"], "moves", move)["state"] == "resolved"
    assert clerk.get(f"/reports/{left['id']}")["is_open"] is True


def test_nothing_of_a_part_is_public(client: TestClient, database: str, postbox: Postbox, signed_in: SignIn) -> None:
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    part = child_of(clerk, report, "Rifare il marciapiede rotto davanti al civico 12")
    assert client.get(f"/api/v1/reports/{part['number']}").status_code == 404
    assert client.get(f"/r/{part['number']}", params={"token": report["receipt_token"]}).status_code == 404
    listed = client.get("/api/v1/reports").json()["reports"]
    assert [one["number"] for one in listed] == [report["number"]]
    assert numbers_on_the_map(client, COAST) == {report["number"]}
    clerk.change("PUT", part["id"], "category", {"category": "graffiti"})
    assert clerk.get(f"/reports/{part['id']}")["is_public"] is False, "whatever its category"
    assert numbers_on_the_map(client, COAST) == {report["number"]}
    again = reported(client, COAST, "albero caduto sul marciapiede, che è rotto", category="pothole")
    assert part["number"] not in [near["number"] for near in again["near_duplicates"]]
    near = clerk.get(f"/reports/{again['id']}")["near_duplicates"]
    assert part["number"] not in [one["number"] for one in near]
    assert report["number"] in [one["number"] for one in near]
    wait_for_rest(database)


def test_parts_have_no_parts_and_hang_on_nothing_else(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    part = child_of(clerk, report, "Rifare il marciapiede")
    deeper = refused(client, clerk, part["id"], "children", {"text": "Comprare il cemento"})
    assert "itself part of another job" in deeper["detail"]
    for wrong, field in (
        ({"text": " "}, "text"),
        ({"department": "nobody"}, "department"),
        ({"crew": "roads-coast", "department": "green"}, "crew"),
        ({"category": "nothing"}, "category"),
        ({"deadline_at": "2020-01-01T00:00:00Z"}, "deadline_at"),
    ):
        told = refused(client, clerk, report["id"], "children", {"text": "Qualcosa", **wrong})
        assert told["field"] == field, told
    other = reported(client, COAST, "buca", category="pothole")
    seen = client.get(f"/api/v1/desk/reports/{part['id']}", headers=clerk.headers)
    for report_id, master in ((part["id"], other["id"]), (other["id"], part["id"]), (report["id"], other["id"])):
        seen = client.get(f"/api/v1/desk/reports/{report_id}", headers=clerk.headers)
        answer = client.put(
            f"/api/v1/desk/reports/{report_id}/master",
            json={"master": master},
            headers=clerk.headers | {"If-Match": seen.headers["etag"]},
        )
        assert answer.status_code == 409, answer.text
    solve(clerk, part["id"])
    wait_for_rest(database)
    solve(clerk, report["id"])
    over = refused(client, clerk, report["id"], "children", {"text": "Ancora una"})
    assert over["status"] == 409


def test_a_contractor_does_a_part_and_the_whole_goes_on(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    part = child_of(clerk, report, "Rifare il marciapiede")
    hand_over(clerk, part, body)
    wait_for_rest(database)
    link = api_of(link_in(postbox.to(ROADS)[0]))
    assert client.post(link, json={"act": "done", "words": "Rifatto."}).status_code == 200
    wait_for_rest(database)
    assert clerk.get(f"/reports/{part['id']}")["state"] == "resolved"
    now = clerk.get(f"/reports/{report['id']}")
    assert [entry["what"] for entry in now["timeline"]].count("children_done") == 1


def test_a_report_with_open_parts_that_a_contractor_calls_done_comes_back_to_the_office(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = parent_report(client, postbox)
    clerk = signed_in(URP)
    child_of(clerk, report, "Togliere l'albero")
    hand_over(clerk, report, body)
    wait_for_rest(database)
    link = api_of(link_in(postbox.to(ROADS)[0]))
    assert client.post(link, json={"act": "done", "words": "Rifatto."}).status_code == 200
    assert clerk.get(f"/reports/{report['id']}")["state"] == "assigned"
