"""The council's further figures over HTTP: confirmed, reopened, late, months, totals, crossings, ages, flow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, INLAND, ROME, URP, SignIn, reported
from tests.trials import Staffer

COUNCIL: Final = "consiglio@pesaro.example.org"
NOW: Final = datetime.now(ROME)
THIS_MONTH: Final = f"{NOW:%Y-%m}"

Age = Callable[..., None]


@pytest.fixture
def age(database: str) -> Age:
    """Set columns of reports as time and citizens would have."""

    def change(report: dict[str, Any], **columns: Any) -> None:
        with psycopg.connect(database) as admin:
            admin.execute("SET session_replication_role = replica")
            named = ", ".join(f"{name} = %({name})s" for name in columns)
            admin.execute(f"UPDATE report SET {named} WHERE id = %(id)s", columns | {"id": report["id"]})

    return change


def asked(client: TestClient, path: str, who: Staffer | None = None, **parameters: Any) -> Any:
    answer = client.get(
        f"/api/v1/insight/{path}", params={"municipality": "pesaro"} | parameters, headers=who.headers if who else {}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def row_of(rows: list[dict[str, Any]], key: str, across: str | None = None) -> dict[str, Any]:
    return next(r for r in rows if r["key"] == key and (across is None or r["across"]["key"] == across))


def lamps(client: TestClient, count: int, **more: Any) -> list[dict[str, Any]]:
    return [reported(client, COAST, "lampione spento", category="lamp-out", **more) for _ in range(count)]


def test_what_was_confirmed_reopened_rated_and_late_is_counted(client: TestClient, signed_in: SignIn, age: Age) -> None:
    clerk = signed_in(URP)
    reports = lamps(client, 12)
    for report in reports[:10]:
        clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    for number, report in enumerate(reports[:6]):
        age(report, confirmed_at=NOW, rating=5 if number < 4 else 2)
    for report in reports[8:10]:
        clerk.change("POST", report["id"], "moves", {"to": "reopened", "reason": "Di nuovo spento."})
    age(reports[0], deadline_at=NOW - timedelta(days=1), solved_at=NOW)
    age(reports[10], deadline_at=NOW - timedelta(days=1))
    age(reports[11], deadline_at=NOW - timedelta(days=1), paused_at=NOW - timedelta(days=2))
    row = asked(client, "zones", signed_in(COUNCIL), by="total")["rows"][0]
    told = {name: row[name] for name in ("received", "open", "solved", "confirmed", "reopened", "rated")}
    assert told == {"received": 12, "open": 4, "solved": 8, "confirmed": 6, "reopened": 2, "rated": 6}
    assert (row["late"], row["late_open"]) == (2, 1), "the clock of one stands still"
    assert row["late_share"] == pytest.approx(2 / 9, abs=1e-4)
    assert (row["confirmed_share"], row["reopened_share"]) == (0.75, 0.2)
    assert row["satisfied_share"] == pytest.approx(4 / 6, abs=1e-4)
    assert row["key"] == "total"
    public = asked(client, "zones", by="total")["rows"][0]
    assert (public["rated"], public["satisfied_share"]) == (6, None), "four content, two not: too few of either"


def test_months_side_by_side_have_the_same_month_of_the_period_before_beside_them(client: TestClient, age: Age) -> None:
    for report in lamps(client, 6):
        age(report, created_at=datetime(2025, 3, 10, tzinfo=UTC), month=202503)
    for report in lamps(client, 7):
        age(report, created_at=datetime(2024, 3, 10, tzinfo=UTC), month=202403)
    rows = asked(client, "zones", by="month", **{"from": "2025-01", "to": "2025-12"})["rows"]
    assert [row["key"] for row in rows] == [f"2025-{month:02}" for month in range(1, 13)]
    assert rows[2]["name"] == {"it": "marzo 2025", "en": "March 2025"}
    assert (rows[2]["received"], rows[2]["before"]["received"]) == (6, 7)
    answer = client.get(
        "/api/v1/insight/zones", params={"municipality": "pesaro", "by": "month", "from": "2025-01-05", "to": "2025-03"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "from")


def test_a_row_for_each_pair_that_has_reports(client: TestClient, signed_in: SignIn) -> None:
    lamps(client, 6)
    for _ in range(8):
        reported(client, INLAND, "buca", category="pothole")
    rows = asked(client, "zones", signed_in(COUNCIL), by="month", across="group", **{"from": THIS_MONTH})["rows"]
    assert {(row["key"], row["across"]["key"]): row["received"] for row in rows} == {
        (THIS_MONTH, "lighting"): 6,
        (THIS_MONTH, "roads"): 8,
    }


def test_small_numbers_cannot_be_worked_out_from_the_total(client: TestClient, signed_in: SignIn) -> None:
    lamps(client, 3)
    for _ in range(6):
        reported(client, INLAND, "buca", category="pothole")
    for _ in range(9):
        reported(client, INLAND, "rifiuti abbandonati", category="abandoned-waste")
    told = {row["key"]: row["received"] for row in asked(client, "zones", by="group")["rows"]}
    assert asked(client, "zones", by="total")["rows"][0]["received"] == 18
    assert (told["lighting"], told["roads"], told["waste"]) == (None, None, 9), "the smallest other one is withheld too"
    staff = {row["key"]: row["received"] for row in asked(client, "zones", signed_in(COUNCIL), by="group")["rows"]}
    assert (staff["lighting"], staff["roads"], staff["waste"]) == (3, 6, 9)
    months = asked(client, "months", **{"from": THIS_MONTH})["rows"]
    assert {row["group"]: row["received"] for row in months if row["received"] != 0} == {
        "lighting": None,
        "roads": None,
        "waste": 9,
    }


def test_what_reporters_say_in_private_is_told_of_five_or_more(client: TestClient, signed_in: SignIn, age: Age) -> None:
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    holes = [reported(client, INLAND, "buca", category="pothole") for _ in range(9)]
    reports = [*lamps(client, 9), *holes]
    for report in reports:
        clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    for report in (*reports[:3], *holes[:8]):
        age(report, confirmed_at=NOW, rating=5)
    seen = {row["key"]: row for row in asked(client, "zones", by="group")["rows"]}
    lighting, roads = seen["lighting"], seen["roads"]
    assert (lighting["received"], lighting["solved"], lighting["confirmed"], lighting["rated"]) == (9, 9, None, None)
    assert (lighting["confirmed_share"], lighting["reasons"]["confirmed"]) == (None, "few")
    assert (roads["confirmed"], roads["confirmed_share"]) == (None, None), "the total less it would tell of three"
    whole = asked(client, "zones", by="total")["rows"][0]
    assert (whole["confirmed"], whole["rated"], whole["satisfied_share"]) == (11, 11, 1.0)
    staff = {row["key"]: row for row in asked(client, "zones", council, by="group")["rows"]}
    assert (staff["lighting"]["confirmed"], staff["roads"]["confirmed"]) == (3, 8)


def test_how_old_is_what_lies_open_now_and_what_lay_open_then(client: TestClient, signed_in: SignIn, age: Age) -> None:
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    old = lamps(client, 6)
    for report in old:
        age(report, created_at=NOW - timedelta(days=100), updated_at=NOW - timedelta(days=100))
    lamps(client, 5)
    clerk.change("POST", old[0]["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    now = asked(client, "ageing", council)
    assert [(c["from"], c["to"]) for c in now["classes"]][:3] == [(0, 6), (7, 29), (30, 89)]
    assert (now["rows"][0]["open"], now["rows"][0]["classes"]) == (10, [5, 0, 0, 5, 0, 0])
    assert now["rows"][0]["oldest_days"] == 100
    yesterday = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    then = asked(client, "ageing", council, at=yesterday, by="group")["rows"]
    assert row_of(then, "lighting")["open"] == 6, "the one solved since lay open"
    assert asked(client, "ageing", council, at=f"{NOW - timedelta(days=101):%Y-%m-%d}")["rows"][0]["open"] == 0
    public = asked(client, "ageing", at=yesterday)["rows"][0]
    assert (public["open"], public["classes"]) == (6, [0, 0, 0, 6, 0, 0])


def test_a_report_that_was_solved_then_and_is_open_again_did_not_lie_open(
    client: TestClient, signed_in: SignIn, age: Age, database: str
) -> None:
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    report = lamps(client, 1)[0]
    for to in ("resolved", "reopened"):
        clerk.change("POST", report["id"], "moves", {"to": to, "reason": "…"})
    age(report, created_at=NOW - timedelta(days=50))
    with psycopg.connect(database) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE timeline_entry SET at = %s WHERE to_state = 'resolved'", [NOW - timedelta(days=20)])
    opened = {
        days: asked(client, "ageing", council, at=f"{NOW - timedelta(days=days):%Y-%m-%d}")["rows"][0]["open"]
        for days in (30, 10, 0)
    }
    assert opened == {30: 1, 10: 0, 0: 1}


def test_what_came_in_and_what_was_done_month_by_month(client: TestClient, signed_in: SignIn, age: Age) -> None:
    clerk = signed_in(URP)
    reports = lamps(client, 12)
    for report in reports[:6]:
        clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    for report in reports[:6]:
        age(report, created_at=datetime(2026, 1, 10, tzinfo=UTC), month=202601)
    rows = {row["month"]: row for row in asked(client, "flow", **{"from": "2026-01"})["rows"]}
    assert rows["2026-01"] == {"month": "2026-01", "received": 6, "solved": 0, "reopened": 0}
    assert (rows[THIS_MONTH]["received"], rows[THIS_MONTH]["solved"]) == (6, 6)


def test_a_part_of_a_reports_work_counts_in_no_figure(client: TestClient, signed_in: SignIn, age: Age) -> None:
    first, second = lamps(client, 2)
    age(second, parent_id=first["id"], is_public=False)
    council = signed_in(COUNCIL)
    assert asked(client, "zones", council, by="total")["rows"][0]["received"] == 1
    assert asked(client, "ageing", council)["rows"][0]["open"] == 1


def test_a_table_opens_with_a_double_click_in_an_italian_office(client: TestClient) -> None:
    lamps(client, 5)
    parameters = {"municipality": "pesaro", "by": "group", "format": "csv", "style": "spreadsheet", "language": "it"}
    answer = client.get("/api/v1/insight/zones", params=parameters)
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    lighting = next(row for row in rows if row["codice"] == "lighting")
    assert lighting["segnalazioni ricevute"] == "5"
    assert lighting["nome"] == "Illuminazione pubblica"
    for path in ("ageing", "flow", "months"):
        answer = client.get(
            f"/api/v1/insight/{path}", params=parameters if path == "ageing" else parameters | {"by": ""}
        )
        assert answer.headers["content-type"].startswith("text/csv"), answer.text
        assert ";" in answer.text


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        ("ageing", {"at": "2999-01-01"}, "at"),
        ("ageing", {"at": "ieri"}, "at"),
        ("ageing", {"by": "month"}, "by"),
        ("ageing", {"by": "zone"}, "layer"),
        ("zones", {"by": "group", "across": "month"}, "across"),
        ("zones", {"by": "group", "style": "fancy"}, "style"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, path: str, parameters: dict[str, Any], field: str
) -> None:
    answer = client.get(f"/api/v1/insight/{path}", params={"municipality": "pesaro"} | parameters)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_figures_of_all_municipalities_together_are_not_told_by_line(client: TestClient) -> None:
    answer = client.get("/api/v1/insight/ageing")
    assert (answer.status_code, answer.json()["field"]) == (422, "municipality")
    assert client.get("/api/v1/insight/flow").status_code == 200
