"""Stories of reporters who say how they want to hear of their report: no more, once a day, not at night."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import (
    COAST,
    ROME,
    URP,
    SignIn,
    as_holder,
    html,
    plain,
    receipt,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.trials import Postbox, Staffer, eventually
from workers import duties

ANNA: Final = "anna@example.org"
AT_ONCE: Final = {"language": "it", "rhythm": "at_once"}
END: Final = "Non voglio più messaggi su questa segnalazione"

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def clerk(signed_in: SignIn) -> Staffer:
    return signed_in(URP)


def received(client: TestClient, postbox: Postbox, **more: Any) -> Any:
    """A report whose receipt has come by mail."""
    report = reported(client, COAST, "lampione spento", category="lamp-out", email=ANNA, **more)
    wait_for_receipt(postbox, report, ANNA)
    return report


def update(clerk: Staffer, report: Any, words: str) -> None:
    clerk.change("POST", report["id"], "updates", {"text": words, "is_public": True})


def told(postbox: Postbox, words: str) -> EmailMessage:
    """The mail to Anna that says so, once it has come."""
    return eventually(lambda: [mail for mail in postbox.to(ANNA) if words in plain(mail)])[0]


def wish(client: TestClient, report: Any, **manner: Any) -> Any:
    url = f"/api/v1/reports/{report['number']}/receipt/messages"
    return client.put(url, headers=receipt(report), json=AT_ONCE | manner)


def one_click(mail: EmailMessage) -> str:
    """Where the mail program ends such letters (RFC 8058)."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<http://lampione\.test(/r/\S+)>", str(mail["List-Unsubscribe"]))
    assert found is not None
    return found[1]


def fates(clerk: Staffer, report: Any) -> list[tuple[str, str | None]]:
    return [(one["state"], one["dropped_for"]) for one in clerk.get(f"/reports/{report['id']}")["deliveries"]]


def hours_around(now: datetime) -> dict[str, str]:
    return {"quiet_from": f"{now - timedelta(hours=1):%H:%M}", "quiet_until": f"{now + timedelta(hours=2):%H:%M}"}


def next_time(now: datetime, clock: str) -> datetime:
    """When Rome's clock shows that next."""
    moment = datetime.combine(now.date(), time.fromisoformat(clock), ROME)
    return (moment if moment > now else moment + timedelta(days=1)).astimezone(UTC)


def put_off(database: str) -> datetime:
    """When the one job that waits for later is due."""

    def waiting() -> list[datetime]:
        with psycopg.connect(database) as admin:
            rows = admin.execute("SELECT visible_at, visible_at > now() + interval '30 minutes' FROM job").fetchall()
        return [due for due, _ in rows] if all(late for _, late in rows) else []

    return min(eventually(waiting))


def test_one_click_ends_the_letters_of_one_report_but_not_the_answer_it_was_made_for(
    client: TestClient, postbox: Postbox, database: str, clerk: Staffer
) -> None:
    report, other = received(client, postbox), received(client, postbox)
    for mail in postbox.to(ANNA):
        assert mail["List-Unsubscribe"] is None, "the receipt was asked for"
        assert END not in plain(mail)
    update(clerk, report, "Arriviamo domani.")
    mail = told(postbox, "Arriviamo domani.")
    target = one_click(mail)
    assert f"{END}: http://lampione.test{target}" in plain(mail)
    assert f'<a href="http://lampione.test{target}"' in html(mail)
    assert report["receipt_token"] not in target, "who can end the letters cannot read the report"

    asked = client.get(target, headers={"Accept-Language": "it"})
    assert "vuole smettere di ricevere messaggi?" in asked.text
    assert as_holder(client, report)["messages"]["is_muted"] is False, "programs that look at mails open links too"
    for _ in range(2):
        ended = client.post(target, data={"List-Unsubscribe": "One-Click"})
        assert ended.status_code == 200, ended.text
    assert "non Le scriviamo più" in ended.text
    update(clerk, report, "Arriviamo dopodomani.")
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    update(clerk, other, "Anche l'altro lampione.")
    told(postbox, "Anche l'altro lampione.")
    wait_for_rest(database)
    assert not [mail for mail in postbox.to(ANNA) if "dopodomani" in plain(mail)]
    assert fates(clerk, report)[:2] == [("sent", None), ("sent", None)]
    assert set(fates(clerk, report)[2:]) == {("dropped", "muted")}, "the office sees why"

    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})
    answer = told(postbox, "Lampada cambiata.")
    assert answer["List-Unsubscribe"] is None
    assert "dopodomani" not in plain(answer)
    update(clerk, report, "Grazie ancora.")
    wait_for_rest(database)
    assert not [mail for mail in postbox.to(ANNA) if "Grazie ancora." in plain(mail)]

    heard = client.post(target, data={"again": "yes"})
    assert "Le scriviamo di nuovo" in heard.text
    update(clerk, report, "La garanzia è di due anni.")
    mail = told(postbox, "La garanzia è di due anni.")
    assert "Grazie ancora." not in plain(mail), "what was not to be heard then is not told now"


