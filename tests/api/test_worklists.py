"""Lists of the desk: what each holds and for whom, in which order, how many, and kept under a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from city.database import reading
from city.records import worklists
from city.records.worklists import Order, Worklist, WorklistFilter
from city.registry import view
from city.registry.staff.rights import Post, Right, Staff
from city.reports.lifecycle import State
from geo.cells import Bounds
from tests.stories.telling import COAST, FANO, INLAND, URP, SignIn, reported
from tests.trials import Staffer

WORKS = "operatore.lavoripubblici@pesaro.example.org"
GREEN = "operatore.verde@pesaro.example.org"
CREW = "squadra.roads-coast@pesaro.example.org"
COUNCIL = "consiglio@pesaro.example.org"
PROVINCE = "amministratore@provincia.example.org"


def ids(staffer: Staffer, **parameters: Any) -> list[str]:
    return [row["id"] for row in staffer.get("/reports", **parameters)["reports"]]


def counts(staffer: Staffer, **parameters: Any) -> dict[str, int]:
    return {one["name"]: one["count"] for one in staffer.get("/worklists", **parameters)["worklists"]}


def overdue(database: str, report: dict[str, Any], *, paused: bool = False) -> None:
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE report SET deadline_at = now() - interval '1 hour',"
            " paused_at = CASE WHEN %s THEN now() - interval '2 hours' END WHERE id = %s",
            (paused, report["id"]),
        )


# --- what each list holds


def test_each_list_holds_what_it_says(client: TestClient, database: str, signed_in: SignIn) -> None:
    urp, works = signed_in(URP), signed_in(WORKS)
    words = "buca profonda in viale Trieste"
    lying, taken, late, waiting, over = (reported(client, COAST, words, category="pothole") for _ in range(5))
    paused = reported(client, COAST, words, category="pothole")
    unsure = reported(client, COAST, "xyz")
    danger = reported(client, COAST, "lampione caduto, cavo scoperto, si prende la scossa", category="lamp-out")
    assert unsure["state"] == "triage"
    works.change("POST", taken["id"], "take", {})
    works.change("POST", waiting["id"], "moves", {"to": "waiting", "reason": "Manca il materiale."})
    works.change("POST", over["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    for report in (late, over):
        overdue(database, report)
    overdue(database, paused, paused=True)
    back = reported(client, COAST, words, category="pothole")
    urp.change("POST", back["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    urp.change("POST", back["id"], "moves", {"to": "reopened", "reason": "Non è chiusa."})
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE report SET escalation = 1 WHERE id = %s", (late["id"],))

    def holds(staffer: Staffer, worklist: str, *wanted: dict[str, Any]) -> None:
        found = ids(staffer, worklist=worklist)
        assert sorted(found) == sorted(report["id"] for report in wanted), worklist
        assert counts(staffer)[worklist] == len(wanted)

    holds(works, "mine", taken)
    holds(urp, "mine")
    holds(works, "department", lying, taken, late, waiting, paused, back)
    holds(urp, "triage", unsure)
    holds(works, "triage")
    holds(urp, "late", late)
    holds(urp, "waiting", waiting)
    holds(works, "unassigned", lying, late, waiting, paused, back)
    holds(urp, "emergencies", danger)
    holds(urp, "reopened", back)
    holds(urp, "escalated", late)
    holds(urp, "watched")
    holds(urp, "mentioned")
    urp.change("PUT", lying["id"], "crew", {"crew": "roads-coast"})
    crew = signed_in(CREW)
    holds(crew, "department", lying)
    holds(crew, "unassigned")
    assert [one["title"]["it"] for one in urp.get("/worklists")["worklists"]][:3] == [
        "Le mie",
        "Del mio ufficio",
        "Da smistare",
    ]
    assert ids(works, worklist="department", state="waiting") == [waiting["id"]]
    assert ids(urp, person=taken_by(works)) == [taken["id"]]


def taken_by(staffer: Staffer) -> int:
    return int(staffer.get("/reports", worklist="mine")["reports"][0]["person_id"])


def test_no_list_shows_what_one_may_not_read(client: TestClient, signed_in: SignIn) -> None:
    reported(client, COAST, "buca profonda", category="pothole")
    reported(client, FANO, "buca in viale Adriatico", category="pothole", contact={"email": "a@example.org"})
    green, crew, province = signed_in(GREEN), signed_in(CREW), signed_in(PROVINCE)
    for staffer in (green, crew):
        for worklist in Worklist:
            assert ids(staffer, worklist=worklist.value) == []
        assert set(counts(staffer).values()) == {0}
    assert counts(province, municipality="fano")["department"] == 1
    assert counts(signed_in(COUNCIL))["department"] == 1, "the council watches over all departments"


def test_more_than_a_thousand_is_said_to_be_more(client: TestClient, database: str, signed_in: SignIn) -> None:
    base = reported(client, COAST, "buca profonda", category="pothole")
    with psycopg.connect(database) as admin:
        copy(admin, base["id"], [(uuid4(), timedelta(seconds=n), timedelta(0), False) for n in range(1_100)])
    urp = signed_in(URP)
    assert counts(urp)["unassigned"] == 1_001
    assert urp.get("/reports", total=True, limit=1)["total"] == 1_001
    assert urp.get("/reports", total=True, limit=1, category="lamp-out")["total"] == 0
    assert "total" not in urp.get("/reports", limit=1)


# --- order


Row = tuple[UUID, timedelta, timedelta, bool]


def copy(admin: psycopg.Connection[Any], base: str, rows: list[Row]) -> None:
    """More reports like `base`, with ids, ages and deadlines of their own."""
    own = "municipality_id, id, number, created_at, deadline_at, is_emergency"
    listed = admin.execute(
        "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns WHERE table_name = 'report'"
        " AND is_generated = 'NEVER' AND NOT column_name = ANY(%s)",
        (own.split(", "),),
    ).fetchone()
    assert listed is not None
    with admin.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO report ({own}, {listed[0]})"
            f" SELECT municipality_id, %s, %s, created_at - %s, deadline_at - %s, %s, {listed[0]}"
            " FROM report WHERE id = %s",
            [(key, f"T-{key}", age, sooner, danger, base) for key, age, sooner, danger in rows],
        )


@pytest.fixture
def desk_of_pesaro(client: TestClient, database: str) -> tuple[str, Callable[[list[Row]], Any]]:
    base = reported(client, COAST, "buca profonda", category="pothole")["id"]

    @contextmanager
    def more(rows: list[Row]) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(database, autocommit=True) as admin:
            copy(admin, base, rows)
            yield admin
            admin.execute("DELETE FROM report WHERE id <> %s", (base,))

    return base, more


def rows_of(most: int) -> st.SearchStrategy[list[Row]]:
    """Reports of few different moments, so that many stand at the same place of an order."""
    row = st.tuples(st.uuids(), st.integers(0, 3).map(timedelta), st.integers(0, 3).map(timedelta), st.booleans())
    return st.lists(row, max_size=most, unique_by=lambda row: row[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=rows_of(12), meanwhile=rows_of(12), order=st.sampled_from(list(Order)), limit=st.integers(1, 5))
def test_pages_hold_each_report_once_while_others_come_in(
    desk_of_pesaro: tuple[str, Callable[[list[Row]], Any]],
    before: list[Row],
    meanwhile: list[Row],
    order: Order,
    limit: int,
) -> None:
    base, more = desk_of_pesaro
    town = view.held().slugs["pesaro"]
    staff = Staff(1, "A", "a@example.org", "it", town.id, (Post("municipality_admin", frozenset(Right)),))
    known = {row[0] for row in before}
    coming = [row for row in meanwhile if row[0] not in known]
    seen: list[dict[str, Any]] = []
    with more(before) as admin:
        cursor = None
        while True:
            with reading(town.id) as session:
                of = worklists.condition(town, staff, WorklistFilter())
                found = worklists.page(session, town, staff, of, order=order, limit=limit, cursor=cursor)
            seen += found["reports"]
            cursor = found["next"]
            if cursor is None:
                break
            if coming:
                copy(admin, base, [coming.pop()])
    keys = [row["id"] for row in seen]
    assert len(keys) == len(set(keys)), "none twice"
    assert {str(row[0]) for row in before} | {base} <= set(keys), "none left out"
    place: dict[Order, Callable[[dict[str, Any]], Any]] = {
        Order.NEWEST: lambda row: (-datetime.fromisoformat(row["created_at"]).timestamp(), -UUID(row["id"]).int),
        Order.DEADLINE: lambda row: (row["deadline_at"], row["id"]),
        Order.URGENT: lambda row: (not row["is_emergency"], row["deadline_at"], row["id"]),
    }
    assert seen == sorted(seen, key=place[order])


def test_a_cursor_is_good_in_its_own_order_only(client: TestClient, signed_in: SignIn) -> None:
    for _ in range(2):
        reported(client, COAST, "buca profonda", category="pothole")
    urp = signed_in(URP)
    cursor = urp.get("/reports", order="deadline", limit=1)["next"]
    assert urp.get("/reports", order="deadline", limit=1, cursor=cursor)["reports"]
    for order, wrong in (("newest", cursor), ("urgent", cursor), ("deadline", cursor[:-3]), ("deadline", "x")):
        answer = client.get(
            "/api/v1/desk/reports", headers=urp.headers, params={"order": order, "limit": 1, "cursor": wrong}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor"), (order, wrong)


def test_the_orders_by_urgency_leave_out_what_is_over(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, "buca profonda", category="pothole")
    urp = signed_in(URP)
    urp.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    assert [len(ids(urp, order=order.value)) for order in Order] == [1, 0, 0]


# --- kept lists


def keep(staffer: Staffer, name: str, conditions: dict[str, Any], **more: Any) -> Any:
    body = {"name": name, "conditions": conditions} | more
    answer = staffer.client.post("/api/v1/desk/filters", headers=staffer.headers, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_kept_list_says_again_what_was_asked_for(client: TestClient, database: str, signed_in: SignIn) -> None:
    near = reported(client, COAST, "buca profonda in viale Trieste", category="pothole")
    far = reported(client, INLAND, "buca in collina", category="pothole")
    reported(client, COAST, "lampione spento", category="lamp-out")
    works = signed_in(WORKS)
    conditions = {
        "worklist": "unassigned",
        "state": ["assigned", "planned"],
        "is_open": True,
        "is_late": False,
        "is_emergency": False,
        "category": "pothole",
        "group": "roads",
        "department": near["department"]["slug"],
        "bbox": f"{COAST.lon - 0.01},{COAST.lat - 0.01},{COAST.lon + 0.01},{COAST.lat + 0.01}",
        "created_from": "2020-01-01T00:00:00+01:00",
        "created_until": "2090-01-01T00:00:00Z",
        "q": "trieste",
    }
    kept = keep(works, "Buche al mare", conditions, order="deadline")
    written = works.get("/filters")["filters"][0]["conditions"]
    assert {name: value for name, value in written.items() if not name.startswith("created")} == {
        name: value for name, value in conditions.items() if not name.startswith("created")
    }
    assert datetime.fromisoformat(written["created_from"]) == datetime(2019, 12, 31, 23, tzinfo=UTC)
    assert ids(works, filter=kept["id"]) == [near["id"]]
    assert ids(works, filter=kept["id"], category="lamp-out") == [], "both must fit"
    assert works.get("/worklists")["filters"] == [kept | {"count": 1}]
    again = client.put(
        f"/api/v1/desk/filters/{kept['id']}",
        headers=works.headers,
        json={"name": "Buche altrove", "conditions": {"q": "collina"}},
    )
    assert (again.status_code, again.json()["name"], again.json()["conditions"]) == (
        200,
        "Buche altrove",
        {"q": "collina"},
    )
    assert ids(works, filter=kept["id"]) == [far["id"]]
    assert client.delete(f"/api/v1/desk/filters/{kept['id']}", headers=works.headers).status_code == 204
    gone = client.get("/api/v1/desk/reports", headers=works.headers, params={"filter": kept["id"]})
    assert (gone.status_code, gone.json()["field"]) == (404, "filter")
    assert database


def test_a_list_is_shared_with_a_department_and_changed_by_its_maker_only(
    client: TestClient, signed_in: SignIn
) -> None:
    works, head, green = (
        signed_in(address) for address in (WORKS, "responsabile.lavoripubblici@pesaro.example.org", GREEN)
    )
    department = reported(client, COAST, "buca profonda", category="pothole")["department"]["slug"]
    private = keep(works, "Le buche", {"category": "pothole"})
    shared = keep(works, "Le buche di tutti", {"category": "pothole"}, department=department)
    assert [one["id"] for one in head.get("/filters")["filters"]] == [shared["id"]]
    assert head.get("/filters")["filters"][0]["own"] is False
    assert green.get("/filters")["filters"] == []
    for staffer, key, status in (
        (head, private["id"], 404),
        (head, shared["id"], 403),
        (green, shared["id"], 404),
    ):
        url = f"/api/v1/desk/filters/{key}"
        body = {"name": "Mie", "conditions": {}}
        assert client.put(url, headers=staffer.headers, json=body).status_code == status
        assert client.delete(url, headers=staffer.headers).status_code == status
    foreign = client.post(
        "/api/v1/desk/filters",
        headers=green.headers,
        json={"name": "Intruso", "conditions": {}, "department": department},
    )
    assert (foreign.status_code, foreign.json()["field"]) == (403, "department")


def test_a_list_that_cannot_be_is_not_kept(client: TestClient, signed_in: SignIn) -> None:
    works, province = signed_in(WORKS), signed_in(PROVINCE)
    keep(works, "Buche", {})
    for body, status, field in (
        ({"name": "Buche", "conditions": {}}, 409, "name"),
        ({"name": "  ", "conditions": {}}, 422, "name"),
        ({"name": "A", "conditions": {"category": "atlantis"}}, 422, "category"),
        ({"name": "A", "conditions": {"department": "atlantis"}}, 422, "department"),
        ({"name": "A", "conditions": {"bbox": "1,2,3"}}, 422, "bbox"),
        ({"name": "A", "conditions": {"colour": "red"}}, 422, "conditions.colour"),
        ({"name": "A", "conditions": {}, "order": "upside-down"}, 422, "order"),
    ):
        answer = client.post("/api/v1/desk/filters", headers=works.headers, json=body)
        assert (answer.status_code, answer.json()["field"]) == (status, field), body
    away = client.post(
        "/api/v1/desk/filters",
        headers=province.headers,
        params={"municipality": "pesaro"},
        json={"name": "A", "conditions": {}},
    )
    assert away.status_code == 409, "kept by those who work there"
    assert len(works.get("/filters")["filters"]) == 1


def test_a_kept_list_that_names_what_is_gone_says_so(client: TestClient, database: str, signed_in: SignIn) -> None:
    works = signed_in(WORKS)
    kept = keep(works, "Buche", {"category": "pothole"})
    with psycopg.connect(database) as admin:
        admin.execute('UPDATE saved_filter SET conditions = \'{"states": ["melted"]}\'')
    assert (
        works.get("/worklists")["filters"][0] | {"conditions": None, "count": None}
        == works.get("/worklists")["filters"][0]
    )
    answer = client.get("/api/v1/desk/reports", headers=works.headers, params={"filter": kept["id"]})
    assert (answer.status_code, answer.json()["field"]) == (422, "filter")


def test_a_filter_written_down_reads_the_same() -> None:
    whole = WorklistFilter(
        worklist=Worklist.LATE,
        states=(State.TRIAGE, State.WAITING),
        is_open=True,
        is_late=False,
        person=7,
        bounds=Bounds(12.0, 43.0, 13.0, 44.0),
        created_from=datetime(2026, 1, 1, tzinfo=UTC),
        q="50% di _sconto_",
    )
    assert worklists.filter_from(whole.as_json()) == whole
    assert WorklistFilter().as_json() == {}


def test_a_count_that_takes_too_long_is_left_out_and_all_else_goes_on(client: TestClient) -> None:
    reported(client, COAST, "buca profonda", category="pothole")
    town = view.held().slugs["pesaro"]
    slow = worklists.Condition("report.municipality_id = %(town)s AND pg_sleep(0.5) IS NOT NULL", {"town": town.id})
    quick = worklists.Condition("report.municipality_id = %(town)s", {"town": town.id})
    with reading(town.id) as session:
        assert worklists.count_within(session, slow, 20) is None
        assert worklists.count_within(session, quick, 5_000) == 1
        limit = session.raw.execute("SHOW statement_timeout").fetchone()
    assert limit == ("30s",), "the limit was for the count only"
