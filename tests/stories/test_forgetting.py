"""What is old is forgotten, and nobody hears twice for it."""

from __future__ import annotations

import re

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from tests.stories.telling import COAST, URP, SignIn, counted, receipt, reported, wait_for_rest
from tests.stories.test_subscriptions import BRUNO, subscribed
from tests.trials import Postbox, eventually
from workers.mail_duties import forget_messages

ANNA = "anna@example.org"

pytestmark = pytest.mark.usefixtures("worker")


def years_pass(database: str) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET created_at = created_at - interval '91 days'")
        admin.execute("UPDATE tiding SET due_at = due_at - interval '31 days'")
        admin.execute("UPDATE paused_address SET paused_at = paused_at - interval '366 days'")


def test_addresses_are_forgotten_and_nobody_hears_twice(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    subscribed(client, postbox, lon=COAST.lon, lat=COAST.lat, metres=300)
    report = reported(client, COAST, "lampione spento", category="lamp-out", email=ANNA)
    [mail] = eventually(lambda: postbox.to(BRUNO))
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute(
            "INSERT INTO paused_address (municipality_id, address, bounce, status)"
            " SELECT id, 'old@example.org', 'hard', '5.1.1' FROM municipality WHERE slug = 'pesaro'"
        )
    forget_messages()
    assert (counted(database, "delivery WHERE address <> ''"), counted(database, "tiding")) == (3, 1)
    years_pass(database)
    forget_messages()
    with psycopg.connect(database) as admin:
        rows = admin.execute("SELECT kind, address, state, receipt, once FROM delivery").fetchall()
    assert rows == [("report", "", "sent", None, None)]
    assert (counted(database, "tiding"), counted(database, "paused_address")) == (0, 0)

    with provincial() as session:
        for (home,) in session.raw.execute("SELECT id FROM municipality WHERE slug = 'pesaro'").fetchall():
            for actor in ("tell_reporter", "tell_subscribers"):
                promise(session, actor, municipality_id=home, report_id=report["id"])
    wait_for_rest(database)
    assert len(postbox.messages) == 2, "one to each, once"
    clerk = signed_in(URP)
    [old] = clerk.get("/deliveries")["deliveries"]
    assert (old["address"], old["state"]) == ("", "sent")
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    wait_for_rest(database)
    assert [str(one["Subject"]).split(": ")[-1] for one in postbox.to(ANNA)][1:] == ["risolta"]

    target = re.fullmatch(r"<http://lampione\.test(/unsubscribe/\S+)>", str(mail["List-Unsubscribe"]))
    assert target is not None
    assert client.post(target[1], data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert counted(database, "subscriber") == 0, "one click works after all is forgotten"


def test_what_was_not_to_be_heard_stays_unheard_after_its_letter_is_forgotten(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    report = reported(client, COAST, "lampione spento", category="lamp-out", email=ANNA)
    wait_for_rest(database)
    url = f"/api/v1/reports/{report['number']}/receipt/messages"
    manner = {"language": "it", "rhythm": "at_once"}
    assert client.put(url, headers=receipt(report), json=manner | {"is_muted": True}).status_code == 200
    update = {"text": "Arriviamo domani.", "is_public": True}
    signed_in(URP).change("POST", report["id"], "updates", update)
    wait_for_rest(database)
    assert counted(database, "delivery WHERE dropped_for = 'muted' AND address <> ''") == 1
    years_pass(database)
    forget_messages()
    assert counted(database, "delivery WHERE address <> ''") == 0
    assert client.put(url, headers=receipt(report), json=manner).status_code == 200
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 1, "the receipt"
