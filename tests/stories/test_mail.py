"""Stories of the post: an address that is refused, a server that is away, and a job that runs twice."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from tests.stories.telling import COAST, URP, SignIn, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

ANNA = "anna@example.org"
LAMP = "lampione spento davanti al civico 12"

pytestmark = pytest.mark.usefixtures("worker")


def deliveries(clerk: Staffer, report: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clerk.get(f"/reports/{report['id']}")["deliveries"]
    return found


def tell_again(report: dict[str, Any], times: int) -> None:
    with provincial() as session:
        for (municipality_id,) in session.raw.execute("SELECT id FROM municipality WHERE slug = 'pesaro'"):
            for _ in range(times):
                promise(session, "tell_reporter", municipality_id=municipality_id, report_id=report["id"])


def test_a_refused_address_is_seen_on_the_desk_and_not_tried_for_ever(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    postbox.refusing.add(ANNA)
    report = reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    clerk = signed_in(URP)
    [delivery] = deliveries(clerk, report)
    assert (delivery["state"], delivery["attempts"], delivery["sent_at"]) == ("refused", 1, None)
    assert "550" in delivery["problem"]
    assert ANNA not in delivery["problem"], "whoever may not see the address does not read it here"
    postbox.refusing.clear()
    pause = clerk.get(f"/reports/{report['id']}")["unreachable"]["pause"]
    assert client.delete(f"/api/v1/desk/paused-addresses/{pause}", headers=clerk.headers).status_code == 204
    last = clerk.get(f"/reports/{report['id']}")["timeline"][-1]
    assert (last["what"], last["person"], last["is_public"]) == ("reachable", "Operatore URP Pesaro", False)
    assert client.delete(f"/api/v1/desk/paused-addresses/{pause}", headers=clerk.headers).status_code == 404
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Lampada sostituita."})
    wait_for_rest(database)
    assert [(d["state"], d["attempts"]) for d in deliveries(clerk, report)] == [("refused", 1), ("sent", 1)]
    assert [m["Subject"] for m in postbox.messages] == [f"Segnalazione {report['number']}: risolta"]


def test_a_mail_server_that_is_away_for_a_while_gets_the_mail_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    postbox.silent.add(ANNA)
    report = reported(client, COAST, LAMP, email=ANNA)
    clerk = signed_in(URP)
    tried = eventually(lambda: [d for d in deliveries(clerk, report) if d["attempts"]])[0]
    assert tried["state"] == "queued"
    assert "451" in tried["problem"]
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    eventually(lambda: len(deliveries(clerk, report)) == 2)
    assert postbox.messages == []
    postbox.silent.clear()
    wait_for_rest(database)
    sent = deliveries(clerk, report)
    assert [d["state"] for d in sent] == ["sent", "sent"]
    assert sent[0]["attempts"] >= 2
    assert sent[0]["problem"] is None
    assert [str(m["Subject"]).split(": ")[-1] for m in postbox.to(ANNA)] == [
        f"Segnalazione {report['number']} ricevuta",
        "in lavorazione",
    ]


def test_a_job_that_runs_twice_sends_one_mail(client: TestClient, database: str, postbox: Postbox) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    tell_again(report, 3)
    wait_for_rest(database)
    tell_again(report, 3)
    wait_for_rest(database)
    assert [m["Subject"] for m in postbox.messages] == [f"Segnalazione {report['number']} ricevuta"]
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT state, attempts FROM delivery").fetchall() == [("sent", 1)]


def test_what_happens_quickly_comes_in_order_and_nothing_is_told_twice(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, LAMP, email=ANNA)
    clerk = signed_in(URP)
    words = [f"Messaggio numero {number}." for number in range(6)]
    for sentence in words:
        clerk.change("POST", report["id"], "updates", {"text": sentence, "is_public": True})
    clerk.change("POST", report["id"], "updates", {"text": "Tra noi: è il solito.", "is_public": False})
    wait_for_rest(database)
    posted = "\n".join(m.get_body(("plain",)).get_content() for m in postbox.to(ANNA))  # type: ignore[union-attr]
    assert [posted.count(sentence) for sentence in words] == [1] * 6
    assert [posted.index(sentence) for sentence in words] == sorted(posted.index(sentence) for sentence in words)
    assert "Tra noi" not in posted
