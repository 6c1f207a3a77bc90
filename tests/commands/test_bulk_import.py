"""A bulk import comes to the same as one report after the other, and is as hard to break."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from city.database import writing
from city.errors import Conflict, LampioneError, OutsideTerritory
from city.registry import view
from city.reports import bulk, trained
from city.reports.checks import checked
from city.reports.intake import receive
from city.reports.judging import Submission
from city.settings import PROJECT
from city.texts import operator_language
from commands import report_import
from commands.report_import import Outcome, Plan, import_reports
from commands.report_rows import RowFile
from commands.report_submissions import Reader
from tests.conftest import REPORT_TABLES
from tests.trials import eventually

COLUMNS = {
    "text": "testo",
    "lon": "lon",
    "lat": "lat",
    "created_at": "data",
    "category": "tipo",
    "address": "via",
    "email": "email",
    "name": "nome",
    "phone": "telefono",
}
MEANINGS = {"strade": "pothole", "altro": "-", "prova": "group:roads"}
FAR = [
    (9.19, 45.46),  # Milano
    (12.9133, 43.9098),  # Pesaro
    (45.4064, 11.8768),  # swapped
    (0, 0),
    (float("nan"), 45.4),
    (11.87, float("inf")),
    (200, 45),
    ("", 45.4),
    ("qui", 45.4),
]
DATES = ["2024-08-31T11:06:35-04:00", "31/08/2024 14:05", "05.02.2024", "1725102395", "2021-03-28 02:30", "31-12-1999"]
BAD_DATES = ["ieri", "2099-01-01", "31/02/2024", "1850-01-01", "9999-12-31T23:59:59-05:00", "05.02.2024 10:00"]
BAD_TEXTS = ["", "   ", "con un\x07campanello", "a" * 5_000, "a" * 9_000, "mezza \x9f lettera"]
TEXTS = [
    "odore di gas in casa, fuga di gas",
    "tab\tulatore e \\N barra \\ e\r\na capo",
    "qwrtz",
    "e\u0301 così: città",
    "🙂",
]


def sample(path: Path, count: int, seed: int = 5) -> Path:
    """A file in which much is as it should be, and much is not."""
    chance = random.Random(seed)
    told = [orjson.loads(line) for line in (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()]
    labels = [
        "",
        "",
        "",
        "",
        "Strade",
        "Altro",
        "prova",
        "ignota",
        "pothole",
        "POTHOLE",
        "graffiti",
        "other",
        "Lampione spento",
    ]
    labels += [
        slug for slug, category in view.load().municipality("padova").categories.items() if not category.is_public
    ]
    rows: list[list[Any]] = []
    for number in range(count):
        said = chance.choice(told)
        lon, lat = round(chance.uniform(11.84, 11.92), 6), round(chance.uniform(45.37, 45.44), 6)
        row = [number, f"{said['description']} ({number})", lon, lat, "", chance.choice(labels), said["address"]]
        row += [
            chance.choice(["", "a@b.it", "non-una-mail"]),
            chance.choice(["", "", "Anna"]),
            chance.choice(["", "049"]),
        ]
        row[4] = chance.choice([*DATES, (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=number)).isoformat()])
        dice = chance.random()
        if dice < 0.04:
            row[2:4] = chance.choice(FAR)
        elif dice < 0.06:
            row[4] = chance.choice(BAD_DATES)
        elif dice < 0.08:
            row[1] = chance.choice(BAD_TEXTS)
        elif dice < 0.11:
            row[1] = chance.choice(TEXTS)
        elif dice < 0.12:
            row[7:10] = ["a@b.it", "\x07", "049"]
        elif dice < 0.13:
            row.append("zu viel")
        elif dice < 0.18 and rows:
            row = list(chance.choice(rows))
        rows.append(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["nr", "testo", "lon", "lat", "data", "tipo", "via", "email", "nome", "telefono"])
        writer.writerows(rows)
    return path


def plain(path: Path, count: int) -> Path:
    """A file of good reports."""
    path.write_text(
        "\n".join(
            json.dumps({"testo": f"Buca numero {number} in via Roma", "lon": 11.8768, "lat": 45.4064})
            for number in range(count)
        )
    )
    return path


def planned(path: Path) -> Plan:
    file = RowFile(path)
    columns = {key: name for key, name in COLUMNS.items() if name in file.names()}
    return Plan(file, "padova", columns, MEANINGS, source="archivio")


def imported(path: Path) -> Outcome:
    return import_reports(planned(path), lambda _done, _outcome: None)


def one_by_one(path: Path) -> tuple[Outcome, list[list[str]]]:
    """The same file, each row through the door that a citizen's report takes."""
    plan = planned(path)
    municipality = view.load().municipality(plan.municipality)
    reader = Reader(plan.columns, plan.categories, plan.source, municipality)
    outcome, rejected = Outcome(), []
    for row in plan.file.rows():
        try:
            submission = _submission(reader, row, municipality.id)
            with writing(municipality.id) as session:
                received = receive(session, submission)
        except (LampioneError, ValueError, OverflowError) as error:
            known = isinstance(error, LampioneError)
            name = "outside" if isinstance(error, OutsideTerritory) else "refused"
            sentence = error.sentence(operator_language()) if known else str(error)  # type: ignore[union-attr]
            setattr(outcome, name, getattr(outcome, name) + 1)
            rejected.append([str(row.number), sentence])
        else:
            outcome.duplicate += received.is_repeat
            outcome.accepted += not received.is_repeat
            outcome.triage += not received.is_repeat and received.answer["state"] == "triage"
    return outcome, rejected


