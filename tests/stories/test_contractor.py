"""Stories of outside bodies: a report goes to one by mail, and comes back solved, refused, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.jobs import promise
from tests.stories.outside_world import (
    ANNA,
    CONTACT,
    HEAD,
    ROADS,
    api_of,
    hand_over,
    link_in,
    with_body,
)
from tests.stories.telling import (
    COAST,
    URP,
    SignIn,
    as_holder,
    html,
    photo_taken_at,
    plain,
    reported,
    wait_for_receipt,
    wait_for_rest,
)
from tests.stories.test_bounces import read_mail
from tests.trials import Postbox, eventually

WORDS = "buca profonda davanti al civico 12"

pytestmark = pytest.mark.usefixtures("worker")


def pothole(client: TestClient, postbox: Postbox, database: str, *, photo: bytes | None = None) -> dict[str, Any]:
    """Anna's report, once she has her receipt and its photos are clean."""
    report: dict[str, Any] = reported(client, COAST, WORDS, category="pothole", contact=CONTACT, photo=photo)
    wait_for_receipt(postbox, report, ANNA)
    wait_for_rest(database)
    return report


def told_reporter(postbox: Postbox) -> list[str]:
    return [str(message["Subject"]) for message in postbox.to(ANNA)]


def the_letter(postbox: Postbox, number: str) -> EmailMessage:
    """The letter to the contractor, with a picture and without a word of who reported."""
    [letter] = postbox.to(ROADS)
    assert number in letter["Subject"]
    assert letter["Reply-To"]
    assert WORDS in plain(letter)
    [picture] = list(letter.iter_attachments())
    assert picture.get_content_type() == "image/jpeg"
    whole = letter.as_string() + plain(letter) + html(letter)
    for secret in ("Bianchi", *CONTACT.values()):
        assert secret not in whole, f"{secret} is nobody's business outside"
    return letter


def read_by_link(client: TestClient, link: str, report: dict[str, Any]) -> None:
    """What the link shows, in both languages, to a browser without scripts: never who reported."""
    for method in ("GET", "HEAD"):
        assert client.request(method, link).status_code == 200
    opened = client.get(link)
    assert "no-store" in opened.headers["cache-control"]
    assert WORDS in opened.text
    assert "<script" not in opened.text
    for secret in ("Bianchi", *CONTACT.values(), report["receipt_token"]):
        assert secret not in opened.text
        assert secret not in client.get(api_of(link)).text
    italian = client.get(link, params={"language": "it"})
    assert "Segna come fatto" in italian.text
    [photo_id] = client.get(api_of(link)).json()["photos"]
    assert client.get(f"{api_of(link)}/photos/{photo_id}/small").headers["content-type"] == "image/jpeg"


def test_a_contractor_without_account_reports_it_done_and_the_citizen_hears_under_the_same_number(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database, photo=photo_taken_at(COAST))
    number = report["number"]
    clerk = signed_in(URP)
    [choice] = clerk.get("/outside-bodies")["bodies"]
    assert (choice["slug"], choice["channel"]) == (body, "mail")
    seen = hand_over(clerk, report, body, respond_by=(datetime.now(UTC) + timedelta(days=7)).isoformat())
    assert seen["state"] == "forwarded"
    [handover] = seen["handovers"]
    assert (handover["state"], handover["name"]["en"], handover["shares_contact"]) == (
        "queued",
        "Safe Roads Ltd",
        False,
    )
    wait_for_rest(database)

    letter = the_letter(postbox, number)
    assert told_reporter(postbox)[-1] == f"Segnalazione {number}: inoltrata ad altro ente"
    assert "Strade Sicure srl" in plain(postbox.to(ANNA)[-1])
    public = client.get(f"/api/v1/reports/{number}").json()
    assert (public["state"], public["handed_to"]["it"]) == ("forwarded", "Strade Sicure srl")
    assert as_holder(client, report)["handed_to"]["en"] == "Safe Roads Ltd"
    page = client.get(f"/r/{number}", params={"token": report["receipt_token"]})
    assert "Safe Roads Ltd" in page.text

    link = link_in(letter)
    read_by_link(client, link, report)
    assert clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "sent", "reading changes nothing"

    assert client.post(link, data={"act": "accept"}, files={"photos": ("", b"")}).status_code in {200, 303}
    assert clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "accepted"
    told = len(told_reporter(postbox))
    work = {"photos": ("dopo.jpg", photo_taken_at(COAST), "image/jpeg")}
    done = client.post(link, data={"act": "done", "words": "Chiusa a caldo."}, files=work, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, link)
    again = client.post(link, data={"act": "done", "words": "Chiusa a caldo."}, files=work)
    assert again.status_code == 200
    assert "Work done. Thank you!" in again.text
    wait_for_rest(database)

    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("resolved", "done")
    assert [photo["state"] for photo in now["photos"]] == ["ready", "ready"], "the same pipeline, and only once"
    [entry] = [one for one in now["timeline"] if one["to_state"] == "resolved"]
    assert (entry["actor"], entry["is_public"], entry["person"]) == ("contractor", True, None)
    assert told_reporter(postbox)[told:] == [f"Segnalazione {number}: risolta"]
    assert "Chiusa a caldo." in plain(postbox.to(ANNA)[-1])
    holder = as_holder(client, report)
    assert (holder["number"], holder["state"], len(holder["photos"])) == (number, "resolved", 2)
    public = client.get(f"/api/v1/reports/{number}").json()
    assert public["photos"] == [], "nothing is public before somebody has released it"
    assert all(one["note"] is None for one in public["timeline"] if one["actor"] == "contractor")


