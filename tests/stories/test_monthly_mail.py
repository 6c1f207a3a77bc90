"""The story of a month's first days: the report goes by itself to whoever is to have it, to each what is theirs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader

from city.database import WriteSession, writing
from city.errors import sentence_of
from city.messages import posting
from city.messages.letter import Letter
from city.messages.tables import Delivery
from city.outside import paper
from city.records.insight.insight import months_later
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.settings import PROJECT
from tests.stories.telling import COAST, INLAND, ROME, SignIn, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually
from workers.app import broker
from workers.duties import send_monthly_reports
from workers.letters import KINDS

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
COUNCIL: Final = "consiglio@pesaro.example.org"
LIGHTING: Final = "responsabile.illuminazione@pesaro.example.org"
PRESS: Final = "redazione@giornale.example.org"
PRINTING_SECONDS: Final = 90.0
"""Three reports, on a machine that does much else."""
SCHEDULES: Final = "/api/v1/registry/pesaro/report-schedules"
THIS_MONTH: Final = datetime.now(ROME).date().replace(day=1)
LAST_MONTH: Final = months_later(THIS_MONTH, -1)
WHEN_DUE: Final = datetime(THIS_MONTH.year, THIS_MONTH.month, 6, 12, tzinfo=UTC)


@pytest.fixture
def without_pango(tmp_path: Path) -> dict[str, str]:
    """The press's environment on a machine without the libraries it needs."""
    (tmp_path / "weasyprint").mkdir()
    (tmp_path / "weasyprint" / "__init__.py").write_text("raise OSError('cannot load library libpango-1.0-0')")
    return {**paper._ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{PROJECT}"}


def scheduled(staffer: Staffer, **more: Any) -> Any:
    body = {"name": "Consiglio", "day": 5, "recipients": [COUNCIL, LIGHTING, PRESS]} | more
    answer = staffer.client.post(SCHEDULES, json=body, headers=staffer.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def waiting_since(database: str, months: int) -> None:
    """Make all schedules so old."""
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE report_schedule SET noted_month = %s", [months_later(LAST_MONTH, -months)])


def last_months_reports(client: TestClient, database: str) -> None:
    for count, place, category in ((7, COAST, "lamp-out"), (6, INLAND, "noise"), (8, INLAND, "pothole")):
        for _ in range(count):
            reported(client, place, "qualcosa non va", category=category)
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE report SET created_at = %s, updated_at = created_at, month = %s",
            [
                datetime(LAST_MONTH.year, LAST_MONTH.month, 12, 12, tzinfo=UTC),
                LAST_MONTH.year * 100 + LAST_MONTH.month,
            ],
        )


def attached(message: EmailMessage) -> str:
    """The words of the PDF that came along."""
    files = list(message.iter_attachments())
    assert [(file.get_content_type(), file.get_filename()) for file in files] == [
        ("application/pdf", f"pesaro-{LAST_MONTH:%Y-%m}.pdf")
    ]
    content = files[0].get_content()
    assert isinstance(content, bytes)
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())


@pytest.mark.usefixtures("worker")
def test_everybody_gets_the_months_report_with_what_they_may_read(
    client: TestClient, signed_in: SignIn, postbox: Postbox, database: str
) -> None:
    last_months_reports(client, database)
    administrator = signed_in(ADMINISTRATOR)
    schedule = scheduled(administrator)
    assert schedule["recipients"] == [
        {"address": COUNCIL, "audience": "staff"},
        {"address": LIGHTING, "audience": "staff"},
        {"address": PRESS, "audience": "public"},
    ]
    waiting_since(database, 1)
    send_monthly_reports(WHEN_DUE)
    send_monthly_reports(WHEN_DUE)
    eventually(lambda: len(postbox.messages) == 3, PRINTING_SECONDS)
    wait_for_rest(database)
    letters = {address: postbox.to(address) for address in (COUNCIL, LIGHTING, PRESS)}
    assert {address: len(found) for address, found in letters.items()} == {COUNCIL: 1, LIGHTING: 1, PRESS: 1}
    words = {address: attached(found[0]) for address, found in letters.items()}
    assert "Segnalazioni ricevute nel mese: 21" in words[COUNCIL]
    assert "Per uso interno" in words[COUNCIL]
    assert "Segnalazioni ricevute nel mese: 7" in words[LIGHTING]
    assert "Segnalazioni ricevute nel mese: 15" in words[PRESS]
    assert "uso interno" not in words[PRESS]
    assert "Segnalazioni ricevute nel mese: 15." in plain(letters[PRESS][0]), "in short in the mail itself"
    assert "/api/v1/insight/report.html?municipality=pesaro" in plain(letters[PRESS][0])
    assert "report.html" not in plain(letters[COUNCIL][0])

    shown = client.get(SCHEDULES, headers=administrator.headers).json()[0]
    assert shown["last_month"] == f"{LAST_MONTH:%Y-%m}"
    assert {(letter["address"], letter["state"]) for letter in shown["letters"]} == {
        (address, "sent") for address in letters
    }
    assert len(postbox.messages) == 3