def _submission(reader: Reader, row: Any, municipality_id: int) -> Submission:
    place = reader.place(row)
    there = view.held().at(checked(place))
    if there.id != municipality_id:
        wanted = view.held().municipalities[municipality_id].name
        raise OutsideTerritory("importing.elsewhere", field="place", there=there.name, wanted=wanted)
    return reader.submission(row, place, reader.reference(row))


UNLIKE = (
    "- 'id' - 'number' - 'updated_at' - 'report_id'"
    " #- '{routing,facts,local_time}' #- '{details,routing,facts,local_time}'"
)
"""What is another one each time."""
BY_REFERENCE = "JOIN client_request AS claim ON claim.answer->>'id'"


def contents(url: str) -> dict[str, list[Any]]:
    """All rows, told apart by the client's reference."""
    queries = {
        "report": f"SELECT reference, to_jsonb(report) {UNLIKE} FROM report"
        f" {BY_REFERENCE} = report.id::text ORDER BY 1",
        "reporter": f"SELECT reference, to_jsonb(reporter) {UNLIKE} FROM reporter"
        f" {BY_REFERENCE} = report_id::text ORDER BY 1",
        "timeline": f"SELECT reference, to_jsonb(entry) {UNLIKE} FROM timeline_entry AS entry"
        f" {BY_REFERENCE} = report_id::text ORDER BY 1, entry.id",
        "claim": "SELECT reference, request_hash FROM client_request ORDER BY 1",
        "delta": "SELECT cell, municipality_id, group_slug, count, x, y FROM tile_delta ORDER BY 1, 2, 3, 4, 5, 6",
        "job": "SELECT actor, arguments FROM job ORDER BY 1, 2",
    }
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def emptied(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in REPORT_TABLES.split(", "):
            connection.execute(f"DELETE FROM {table}")


def count(url: str, query: str = "SELECT count(*) FROM report") -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


TROUBLED_RULES = """
INSERT INTO routing_rule (municipality_id, category_slug, department_slug, crew_slug, priority)
SELECT padova.id, rule.category, coalesce(rule.department, (
  SELECT min(slug) FROM department WHERE municipality_id = padova.id)), rule.crew, 99
FROM municipality AS padova, (VALUES
  ('graffiti', NULL, NULL), ('graffiti', NULL, NULL), ('pothole', 'nowhere', NULL), ('lamp-out', NULL, 'nobody')
) AS rule (category, department, crew) WHERE padova.slug = 'padova'
"""
"""A tie, a department and a crew that are not there."""


@pytest.fixture(params=["classifier", "none", "broken"])
def words(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With a classifier, without, and with one that stumbles over some texts."""
    classifier = trained.classifier()
    assert classifier is not None

    class Stumbling:
        def classify(self, text: str, allowed: frozenset[str]) -> Any:
            if "via" in text:
                raise ArithmeticError
            return classifier.classify(text, allowed)

        def classify_many(self, texts: list[str], allowed: frozenset[str]) -> Any:
            return [self.classify(text, allowed) for text in texts]

    if request.param != "classifier":
        monkeypatch.setattr(trained, "classifier", {"none": lambda: None, "broken": Stumbling}[request.param])
    return str(request.param)


def test_in_bulk_comes_to_the_same_as_one_by_one(
    own_registry: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(own_registry) as admin:
        admin.execute(TROUBLED_RULES)
    file = sample(tmp_path / "archivio.csv", 3_000 if words == "classifier" else 600)
    singly, rejected = one_by_one(file)
    expected = contents(own_registry)
    emptied(own_registry)
    monkeypatch.setattr(report_import, "CHUNK", 700)
    together = imported(file)
    found = contents(own_registry)
    for name, rows in expected.items():
        assert found[name] == rows, name
    assert len(found["report"]) > 400
    names = ("accepted", "duplicate", "outside", "refused", "triage", "rows")
    assert {name: getattr(together, name) for name in names} == {name: getattr(singly, name) for name in names}
    assert together.rejects is not None
    with together.rejects.open(encoding="utf-8-sig", newline="") as rejects:
        assert [row[:2] for row in csv.reader(rejects)][1:] == rejected
    states = {row[1]["triage_reason"] for row in found["report"]}
    assert {"routing.tie", "routing.no_department", "routing.no_crew"} <= states
    assert count(own_registry, "SELECT count(*) FROM report WHERE is_emergency") > 0
    assert count(own_registry, "SELECT count(*) FROM report WHERE NOT is_public") > 0


def test_a_repeat_of_an_imported_report_is_given_a_whole_answer(own_registry: str, tmp_path: Path) -> None:
    file = sample(tmp_path / "archivio.csv", 40)
    one_by_one(file)
    told = _answers(file)
    emptied(own_registry)
    imported(file)
    again = _answers(file)
    assert len(again) > 20
    for reference, answer in again.items():
        assert answer.keys() == told[reference].keys()
        same = answer.keys() - {"id", "number", "receipt_token", "near_duplicates", "department"}
        assert {name: answer[name] for name in same} == {name: told[reference][name] for name in same}
        assert answer["department"]["slug"] == told[reference]["department"]["slug"]
    assert count(own_registry) == len(again)


def _answers(file: Path) -> dict[Any, dict[str, Any]]:
    """The answers to rows handed in once more; only to those that came before."""
    plan = planned(file)
    municipality = view.load().municipality(plan.municipality)
    reader = Reader(plan.columns, plan.categories, plan.source, municipality)
    answers = {}
    for row in plan.file.rows():
        try:
            submission = _submission(reader, row, municipality.id)
            with writing(municipality.id) as session:
                received = receive(session, submission)
        except (LampioneError, ValueError, OverflowError):
            continue
        assert received.is_repeat
        answers[submission.client_reference] = received.answer
    return answers


def test_other_content_under_an_imported_reference_is_a_conflict(own_registry: str, tmp_path: Path) -> None:
    file = plain(tmp_path / "reports.jsonl", 1)
    imported(file)
    plan = planned(file)
    municipality = view.load().municipality("padova")
    reader = Reader(plan.columns, {}, "web", municipality)
    row = next(plan.file.rows())
    other = reader.submission(row, reader.place(row)._replace(lon=11.8769), reader.reference(row))
    with pytest.raises(Conflict), writing(municipality.id) as session:
        receive(session, other)


def test_a_stop_in_the_middle_is_resumed_with_nothing_twice_and_nothing_missing(
    own_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = plain(tmp_path / "reports.jsonl", 100)
    monkeypatch.setattr(report_import, "CHUNK", 10)
    keep, calls = report_import._Intake.keep, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return keep(*arguments)

    monkeypatch.setattr(report_import._Intake, "keep", interrupted)
    stopped = imported(file)
    assert stopped.is_stopped
    assert 30 <= stopped.accepted < 100
    assert count(own_registry) == stopped.accepted
    resumed = imported(file)
    assert (resumed.accepted, resumed.duplicate) == (100 - stopped.accepted, stopped.accepted)
    assert not resumed.is_stopped
    assert count(own_registry) == 100
    assert count(own_registry, "SELECT count(*) FROM timeline_entry") == 200


def test_rows_that_the_database_refuses_harm_only_themselves(own_registry: str, tmp_path: Path) -> None:
    with psycopg.connect(own_registry) as admin:
        admin.execute("ALTER TABLE report ADD CHECK (description NOT LIKE '%numero 77 %')")
        admin.execute("ALTER TABLE report ADD CHECK (lat <> 45.4064 OR description NOT LIKE '%numero 150 %')")
    file = plain(tmp_path / "reports.jsonl", 300)
    done = imported(file)
    assert (done.accepted, done.refused) == (298, 2)
    assert done.rejects is not None
    assert [line.split(",")[0] for line in done.rejects.read_text("utf-8-sig").splitlines()] == ["row", "78", "151"]
    assert count(own_registry) == 298


def test_a_database_that_is_at_fault_itself_refuses_no_row(own_registry: str, tmp_path: Path) -> None:
    with psycopg.connect(own_registry) as admin:
        admin.execute("ALTER TABLE client_request RENAME TO elsewhere")
    with pytest.raises(psycopg.ProgrammingError):
        imported(plain(tmp_path / "reports.jsonl", 3))


def test_two_imports_of_one_file_at_once_take_it_in_once(
    own_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_import, "CHUNK", 100)
    monkeypatch.setattr(bulk, "known", lambda *_: set())
    files = [plain(tmp_path / name, 1_000) for name in ("one.jsonl", "other.jsonl")]
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(imported, files)
    assert one.accepted + other.accepted == 1_000
    assert one.duplicate + other.duplicate == 1_000
    assert count(own_registry) == 1_000
    assert count(own_registry, "SELECT count(DISTINCT report_id) FROM timeline_entry") == 1_000


SLOWLY = """
import sys
from pathlib import Path
from commands import report_import
from commands.report_rows import RowFile
report_import.CHUNK = 100
file = RowFile(Path(sys.argv[1]))
plan = report_import.Plan(file, "padova", {"text": "testo", "lon": "lon", "lat": "lat"})
report_import.import_reports(plan, lambda *_: None)
"""


def test_what_a_killed_import_has_left_is_taken_in_by_the_next(own_registry: str, tmp_path: Path) -> None:
    file = plain(tmp_path / "reports.jsonl", 20_000)
    with subprocess.Popen([sys.executable, "-c", SLOWLY, str(file)], cwd=PROJECT) as process:
        eventually(lambda: count(own_registry) > 300)
        process.kill()
    left = eventually(lambda: count(own_registry))
    assert 300 < left < 20_000
    assert left % 100 == 0
    resumed = imported(file)
    # What the killed one had sent may have been kept after we had counted.
    assert resumed.accepted + resumed.duplicate == 20_000
    assert count(own_registry) == 20_000
    assert count(own_registry, "SELECT count(*) FROM timeline_entry") == 40_000


def test_a_registry_that_moves_meanwhile_is_judged_by_anew(
    own_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = report_import._Intake.keep

    def late(self: Any, batch: Any) -> Any:
        with psycopg.connect(own_registry) as admin:
            admin.execute("UPDATE municipality SET accepts_anonymous = false WHERE slug = 'padova'")
        return keep(self, batch)

    monkeypatch.setattr(report_import._Intake, "keep", late)
    done = imported(plain(tmp_path / "reports.jsonl", 10))
    assert (done.accepted, done.refused) == (0, 10)
    assert count(own_registry) == 0