def test_a_link_ends_the_letters_of_its_own_report_only(client: TestClient, postbox: Postbox, clerk: Staffer) -> None:
    report, other = received(client, postbox), received(client, postbox)
    update(clerk, report, "Arriviamo domani.")
    target = one_click(told(postbox, "Arriviamo domani."))
    for wrong in (
        target.replace(report["number"], other["number"]),
        target[:-3] + "AAA",
        f"/r/{report['number']}/mute/{report['receipt_token']}",
    ):
        assert client.get(wrong).status_code == 404
        assert client.post(wrong).status_code == 404
    assert as_holder(client, report)["messages"]["is_muted"] is False
    assert as_holder(client, other)["messages"]["is_muted"] is False


def test_the_reporters_page_has_a_switch(client: TestClient, postbox: Postbox, database: str, clerk: Staffer) -> None:
    report = received(client, postbox, language="en")
    page = f"/r/{report['number']}"
    address = {"token": report["receipt_token"]}
    assert "We write to you whenever there is news." in client.get(page, params=address).text
    silent = client.post(f"{page}/messages", data=address | {"mute": "yes"})
    assert "We write no more." in silent.text
    update(clerk, report, "Arriviamo domani.")
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 1
    loud = client.post(f"{page}/messages", data=address | {"mute": "no"})
    assert "We write to you whenever there is news." in loud.text
    form = {"rhythm": "daily", "quiet_from": "21:00", "quiet_until": "07:30", "chosen": "it"}
    saved = client.post(f"{page}/messages", data=address | form)
    assert "We write to you once a day at most" in saved.text
    assert as_holder(client, report)["messages"] == {
        "is_muted": False,
        "language": "it",
        "rhythm": "daily",
        "quiet_from": "21:00",
        "quiet_until": "07:30",
    }
    half = client.post(f"{page}/messages", data=address | form | {"quiet_until": ""})
    assert (half.status_code, "both a beginning and an end" in half.text) == (422, True)
    assert client.post(f"{page}/messages", data={"token": "x", "mute": "yes"}).status_code == 404
    assert "messages" not in client.get(f"/api/v1/reports/{report['number']}").json(), "nobody else's business"


def test_whoever_is_not_written_to_has_nothing_to_switch(client: TestClient) -> None:
    for contact in ({}, {"phone": "+39 0721 123456"}):
        report = reported(client, COAST, "buca", category="pothole", contact=contact)
        assert as_holder(client, report)["messages"] is None
        page = client.get(f"/r/{report['number']}", params={"token": report["receipt_token"]}).text
        assert "Messages about this report" not in page
        assert wish(client, report, is_muted=True).status_code == 409