@pytest.mark.usefixtures("worker")
def test_a_trial_comes_to_whoever_asks_and_to_nobody_else(
    client: TestClient, signed_in: SignIn, postbox: Postbox, database: str
) -> None:
    last_months_reports(client, database)
    administrator = signed_in(ADMINISTRATOR)
    schedule = scheduled(administrator, department="lighting-office", recipients=[PRESS])
    answer = client.post(f"{SCHEDULES}/{schedule['id']}/trials", headers=administrator.headers)
    assert (answer.status_code, answer.json()["address"]) == (202, ADMINISTRATOR)
    message = eventually(lambda: postbox.to(ADMINISTRATOR), PRINTING_SECONDS)[0]
    assert "Segnalazioni ricevute nel mese: 7" in attached(message)
    assert "Ufficio Illuminazione Pubblica" in message["Subject"]
    wait_for_rest(database)
    assert len(postbox.messages) == 1


def test_a_letter_that_cannot_be_printed_now_waits_and_is_sent_once_it_can(
    client: TestClient,
    signed_in: SignIn,
    postbox: Postbox,
    database: str,
    without_pango: dict[str, str],
) -> None:
    schedule = scheduled(signed_in(ADMINISTRATOR), recipients=[PRESS])
    pesaro = view.load().municipality("pesaro")
    about = {"schedule_id": schedule["id"], "month": f"{LAST_MONTH:%Y-%m}"}

    def deliver() -> str | None:
        with writing(pesaro.id) as session:
            posting.queue(session, pesaro, "monthly_report", KINDS["monthly_report"], about)
        with writing(pesaro.id) as session:
            return posting.deliver(session, pesaro, "monthly_report", KINDS["monthly_report"], about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "_ENVIRONMENT", without_pango)
        assert "Pango" in (sentence_of(deliver(), "en") or "")
    with psycopg.connect(database) as admin:
        fate = "SELECT state, attempts, problem LIKE '%%paper.no_libraries%%' FROM delivery WHERE address = %s"
        assert admin.execute(fate, [PRESS]).fetchone() == ("queued", 1, True)
    assert postbox.messages == []
    assert deliver() is None
    assert len(postbox.to(PRESS)) == 1


