"""Stories of those who want to hear of something: saying yes, one mail for all that is due, no more with one click."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, FANO, INLAND, ROME, URP, east_of, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

BRUNO: Final = "bruno@example.org"
SUBSCRIPTIONS: Final = "/api/v1/subscriptions"
CIRCLE: Final = {"lon": COAST.lon, "lat": COAST.lat, "metres": 300}

pytestmark = pytest.mark.usefixtures("worker")


def words(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link(mail: EmailMessage, start: str) -> str:
    found = re.search(rf"http://lampione\.test({start}\S+)", words(mail))
    assert found is not None, words(mail)
    return found[1]


def ask(client: TestClient, email: str = BRUNO, **wish: Any) -> None:
    body = {"municipality": "pesaro", "email": email, "language": "en", **wish}
    answer = client.post(SUBSCRIPTIONS, json=body)
    assert answer.status_code == 202, answer.text


def subscribed(client: TestClient, postbox: Postbox, email: str = BRUNO, **wish: Any) -> None:
    """Asked, and said yes to from the mail."""
    before = len(postbox.to(email))
    ask(client, email, **wish)
    mail = eventually(lambda: postbox.to(email)[before:])[0]
    assert "I confirm" in client.get(link(mail, "/subscriptions/confirm/")).text
    assert "Thank you" in client.post(link(mail, "/subscriptions/confirm/")).text
    postbox.messages.clear()


def test_nothing_is_told_before_the_owner_of_the_address_has_said_yes(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    ask(client, **CIRCLE)
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    assert "within 300 m" in words(mail)
    for _ in range(3):
        client.get(link(mail, "/subscriptions/confirm/"))
    reported(client, COAST, "lampione spento", category="lamp-out")
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1, "opening the link is not saying yes"
    forged = client.post(link(mail, "/subscriptions/confirm/")[:-3] + "AAA")
    assert forged.status_code == 404
    client.post(link(mail, "/subscriptions/confirm/"))
    reported(client, COAST, "buca in strada", category="pothole")
    eventually(lambda: postbox.to(BRUNO)[1:])


def test_who_asked_for_a_place_hears_of_what_happens_there_and_of_nothing_else(
    client: TestClient, postbox: Postbox, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    subscribed(client, postbox, **CIRCLE, groups=["lighting"])
    near = reported(client, east_of(COAST, 250), "lampione spento", category="lamp-out", email="anna@example.org")
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    assert near["number"] in words(mail)
    assert "lampione spento" not in words(mail), "what the citizen wrote is not public"
    assert "anna@example.org" not in words(mail)
    reported(client, east_of(COAST, 350), "lampione spento lontano", category="lamp-out")
    reported(client, COAST, "buca", category="pothole")
    reported(client, FANO, "lampione spento", category="lamp-out", email="anna@example.org")
    reported(client, COAST, "Non mi sento sicura", category="unsafe-place")
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1

    clerk = signed_in(URP)
    clerk.change("POST", near["id"], "moves", {"to": "in_progress"})
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1, "of an area, only beginning and end are told"
    clerk.change("POST", near["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})
    mail = eventually(lambda: postbox.to(BRUNO)[1:])[0]
    assert "resolved" in words(mail)
    assert "Lampada cambiata." in words(mail)


def test_a_follower_hears_of_every_public_change_and_no_more_after_one_click(
    client: TestClient, postbox: Postbox, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    report = reported(client, COAST, "lampione spento", category="lamp-out", email="anna@example.org")
    subscribed(client, postbox, report=report["number"])
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "updates", {"text": "fra noi", "is_public": False})
    clerk.change("POST", report["id"], "updates", {"text": "Arriviamo domani.", "is_public": True})
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    assert "Arriviamo domani." in words(mail)
    assert "fra noi" not in words(mail)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    target = re.fullmatch(r"<http://lampione\.test(/unsubscribe/\S+)>", str(mail["List-Unsubscribe"]))
    assert target is not None
    client.get(target[1])
    answer = client.post(target[1], data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200, answer.text
    assert client.post(target[1], data={"List-Unsubscribe": "One-Click"}).status_code == 200, "again: no harm"
    postbox.messages.clear()
    clerk.change("POST", report["id"], "updates", {"text": "Fatto.", "is_public": True})
    wait_for_rest(database)
    assert postbox.to(BRUNO) == []
    assert postbox.to("anna@example.org") != [], "the reporter goes on hearing"
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM subscriber").fetchone() == (0,), "the address is forgotten"


def test_what_happened_before_the_yes_is_no_news(
    client: TestClient, postbox: Postbox, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    old = reported(client, COAST, "lampione spento", category="lamp-out")
    clerk = signed_in(URP)
    clerk.change("POST", old["id"], "updates", {"text": "Vecchia notizia.", "is_public": True})
    subscribed(client, postbox, **CIRCLE)
    subscribed(client, postbox, "carla@example.org", report=old["number"])
    clerk.change("POST", old["id"], "updates", {"text": "Nuova notizia.", "is_public": True})
    mail = eventually(lambda: postbox.to("carla@example.org"))[0]
    assert "Nuova notizia." in words(mail)
    assert "Vecchia notizia." not in words(mail)
    wait_for_rest(database)
    assert postbox.to(BRUNO) == [], "the report was there before anybody asked"
    clerk.change("POST", old["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    assert "Fatto." in words(eventually(lambda: postbox.to(BRUNO))[0])


def test_of_two_subscriptions_the_one_said_yes_to_first_tells(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    ask(client, **CIRCLE)
    late = eventually(lambda: postbox.to(BRUNO))[0]
    subscribed(client, postbox)
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    client.post(link(late, "/subscriptions/confirm/"))
    assert report["number"] in words(eventually(lambda: postbox.to(BRUNO))[0])
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1


def test_a_follower_is_told_what_date_is_promised_and_that_it_holds_no_longer(
    client: TestClient, postbox: Postbox, signed_in: Callable[[str], Staffer]
) -> None:
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    subscribed(client, postbox, report=report["number"])
    clerk = signed_in(URP)
    day = datetime.now(ROME).date() + timedelta(days=20)
    clerk.change("PUT", report["id"], "promise", {"day": day.isoformat(), "words": "Arriva la lampada."})
    told = words(eventually(lambda: postbox.to(BRUNO))[0])
    assert f"Promised date: {day:%d/%m/%Y}" in told
    assert "Arriva la lampada." in told
    clerk.change("DELETE", report["id"], "promise", {"reason": "Non arriva."})
    told = words(eventually(lambda: postbox.to(BRUNO)[1:])[0])
    assert f"The promised date ({day:%d/%m/%Y}) no longer holds" in told
    assert "Non arriva." in told
    assert "Promised date:" not in told


def test_the_reporter_is_not_told_twice(client: TestClient, postbox: Postbox, database: str) -> None:
    subscribed(client, postbox, "Anna@example.org", **CIRCLE)
    report = reported(client, COAST, "lampione spento", category="lamp-out", email="anna@example.org")
    wait_for_rest(database)
    assert [report["number"] in str(mail["Subject"]) for mail in postbox.messages] == [True]


def test_several_subscriptions_that_hold_a_place_are_one_mail_and_a_day_is_one_mail(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    area = {
        "type": "Polygon",
        "coordinates": [[[12.9, 43.9], [12.93, 43.9], [12.93, 43.92], [12.9, 43.92], [12.9, 43.9]]],
    }
    for wish in (CIRCLE, {"polygon": area}, {"zone": {"layer": "pesaro-districts", "code": "centro-mare"}}, {}):
        subscribed(client, postbox, rhythm="daily", **wish)
    numbers = [reported(client, COAST, f"buca numero {n}", category="pothole")["number"] for n in range(3)]
    far = reported(client, INLAND, "altra buca", category="pothole")["number"]
    wait_for_rest(database)
    assert postbox.to(BRUNO) == [], "not before tomorrow morning"
    with psycopg.connect(database) as admin:
        due = admin.execute(
            "SELECT DISTINCT to_char(due_at AT TIME ZONE 'Europe/Rome', 'HH24:MI') FROM tiding"
        ).fetchall()
        admin.execute("UPDATE tiding SET due_at = now()")
    assert due == [("07:00",)]
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    assert "4 reports" in str(mail["Subject"])
    for number in [*numbers, far]:
        assert words(mail).count(number) == 1
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1


def test_all_news_of_a_report_are_told_whichever_subscription_each_of_them_is_for(
    client: TestClient, postbox: Postbox, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    subscribed(client, postbox, rhythm="daily", **CIRCLE)
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    subscribed(client, postbox, report=report["number"])
    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})
    wait_for_rest(database)
    clerk.change("POST", report["id"], "updates", {"text": "Anche il palo.", "is_public": True})
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        found = admin.execute("SELECT count(DISTINCT subscription_id) FROM tiding").fetchone()
        admin.execute("UPDATE tiding SET due_at = now()")
    assert found == (2,), "the area's end, and what only followers are told"
    told = words(eventually(lambda: postbox.to(BRUNO))[0])
    assert told.count(report["number"]) == 1
    assert told.index("Lampada cambiata.") < told.index("Anche il palo.")


def test_what_has_been_hidden_before_a_days_mail_is_not_in_it(
    client: TestClient, postbox: Postbox, database: str, signed_in: Callable[[str], Staffer]
) -> None:
    subscribed(client, postbox, rhythm="daily", **CIRCLE)
    hidden, shown = (reported(client, COAST, what, category="lamp-out") for what in ("lampione spento", "buio"))
    wait_for_rest(database)
    signed_in(URP).change("PUT", hidden["id"], "category", {"category": "unsafe-place"})
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE tiding SET due_at = now()")
    mail = eventually(lambda: postbox.to(BRUNO))[0]
    assert shown["number"] in words(mail)
    assert hidden["number"] not in words(mail) + str(mail["Subject"])


def test_one_keeps_ones_subscriptions_on_a_page_without_an_account(
    client: TestClient, postbox: Postbox, database: str
) -> None:
    subscribed(client, postbox, **CIRCLE)
    subscribed(client, postbox)
    reported(client, COAST, "buca", category="pothole")
    page = link(eventually(lambda: postbox.to(BRUNO))[0], "/subscriptions/")
    shown = client.get(page).text
    assert "within 300 m" in shown
    assert "Reports and notices of all Pesaro" in shown
    key = page.rsplit("/", 1)[-1]
    known = client.get(f"{SUBSCRIPTIONS}/{key}").json()
    assert [one["kind"] for one in known["subscriptions"]] == ["circle", "municipality"]

    saved = client.post(page, data={"rhythm": "daily", "quiet_from": "21:00", "quiet_until": "07:30", "chosen": "it"})
    assert "Salvato." in saved.text
    known = client.get(f"{SUBSCRIPTIONS}/{key}").json()
    assert (known["rhythm"], known["quiet_from"], known["language"]) == ("daily", "21:00", "it")
    bad = client.put(
        f"{SUBSCRIPTIONS}/{key}",
        json={"language": "it", "rhythm": "daily", "quiet_from": "21:00", "quiet_until": "21:00"},
    )
    assert (bad.status_code, bad.json()["field"]) == (422, "quiet_until")

    first = known["subscriptions"][0]["id"]
    assert client.delete(f"{SUBSCRIPTIONS}/{key}/{first}").status_code == 204
    assert len(client.get(f"{SUBSCRIPTIONS}/{key}").json()["subscriptions"]) == 1
    assert "Non Le scriviamo più" in client.post(page, data={"end": "all"}).text.replace("non Le", "Non Le")
    assert client.get(f"{SUBSCRIPTIONS}/{key}").status_code == 404
    assert client.get(page).status_code == 404


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"metres": 10, "lon": 12.9, "lat": 43.9}, "metres"),
        ({"zone": {"layer": "pesaro-districts", "code": "atlantide"}}, "zone"),
        ({"groups": ["ufo"]}, "groups"),
        ({"polygon": {"type": "Point", "coordinates": [12.9, 43.9]}}, "polygon"),
        ({"polygon": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}}, "polygon"),
        ({"polygon": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}}, "polygon"),
        ({"reports": False, "notices": False}, "reports"),
        ({"lon": 12.9}, "body"),
        ({"report": "PS-2026-1", "metres": 100, "lon": 12.9, "lat": 43.9}, "body"),
        ({"email": "nobody"}, "email"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_its_field(
    client: TestClient, database: str, wish: dict[str, Any], field: str
) -> None:
    answer = client.post(SUBSCRIPTIONS, json={"municipality": "pesaro", "email": BRUNO, **wish})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM subscriber").fetchone() == (0,)


def test_no_mailbox_is_flooded_with_questions(client: TestClient, database: str) -> None:
    body = {"municipality": "pesaro", "email": BRUNO}
    given = [client.post(SUBSCRIPTIONS, json=body).status_code for _ in range(7)]
    assert given == [202] * 6 + [429]