@pytest.mark.parametrize(
    ("manner", "field"),
    [
        ({"quiet_from": "21:00", "quiet_until": "21:00"}, "quiet_until"),
        ({"quiet_from": "21:00"}, "body"),
        ({"rhythm": "hourly"}, "rhythm"),
        ({"is_muted": "yes"}, "is_muted"),
    ],
)
def test_a_manner_that_cannot_be_is_refused_with_its_field(
    client: TestClient, manner: dict[str, Any], field: str
) -> None:
    report = reported(client, COAST, "buca", category="pothole", email=ANNA)
    answer = wish(client, report, **manner)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_once_a_day_all_news_of_a_report_are_one_letter(
    client: TestClient, postbox: Postbox, database: str, clerk: Staffer
) -> None:
    report = received(client, postbox)
    now = datetime.now(ROME)
    assert wish(client, report, rhythm="daily", **hours_around(now)).status_code == 200
    wait_for_rest(database)
    update(clerk, report, "Arriviamo domani.")
    morning = next_time(now, max("07:00", hours_around(now)["quiet_until"]))
    assert abs(put_off(database) - morning) < timedelta(seconds=5), "when nobody is disturbed"
    update(clerk, report, "Anzi dopodomani.")
    put_off(database)
    assert len(postbox.to(ANNA)) == 1
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE timeline_entry SET at = at - interval '25 hours'")
        admin.execute("UPDATE reporter SET quiet_from = NULL, quiet_until = NULL")
        admin.execute("UPDATE job SET visible_at = now()")
    mail = told(postbox, "Arriviamo domani.")
    assert "Anzi dopodomani." in plain(mail)
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 2


def test_in_quiet_hours_nothing_comes_and_without_them_at_once(
    client: TestClient, postbox: Postbox, database: str, clerk: Staffer
) -> None:
    report = received(client, postbox)
    now = datetime.now(ROME)
    wish(client, report, **hours_around(now))
    wait_for_rest(database)
    update(clerk, report, "Arriviamo domani.")
    later = next_time(now, hours_around(now)["quiet_until"])
    assert abs(put_off(database) - later) < timedelta(seconds=5)
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE timeline_entry SET at = at - interval '6 hours'")
        admin.execute("UPDATE job SET visible_at = now()")
    assert abs(put_off(database) - later) < timedelta(seconds=5), "nor what was held up until now"
    assert len(postbox.to(ANNA)) == 1
    wish(client, report)
    told(postbox, "Arriviamo domani.")


def test_a_reminder_waits_too(client: TestClient, postbox: Postbox, database: str, clerk: Staffer) -> None:
    report = received(client, postbox)
    clerk.change("POST", report["id"], "questions", {"text": "Quale palo?"})
    one_click(told(postbox, "Quale palo?"))
    wish(client, report, **hours_around(datetime.now(ROME)))
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE question SET remind_at = now()")
    duties.attend_questions()
    put_off(database)
    assert len(postbox.to(ANNA)) == 2
    wish(client, report)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE job SET visible_at = now()")
    one_click(eventually(lambda: postbox.to(ANNA)[2:])[0])


def test_nobody_is_asked_who_wants_no_more_messages(
    client: TestClient, postbox: Postbox, database: str, clerk: Staffer
) -> None:
    report = received(client, postbox)
    wish(client, report, is_muted=True)
    wait_for_rest(database)
    seen = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers)
    url = f"/api/v1/desk/reports/{report['id']}"
    headers = clerk.headers | {"If-Match": seen.headers["etag"]}
    refused = client.post(f"{url}/questions", json={"text": "Quale palo?"}, headers=headers)
    assert refused.status_code == 409
    assert "wants no more messages" in refused.json()["detail"]


def test_the_preview_and_the_count_know_who_would_not_hear(
    client: TestClient, postbox: Postbox, database: str, clerk: Staffer
) -> None:
    reports = [received(client, postbox), received(client, postbox)]
    wish(client, reports[0], is_muted=True)
    wait_for_rest(database)
    url = f"/api/v1/desk/reports/{reports[0]['id']}/preview"
    resolved = {"to": "resolved", "reason": "Lampada cambiata."}
    update = client.post(url, json={"update": {"text": "Arriviamo."}}, headers=clerk.headers).json()
    outcome = client.post(url, json={"move": resolved}, headers=clerk.headers).json()
    assert update["mail"] is None
    assert "Lampada cambiata." in outcome["mail"]["text"]
    named = [{"id": report["id"]} for report in reports]
    for move, letters in (({"to": "in_progress"}, 1), (resolved, 2)):
        body = {"reports": named, "action": {"do": "move"} | move, "preview": True}
        tried = client.post("/api/v1/desk/bulk", json=body, headers=clerk.headers).json()
        assert tried["told"]["letters"] == letters