def test_what_was_sent_before_a_worker_dies_is_not_sent_again(
    client: TestClient, signed_in: SignIn, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [f"lettrice{number}@example.org" for number in range(3)]
    schedule = scheduled(signed_in(ADMINISTRATOR), recipients=others)
    about = {"schedule_id": schedule["id"], "month": f"{LAST_MONTH:%Y-%m}"}
    real, died = KINDS["monthly_report"], []

    def compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
        if len(postbox.messages) == 2 and not died:
            died.append(delivery.id)
            raise SystemExit
        return real.compose(session, municipality, delivery)

    monkeypatch.setitem(KINDS, "monthly_report", real._replace(compose=compose))
    send = broker().get_actor("send_letters").fn
    pesaro = view.load().municipality("pesaro").id
    with pytest.raises(SystemExit):
        send(pesaro, "monthly_report", about)
    send(pesaro, "monthly_report", about)
    assert sorted(str(message["To"]) for message in postbox.messages) == others


def test_a_schedule_that_is_gone_sends_nothing_any_more(
    client: TestClient, signed_in: SignIn, postbox: Postbox, database: str
) -> None:
    administrator = signed_in(ADMINISTRATOR)
    schedule = scheduled(administrator, recipients=[PRESS])
    pesaro = view.load().municipality("pesaro")
    about = {"schedule_id": schedule["id"], "month": f"{LAST_MONTH:%Y-%m}"}
    with writing(pesaro.id) as session:
        posting.queue(session, pesaro, "monthly_report", KINDS["monthly_report"], about)
    answer = client.delete(f"{SCHEDULES}/{schedule['id']}", headers=administrator.headers)
    assert answer.status_code == 204
    with writing(pesaro.id) as session:
        assert posting.deliver(session, pesaro, "monthly_report", KINDS["monthly_report"], about) is None
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT state FROM delivery WHERE address = %s", [PRESS]).fetchone() == ("dropped",)
    assert postbox.messages == []


def test_a_schedule_is_changed_listed_and_kept_from_others(client: TestClient, signed_in: SignIn) -> None:
    administrator = signed_in(ADMINISTRATOR)
    schedule = scheduled(administrator, recipients=[PRESS, PRESS.upper()])
    assert len(schedule["recipients"]) == 1, "an address is an address"
    assert schedule["next_on"] is not None
    body = {"name": "Giunta", "day": 10, "recipients": [COUNCIL], "is_active": False}
    changed = client.put(f"{SCHEDULES}/{schedule['id']}", json=body, headers=administrator.headers).json()
    assert (changed["name"], changed["day"], changed["next_on"]) == ("Giunta", 10, None)
    assert [row["id"] for row in client.get(SCHEDULES, headers=administrator.headers).json()] == [schedule["id"]]
    for address in (COUNCIL, LIGHTING):
        assert client.get(SCHEDULES, headers=signed_in(address).headers).status_code == 403
    there = "/api/v1/registry/fano/report-schedules"
    assert client.get(there, headers=administrator.headers).status_code == 403
    assert client.get(SCHEDULES).status_code == 401
    province = signed_in("amministratore@provincia.example.org")
    assert client.get(there, headers=province.headers).json() == []
    assert client.put(f"{there}/{schedule['id']}", json=body, headers=province.headers).status_code == 404
    trial = client.post(f"{SCHEDULES}/{schedule['id']}/trials", headers=province.headers)
    assert trial.status_code == 409
    at_home = client.post("/api/v1/registry/provincia/report-schedules", json=body, headers=province.headers)
    assert (at_home.status_code, at_home.json()["field"]) == (422, "owner")


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"day": 29}, "day"),
        ({"day": 0}, "day"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["nessuno"]}, "recipients.0"),
        ({"recipients": ["a@example.org\r\nBcc: b@example.org"]}, "recipients.0"),
        ({"recipients": ["a@example.org"] * 51}, "recipients"),
        ({"department": "no-such"}, "department"),
        ({"group": "no-such"}, "group"),
        ({"language": "de"}, "language"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_by_name(
    client: TestClient, signed_in: SignIn, fault: dict[str, Any], field: str
) -> None:
    body = {"name": "Consiglio", "day": 5, "recipients": [PRESS]} | fault
    answer = client.post(SCHEDULES, json=body, headers=signed_in(ADMINISTRATOR).headers)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_long_silence_brings_one_letter_and_not_many(client: TestClient, signed_in: SignIn, database: str) -> None:
    scheduled(signed_in(ADMINISTRATOR))
    waiting_since(database, 7)
    send_monthly_reports(WHEN_DUE + timedelta(days=1))
    with psycopg.connect(database) as admin:
        jobs = admin.execute("SELECT arguments -> 'about' ->> 'month' FROM job WHERE actor = 'send_letters'").fetchall()
    assert jobs == [(f"{LAST_MONTH:%Y-%m}",)]
