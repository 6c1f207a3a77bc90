"""Stories of two tablets and a desk: what was done where there was no network comes in, once, in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import (
    COAST,
    FANO,
    URP,
    SignIn,
    as_holder,
    east_of,
    plain,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, Staffer, eventually

CREW = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW = "squadra.roads-hills@pesaro.example.org"
REPORTER = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "+39 0721 123456"}


def job(client: TestClient, clerk: Staffer, crew: str | None = "roads-coast") -> Any:
    report = reported(client, COAST, "buca profonda in viale Trieste", category="pothole", contact=REPORTER)
    if crew:
        clerk.change("PUT", report["id"], "crew", {"crew": crew})
    return report


def done_at(kind: str, report: Any | None, moment: datetime | None = None, **said: Any) -> dict[str, Any]:
    """An operation, done at `moment` (now)."""
    of = {"report": report["id"]} if report else {}
    return {"id": str(uuid4()), "kind": kind, "device_at": (moment or datetime.now(UTC)).isoformat(), **of, **said}


def sync(client: TestClient, crew: Staffer, *operations: Any, sent_at: datetime | None = None, **asked: Any) -> Any:
    batch = {
        "device": "tablet-1",
        "sent_at": (sent_at or datetime.now(UTC)).isoformat(),
        "operations": list(operations),
    }
    answer = client.post("/api/v1/crew/sync", json=batch, headers=crew.headers, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def state(clerk: Staffer, report: Any) -> str:
    return str(clerk.get(f"/reports/{report['id']}")["state"])


def notes(clerk: Staffer, report: Any) -> list[str]:
    entries = clerk.get(f"/reports/{report['id']}")["timeline"]
    return sorted(entry["note"] for entry in entries if entry["note"])


@pytest.mark.usefixtures("worker")
def test_a_morning_offline_is_told_to_the_reporter_once(
    client: TestClient, signed_in: SignIn, postbox: Postbox, database: str
) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    wait_for_receipt(postbox, report, REPORTER["email"])
    batch = [
        done_at("start", report, base_version=2),
        done_at("note", report, text="Serve un secondo strato."),
        done_at("work", report, minutes=35, materials=[{"material": "cold_asphalt", "quantity": 12.5, "unit": "kg"}]),
        done_at("done", report, text="Buca chiusa con asfalto a freddo."),
    ]
    first = sync(client, crew, *batch)
    assert [one["result"] for one in first] == ["applied"] * 4
    assert first[-1]["report"]["state"] == "resolved"
    again = sync(client, crew, *reversed(batch))
    assert [one["result"] for one in again] == ["already_applied"] * 4
    assert [one["first"] for one in again] == ["applied"] * 4

    seen = clerk.get(f"/reports/{report['id']}")
    assert seen["state"] == "resolved"
    assert seen["field_work"] == {
        "minutes": 35,
        "materials": [{"material": "cold_asphalt", "unit": "kg", "quantity": 12.5}],
    }
    assert notes(clerk, report) == ["Buca chiusa con asfalto a freddo.", "Serve un secondo strato."]
    eventually(lambda: [m for m in postbox.to(REPORTER["email"]) if "Buca chiusa" in plain(m)])
    wait_for_rest(database)
    told = "".join(plain(message) for message in postbox.to(REPORTER["email"]))
    assert told.count("Buca chiusa") == 1
    assert "secondo strato" not in told
    public = [entry["what"] for entry in as_holder(client, report)["timeline"]]
    assert public.count("moved") == 2


def test_what_comes_later_but_happened_before_takes_its_place(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    start, cant, done = (
        done_at("start", report),
        done_at("cant", report, reason="material", text="Domani."),
        done_at("done", report, text="Trovato il materiale in magazzino."),
    )
    assert sync(client, crew, done)[0]["report"]["state"] == "resolved"
    assert sync(client, crew, cant)[0]["result"] == "applied"
    assert sync(client, crew, start)[0]["result"] == "applied"
    assert state(clerk, report) == "resolved"
    assert notes(clerk, report) == ["Manca il materiale. Domani.", "Trovato il materiale in magazzino."]
    public = [entry for entry in as_holder(client, report)["timeline"] if entry["what"] == "moved"]
    assert [entry["to_state"] for entry in public] == ["resolved"]


@pytest.mark.usefixtures("worker")
def test_work_done_before_the_desk_decided_stays_done_and_the_desk_hears_of_it(
    client: TestClient, signed_in: SignIn, postbox: Postbox
) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    offline = done_at("done", report, text="Fatto alle sette.")
    clerk.change("POST", report["id"], "moves", {"to": "planned"})
    result = sync(client, crew, offline)[0]
    assert (result["result"], result["report"]["state"]) == ("applied", "resolved")
    entries = clerk.get(f"/reports/{report['id']}")["timeline"]
    overturned = [entry for entry in entries if entry["what"] == "overturned"]
    assert [entry["details"]["to"] for entry in overturned] == ["planned"]
    assert not overturned[0]["is_public"]
    letter = eventually(lambda: postbox.to(URP))[0]
    assert report["number"] in letter["Subject"]
    assert "già stato fatto" in letter["Subject"]


def test_a_conflict_shows_both_sides_and_loses_no_words(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    clerk.change("POST", report["id"], "moves", {"to": "rejected", "reason": "Area privata."})
    result = sync(client, crew, done_at("done", report, text="Chiusa lo stesso.", base_version=2))[0]
    assert result["result"] == "conflict"
    assert result["conflict"] == {
        "why": "barred",
        "base_version": 2,
        "version": 3,
        "fields": {"state": {"yours": "resolved", "theirs": "rejected"}},
    }
    assert state(clerk, report) == "rejected"
    listed = clerk.get("/conflicts")["conflicts"]
    assert [(one["id"], one["text"], one["crew"]) for one in listed] == [
        (result["id"], "Chiusa lo stesso.", "roads-coast")
    ]
    assert listed[0]["conflict"] == result["conflict"]
    url = f"/api/v1/desk/conflicts/{result['id']}/settled"
    for other in (crew, signed_in("operatore.verde@pesaro.example.org")):
        assert client.put(url, headers=other.headers).status_code == 403
    assert signed_in("operatore.verde@pesaro.example.org").get("/conflicts")["conflicts"] == []
    for _ in range(2):
        settled = client.put(url, headers=clerk.headers)
        assert settled.status_code == 200
        assert settled.json()["settled_by"]
    assert clerk.get("/conflicts")["conflicts"] == []
    assert [one["id"] for one in clerk.get("/conflicts", settled=True)["conflicts"]] == [result["id"]]
    again = sync(client, crew, done_at("note", report, text="Peccato."))[0]
    assert client.put(f"/api/v1/desk/conflicts/{again['id']}/settled", headers=clerk.headers).status_code == 404
    assert "Chiusa lo stesso." in notes(clerk, report)
    assert "Chiusa lo stesso." not in str(as_holder(client, report))


def test_a_crew_adds_to_what_was_its_own_and_moves_only_what_is(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew, others = signed_in(URP), signed_in(CREW), signed_in(OTHER_CREW)
    report = job(client, clerk)
    before = done_at("start", report)
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-hills"})
    note, done = done_at("note", report, text="Ci siamo stati."), done_at("done", report, text="Fatto noi.")
    results = sync(client, crew, done, note, before)
    assert [one["result"] for one in results] == ["conflict", "applied", "applied"]
    assert results[0]["conflict"]["fields"]["crew"] == {"yours": "roads-coast", "theirs": "roads-hills"}
    assert state(clerk, report) == "in_progress"
    assert notes(clerk, report) == ["Ci siamo stati.", "Fatto noi."]
    theirs = job(client, clerk, "roads-hills")
    foreign = sync(client, crew, done_at("note", theirs, text="Non nostra."))[0]
    assert (foreign["result"], foreign["field"]) == ("refused", "report")
    unknown = sync(client, crew, done_at("note", {"id": str(UUID(int=5))}, text="Quale?"))[0]
    assert unknown["why"] == foreign["why"]
    assert sync(client, others, done_at("done", theirs, text="Fatto."))[0]["result"] == "applied"
    fano = reported(client, FANO, "buca in viale Adriatico", category="pothole", contact=REPORTER)
    assert sync(client, crew, done_at("note", fano, text="Altrove."))[0]["result"] == "refused"


def test_what_was_found_besides_becomes_a_report_once(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    place = east_of(COAST, 80)
    found = done_at(
        "found_more", None, lon=place.lon, lat=place.lat, description="Tombino rotto lì vicino", category="pothole"
    )
    first = sync(client, crew, found)[0]
    assert first["result"] == "applied"
    again = sync(client, crew, found)[0]
    assert (again["result"], again["report"]["id"]) == ("already_applied", first["report"]["id"])
    listed = clerk.get("/reports")["reports"]
    assert [(row["id"], row["source"]) for row in listed] == [(first["report"]["id"], "crew")]
    elsewhere = sync(client, crew, found | {"id": str(uuid4()), "lon": FANO.lon, "lat": FANO.lat})[0]
    assert (elsewhere["result"], elsewhere["field"]) == ("refused", "place")
    empty = sync(client, crew, found | {"id": str(uuid4()), "description": " "})[0]
    assert (empty["result"], empty["field"]) == ("refused", "description")


def test_one_that_is_wrong_keeps_no_other_out(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    good = done_at("start", report)
    wrong: list[Any] = [
        done_at("done", report),
        done_at("done", report, text="  "),
        done_at("cant", report, reason="no idea"),
        done_at("work", report),
        done_at("work", report, minutes=-5),
        done_at("paint", report),
        done_at("start", report, extra=1),
        {"id": "x"},
        None,
        7,
        [good],
        good | {"id": str(uuid4()), "device_at": "yesterday"},
        good | {"id": str(uuid4()), "device_at": "2026-07-01T10:00:00"},
    ]
    results = sync(client, crew, *wrong[:6], good, *wrong[6:])
    assert [one["result"] for one in results] == ["refused"] * 6 + ["applied"] + ["refused"] * 7
    assert all(one["why"] for one in results if one["result"] == "refused")
    assert [results[0]["field"], results[1]["field"], results[2]["field"]] == ["done.text", "text", "reason"]
    assert state(clerk, report) == "in_progress"
    other = sync(client, crew, done_at("note", report, text="Altro.") | {"id": good["id"]})[0]
    assert (other["result"], other["field"]) == ("refused", "id")
    bodies: list[Any] = [{}, {"device": "x", "sent_at": "now", "operations": []}, [], {"device": "x" * 100}]
    for body in bodies:
        answer = client.post("/api/v1/crew/sync", json=body, headers=crew.headers)
        assert (answer.status_code, answer.headers["content-type"]) in {
            (422, "application/problem+json"),
            (413, "application/problem+json"),
        }


def test_a_tablet_whose_clock_is_wrong_is_dated_by_ours(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    skew = timedelta(days=400)
    began = done_at("start", report, datetime.now(UTC) - skew)
    assert sync(client, crew, began, sent_at=datetime.now(UTC) - skew)[0]["result"] == "applied"
    entry = clerk.get(f"/reports/{report['id']}")["timeline"][-1]
    happened = datetime.fromisoformat(entry["details"]["happened_at"])
    assert timedelta() <= datetime.now(UTC) - happened < timedelta(minutes=2)
    ahead = done_at("done", report, datetime.now(UTC) + timedelta(hours=5), text="Fatto.")
    assert sync(client, crew, ahead)[0]["report"]["state"] == "resolved"
    solved = clerk.get(f"/reports/{report['id']}")["timeline"][-1]["details"]["happened_at"]
    assert datetime.fromisoformat(solved) <= datetime.now(UTC)