def test_who_reported_is_passed_on_only_by_those_who_may(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk, head = signed_in(URP), signed_in(HEAD)
    seen = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers)
    order = {"to": body, "reason": "Tocca a loro", "share_contact": True}
    refused = client.post(
        f"/api/v1/desk/reports/{report['id']}/hand-over",
        json=order,
        headers=clerk.headers | {"If-Match": seen.headers["etag"]},
    )
    assert (refused.status_code, refused.json()["field"]) == (403, "share_contact")
    hand_over(head, report, body, share_contact=True)
    wait_for_rest(database)
    [letter] = postbox.to(ROADS)
    assert ANNA in plain(letter)
    assert "+39 333 7654321" in plain(letter)
    link = link_in(letter)
    assert ANNA not in client.get(link).text, "the link goes from hand to hand"


def test_a_contractor_who_cannot_sends_it_back_and_the_office_is_told(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    head = signed_in(HEAD)
    watched = client.put(f"/api/v1/desk/reports/{report['id']}/watch", headers=head.headers)
    assert watched.status_code == 204
    hand_over(clerk, report, body)
    wait_for_rest(database)
    link = api_of(link_in(postbox.to(ROADS)[0]))
    without = client.post(link, json={"act": "refuse"})
    assert (without.status_code, without.json()["field"]) == (422, "words")
    answer = client.post(link, json={"act": "refuse", "words": "Il tratto è della Provincia."})
    assert (answer.status_code, answer.json()["state"], answer.json()["is_open"]) == (200, "refused", False)
    assert client.post(link, json={"act": "refuse", "words": "Il tratto è della Provincia."}).status_code == 200
    late = client.post(link, json={"act": "done", "words": "fatto"})
    assert (late.status_code, "already answered" in late.json()["detail"]) == (409, True)
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["triage_reason"]) == ("triage", "triage.handover_refused")
    letters = [message for message in postbox.messages if "Strade Sicure srl" in str(message["Subject"])]
    assert letters
    assert all("Il tratto è della Provincia." in plain(message) for message in letters)
    assert ANNA not in {str(message["To"]) for message in letters}
    assert "Il tratto" not in plain(postbox.to(ANNA)[-1]), "their words are for the office"
    assert "tornata al Comune" in plain(postbox.to(ANNA)[-1])
    told = "\n".join(plain(message) for message in postbox.to(HEAD))
    assert "chi fa il lavoro: chi l'ha ricevuta non può intervenire." in told, "whoever watches it reads so too"
    assert client.get(f"/api/v1/reports/{report['number']}").json()["handed_to"] is None


def test_where_the_office_looks_first_the_report_comes_back_to_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in, needs_check=True)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body, text="Buca da 40 cm, asfalto a caldo")
    wait_for_rest(database)
    [letter] = postbox.to(ROADS)
    assert "Buca da 40 cm, asfalto a caldo" in plain(letter)
    assert WORDS not in plain(letter), "the desk has said it in other words"
    assert client.post(api_of(link_in(letter)), json={"act": "done", "words": "Chiusa."}).status_code == 200
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("assigned", "done")
    assert "Chiusa." in plain(postbox.to(ANNA)[-1])
    assert [m for m in postbox.messages if "Strade Sicure srl" in str(m["Subject"])], "the office is told"
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Verificato sul posto."})


