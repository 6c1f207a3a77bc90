"""Colleagues who are asked to look: named in a note, given a report, or watching it; each is told once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from city.database import writing
from city.messages import watching
from city.registry import view
from city.reports.mentions import handles
from tests.api.test_assignment import COUNCIL, CREW, GREEN, WORKS, attempt, person
from tests.stories.telling import COAST, URP, SignIn, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

NOTE = "Vista con @operatore.lavoripubblici: serve la transenna."


def pothole(client: TestClient) -> Any:
    return reported(client, COAST, "buca profonda in viale Trieste", category="pothole", address="Viale Trieste 12")


def note(staffer: Staffer, report: dict[str, Any], words: str, **more: Any) -> Any:
    return staffer.change("POST", report["id"], "updates", {"text": words} | more)


def listed(staffer: Staffer, worklist: str) -> list[str]:
    return [row["id"] for row in staffer.get("/reports", worklist=worklist)["reports"]]


def do(staffer: Staffer, method: str, report: dict[str, Any], what: str) -> int:
    url = f"/api/v1/desk/reports/{report['id']}/{what}"
    return staffer.client.request(method, url, headers=staffer.headers).status_code


# --- named in a note


def test_handles_are_found_in_words() -> None:
    assert handles("@anna.bianchi, @Verde: guardate! (@urp) @anna.bianchi") == ["anna.bianchi", "verde", "urp"]
    assert handles("scrivere a anna@example.org o @@x, @ nessuno, 5@casa") == []
    assert handles("fatto da @urp.") == ["urp"]


@given(st.text())
def test_any_words_can_be_asked_for_handles(words: str) -> None:
    for name in handles(words):
        assert name == name.lower()
        assert f"@{name}" in words.lower()


@pytest.mark.usefixtures("worker")
def test_who_is_named_in_a_note_is_written_to_once(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    report = pothole(client)
    urp, works = signed_in(URP), signed_in(WORKS)
    note(urp, report, NOTE)
    (mail,) = eventually(lambda: postbox.to(WORKS))
    assert report["number"] in mail["Subject"]
    assert "serve la transenna" in plain(mail)
    assert "Viale Trieste 12" in plain(mail)
    assert listed(works, "mentioned") == [report["id"]]
    assert listed(urp, "mentioned") == []
    works.get(f"/reports/{report['id']}")
    assert listed(works, "mentioned") == [report["id"]], "to read is not to have seen"
    assert do(works, "POST", report, "seen") == 204
    assert listed(works, "mentioned") == []
    note(urp, report, "@operatore.lavoripubblici e allora?")
    assert listed(works, "mentioned") == [report["id"]]
    note(works, report, "@operatore.lavoripubblici: nota a me stesso")
    wait_for_rest(database)
    assert len(postbox.to(WORKS)) == 2, "nobody writes to oneself"


def test_a_note_that_names_nobody_known_is_refused_with_similar_names(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    urp = signed_in(URP)
    wrong = attempt(urp, "POST", report, "updates", {"text": "vedi @operatore.lavoripublici"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "text")
    assert "@operatore.lavoripubblici" in wrong.json()["detail"]
    foreign = attempt(urp, "POST", report, "updates", {"text": "vedi @operatore.verde"})
    assert (foreign.status_code, foreign.json()["field"]) == (422, "text")
    assert "may not read" in foreign.json()["detail"]
    moved = attempt(urp, "POST", report, "moves", {"to": "planned", "internal_note": "vedi @nessuno.affatto"})
    assert (moved.status_code, moved.json()["field"]) == (422, "internal_note")
    assert urp.get(f"/reports/{report['id']}")["version"] == 1, "nothing was kept"
    kept = note(urp, report, "vedi @operatore.verde e @nessuno", unknown_mentions="keep")
    assert kept["timeline"][-1]["note"] == "vedi @operatore.verde e @nessuno"
    public = note(urp, report, "Ci scriva a @comunepesaro", is_public=True)
    assert public["timeline"][-1]["is_public"], "a public message names no colleague"


@pytest.mark.usefixtures("worker")
def test_a_note_seen_at_the_desk_needs_no_letter(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    report = pothole(client)
    urp, works = signed_in(URP), signed_in(WORKS)
    postbox.silent.add(WORKS)
    note(urp, report, NOTE)
    eventually(lambda: attempts(database, "mentioned") and put_off(database))
    assert do(works, "POST", report, "seen") == 204
    postbox.silent.clear()
    hurry(database)
    wait_for_rest(database)
    assert postbox.to(WORKS) == []
    assert states(database, "mentioned") == ["dropped"]


def attempts(database: str, kind: str) -> int:
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT coalesce(sum(attempts), 0) FROM delivery WHERE kind = %s", (kind,)).fetchone()
    return int(row[0]) if row else 0


def states(database: str, kind: str) -> list[str]:
    with psycopg.connect(database) as admin:
        return [row[0] for row in admin.execute("SELECT state FROM delivery WHERE kind = %s ORDER BY id", (kind,))]


def put_off(database: str) -> bool:
    """Whether each job was tried, and waits for its next try."""
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT count(*) FROM job WHERE state = 1 OR visible_at <= now()").fetchone()
    return row == (0,)


def hurry(database: str) -> None:
    """Let nothing wait for its next try."""
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE job SET visible_at = now() WHERE state = 0")


# --- given to somebody


@pytest.mark.usefixtures("worker")
def test_who_is_given_a_report_is_told_unless_it_is_taken_back(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    kept, back = pothole(client), pothole(client)
    urp = signed_in(URP)
    works = person(urp, "operatore.lavoripubblici")["id"]
    postbox.silent.add(WORKS)
    for report in (kept, back):
        urp.change("PUT", report["id"], "person", {"person": works})
    urp.change("PUT", back["id"], "person", {"person": None})
    eventually(lambda: put_off(database))
    postbox.silent.clear()
    hurry(database)
    (mail,) = eventually(lambda: postbox.to(WORKS))
    wait_for_rest(database)
    assert kept["number"] in plain(mail)
    assert len(postbox.to(WORKS)) == 1
    signed_in(WORKS).change("POST", kept["id"], "moves", {"to": "in_progress"})
    urp.change("POST", back["id"], "take", {})
    wait_for_rest(database)
    assert len(postbox.to(WORKS)) == 1
    assert postbox.to(URP) == [], "who takes a report knows it"


# --- watching


@pytest.mark.usefixtures("worker")
def test_who_watches_hears_once_of_what_others_do(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    report, other = pothole(client), pothole(client)
    urp, works = signed_in(URP), signed_in(WORKS)
    note(urp, report, "Prima di seguirla.")
    for _ in range(2):
        assert do(works, "PUT", report, "watch") == 204
    seen = works.get(f"/reports/{report['id']}")
    assert seen["watching"]
    assert [one["name"] for one in seen["watchers"]] == [person(urp, "operatore.lavoripubblici")["name"]]
    assert not urp.get(f"/reports/{report['id']}")["watching"]
    assert listed(works, "watched") == [report["id"]]

    note(works, report, "La mia nota.")
    note(urp, other, "Altrove.")
    wait_for_rest(database)
    assert postbox.to(WORKS) == [], "neither what one did oneself nor what one does not watch"

    note(urp, report, "Serve la transenna.")
    (mail,) = eventually(lambda: postbox.to(WORKS))
    assert "Serve la transenna." in plain(mail)
    assert "La mia nota." not in plain(mail)
    assert "Prima di seguirla." not in plain(mail)
    urp.change("POST", report["id"], "moves", {"to": "in_progress"})
    eventually(lambda: len(postbox.to(WORKS)) == 2)
    last = plain(postbox.to(WORKS)[-1])
    assert "in lavorazione" in last
    assert "transenna" not in last

    assert do(works, "DELETE", report, "watch") == 204
    assert do(works, "DELETE", report, "watch") == 204
    note(urp, report, "Dopo.")
    wait_for_rest(database)
    assert len(postbox.to(WORKS)) == 2


@pytest.mark.usefixtures("worker")
def test_news_are_neither_lost_nor_repeated_while_the_mail_server_is_away(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    reports = [pothole(client) for _ in range(2)]
    urp, works = signed_in(URP), signed_in(WORKS)
    for report in reports:
        do(works, "PUT", report, "watch")
    postbox.silent.add(WORKS)
    words = [f"Nota numero {n}." for n in range(6)]
    for n, said in enumerate(words):
        note(urp, reports[n % 2], said)
    eventually(lambda: attempts(database, "watched") and put_off(database))
    postbox.silent.clear()
    hurry(database)
    wait_for_rest(database)
    told = "".join(plain(mail) for mail in postbox.to(WORKS))
    assert [told.count(said) for said in words] == [1] * len(words)


def test_changes_at_once_are_each_told_once(client: TestClient, database: str, signed_in: SignIn) -> None:
    reports = [pothole(client) for _ in range(3)]
    urp, works = signed_in(URP), signed_in(WORKS)
    for report in reports:
        do(works, "PUT", report, "watch")
        for n in range(3):
            note(urp, report, f"Nota {n}.")
    town = view.held().slugs["pesaro"]

    def gather(report: dict[str, Any]) -> None:
        with writing(town.id) as session:
            watching.queue(session, town, UUID(report["id"]))

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(gather, reports * 2))
    with psycopg.connect(database) as admin:
        ranges = [row[0]["news"] for row in admin.execute("SELECT about FROM delivery WHERE kind = 'watched'")]
        newest = dict(
            admin.execute("SELECT report_id::text, max(id) FROM timeline_entry GROUP BY report_id").fetchall()
        )
    for report in reports:
        told = sorted((after, upto) for news in ranges for key, after, upto in news if key == report["id"])
        assert all(upto == after for (_, upto), (after, _) in pairwise(told)), "each range begins where one ended"
        assert told[-1][1] == newest[report["id"]]


@pytest.mark.usefixtures("worker")
def test_who_may_not_read_it_any_more_hears_nothing(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    report = pothole(client)
    urp, works = signed_in(URP), signed_in(WORKS)
    do(works, "PUT", report, "watch")
    urp.change("PUT", report["id"], "department", {"department": "green", "reason": "È nel parco."})
    note(urp, report, "Segreto del verde.")
    wait_for_rest(database)
    assert postbox.to(WORKS) == []
    assert listed(works, "watched") == []
    assert do(works, "PUT", report, "watch") == 403
    assert do(works, "POST", report, "seen") == 403
    assert do(works, "DELETE", report, "watch") == 204, "to stop is always possible"


def test_crews_and_councils_may_watch_what_they_may_read(client: TestClient, signed_in: SignIn) -> None:
    report = pothole(client)
    crew, council, green = signed_in(CREW), signed_in(COUNCIL), signed_in(GREEN)
    assert do(council, "PUT", report, "watch") == 204
    assert do(crew, "PUT", report, "watch") == 403
    assert do(green, "PUT", report, "watch") == 403
    signed_in(URP).change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    assert do(crew, "PUT", report, "watch") == 204
