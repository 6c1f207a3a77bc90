"""Stories of two municipalities: a report goes to the neighbour and comes back, and the citizen keeps one number."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from geo.place import Place
from tests.stories.outside_world import ANNA, CONTACT, HEAD, hand_over
from tests.stories.telling import (
    COAST,
    URP,
    SignIn,
    as_holder,
    numbers_on_the_map,
    photo_taken_at,
    plain,
    receipt,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, Staffer

FANO_URP = "operatore.urp@fano.example.org"
WORDS = "buca profonda davanti al civico 12"
WHY = {"although_outside": "La strada è mantenuta da Fano."}

pytestmark = pytest.mark.usefixtures("worker")


def pothole(client: TestClient, postbox: Postbox, database: str, **more: Any) -> dict[str, Any]:
    report: dict[str, Any] = reported(client, COAST, WORDS, category="pothole", contact=CONTACT, **more)
    wait_for_receipt(postbox, report, ANNA)
    wait_for_rest(database)
    return report


def theirs(fano: Staffer) -> dict[str, Any]:
    [row] = fano.get("/reports")["reports"]
    found: dict[str, Any] = fano.get(f"/reports/{row['id']}")
    return found


def everywhere_again(database: str) -> None:
    """Every job of a hand-over comes once more."""
    with provincial() as session:
        rows = session.raw.execute(
            "SELECT municipality_id, id, to_municipality_id, their_report_id FROM handover"
        ).fetchall()
        for municipality_id, key, there, report_id in rows:
            promise(session, "send_handover", municipality_id=municipality_id, handover_id=str(key))
            promise(session, "mirror_handover", municipality_id=there, report_id=str(report_id))
    wait_for_rest(database)


def test_a_report_goes_to_the_neighbour_and_is_solved_there_under_the_first_number(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, postbox, database, photo=photo_taken_at(COAST))
    clerk, fano = signed_in(URP), signed_in(FANO_URP)
    assert "fano" in [one["slug"] for one in clerk.get("/outside-bodies")["municipalities"]]
    hand_over(clerk, report, "fano", **WHY)
    wait_for_rest(database)
    everywhere_again(database)
    there = theirs(fano)
    assert there["number"].startswith("FA")
    assert (there["description"], there["source"], there["category"]) == (WORDS, "handover", "pothole")
    assert [photo["state"] for photo in there["photos"]] == ["ready"]
    picture = f"/api/v1/desk/reports/{there['id']}/photos/{there['photos'][0]['id']}/small"
    assert client.get(picture, headers=fano.headers).status_code == 200
    assert (there.get("reporter"), ANNA in str(there)) == (None, False), "theirs to know only where it was said so"
    seen = clerk.get(f"/reports/{report['id']}")
    assert (seen["state"], seen["handovers"][0]["state"], seen["handovers"][0]["reference"]) == (
        "forwarded",
        "sent",
        there["number"],
    )
    assert client.get(f"/api/v1/reports/{report['number']}").json()["handed_to"]["it"] == "Comune di Fano"
    assert there["is_public"] is False
    assert client.get(f"/api/v1/reports/{there['number']}").status_code == 404
    assert numbers_on_the_map(client, COAST) == {report["number"]}, "one number for everyone"
    told = len(postbox.to(ANNA))

    fano.change("POST", there["id"], "moves", {"to": "in_progress"})
    fano.change("POST", there["id"], "updates", {"text": "Arriviamo martedì.", "is_public": True})
    fano.change("POST", there["id"], "updates", {"text": "Manca il bitume.", "is_public": False})
    wait_for_rest(database)
    everywhere_again(database)
    holder = as_holder(client, report)
    notes = [entry["note"] for entry in holder["timeline"] if entry["what"] == "news_there"]
    assert notes == ["In lavorazione", "Arriviamo martedì."], "each once, in order, and nothing that is internal"
    assert all("Manca il bitume" not in plain(message) for message in postbox.to(ANNA))
    assert clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "accepted"
    fano.change("POST", there["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    wait_for_rest(database)
    everywhere_again(database)
    holder = as_holder(client, report)
    assert (holder["number"], holder["state"]) == (report["number"], "resolved")
    mails = postbox.to(ANNA)
    assert any("Chiusa." in plain(message) for message in mails[told:])
    assert all(report["number"] in message["Subject"] for message in mails)
    assert not [m for m in mails if there["number"] in plain(m)], "one number throughout"


def test_what_the_neighbour_sends_back_is_sorted_anew_here(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, postbox, database)
    clerk, fano = signed_in(URP), signed_in(FANO_URP)
    hand_over(clerk, report, "fano", **WHY)
    wait_for_rest(database)
    there = theirs(fano)
    seen = client.get(f"/api/v1/desk/reports/{there['id']}", headers=fano.headers)
    for to in ("pesaro", "urbino"):
        onward = client.post(
            f"/api/v1/desk/reports/{there['id']}/hand-over",
            json={"to": to, "reason": "Non è nostra.", **WHY},
            headers=fano.headers | {"If-Match": seen.headers["etag"]},
        )
        assert (onward.status_code, onward.json()["field"]) == (409, "to")
    fano.change("POST", there["id"], "moves", {"to": "rejected", "reason": "Non è nostra."})
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["triage_reason"]) == ("triage", "triage.handover_refused")
    [back] = [m for m in postbox.messages if "Comune di Fano" in str(m["Subject"])][:1]
    assert "Non è nostra." in plain(back)
    moved = client.post(
        f"/api/v1/reports/{report['number']}/receipt/moves", json={"to": "withdrawn"}, headers=receipt(report)
    )
    assert moved.status_code == 200, "the first number is the citizen's, as before"


def test_the_neighbour_learns_who_reported_where_the_head_says_so_and_writes_to_nobody(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, postbox, database)
    head, fano = signed_in(HEAD), signed_in(FANO_URP)
    hand_over(head, report, "fano", share_contact=True, **WHY)
    wait_for_rest(database)
    there = theirs(fano)
    assert there["reporter"]["email"] == ANNA
    assert not [message for message in postbox.to(ANNA) if there["number"] in plain(message)]
    fano.change("PUT", there["id"], "category", {"category": "graffiti"})
    assert numbers_on_the_map(client, COAST) == {report["number"]}, "whatever its category"
    wait_for_rest(database)


def test_what_is_called_back_is_told_to_the_neighbour_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, postbox, database)
    clerk, fano = signed_in(URP), signed_in(FANO_URP)
    hand_over(clerk, report, "fano", **WHY)
    wait_for_rest(database)
    there = theirs(fano)
    clerk.change("POST", report["id"], "hand-over/call-back", {"reason": "Lo facciamo noi."})
    wait_for_rest(database)
    everywhere_again(database)
    entries = [entry["what"] for entry in theirs(fano)["timeline"]]
    assert entries.count("called_back") == 1
    told = [m for m in postbox.messages if "non occorre più intervenire" in str(m["Subject"])]
    assert told
    assert len({str(m["To"]) for m in told}) == len(told)
    fano.change("POST", there["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("assigned", "withdrawn"), "no news of theirs any more"


def test_a_place_that_is_not_the_neighbours_needs_a_word_why(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    seen = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers)
    headers = clerk.headers | {"If-Match": seen.headers["etag"]}
    url = f"/api/v1/desk/reports/{report['id']}/hand-over"
    for to, field in (("fano", "although_outside"), ("pesaro", "to")):
        answer = client.post(url, json={"to": to, "reason": "Tocca a loro"}, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert Place(COAST.lon, COAST.lat) == COAST
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM handover").fetchone() == (0,)
