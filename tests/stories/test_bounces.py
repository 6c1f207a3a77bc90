"""Stories of mails that come back: who cannot be reached is written to no more, and nobody can make it look so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial, writing
from city.messages.fates import pausing, return_address
from city.messages.tables import Delivery
from city.registry import view
from city.reports import journey
from city.settings import PROJECT, settings
from tests.imap_server import USER, WORD, imap_server, signed_in
from tests.stories.telling import COAST, URP, SignIn, counted, east_of, reported, wait_for_rest
from tests.stories.test_citizen import ask, try_in
from tests.stories.test_subscriptions import BRUNO, link, subscribed
from tests.trials import Postbox, eventually, returned
from workers import returned_mail
from workers.mail_duties import look_for_bounces

ANNA: Final = "anna@example.org"
LAMP: Final = "lampione spento davanti al civico 12"

pytestmark = pytest.mark.usefixtures("worker")


def read_mail(database: str) -> None:
    """What has come back is read, as the chore would have it after a while."""
    with provincial() as session:
        journey.after_coming_back_by_mail(session)
    wait_for_rest(database)


def fates(database: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as admin:
        return admin.execute(
            "SELECT state, bounce, status, dropped_for FROM delivery WHERE channel = 'email' ORDER BY created_at, id"
        ).fetchall()


def paused(database: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as admin:
        return admin.execute("SELECT address, bounce, status FROM paused_address ORDER BY id").fetchall()


def waiting(postbox: Postbox) -> tuple[int, int]:
    """How many mails nobody has looked at, and how many were kept."""
    assert postbox.maildir is not None
    return tuple(len(list((postbox.maildir / name).glob("*"))) for name in ("new", "cur"))  # type: ignore[return-value]


def test_after_a_hard_bounce_nothing_more_is_sent_there(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    postbox.bouncing[ANNA] = "postfix-unknown"
    report = reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    assert postbox.senders[ANNA].startswith("bounces+")
    assert postbox.messages[0]["Return-Path"] is None, "it stands in the envelope only"
    assert fates(database) == [("sent", None, None, None)]
    read_mail(database)
    assert fates(database) == [("bounced", "hard", "5.1.1", None)]
    assert paused(database) == [(ANNA, "hard", "5.1.1")]
    assert waiting(postbox) == (0, 0)

    clerk = signed_in(URP)
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    reported(client, COAST, "buca in strada", category="pothole", email="Anna@Example.org")
    wait_for_rest(database)
    assert fates(database)[1:] == [("dropped", None, None, "paused")] * 2
    assert len(postbox.messages) == 1
    [entry] = [one for one in clerk.get(f"/reports/{report['id']}")["timeline"] if one["what"] == "unreachable"]
    assert (entry["is_public"], entry["details"]) == (False, {"status": "5.1.1"})

    home = view.held().municipality("pesaro").id
    for _ in range(2):
        with writing(home) as session:
            pausing.lift(session, home, ANNA.upper())
    assert paused(database) == []
    [entry] = [one for one in clerk.get(f"/reports/{report['id']}")["timeline"] if one["what"] == "reachable"]
    assert (entry["is_public"], entry["actor"], entry["person"]) == (False, "citizen", None)
    assert counted(database, "timeline_entry WHERE what = 'reachable'") == 1, "where it was noted that mail came back"

    other = reported(client, east_of(COAST, 500), "altalena rotta", category="playground", email=ANNA)
    wait_for_rest(database)
    read_mail(database)
    assert paused(database) == [(ANNA, "hard", "5.1.1")]
    with writing(home) as session:
        pausing.lift(session, home, ANNA)
    for one in (report, other):
        noted = [entry["what"] for entry in clerk.get(f"/reports/{one['id']}")["timeline"]]
        assert noted.count("reachable") == 1, "each pause on the reports that it was noted on"


def test_an_address_that_the_server_refuses_at_once_is_paused_too(
    client: TestClient, database: str, postbox: Postbox
) -> None:
    postbox.refusing.add(ANNA)
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    assert fates(database) == [("refused", "hard", "5.1.1", None)]
    assert paused(database) == [(ANNA, "hard", "5.1.1")]


@pytest.mark.parametrize(
    ("form", "fate"),
    [
        ("postfix-delayed", ("sent", "delayed", "4.4.1", None)),
        ("postfix-full", ("bounced", "soft", "5.2.2", None)),
        ("exchange-policy", ("bounced", "ours", "5.7.1", None)),
        ("out-of-office", ("sent", None, None, None)),
        ("vacation-sieve", ("sent", None, None, None)),
    ],
)
def test_what_says_nothing_against_the_address_does_not_pause_it(
    client: TestClient, database: str, postbox: Postbox, form: str, fate: tuple[str | None, ...]
) -> None:
    postbox.bouncing[ANNA] = form
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    read_mail(database)
    assert fates(database) == [fate]
    assert paused(database) == []
    assert waiting(postbox) == (0, 0)


def test_several_soft_bounces_within_days_are_as_good_as_a_hard_one(
    client: TestClient, database: str, postbox: Postbox
) -> None:
    postbox.bouncing[ANNA] = "expired"
    for number in range(4):
        reported(client, COAST, f"{LAMP} {number}", email=ANNA)
        wait_for_rest(database)
        read_mail(database)
        if number == 2:
            assert paused(database) == [], "three in an hour may be one bad hour"
            with psycopg.connect(database) as admin:
                admin.execute("UPDATE delivery SET bounced_at = now() - interval '26 hours' WHERE bounce = 'soft'")
    assert paused(database) == [(ANNA, "soft", "4.4.1")]


def test_a_forged_bounce_pauses_nobody(client: TestClient, database: str, postbox: Postbox) -> None:
    reported(client, COAST, LAMP, email=ANNA)
    reported(client, COAST, "buca in strada", category="pothole", email=BRUNO)
    wait_for_rest(database)
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT id FROM delivery WHERE address = %s", [ANNA]).fetchone()
    assert row is not None
    real = postbox.senders[ANNA].partition("+")[2].partition("@")[0]
    others = postbox.senders[BRUNO].partition("+")[2].partition("@")[0]
    for token in (str(row[0]), "a" * 48, real[:-1] + ("b" if real[-1] == "a" else "a"), real[:24] + others[24:]):
        postbox.give_back(ANNA, "postfix-unknown", token)
    read_mail(database)
    assert {fate[0] for fate in fates(database)} == {"sent"}
    assert paused(database) == []
    assert waiting(postbox) == (0, 4), "they stay for people to look at"


def test_what_a_person_writes_stays_where_it_is(client: TestClient, database: str, postbox: Postbox) -> None:
    postbox.bouncing[ANNA] = "from-a-person"
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    read_mail(database)
    assert fates(database) == [("sent", None, None, None)]
    assert waiting(postbox) == (0, 1)
    read_mail(database)
    assert waiting(postbox) == (0, 1)


def test_a_bounce_belongs_to_its_municipality(client: TestClient, database: str, postbox: Postbox) -> None:
    postbox.bouncing[ANNA] = "qmail-unknown"
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    read_mail(database)
    postbox.bouncing.clear()
    answer = client.post(
        "/api/v1/reports",
        json={"lon": 11.8768, "lat": 45.4064, "description": LAMP, "contact": {"email": ANNA}},
    )
    assert answer.status_code == 201
    wait_for_rest(database)
    assert len(postbox.to(ANNA)) == 2, "Padova has no reason to think the address dead"


def test_a_complaint_ends_what_the_mail_was_sent_for(client: TestClient, database: str, postbox: Postbox) -> None:
    subscribed(client, postbox, lon=COAST.lon, lat=COAST.lat, metres=300)
    postbox.bouncing[BRUNO] = "complaint"
    reported(client, COAST, LAMP, category="lamp-out")
    eventually(lambda: postbox.to(BRUNO))
    wait_for_rest(database)
    read_mail(database)
    assert counted(database, "subscriber") == 0
    assert fates(database)[-1] == ("sent", "complaint", None, None)
    assert paused(database) == []


def test_a_subscriber_sees_the_pause_and_lifts_it_by_saving(
    client: TestClient, database: str, postbox: Postbox
) -> None:
    subscribed(client, postbox, lon=COAST.lon, lat=COAST.lat, metres=300)
    postbox.bouncing[BRUNO] = "postfix-unknown"
    reported(client, COAST, LAMP, category="lamp-out")
    page = link(eventually(lambda: postbox.to(BRUNO))[0], "/subscriptions/")
    wait_for_rest(database)
    read_mail(database)
    postbox.bouncing.clear()
    reported(client, COAST, "altro lampione", category="lamp-out")
    wait_for_rest(database)
    assert len(postbox.to(BRUNO)) == 1
    assert counted(database, "tiding") == 1, "what would never be sent is not even noted"
    assert "came back" in client.get(page).text
    key = page.rsplit("/", 1)[-1]
    assert client.get(f"/api/v1/subscriptions/{key}").json()["paused_at"] is not None
    assert "came back" not in client.post(page, data={"rhythm": "at_once", "chosen": "en"}).text
    reported(client, COAST, "terzo lampione", category="lamp-out")
    eventually(lambda: postbox.to(BRUNO)[1:])


def test_a_reader_killed_on_the_way_reads_on_where_it_was(
    client: TestClient, database: str, postbox: Postbox, variable: Path
) -> None:
    addresses = [f"anna{number}@example.org" for number in range(6)]
    for address in addresses:
        postbox.bouncing[address] = "exim-unknown"
        reported(client, COAST, f"{LAMP} {address}", email=address)
    wait_for_rest(database)
    assert waiting(postbox)[0] == 6
    dies = (
        "import os\nfrom city.outside.bounce_box import MaildirBox\nfrom workers import returned_mail\n"
        "away, seen = MaildirBox.put_away, []\n"
        "def put_away(self, name, *, keep):\n"
        "    seen.append(name)\n"
        "    if len(seen) == 3: os.kill(os.getpid(), 9)\n"
        "    away(self, name, keep=keep)\n"
        "MaildirBox.put_away = put_away\nreturned_mail.read_box()\n"
    )
    killed = subprocess.run([sys.executable, "-P", "-c", dies], cwd=PROJECT, env=os.environ, check=False)
    assert killed.returncode == -9
    assert len(paused(database)) == 3, "the third was noted"
    assert waiting(postbox)[0] == 4, "but not put away"
    read_mail(database)
    assert sorted(row[0] for row in paused(database)) == addresses
    assert counted(database, "timeline_entry WHERE what = 'unreachable'") == 6
    assert waiting(postbox) == (0, 0)


def test_an_imap_mailbox_is_read_and_cleared_of_what_is_ours(
    client: TestClient, database: str, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    token = postbox.senders[ANNA].partition("+")[2].partition("@")[0]
    with imap_server() as port:
        monkeypatch.setenv("LAMPIONE_BOUNCES", f"imap://{USER}:{WORD}@127.0.0.1:{port}/INBOX")
        settings.cache_clear()
        with signed_in(port) as program:
            for form in ("from-a-person", "office365-unknown"):
                program.append("INBOX", "", "", returned(form, token, ANNA).replace(b"\n", b"\r\n"))
        assert returned_mail.read_box() is False
        with signed_in(port) as program:
            assert program.search(None, "ALL") == ("OK", [b"1"])
            assert not program.search(None, "UNSEEN")[1][0], "kept, and looked at"
    monkeypatch.undo()
    settings.cache_clear()
    assert paused(database) == [(ANNA, "hard", "5.1.10")]


def test_a_pipe_of_the_mail_server_may_hand_over_what_comes_back(
    client: TestClient, database: str, postbox: Postbox
) -> None:
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    token = postbox.senders[ANNA].partition("+")[2].partition("@")[0]
    command = [sys.executable, "-P", "-m", "commands", "bounce"]
    mail = returned("gmail-unknown", token, ANNA)
    done = subprocess.run(command, input=mail, cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ANNA.encode() not in done.stderr + done.stdout
    assert "l'indirizzo non esiste o non riceve posta" in " ".join(done.stderr.decode().split())
    assert paused(database) == [(ANNA, "hard", "5.1.1")]
    away = os.environ | {"LAMPIONE_DATABASE_URL": "postgresql://lampione_app@127.0.0.1:1/nothing"}
    done = subprocess.run(command, input=mail, cwd=PROJECT, env=away, capture_output=True, check=False)
    assert done.returncode == os.EX_TEMPFAIL, "the mail server tries again"


def test_a_worker_looks_into_the_mailbox_by_itself(client: TestClient, database: str, postbox: Postbox) -> None:
    postbox.bouncing[ANNA] = "postfix-unknown"
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    assert waiting(postbox) == (1, 0)
    worker = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", "workers"],
        cwd=PROJECT,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: paused(database) == [(ANNA, "hard", "5.1.1")])
        eventually(lambda: waiting(postbox) == (0, 0))
    finally:
        worker.kill()
        worker.wait()


def test_the_chore_promises_one_job_at_a_time(own_registry: str) -> None:
    look_for_bounces()
    look_for_bounces()
    assert counted(own_registry, "job WHERE actor = 'read_bounces'") == 1


def test_the_proof_belongs_to_one_delivery(database: str) -> None:
    home = view.load().slugs["pesaro"].id
    with writing(home) as session:
        delivery = Delivery(municipality_id=home, kind="report", address=ANNA, language="it", subject="")
        session.add(delivery)
        session.flush()
        proof = return_address.token(delivery)
        assert return_address.named_by(proof.upper()) == (home, delivery.id)
        assert len(f"123456789012345+{proof}") <= 64
    assert counted(database, "delivery") == 1


def test_a_code_that_arrives_proves_that_the_address_works(client: TestClient, database: str, postbox: Postbox) -> None:
    postbox.bouncing[ANNA] = "qmail-unknown"
    reported(client, COAST, LAMP, email=ANNA)
    wait_for_rest(database)
    read_mail(database)
    postbox.bouncing.clear()
    assert paused(database) == [(ANNA, "hard", "5.1.1")]
    handle, code = ask(client, postbox, ANNA)
    assert try_in(client, handle, code).status_code == 201
    assert paused(database) == []
