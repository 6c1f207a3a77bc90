"""Figures over HTTP: held against what was reported, and no more told to anybody than may be told."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import ANY

import psycopg
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import select

from city.database import provincial, writing
from city.records.insight import hotspots
from city.registry import view
from city.registry.staff import people
from city.registry.tables import Person
from city.reports import handling, intake
from city.reports.changing import Desk, locked
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import State
from city.settings import PROJECT
from geo.place import Place
from tests.stories.telling import COAST, INLAND, URP, SignIn, east_of
from tests.trials import Staffer
from workers.app import broker

COUNCIL: Final = "consiglio@pesaro.example.org"
NOW: Final = datetime.now(UTC)
Report = Callable[..., str]


@pytest.fixture
def report(client: TestClient) -> Report:
    """Take a report in that came so many hours ago, was answered, and was solved after so many; gives its number."""
    municipality = view.load().municipality("pesaro")
    with provincial() as session:
        clerk = people.staff(session, session.scalars(select(Person).where(Person.email == URP)).one())

    def receive(
        place: Place,
        category: str,
        *,
        hours_ago: float,
        answered_after: float | None = None,
        solved_after: float | None = None,
    ) -> str:
        created_at = NOW - timedelta(hours=hours_ago)
        submission = Submission(
            place, "qualcosa non va", category, created_at=created_at, contact=Contact(email="anna@example.org")
        )
        with writing(municipality.id) as session:
            received = intake.receive(session, submission)
            for after, state in ((answered_after, State.IN_PROGRESS), (solved_after, State.RESOLVED)):
                if after is not None:
                    session.happened_at = created_at + timedelta(hours=after)
                    row = locked(session, municipality.id, received.report_id)
                    handling.move(
                        Desk(session, municipality, clerk), received.report_id, row.version, state, reason="Fatto."
                    )
        return str(received.answer["number"])

    return receive


def figures(client: TestClient, path: str, staffer: Staffer | None = None, **parameters: Any) -> Any:
    answer = client.get(
        f"/api/v1/insight/{path}",
        params={"municipality": "pesaro"} | parameters,
        headers=staffer.headers if staffer else {},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_group(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        told = [row["received"] or 0, row["open"] or 0, row["solved"] or 0]
        found[row["group"]] = [a + b for a, b in zip(found.get(row["group"], [0, 0, 0]), told, strict=True)]
    return found


# --- months


def test_months_count_what_came_in_and_what_became_of_it(client: TestClient, report: Report) -> None:
    for number in range(7):
        report(COAST, "lamp-out", hours_ago=20, answered_after=1, solved_after=2 if number < 3 else None)
    told = figures(client, "months")
    assert by_group(told["rows"])["lighting"] == [7, 4, 3]
    assert by_group(figures(client, "months", group="roads")["rows"])["lighting"] == [0, 0, 0]
    assert by_group(figures(client, "months", category="lamp-out", state="resolved")["rows"])["lighting"] == [0, 0, 0]
    assert len({row["month"] for row in told["rows"]}) == 12
    assert told["audience"] == "public"


def test_one_to_four_are_told_to_staff_only(client: TestClient, report: Report, signed_in: SignIn) -> None:
    for _ in range(4):
        report(COAST, "pothole", hours_ago=1)
    this_month = {"from": f"{NOW:%Y-%m}", "group": "roads"}
    public_row = next(r for r in figures(client, "months", **this_month)["rows"] if r["group"] == "roads")
    assert (public_row["received"], public_row["open"], public_row["solved"]) == (None, None, None)
    staff = figures(client, "months", signed_in(COUNCIL), **this_month)
    assert next(r for r in staff["rows"] if r["group"] == "roads")["received"] == 4
    assert staff["audience"] == "staff"


def test_hidden_categories_count_for_the_council_and_for_nobody_else(
    client: TestClient, report: Report, signed_in: SignIn
) -> None:
    for _ in range(6):
        report(COAST, "noise", hours_ago=5)
    council = signed_in(COUNCIL)
    assert by_group(figures(client, "months")["rows"])["safety"] == [0, 0, 0]
    assert by_group(figures(client, "months", council)["rows"])["safety"] == [6, 6, 0]
    assert "noise" not in {row["key"] for row in figures(client, "zones", by="category")["rows"]}
    assert {r["key"]: r["received"] for r in figures(client, "zones", council, by="category")["rows"]}["noise"] == 6
    assert figures(client, "recurrence")["received"] is None
    assert figures(client, "recurrence", council)["received"] == 6


def test_staff_of_one_department_count_their_own(client: TestClient, report: Report, signed_in: SignIn) -> None:
    for _ in range(5):
        report(COAST, "lamp-out", hours_ago=5)
    head = signed_in("responsabile.illuminazione@pesaro.example.org")
    seen = {row["key"]: row["received"] for row in figures(client, "zones", head, by="department")["rows"]}
    everything = {row["key"]: row["received"] for row in figures(client, "zones", by="department")["rows"]}
    assert sum(value or 0 for value in everything.values()) == 5
    assert seen["lighting-office"] == everything["lighting-office"] == 5
    assert sum(seen.values()) == 5
    green = signed_in("responsabile.verde@pesaro.example.org")
    assert sum(row["received"] for row in figures(client, "zones", green, by="department")["rows"]) == 0


# --- zones


def test_zones_tell_medians_lateness_and_the_period_before(client: TestClient, report: Report) -> None:
    for hours in (1, 2, 3, 10, 20):
        report(COAST, "lamp-out", hours_ago=30, answered_after=hours / 2, solved_after=hours)
    for _ in range(6):
        report(COAST, "lamp-out", hours_ago=24 * 120, answered_after=5, solved_after=24 * 90)
    since = f"{NOW - timedelta(days=60):%Y-%m-%d}"
    told = figures(client, "zones", layer="pesaro-districts", **{"from": since, "to": f"{NOW:%Y-%m-%d}"})
    row = next(row for row in told["rows"] if row["received"])
    assert (row["received"], row["open"], row["solved"], row["late_share"]) == (5, 0, 5, 0.0)
    assert row["answer_median_hours"] == pytest.approx(1.5, rel=0.05, abs=0.06)
    assert row["solve_median_hours"] == pytest.approx(3, rel=0.03)
    assert row["solve_p90_hours"] == pytest.approx(20, rel=0.02)
    before = row["before"]
    assert (before["received"], before["late_share"]) == (6, 1.0)
    assert before["reasons"] == {"satisfied_share": "none"}
    assert before["solve_median_hours"] == pytest.approx(24 * 90, rel=0.012)
    empty = next(row for row in told["rows"] if row["received"] == 0)
    assert empty["reasons"]["solve_median_hours"] == "none"


def test_reports_nobody_answers_are_not_left_out_of_the_median(client: TestClient, report: Report) -> None:
    for _ in range(4):
        report(COAST, "pothole", hours_ago=50, answered_after=1)
    for _ in range(6):
        report(COAST, "pothole", hours_ago=50)
    row = next(r for r in figures(client, "zones", by="group")["rows"] if r["key"] == "roads")
    assert row["answer_median_hours"] is None
    assert row["reasons"]["answer_median_hours"] == "not_reached"


def test_what_is_in_no_zone_is_a_row_of_its_own(client: TestClient, report: Report, signed_in: SignIn) -> None:
    for _ in range(5):
        report(INLAND, "pothole", hours_ago=2)
    rows = figures(client, "zones", signed_in(COUNCIL), layer="pesaro-lighting")["rows"]
    assert sum(row["received"] for row in rows) >= 5


def test_fewer_than_five_are_none_with_the_reason(client: TestClient, report: Report) -> None:
    for _ in range(4):
        report(COAST, "pothole", hours_ago=9, answered_after=1, solved_after=2)
    rows = {row["key"]: row for row in figures(client, "zones", by="group")["rows"]}
    assert rows["roads"]["received"] is None
    assert set(rows["roads"]["reasons"].values()) == {"few"}
    assert rows["green"]["received"] == 0


@pytest.mark.parametrize("how", [{"format": "csv"}, {}])
def test_figures_come_as_a_table_for_spreadsheets(client: TestClient, report: Report, how: dict[str, str]) -> None:
    for _ in range(5):
        report(COAST, "lamp-out", hours_ago=3, answered_after=1)
    answer = client.get(
        "/api/v1/insight/zones",
        params={"municipality": "pesaro", "by": "group", "language": "it"} | how,
        headers={} if how else {"Accept": "text/csv"},
    )
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    lighting = next(row for row in rows if row["key"] == "lighting")
    assert (lighting["received"], lighting["name"]) == ("5", "Illuminazione pubblica")
    assert "late_share=" in lighting["reasons"]


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        ("zones", {}, "layer"),
        ("zones", {"layer": "no-such"}, "layer"),
        ("months", {"from": "2026-05", "to": "2026-03"}, "to"),
        ("months", {"group": "no-such"}, "group"),
        ("months", {"category": "no-such"}, "category"),
        ("months", {"department": "no-such"}, "department"),
        ("recurrence", {"metres": 2000}, "metres"),
        ("map.png", {"by": "zones", "layer": "no-such"}, "layer"),
        ("map.png", {"width": 100_000}, "width"),
        ("hotspots", {"group": "no-such"}, "group"),
        ("map.png", {"by": "hotspots", "group": "no-such"}, "group"),
        ("map.svg", {"by": "hotspots", "from": "2026-01"}, "from"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, path: str, parameters: dict[str, Any], field: str
) -> None:
    answer = client.get(f"/api/v1/insight/{path}", params={"municipality": "pesaro"} | parameters)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_whoever_signs_in_must_have_the_right(client: TestClient, signed_in: SignIn) -> None:
    assert client.get("/api/v1/insight/months", headers={"Authorization": "Bearer no"}).status_code == 401
    council = signed_in(COUNCIL)
    answer = client.get("/api/v1/insight/months", params={"municipality": "fano"}, headers=council.headers)
    assert answer.status_code == 403
    assert client.get("/api/v1/insight/months", params={"municipality": "nowhere"}).status_code == 404


# --- recurrence


def test_the_same_lamp_again_is_a_place_and_a_share(client: TestClient, report: Report) -> None:
    numbers = [
        report(COAST, "lamp-out", hours_ago=24 * 60, answered_after=1, solved_after=48),
        report(east_of(COAST, 20), "lamp-out", hours_ago=24 * 40, answered_after=1, solved_after=48),
        report(COAST, "lamp-out", hours_ago=24 * 10),
    ]
    report(east_of(COAST, 200), "lamp-out", hours_ago=24 * 10)
    report(COAST, "pothole", hours_ago=24 * 10)
    told = figures(client, "recurrence")
    assert (told["received"], told["again"], told["share"]) == (5, 2, 0.4)
    assert told["places"] == [
        {
            "place": ANY,
            "category": "lamp-out",
            "group": "lighting",
            "reports": 3,
            "times": 2,
            "first_at": ANY,
            "last_at": ANY,
            "is_open": True,
            "numbers": numbers,
        }
    ]
    assert Place(**told["places"][0]["place"]).distance_metres(east_of(COAST, 7)) < 5
    assert figures(client, "recurrence", days=10)["again"] == 0
    assert figures(client, "recurrence", metres=10)["again"] == 1


# --- kept answers


def test_an_answer_is_not_sent_again_until_something_happens(client: TestClient, report: Report) -> None:
    address = "/api/v1/insight/months?municipality=pesaro"
    for _ in range(5):
        report(COAST, "lamp-out", hours_ago=3)
    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    report(COAST, "lamp-out", hours_ago=3)
    new = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert new.status_code == 200
    assert new.headers["etag"] != first.headers["etag"]
    assert by_group(new.json()["rows"])["lighting"][0] == 6


def test_what_was_kept_for_staff_is_never_given_to_the_public(
    client: TestClient, report: Report, signed_in: SignIn
) -> None:
    for _ in range(5):
        report(COAST, "noise", hours_ago=3)
    council = signed_in(COUNCIL)
    for _ in range(2):
        assert by_group(figures(client, "months", council)["rows"])["safety"][0] == 5
        assert by_group(figures(client, "months")["rows"])["safety"][0] == 0
    answer = client.get("/api/v1/insight/months?municipality=pesaro", headers=council.headers)
    assert answer.headers["cache-control"].startswith("private")
    assert "Authorization" in answer.headers["vary"]


# --- pictures


@pytest.mark.parametrize("by", ["heat", "hotspots", "zones"])
@pytest.mark.parametrize("language", ["it", "en"])
def test_a_map_is_drawn_for_print(client: TestClient, report: Report, by: str, language: str) -> None:
    for _ in range(6):
        report(COAST, "lamp-out", hours_ago=3)
    parameters = {"municipality": "pesaro", "by": by, "language": language, "width": 900}
    png = client.get("/api/v1/insight/map.png", params=parameters)
    assert png.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(png.content)) as picture:
        assert picture.width == 900
    svg = client.get("/api/v1/insight/map.svg", params=parameters)
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert svg.text.startswith(("<svg", "<?xml"))
    assert ("Solo segnalazioni pubbliche" if language == "it" else "Public reports only") in svg.text
    assert client.get("/api/v1/insight/map.png", params={"by": "heat"}).status_code == 200


# --- hot spots and the moments behind the figures


def test_hot_spots_are_renewed_only_when_something_has_happened(client: TestClient, report: Report) -> None:
    pesaro = view.load().municipality("pesaro").id
    report(COAST, "lamp-out", hours_ago=3)
    with provincial() as session:
        assert hotspots.renew(session, pesaro) == 0
        assert hotspots.renew(session, pesaro) is None
    report(COAST, "lamp-out", hours_ago=2)
    with provincial() as session:
        assert hotspots.renew(session, pesaro) == 0
        assert hotspots.renew(session, pesaro, datetime.now(UTC) + timedelta(days=2)) == 0, "twelve months move on"


def test_hot_spots_of_a_category_that_becomes_hidden_are_forgotten_at_once(
    client: TestClient, report: Report, database: str
) -> None:
    pesaro = view.load().municipality("pesaro").id
    report(COAST, "lamp-out", hours_ago=3)
    with provincial() as session:
        hotspots.renew(session, pesaro)
        hotspots.renew(session, 0)
    with psycopg.connect(database, autocommit=True) as admin:
        runs = "SELECT count(*) FROM hotspot_run"
        republish = broker().get_actor("republish_category").fn
        republish(pesaro, "lamp-out")
        assert admin.execute(runs).fetchone() == (2,), "nothing has changed"
        admin.execute("UPDATE report SET is_public = NOT is_public")
        republish(pesaro, "lamp-out")
        assert admin.execute(runs).fetchone() == (0,)
    assert figures(client, "hotspots")["computed_at"] is None


def test_the_reader_sees_public_hot_spots_only_and_writes_none(client: TestClient, database: str) -> None:
    row = (
        "INSERT INTO hotspot (municipality_id, is_public, group_slug, cell_column, cell_row, cell_metres, shape, lon,"
        " lat, count, observed, expected, z, q, computed_at) SELECT 1, {0}, '', 1, 1, 250,"
        " 'SRID=4326;POLYGON((0 0,1 0,1 1,0 0))', 0, 0, 5, 5, 1, 4, 0.01, now()"
    )
    with psycopg.connect(database) as admin:
        for is_public in ("true", "false"):
            admin.execute(row.format(is_public))
        admin.execute("SET ROLE lampione_reader")
        assert admin.execute("SELECT is_public FROM hotspot").fetchall() == [(True,)]
        admin.execute("SET ROLE lampione_app")
        assert admin.execute("SELECT count(*) FROM hotspot").fetchone() == (0,), "without a municipality nothing"
        with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
            admin.execute("DELETE FROM hotspot")
        admin.execute("RESET ROLE")
        with pytest.raises(psycopg.errors.CheckViolation), admin.transaction():
            admin.execute("UPDATE hotspot SET count = 4")


def test_when_it_was_answered_and_solved_is_what_the_timeline_says(
    client: TestClient, report: Report, signed_in: SignIn, database: str
) -> None:
    report(COAST, "lamp-out", hours_ago=30, answered_after=2, solved_after=9)
    report(COAST, "lamp-out", hours_ago=30)
    clerk = signed_in(URP)
    solved, unanswered = (row["id"] for row in reversed(clerk.get("/reports")["reports"]))
    moments = "SELECT id::text, answered_at, solved_at FROM report ORDER BY id"
    with psycopg.connect(database, autocommit=True) as admin:
        first = {row[0]: row[1:] for row in admin.execute(moments).fetchall()}
        assert first[unanswered] == (None, None)
        assert [(moment - NOW + timedelta(hours=30)) / timedelta(hours=1) for moment in first[solved]] == [2, 9]
        clerk.change("POST", solved, "moves", {"to": "reopened", "reason": "Di nuovo spento."})
        clerk.change("POST", unanswered, "updates", {"text": "tra noi", "is_public": False})
        kept = {row[0]: row[1:] for row in admin.execute(moments).fetchall()}
        assert kept[solved] == (first[solved][0], None)
        assert kept[unanswered] == (None, None), "a note among colleagues is no answer"
        clerk.change("PUT", unanswered, "master", {"master": solved})
        clerk.change("POST", solved, "moves", {"to": "resolved", "reason": "Fatto."})
        kept = {row[0]: row[1:] for row in admin.execute(moments).fetchall()}
        assert kept[solved][1] > first[solved][1]
        assert kept[unanswered][0] is not None
        assert kept[unanswered][1] is None, "a duplicate was answered, and not solved itself"
        admin.execute("SET session_replication_role = replica; UPDATE report SET answered_at = NULL, solved_at = NULL")
        admin.execute(migration().CAUGHT_UP)
        assert {row[0]: row[1:] for row in admin.execute(moments).fetchall()} == kept, "as the migration catches up"


def migration() -> Any:
    path = PROJECT / "commands" / "migrations" / "versions" / "0007_insight.py"
    spec = importlib.util.spec_from_file_location("insight_migration", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