def test_a_link_ends_when_it_expires_when_it_is_renewed_and_when_the_report_is_called_back(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    first = link_in(postbox.to(ROADS)[0])
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE handover SET link_expires_at = now() - interval '1 minute'")
    for path in (first, api_of(first)):
        expired = client.get(path)
        assert expired.status_code == 410
        assert "has expired" in expired.text
        assert "Pesaro" in expired.text
    assert client.post(api_of(first), json={"act": "done", "words": "fatto"}).status_code == 410
    assert client.post(first, data={"act": "done", "words": "x"}, files={"photos": ("", b"")}).status_code == 410

    renewed = clerk.change("POST", report["id"], "hand-over/link", {"days": 3})
    wait_for_rest(database)
    second = link_in(postbox.to(ROADS)[-1])
    assert renewed["link"] == f"http://lampione.test{second}"
    assert second != first
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT * FROM handover").fetchall()
        jobs = admin.execute("SELECT * FROM delivery").fetchall()
    assert second.removeprefix("/h/") not in str(kept) + str(jobs), "the secret is kept nowhere"

    clerk.change("POST", report["id"], "hand-over/call-back", {"reason": "Lo facciamo noi."})
    gone = client.get(api_of(second))
    assert (gone.status_code, gone.json()["type"]) == (410, "/problems/gone")
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("assigned", "withdrawn")
    wait_for_rest(database)
    assert "non occorre più intervenire" in postbox.to(ROADS)[-1]["Subject"]
    hand_over(clerk, report, body)
    wait_for_rest(database)
    again = clerk.change("POST", report["id"], "moves", {"to": "rejected", "reason": "Proprietà privata."})
    assert [one["state"] for one in again["handovers"]] == ["withdrawn", "withdrawn"], "however it leaves them"
    wait_for_rest(database)
    eventually(lambda: len(postbox.to(ROADS)) == 5, 60)
    assert "non occorre più intervenire" in postbox.to(ROADS)[-1]["Subject"], "by whatever hand it was taken away"


def test_a_body_whose_address_is_refused_gives_the_report_back(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    postbox.refusing.add(ROADS)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["triage_reason"]) == ("triage", "triage.handover_failed")
    [handover] = now["handovers"]
    assert (handover["state"], "550" in handover["problem"], ROADS in handover["problem"]) == ("failed", True, False)
    assert [entry["what"] for entry in now["timeline"] if not entry["is_public"]][-1] == "handover_failed"


def test_a_letter_that_comes_back_later_gives_the_report_back_and_tells_the_office_and_who_handed_it_over(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(HEAD)
    postbox.bouncing[ROADS] = "postfix-unknown"
    hand_over(clerk, report, body)
    wait_for_rest(database)
    assert clerk.get(f"/reports/{report['id']}")["state"] == "forwarded"
    read_mail(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["triage_reason"]) == ("triage", "triage.handover_failed")
    assert now["handovers"][0]["state"] == "failed"
    problem = "La lettera è tornata indietro (codice 5.1.1): quell'indirizzo non la riceve."
    assert now["handovers"][0]["problem"] == problem
    [entry] = [one for one in now["timeline"] if one["what"] == "handover_failed"]
    assert (entry["note"], entry["is_public"]) == (problem, False)
    [told] = eventually(lambda: postbox.to(HEAD))
    assert report["number"] in str(told["Subject"])
    read_mail(database)
    wait_for_rest(database)
    assert clerk.get(f"/reports/{report['id']}")["version"] == now["version"], "once"


def test_a_letter_that_comes_back_when_they_are_at_work_changes_nothing(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    postbox.bouncing[ROADS] = "postfix-unknown"
    hand_over(clerk, report, body)
    wait_for_rest(database)
    path = api_of(link_in(postbox.to(ROADS)[-1]))
    assert client.post(path, json={"act": "accept"}).status_code == 200
    read_mail(database)
    assert clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "accepted"


def test_a_server_that_is_away_gets_the_letter_once_and_gives_up_after_two_days(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    postbox.silent.add(ROADS)
    hand_over(clerk, report, body)

    def tried() -> dict[str, Any] | None:
        handover: dict[str, Any] = clerk.get(f"/reports/{report['id']}")["handovers"][0]
        return handover if handover["problem"] else None

    handover = eventually(tried)
    assert (handover["state"], "451" in handover["problem"]) == ("queued", True)
    postbox.silent.clear()
    with provincial() as session:
        for municipality_id, key in session.raw.execute("SELECT municipality_id, id FROM handover").fetchall():
            for _ in range(3):
                promise(session, "send_handover", municipality_id=municipality_id, handover_id=str(key))
        session.raw.execute("UPDATE job SET visible_at = now()")
    wait_for_rest(database)
    assert len(postbox.to(ROADS)) == 1
    clerk.change("POST", report["id"], "hand-over/call-back", {"reason": "Lo facciamo noi."})
    wait_for_rest(database)

    postbox.silent.add(ROADS)
    hand_over(clerk, report, body)
    eventually(tried)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE handover SET tried_at = now() - interval '3 days' WHERE state = 'queued'")
        admin.execute("UPDATE job SET visible_at = now()")
    wait_for_rest(database)
    now = clerk.get(f"/reports/{report['id']}")
    assert (now["state"], now["handovers"][0]["state"]) == ("triage", "failed")


def test_only_the_desk_of_the_report_hands_it_over_and_only_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in, owner="provincia", slug="province-works")
    with_body(client, signed_in, slug="closed", is_active=False)
    report = pothole(client, postbox, database)
    url = f"/api/v1/desk/reports/{report['id']}/hand-over"
    order = {"to": body, "reason": "Tocca a loro"}
    crew = signed_in("squadra.roads-coast@pesaro.example.org")
    green = signed_in("responsabile.verde@pesaro.example.org")
    elsewhere = signed_in("operatore.urp@urbino.example.org")
    for stranger, status in ((crew, 403), (green, 403), (elsewhere, 404)):
        answer = client.post(url, json=order, headers=stranger.headers | {"If-Match": '"v1"'})
        assert answer.status_code == status, answer.text
    clerk = signed_in(URP)
    version = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers).headers["etag"]
    mine = clerk.headers | {"If-Match": version}
    for wrong, field in (
        ({"to": "nobody"}, "to"),
        ({"to": "closed"}, "to"),
        ({"reason": "  "}, "reason"),
        ({"respond_by": "2020-01-01T00:00:00Z"}, "respond_by"),
        ({"link_days": 0}, "link_days"),
    ):
        answer = client.post(url, json=order | wrong, headers=mine)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert client.post(url, json=order, headers=clerk.headers).status_code == 428
    assert client.post(url, json=order, headers=mine).status_code == 200
    assert client.post(url, json=order, headers=mine).status_code == 412
    now = client.get(f"/api/v1/desk/reports/{report['id']}", headers=clerk.headers).headers["etag"]
    assert client.post(url, json=order, headers=clerk.headers | {"If-Match": now}).status_code == 409
    wait_for_rest(database)
    assert len(postbox.to(ROADS)) == 1


def test_a_file_that_is_no_photo_is_refused_and_nothing_has_happened(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    body = with_body(client, signed_in)
    report = pothole(client, postbox, database)
    clerk = signed_in(URP)
    hand_over(clerk, report, body)
    wait_for_rest(database)
    link = link_in(postbox.to(ROADS)[0])
    bad = {"photos": ("dopo.jpg", b"<script>alert(1)</script>", "image/jpeg")}
    for path in (link, api_of(link)):
        answer = client.post(path, data={"act": "done", "words": "Chiusa."}, files=bad)
        assert answer.status_code == 415, answer.text
    assert clerk.get(f"/reports/{report['id']}")["state"] == "forwarded"
    assert client.post(link, data={"act": "explode"}, files={"photos": ("", b"")}).status_code == 422
    assert client.post(api_of(link), json={"act": "explode"}).json()["field"] == "act"
    assert client.post(f"{api_of(link)}x", json={"act": "accept"}).status_code == 404
    assert client.get("/h/guess").status_code == 404


def test_a_bodys_secret_is_told_to_nobody_and_only_administrators_make_bodies(
    client: TestClient, signed_in: SignIn
) -> None:
    slug = with_body(client, signed_in, secret="una chiave molto segreta")  # noqa: S106  (of a test)
    administrator = signed_in("amministratore@pesaro.example.org")
    url = "/api/v1/registry/pesaro/outside-bodies"
    listed = client.get(url, headers=administrator.headers)
    assert "segreta" not in listed.text
    assert [(one["slug"], one["has_secret"], one["is_inherited"]) for one in listed.json()] == [(slug, True, False)]
    clerk = signed_in(URP)
    assert client.get(url, headers=clerk.headers).status_code == 403
    assert client.put(f"{url}/other", json={}, headers=clerk.headers).status_code in {403, 422}
    body: dict[str, Any] = {
        "name": {"it": "Strade", "en": "Roads"},
        "channel": "mail",
        "address": "strade@ditta.example.org",
    }
    for wrong, status, field in (
        ({"address": "not an address"}, 422, "address"),
        ({"channel": "pigeon"}, 422, "channel"),
    ):
        answer = client.put(f"{url}/other", json=body | wrong, headers=administrator.headers)
        assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
    answer = client.put(f"{url}/urbino", json=body, headers=administrator.headers)
    assert (answer.status_code, answer.json()["field"]) == (409, "slug")
    province = signed_in("amministratore@provincia.example.org")
    of_all = client.put("/api/v1/registry/provincia/outside-bodies/lights", json=body, headers=province.headers)
    assert of_all.status_code == 204
    denied = client.put("/api/v1/registry/provincia/outside-bodies/x", json=body, headers=administrator.headers)
    assert denied.status_code == 403
    seen = client.get(url, headers=administrator.headers).json()
    assert [(one["slug"], one["is_inherited"]) for one in seen] == [("lights", True), (slug, False)]
