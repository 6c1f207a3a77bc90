"""A report whose time runs out climbs the ladder: the person, the office, the head, the administrators hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import writing
from city.jobs import bell
from city.registry import view
from city.reports import journey
from city.reports.intake import receive
from city.reports.judging import Submission
from tests.stories.telling import COAST, SignIn, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually
from workers import duties

OFFICE: Final = "lavoripubblici@pesaro.example.org"
CLERK: Final = "operatore.lavoripubblici@pesaro.example.org"
HEAD: Final = "responsabile.lavoripubblici@pesaro.example.org"
CREW: Final = "squadra.roads-coast@pesaro.example.org"
ADMINISTRATOR: Final = "amministratore@pesaro.example.org"


def pothole(client: TestClient, **more: Any) -> Any:
    report = reported(client, COAST, "Buca profonda in mezzo alla strada", category="pothole", **more)
    assert report["department"]["slug"] == "public-works"
    return report


def turn_back(database: str, reports: Sequence[dict[str, Any]], days: float) -> None:
    """Let so many days have passed, for all of them in one moment."""
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE report SET deadline_at = deadline_at - make_interval(secs => %(seconds)s),"
            " clock_at = clock_at - make_interval(secs => %(seconds)s) WHERE id = ANY(%(ids)s)",
            {"seconds": days * 86_400, "ids": [report["id"] for report in reports]},
        )


def to(postbox: Postbox, address: str) -> list[EmailMessage]:
    """The letters to exactly this address."""
    return [message for message in postbox.messages if str(message["To"]) == address]


def climbed(clerk: Staffer, report: dict[str, Any]) -> list[list[str]]:
    """Whom each climb was told."""
    timeline = clerk.get(f"/reports/{report['id']}")["timeline"]
    entries = [entry for entry in timeline if entry["what"] == "escalated"]
    assert not any(entry["is_public"] for entry in entries)
    return [entry["details"]["told"] for entry in entries]


def listed(clerk: Staffer) -> set[str]:
    return {report["number"] for report in clerk.get("/reports", worklist="escalated")["reports"]}


def test_the_ladder_reaches_the_head(
    client: TestClient, database: str, worker: object, postbox: Postbox, signed_in: SignIn
) -> None:
    report = pothole(client, email="anna@example.org")
    clerk = signed_in(CLERK)
    clerk.change("POST", report["id"], "take", {})
    assert listed(clerk) == set()

    turn_back(database, [report], 8.5)
    eventually(lambda: to(postbox, CLERK), 30)
    assert climbed(clerk, report) == [["person"]]
    assert listed(clerk) == {report["number"]}
    letter = plain(to(postbox, CLERK)[-1])
    assert "vicina alla scadenza" in letter
    assert report["number"] in letter
    assert "anna@example.org" not in letter.lower()
    assert "mezzo alla strada" not in letter, "a letter names the report; its words are read at the desk"
    assert not to(postbox, HEAD)

    turn_back(database, [report], 3)
    eventually(lambda: to(postbox, OFFICE), 30)
    assert climbed(clerk, report)[-1] == ["person", "office"]
    turn_back(database, [report], 8)
    eventually(lambda: to(postbox, HEAD), 30)
    assert climbed(clerk, report)[-1] == ["head"]
    turn_back(database, [report], 14)
    eventually(lambda: to(postbox, ADMINISTRATOR), 30)
    assert len(climbed(clerk, report)) == 4
    assert clerk.get(f"/reports/{report['id']}")["escalation"] == 4
    wait_for_rest(database)
    duties.watch_clocks()
    wait_for_rest(database)
    assert (len(climbed(clerk, report)), len(to(postbox, HEAD)), len(to(postbox, ADMINISTRATOR))) == (4, 2, 1)
    told = [message for message in postbox.to("anna@example.org") if "tempo stringe" in str(message["Subject"])]
    assert not told, "citizens hear nothing of it"


def test_what_one_person_has_to_hear_in_one_turn_is_one_letter(
    client: TestClient, database: str, worker: object, postbox: Postbox, signed_in: SignIn
) -> None:
    reports = [pothole(client) for _ in range(6)]
    clerk = signed_in(CLERK)
    for report in reports[:3]:
        clerk.change("POST", report["id"], "take", {})
    clerk.change("PUT", reports[5]["id"], "crew", {"crew": "roads-coast"})
    turn_back(database, reports, 8.5)
    eventually(lambda: to(postbox, CLERK) and to(postbox, OFFICE) and to(postbox, CREW), 30)
    wait_for_rest(database)

    def numbers_to(address: str) -> set[str]:
        (letter,) = [m for m in to(postbox, address) if "stringe" in str(m["Subject"])]
        return {report["number"] for report in reports if f"{report['number']}:" in plain(letter)}

    assert numbers_to(CLERK) == {report["number"] for report in reports[:3]}
    assert numbers_to(CREW) == {reports[5]["number"]}, "nobody looks after it: its crew"
    assert numbers_to(OFFICE) == {report["number"] for report in reports[3:5]}, "nor has it a crew: the office"


def test_who_waits_or_is_done_does_not_climb(client: TestClient, database: str, signed_in: SignIn) -> None:
    waits, done, goes_on = pothole(client), pothole(client), pothole(client)
    clerk = signed_in(CLERK)
    clerk.change("POST", waits["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    clerk.change("POST", done["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    turn_back(database, [waits, done, goes_on], 11)
    duties.watch_clocks()
    assert (climbed(clerk, waits), climbed(clerk, done), len(climbed(clerk, goes_on))) == ([], [], 1)
    reopened = clerk.change("POST", done["id"], "moves", {"to": "reopened", "reason": "Si è riaperta."})
    duties.watch_clocks()
    assert reopened["escalation"] == 0


def test_more_time_brings_it_down_again(client: TestClient, database: str, signed_in: SignIn) -> None:
    moved, promised = pothole(client), pothole(client)
    clerk = signed_in(CLERK)
    turn_back(database, [moved, promised], 11)
    duties.watch_clocks()
    assert listed(clerk) == {moved["number"], promised["number"]}
    day = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    later = clerk.change("PUT", promised["id"], "promise", {"day": day})
    assert (later["escalation"], later["is_late"]) == (0, True), "it is late all the same"
    pavement = clerk.change("PUT", moved["id"], "category", {"category": "pavement"})
    assert (pavement["escalation"], pavement["is_late"]) == (0, False)
    duties.watch_clocks()
    assert listed(clerk) == set()
    back = clerk.change("DELETE", promised["id"], "promise", {"reason": "Manca il materiale."})
    assert back["escalation"] == 0
    duties.watch_clocks()
    assert len(climbed(clerk, promised)) == 2, "the deadline counts again"


def test_old_reports_taken_in_climb_in_silence(client: TestClient, database: str, signed_in: SignIn) -> None:
    pesaro = view.held().municipality("pesaro")
    with writing(pesaro.id) as session:
        old = Submission(
            COAST,
            "Buca profonda",
            category="pothole",
            created_at=datetime.now(UTC) - timedelta(days=60),
            source="import",
        )
        answer = receive(session, old).answer
    duties.watch_clocks()
    clerk = signed_in(CLERK)
    seen = clerk.get(f"/reports/{answer['id']}")
    assert (seen["is_late"], seen["escalation"], climbed(clerk, answer)) == (True, 4, [])
    assert answer["number"] in listed(clerk)


def test_another_ladder_counts_from_then_on(
    client: TestClient, database: str, worker: object, signed_in: SignIn
) -> None:
    reports = [pothole(client) for _ in range(3)]
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE report SET clock_at = NULL, deadline_at = deadline_at - interval '11 days'")
    pesaro = view.held().municipality("pesaro")
    with writing(pesaro.id) as session:
        journey.after_ladder_change(session, pesaro.id)
        session.after_commit(bell.ring)
    wait_for_rest(database)
    duties.watch_clocks()
    clerk = signed_in(CLERK)
    for report in reports:
        assert climbed(clerk, report) == []
        assert clerk.get(f"/reports/{report['id']}")["escalation"] == 2
    turn_back(database, reports, 8)
    duties.watch_clocks()
    assert [climbed(clerk, report) for report in reports] == [[["head"]]] * 3


@pytest.mark.parametrize("role", ["head", "administrator"])
def test_where_there_is_no_head_the_administrators_hear_of_it(
    client: TestClient, database: str, worker: object, postbox: Postbox, role: str
) -> None:
    """The urp of Pesaro has no head."""
    report = reported(client, COAST, "Vorrei sapere a chi chiedere", category="other")
    assert report["department"]["slug"] == "urp"
    turn_back(database, [report], {"head": 50, "administrator": 80}[role])
    eventually(lambda: to(postbox, ADMINISTRATOR), 30)
    wait_for_rest(database)
    assert len(to(postbox, ADMINISTRATOR)) == 1
