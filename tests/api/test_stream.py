"""Live changes: each once and in order, to those who may read the report, on any process, and bounded in all."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from api.streaming import MOST_OF_ONE, MOST_WAITING_BYTES, Admission, Stream, block, end_block
from city.position import Position
from city.records.news import LONGEST_AWAY_SECONDS, MOST_ENTRIES
from city.registry import view
from city.registry.staff.rights import Post, Right, Sight, Staff
from tests.listening import Heard, Listener, served_live
from tests.stories.telling import COAST, FANO, INLAND, URP, SignIn, reported
from tests.trials import PASSWORD, eventually

WORKS: Final = "operatore.lavoripubblici@pesaro.example.org"
CREW: Final = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW: Final = "squadra.roads-hills@pesaro.example.org"
COUNCIL: Final = "consiglio@pesaro.example.org"
PROVINCE: Final = "amministratore@provincia.example.org"
REPORTER: Final = {"email": "anna@example.org", "name": "Anna Bianchi", "phone": "+39 0721 123456"}
SENT: Final = {
    "id", "number", "what", "state", "is_open", "version", "municipality", "department", "crew", "person_id"
}  # fmt: skip


def pothole(client: TestClient, place: Any = COAST) -> Any:
    return reported(client, place, "buca profonda in viale Trieste", category="pothole", contact=REPORTER)


@pytest.fixture
def listener(live: str, signed_in: SignIn) -> Callable[..., Listener]:
    """Somebody who listens, signed in by e-mail."""
    return lambda address, **parameters: Listener(live, signed_in(address).headers, parameters)


Listeners = Callable[..., Listener]


# --- what is told, to whom


def test_changes_are_told_in_order_without_anybodys_words(
    client: TestClient, signed_in: SignIn, listener: Listeners
) -> None:
    with listener(URP).in_background() as ear:
        report = pothole(client)
        clerk = signed_in(URP)
        clerk.change("POST", report["id"], "updates", {"text": "Arriviamo domani", "is_public": True})
        clerk.change("POST", report["id"], "updates", {"text": "Fra noi", "is_public": False})
        clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
        ear.wait_for("report", report["number"], state="in_progress")
    told = [heard.data for heard in ear.heard]
    assert [data["what"] for data in told] == [["received", "assigned"], ["update"], ["note"], ["moved"]]
    assert [data["version"] for data in told] == sorted(data["version"] for data in told)
    assert told[-1] == {
        "id": report["id"],
        "number": report["number"],
        "what": ["moved"],
        "state": "in_progress",
        "is_open": True,
        "version": 4,
        "municipality": "pesaro",
        "department": report["department"]["slug"],
        "crew": None,
        "person_id": None,
    }
    for data in told:
        assert set(data) == SENT
    for secret in (*REPORTER.values(), "anna@", "Bianchi", "Trieste", "Arriviamo", "Fra noi"):
        assert secret not in str(ear.heard)


def test_everybody_hears_of_what_their_list_shows_and_of_nothing_else(
    client: TestClient, signed_in: SignIn, listener: Listeners
) -> None:
    addresses = (URP, WORKS, CREW, OTHER_CREW, COUNCIL, "operatore.verde@pesaro.example.org")
    known = [address for address in addresses if can_sign_in(client, address)]
    assert set(known) >= {URP, WORKS, CREW, OTHER_CREW, COUNCIL}
    listeners = {address: listener(address) for address in known}
    for one in listeners.values():
        assert one.missed() == []
    clerk = signed_in(URP)
    mine, hills, tree = pothole(client), pothole(client, INLAND), None
    tree = reported(client, COAST, "un ramo pericolante sul parco giochi", category="lamp-out")
    pothole(client, FANO)
    clerk.change("PUT", mine["id"], "crew", {"crew": "roads-coast"})
    clerk.change("PUT", hills["id"], "crew", {"crew": "roads-hills"})
    assert tree
    for address, one in listeners.items():
        heard = {event.data["id"] for event in one.missed() if event.event == "report"}
        listed = {row["id"] for row in signed_in(address).get("/reports")["reports"]}
        assert heard == listed, address


def can_sign_in(client: TestClient, address: str) -> bool:
    answer = client.post("/api/v1/session", json={"email": address, "password": PASSWORD})
    return answer.status_code == 201


def test_who_loses_a_report_is_told_only_that(client: TestClient, signed_in: SignIn, listener: Listeners) -> None:
    report, clerk = pothole(client), signed_in(URP)
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    crew, works = listener(CREW), listener(WORKS)
    assert crew.missed() == works.missed() == []
    clerk.change("PUT", report["id"], "crew", {"crew": None})
    assert [(heard.event, heard.data) for heard in crew.missed()] == [
        ("gone", {"id": report["id"], "municipality": "pesaro"})
    ]
    assert [heard.event for heard in works.missed()] == ["report"]
    clerk.change("PUT", report["id"], "department", {"department": "urp", "reason": "Allo sportello"})
    assert [heard.event for heard in works.missed()] == ["gone"]
    clerk.change("POST", report["id"], "updates", {"text": "Altro ufficio", "is_public": True})
    assert works.missed() == []


def test_another_municipality_hears_nothing(client: TestClient, signed_in: SignIn, live: str) -> None:
    province = signed_in(PROVINCE).headers
    pesaro, fano = (Listener(live, province, {"municipality": slug}) for slug in ("pesaro", "fano"))
    assert pesaro.missed() == fano.missed() == []
    report = pothole(client, FANO)
    signed_in(PROVINCE)
    assert pesaro.missed() == []
    assert [heard.data["number"] for heard in fano.missed()] == [report["number"]]
    clerk = httpx.get(
        f"{live}/api/v1/stream", params={"municipality": "fano", "seconds": 0}, headers=signed_in(URP).headers
    )
    assert (clerk.status_code, clerk.json()["type"]) == (403, "/problems/forbidden")
    undecided = httpx.get(f"{live}/api/v1/stream", headers=province)
    assert (undecided.status_code, undecided.json()["field"]) == (422, "municipality")


def test_a_dashboard_hears_only_that_figures_have_changed(client: TestClient, listener: Listeners) -> None:
    council = listener(COUNCIL, topic="figures")
    assert council.missed() == []
    with council.in_background() as ear:
        for _ in range(3):
            pothole(client)
        first = ear.wait_for("figures")
    assert first.data == {"municipality": "pesaro"}
    assert council.missed() in ([], [Heard("figures", {"municipality": "pesaro"}, council.last_id)])
    assert council.missed() == []


# --- nothing missed, nothing twice


def test_nothing_is_missed_or_told_twice_whatever_the_order_in_which_transactions_end(
    client: TestClient, live: str, signed_in: SignIn, database: str, variable: Path
) -> None:
    reports = [(UUID(pothole(client)["id"])) for _ in range(4)]
    town = view.held().municipality("pesaro").id
    written: set[str] = set()
    writers = [threading.Thread(target=write, args=(database, town, reports, seed, written)) for seed in range(6)]
    heard: list[str] = []
    chance = random.Random(5)
    with served_live(variable / "live-2.log") as (other, _):
        listener = Listener(live, signed_in(URP).headers)
        assert listener.missed() == []
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            listener.address = chance.choice([live, other])
            most = chance.randrange(1, 9)
            with contextlib.closing(listener.listen(seconds=2)) as events:
                for event in events:
                    if event.event == "end":
                        break
                    assert event.event == "report", event
                    heard += event.data["what"]
                    most -= 1
                    if not most:
                        break
        for event in listener.missed():
            heard += event.data["what"]
    assert len(written) > 60
    assert sorted(heard) == sorted(written)


def write(database: str, town: int, reports: list[UUID], seed: int, written: set[str]) -> None:
    """Transactions that take their time: some write about several reports, some are undone."""
    chance = random.Random(seed)
    with psycopg.connect(database) as connection:
        for count in range(25):
            chosen = sorted(chance.sample(reports, chance.randrange(1, 4)))
            names = {f"{seed}-{count}-{place}" for place in range(len(chosen))}
            connection.execute("SELECT 1")  # begins
            for name, report in zip(sorted(names), chosen, strict=True):
                with connection.transaction():  # within the transaction
                    connection.execute(
                        "INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public)"
                        " VALUES (%s, %s, %s, 'system', false)",
                        (town, report, name),
                    )
                time.sleep(chance.random() * 0.04)
            if chance.random() < 0.2:
                connection.rollback()
            else:
                connection.commit()
                written |= names


def test_a_stream_survives_the_loss_of_its_connection_to_the_database(
    client: TestClient, listener: Listeners, database: str
) -> None:
    with listener(URP).in_background() as ear:
        first = pothole(client)
        ear.wait_for("report", first["number"])
        with psycopg.connect(database, autocommit=True) as admin:
            cut = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'lampione stream' AND datname = current_database()"
            ).fetchall()
        assert cut
        second = pothole(client)
        ear.wait_for("report", second["number"])
    numbers = [heard.data["number"] for heard in ear.heard]
    assert numbers == [first["number"], second["number"]]


def test_who_was_away_too_long_reads_anew(client: TestClient, listener: Listeners, database: str) -> None:
    clerk = listener(URP)
    assert clerk.missed() == []
    here = clerk.last_id
    at, _, rest = here.partition(".")
    report = pothole(client)
    for lost in (f"{int(at) - LONGEST_AWAY_SECONDS - 1}.{rest}", "17", "x" * 200, f"{at}.{10**15}..0.0"):
        clerk.last_id = lost
        assert [heard.event for heard in clerk.missed()] == ["reset"], lost
        assert clerk.missed() == [], "and goes on from there"
    clerk.last_id = here
    assert [heard.data["number"] for heard in clerk.missed()] == [report["number"]]
    with psycopg.connect(database) as admin:
        admin.execute(
            "INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public)"
            " SELECT municipality_id, id, 'note', 'system', false FROM report, generate_series(0, %s)",
            (MOST_ENTRIES,),
        )
    assert [heard.event for heard in clerk.missed()] == ["reset"]


# --- who comes in, how many, and for how long


def test_a_ticket_opens_one_stream_for_who_is_still_signed_in(
    client: TestClient, live: str, signed_in: SignIn, database: str
) -> None:
    clerk = signed_in(URP)

    def ticket() -> str:
        answer = client.post("/api/v1/stream/tickets", headers=clerk.headers)
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        return str(answer.json()["ticket"])

    def refused(ticket: str) -> bool:
        answer = httpx.get(f"{live}/api/v1/stream", params={"ticket": ticket, "seconds": 0})
        if answer.status_code == 401:
            assert answer.json()["type"] == "/problems/not-authenticated"
        return answer.status_code == 401

    used, late, over = ticket(), ticket(), ticket()
    assert not refused(used)
    assert refused(used)
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE stream_ticket SET expires_at = now() WHERE ticket_hash = sha256(convert_to(%s, 'UTF8'))", (late,)
        )
        kept = admin.execute("SELECT count(*) FROM stream_ticket WHERE ticket_hash = convert_to(%s, 'UTF8')", (over,))
        assert kept.fetchone() == (0,), "only its digest is kept"
    assert refused(late)
    client.delete("/api/v1/session", headers=clerk.headers)
    assert refused(over)
    assert refused("no such ticket")
    assert httpx.get(f"{live}/api/v1/stream").status_code == 401


def test_a_stream_says_how_it_is_to_be_handled(live: str, signed_in: SignIn) -> None:
    answer = httpx.get(f"{live}/api/v1/stream", params={"seconds": 0}, headers=signed_in(URP).headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers
    assert answer.text.startswith("retry: ")
    assert answer.text.endswith('event: end\ndata: {"why":"time"}\n\n')


def test_streams_are_bounded_for_one_person_and_in_all(signed_in: SignIn, database: str, variable: Path) -> None:
    assert database
    clerk, works = signed_in(URP).headers, signed_in(WORKS).headers
    with (
        served_live(variable / "few.log", LAMPIONE_STREAMS=str(MOST_OF_ONE + 1)) as (address, _),
        contextlib.ExitStack() as stack,
    ):

        def attempt(headers: dict[str, str]) -> httpx.Response:
            answer = stack.enter_context(httpx.stream("GET", f"{address}/api/v1/stream", headers=headers))
            if answer.status_code != 200:
                answer.read()
            return answer

        opened = [attempt(clerk) for _ in range(MOST_OF_ONE)]
        assert {answer.status_code for answer in opened} == {200}
        one_more = attempt(clerk)
        assert (one_more.status_code, one_more.json()["type"]) == (429, "/problems/too-many-requests")
        assert one_more.headers["retry-after"]
        assert attempt(works).status_code == 200
        full = attempt(works)
        assert (full.status_code, full.json()["type"]) == (503, "/problems/unavailable")
        assert full.headers["retry-after"]
        opened[0].close()
        eventually(lambda: attempt(works).status_code == 200)


def test_a_stream_ends_with_its_sign_in_and_with_its_rights(
    client: TestClient, signed_in: SignIn, live: str, database: str
) -> None:
    staff = {address: signed_in(address) for address in (URP, WORKS, CREW, COUNCIL)}
    with contextlib.ExitStack() as stack:
        ears = {
            address: stack.enter_context(Listener(live, one.headers).in_background()) for address, one in staff.items()
        }
        client.delete("/api/v1/session", headers=staff[URP].headers)
        with changed(
            database,
            ("UPDATE person SET is_active = false WHERE email = %s", WORKS),
            (
                (
                    "UPDATE appointment SET role = 'council', crew_id = NULL FROM person"
                    " WHERE person.id = appointment.person_id AND person.email = %s"
                ),
                CREW,
            ),
        ):
            for address in (URP, WORKS, CREW):
                assert ears[address].wait_for("end").data == {"why": "rights"}
                ears[address].join(10)
        assert not ears[COUNCIL].heard
        assert ears[COUNCIL].is_alive()


@contextlib.contextmanager
def changed(database: str, *changes: tuple[str, str]) -> Iterator[None]:
    """With people changed for the length of the block."""
    tables = ("person", "appointment")
    with psycopg.connect(database, autocommit=True) as admin:
        for table in tables:
            admin.execute(f"CREATE TABLE before_{table} AS SELECT * FROM {table}")
        try:
            for statement, value in changes:
                assert admin.execute(statement, (value,)).rowcount == 1
            yield
        finally:
            admin.execute("UPDATE person SET is_active = b.is_active FROM before_person b WHERE b.id = person.id")
            admin.execute(
                "UPDATE appointment SET role = b.role, crew_id = b.crew_id FROM before_appointment b"
                " WHERE b.id = appointment.id"
            )
            for table in tables:
                admin.execute(f"DROP TABLE before_{table}")


def test_what_waits_for_a_slow_client_is_bounded_and_then_it_reads_anew() -> None:
    stream = Stream(admission_to(1), ends_at=1e12)
    here = Position(1, 700)
    event = block("report", b"x" * 1_000, here)
    taken = 0
    while not stream.is_over:
        stream.offer(event, here)
        taken += len(event)
        assert taken < 2 * MOST_WAITING_BYTES
    stream.offer(event, here)
    assert stream.take() == block("reset", b"{}", here) + end_block("slow")


def admission_to(municipality_id: int) -> Admission:
    staff = Staff(1, "Anna", "anna@example.org", "it", municipality_id, (Post("head", frozenset(Right)),))
    return Admission(staff, b"", Sight(municipality_id), "reports")


def test_a_client_that_reads_nothing_loses_its_place(
    client: TestClient, signed_in: SignIn, database: str, variable: Path
) -> None:
    for _ in range(40):
        pothole(client)
    clerk = signed_in(URP).headers
    with (
        served_live(variable / "slow.log", LAMPIONE_STREAMS="1") as (address, _),
        socket.socket() as deaf,
        psycopg.connect(database, autocommit=True) as admin,
    ):
        where = urlsplit(address)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((where.hostname, where.port))
        head = f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {clerk['Authorization']}\r\n\r\n"
        deaf.sendall(head.encode())
        assert deaf.recv(12) == b"HTTP/1.1 200"

        def has_room() -> bool:
            if httpx.get(f"{address}/api/v1/stream", params={"seconds": 0}, headers=clerk).status_code == 200:
                return True
            for _ in range(10):
                admin.execute(
                    "INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public)"
                    " SELECT municipality_id, id, 'note', 'system', false FROM report"
                )
            return False

        eventually(has_room, 60)


def test_a_server_that_is_asked_to_end_says_so_and_ends(signed_in: SignIn, database: str, variable: Path) -> None:
    assert database
    clerk = signed_in(URP)
    log = variable / "ending.log"
    with served_live(log) as (address, process), Listener(address, clerk.headers).in_background() as ear:
        process.terminate()
        assert ear.wait_for("end").data == {"why": "server"}
        assert process.wait(15) in {0, -15}
        ear.join(5)
    assert '"level": "error"' not in log.read_text("utf-8")
