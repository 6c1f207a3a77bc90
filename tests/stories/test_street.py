"""Stories of a street: from the report to the repair, through HTTP, with the real worker and a real mail server."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import (
    COAST,
    PROVINCIAL_ROAD,
    URP,
    SignIn,
    as_holder,
    days_until,
    east_of,
    html,
    on_the_map,
    plain,
    reported,
    wait_for_receipt,
)
from tests.trials import Postbox, eventually

pytestmark = pytest.mark.usefixtures("worker")

POTHOLES = {
    "it": "buca molto profonda sulla provinciale, ho rotto la gomma",
    "en": "very deep pothole on the provincial road, I broke a tyre",
}
SOLVED = {"it": "La buca è stata chiusa con asfalto a caldo.", "en": "The pothole was closed with hot asphalt."}
MAIL = {
    "it": {
        "received": "ricevuta",
        "category": "Buca nella strada",
        "department": "Viabilità",
        "resolved": "risolta",
        "again": "può riaprire",
    },
    "en": {
        "received": "received",
        "category": "Pothole",
        "department": "Roads",
        "resolved": "resolved",
        "again": "you can reopen",
    },
}


@pytest.mark.parametrize("language", ["it", "en"])
def test_a_pothole_on_a_provincial_road_goes_to_the_province(
    client: TestClient, postbox: Postbox, signed_in: SignIn, language: str
) -> None:
    report = reported(client, PROVINCIAL_ROAD, POTHOLES[language], email="anna@example.org")
    assert report["state"] == "assigned"
    assert report["language"] == language
    assert report["municipality"]["slug"] == "pesaro"
    assert report["category"]["slug"] == "pothole"
    assert report["category"]["decided_by"] == "classifier"
    assert report["category"]["confidence"] > 0.5
    assert report["category"]["words"]
    assert days_until(report) == 10

    department = report["department"]
    assert (department["slug"], department["kind"]) == ("province-roads", "outside")
    assert department["reason"]["inherited"] is True
    assert department["reason"]["rule"] is not None
    assert department["reason"]["note"]["it"] == "La strada è provinciale: risponde la Provincia."
    assert "provincial-roads/sp-423" in department["reason"]["facts"]["zones"]
    assert department["reason"]["problem"] is None

    [seen] = [f for f in on_the_map(client, PROVINCIAL_ROAD) if f["number"] == report["number"]]
    assert (seen["category"], seen["group"], seen["state"], seen["count"]) == ("pothole", "roads", "assigned", 1)

    words = MAIL[language]
    mail = eventually(lambda: postbox.to("anna@example.org"))[0]
    assert report["number"] in mail["Subject"]
    assert words["received"] in mail["Subject"]
    assert mail["Content-Language"] == language
    for body in (plain(mail), html(mail)):
        for said in (report["number"], report["receipt_token"], words["category"], words["department"]):
            assert said in body

    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": SOLVED[language]})
    solved = eventually(lambda: [m for m in postbox.to("anna@example.org") if words["resolved"] in m["Subject"]])[0]
    assert SOLVED[language] in plain(solved)
    assert words["again"] in plain(solved)
    page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]})
    assert SOLVED[language] in page.text
    assert not [f for f in on_the_map(client, PROVINCIAL_ROAD) if f["number"] == report["number"]]


def told_of_repair(postbox: Postbox, *addresses: str) -> list[EmailMessage] | None:
    """The mails that tell of the repair, if everybody has one."""
    found = [m for to in addresses for m in postbox.to(to) if "Lampada sostituita." in plain(m)]
    return found if len(found) == len(addresses) else None


def test_a_dead_lamp_reported_twice_becomes_one_and_both_reporters_hear_of_the_repair(
    client: TestClient, postbox: Postbox, signed_in: SignIn
) -> None:
    first = reported(client, COAST, "lampione spento davanti al civico 12", email="anna@example.org")
    wait_for_receipt(postbox, first, "anna@example.org")
    neighbour = east_of(COAST, 12)
    asked = {"lon": neighbour.lon, "lat": neighbour.lat, "text": "il lampione non si accende più"}
    suggested = client.post("/api/v1/suggestions", json=asked).json()
    assert [near["number"] for near in suggested["near_duplicates"]] == [first["number"]]
    second = reported(client, neighbour, "il lampione non si accende più da tre sere", email="bruno@example.org")
    [near] = second["near_duplicates"]
    assert near["number"] == first["number"]
    assert near["metres"] == pytest.approx(12, abs=0.5)

    clerk = signed_in(URP)
    assert [near["id"] for near in clerk.get(f"/reports/{second['id']}")["near_duplicates"]] == [first["id"]]
    merged = clerk.change("PUT", second["id"], "master", {"master": first["id"]})
    assert (merged["state"], merged["master"]) == ("duplicate", first["id"])
    assert clerk.get(f"/reports/{first['id']}")["duplicates"] == 1
    numbers = [f["number"] for f in on_the_map(client, COAST)]
    assert numbers == [first["number"]], "two reports of one lamp are one point"
    told = eventually(lambda: [m for m in postbox.to("bruno@example.org") if first["number"] in plain(m)])[0]
    assert "vanno avanti insieme" in plain(told)

    clerk.change("POST", first["id"], "moves", {"to": "resolved", "reason": "Lampada sostituita."})
    repairs = eventually(lambda: told_of_repair(postbox, "anna@example.org", "bruno@example.org"))
    for repair in repairs:
        assert "risolta" in repair["Subject"]
        assert "il problema è stato risolto" in plain(repair).lower()
    assert as_holder(client, second)["timeline"][-1]["note"] == "Lampada sostituita."

    split = clerk.change("POST", second["id"], "split", {"reason": "È un altro lampione, ancora spento."})
    assert (split["state"], split["master"]) == ("reopened", None)
    assert clerk.get(f"/reports/{first['id']}")["duplicates"] == 0
    told = eventually(lambda: [m for m in postbox.to("bruno@example.org") if "non è più unita" in plain(m)])[0]
    assert "ancora spento" in plain(told)
    assert not [m for m in postbox.to("anna@example.org") if "ancora spento" in plain(m)]
    assert [f["number"] for f in on_the_map(client, COAST)] == [second["number"]]


def test_a_tree_about_to_fall_brings_up_112_and_stands_out_on_the_desk(client: TestClient, signed_in: SignIn) -> None:
    words = "un grosso albero sta per cadere sulla strada, ci passano i bambini della scuola"
    asked = {"lon": COAST.lon, "lat": COAST.lat, "text": words}
    suggested = client.post("/api/v1/suggestions", json=asked).json()
    assert suggested["suggestions"][0]["category"] == "dangerous-tree"
    assert suggested["emergency"]["call"] == "112"
    assert suggested["emergency"]["words"] == ["albero sta per cadere"]
    assert "112" in suggested["emergency"]["advice"]
    italian = client.post("/api/v1/suggestions", json=asked, headers={"Accept-Language": "it"}).json()
    assert "chiamare subito il 112" in italian["emergency"]["advice"]

    report = reported(client, COAST, words)
    assert report["category"]["slug"] == "dangerous-tree"
    assert report["department"]["slug"] == "green"
    assert report["emergency"]["words"] == ["albero sta per cadere"]
    assert "call 112 at once" in report["emergency"]["advice"]
    calm = reported(client, COAST, "albero secco nel giardino, forse malato")
    assert calm["emergency"] is None

    clerk = signed_in(URP)
    listed: dict[str, Any] = {row["number"]: row["is_emergency"] for row in clerk.get("/reports")["reports"]}
    assert listed == {report["number"]: True, calm["number"]: False}
    urgent = clerk.get("/reports", is_emergency=True)["reports"]
    assert [row["number"] for row in urgent] == [report["number"]]
