"""What the nearest rival was measured to suffer from, each held against this house with real parts.

The rival loses a report when an outside service hangs or its broker is away, keeps zones in memory until it is
restarted, skips rules that fail, opens a connection for each request, asks the database 733 times for a list of 100
reports, lets anyone ask for a page without end, and publishes photos with their GPS.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import psycopg
import pytest
import shapely
from aiosmtpd.controller import Controller
from fastapi.testclient import TestClient
from PIL import Image

from city.database import DirectTransaction, Prepared, provincial, reading, writing
from city.errors import sentence_of
from city.registry import layers, taxonomy, territory, view
from city.registry.layers import ZoneFields
from city.registry.municipality import Registry
from city.reports import photos, trained
from city.reports.routing import route
from city.reports.rules import RuleFields, save_rule
from city.settings import PROJECT, settings
from commands.serving import HOST
from geo.place import Place
from tests.trials import PASSWORD, Postbox, Staffer, any_port, eventually, visiting

COAST: Final = Place(12.9135, 43.9098)
"""In Pesaro's centre."""
PROVINCIAL_ROAD: Final = Place(12.861, 43.8861)
URP: Final = "operatore.urp@pesaro.example.org"
LAMP: Final = "lampione spento davanti al civico 12"
AT_ONCE_SECONDS: Final = 2.0
"""An answer that waited for nothing outside, on a machine with other work; outside may take ten seconds here."""

Start = Callable[..., subprocess.Popen[bytes]]


def report_body(words: str = LAMP, place: Place = COAST, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"lon": place.lon, "lat": place.lat, "description": words, **more}
    if "email" in body:
        body["contact"] = {"email": body.pop("email")}
    return body


def reported(client: httpx.Client, words: str = LAMP, place: Place = COAST, **more: Any) -> Any:
    answer = client.post("/api/v1/reports", json=report_body(words, place, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


def clerk_of(client: TestClient) -> Staffer:
    answer = client.post("/api/v1/session", json={"email": URP, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return Staffer(client, {"Authorization": f"Bearer {answer.json()['token']}"})


@pytest.fixture
def visitor(own_registry: str) -> Iterator[TestClient]:
    """A visitor of a house whose registry the test may change; nobody works in it yet."""
    with visiting() as client:
        yield client


@pytest.fixture
def start(variable: Path) -> Iterator[Start]:
    """Start processes of this program beside the test's own, on the same database; they end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, **environment: str) -> subprocess.Popen[bytes]:
        with (variable / f"process-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", *command],
                stderr=log,
                cwd=PROJECT,
                env=os.environ | environment,
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def no_job_left(url: str) -> bool:
    with psycopg.connect(url) as admin:
        return admin.execute("SELECT state, error FROM job").fetchall() == []


# --- an outside service that hangs ------------------------------------------------------------------------------------


class DeafServer:
    """Accepts every connection and never says a word."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.callers: list[socket.socket] = []
        self._door = socket.create_server((HOST, port), backlog=64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.callers.append(self._door.accept()[0])

    def hang_up(self) -> None:
        """Leave the port to somebody else."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()
        for caller in self.callers:
            caller.close()


@pytest.fixture
def deaf(own_registry: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeafServer]:
    """The mail server of this house, and of everything started in it."""
    with monkeypatch.context() as elsewhere:
        server = DeafServer(any_port())
        elsewhere.setenv("LAMPIONE_MAIL_URL", f"smtp://{HOST}:{server.port}")
        settings.cache_clear()
        yield server
        server.hang_up()
    settings.cache_clear()


def test_a_mail_server_that_hangs_blocks_no_request_and_loses_no_mail(
    deaf: DeafServer, visitor: TestClient, own_registry: str, start: Start
) -> None:
    addresses = [f"anna{number}@example.org" for number in range(8)]
    start(
        "workers",
        LAMPIONE_SLOW_OUTSIDE_SECONDS="1",
        LAMPIONE_WORKER_SHORTEST_WAIT_SECONDS="0.2",
        LAMPIONE_WORKER_LONGEST_WAIT_SECONDS="0.5",
    )
    reports = [reported(visitor, email=addresses[0])]
    eventually(lambda: deaf.callers)
    took: list[float] = []
    for address in addresses[1:]:
        begun = time.monotonic()
        reports.append(reported(visitor, email=address))
        assert visitor.get("/api/v1/reports").status_code == 200
        assert visitor.get("/tiles/reports/15/17559/11943.mvt").status_code == 200
        took.append(time.monotonic() - begun)
    assert max(took) < AT_ONCE_SECONDS

    def tried() -> list[tuple[str, str]]:
        with psycopg.connect(own_registry) as admin:
            return admin.execute("SELECT state, problem FROM delivery WHERE problem IS NOT NULL").fetchall()

    state, problem = eventually(tried)[0]
    assert state == "queued"
    assert "does not answer" in (sentence_of(problem, "en") or "")

    deaf.hang_up()
    box = Postbox()
    server = Controller(box, hostname=HOST, port=deaf.port)
    server.start()
    try:
        eventually(lambda: no_job_left(own_registry))
    finally:
        server.stop()
    assert sorted(str(message["To"]) for message in box.messages) == addresses
    assert sorted(str(message["Subject"]).split()[1] for message in box.messages) == sorted(
        report["number"] for report in reports
    )


# --- a worker that is down --------------------------------------------------------------------------------------------


def test_a_worker_that_is_down_loses_nothing_and_catches_up(
    visitor: TestClient, own_registry: str, start: Start, postbox: Postbox
) -> None:
    addresses = [f"anna{number}@example.org" for number in range(40)]
    for address in addresses:
        assert reported(visitor, email=address)["state"] == "assigned", "routed without any worker"
    with_photo = visitor.post(
        "/api/v1/reports",
        data={"description": LAMP, "lon": str(COAST.lon), "lat": str(COAST.lat)},
        files={"photos": ("photo.jpg", _photo_with_gps(), "image/jpeg")},
    )
    assert with_photo.status_code == 201, with_photo.text
    assert postbox.messages == []
    first = start("workers")
    eventually(lambda: len(postbox.messages) >= 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    start("workers")
    eventually(lambda: no_job_left(own_registry))
    told = Counter(str(message["To"]) for message in postbox.messages)
    assert sorted(told) == sorted(addresses)
    assert len({str(message["Message-ID"]) for message in postbox.messages}) == len(addresses), (
        "a mail that was repeated after the crash is known as the same one"
    )
    assert sum(told.values()) - len(addresses) <= 4, "at most what the dead worker had in hand"
    with psycopg.connect(own_registry) as admin:
        assert admin.execute("SELECT DISTINCT state FROM delivery").fetchall() == [("sent",)]
        assert admin.execute("SELECT state FROM photo").fetchall() == [("ready",)]


# --- zones and rules edited at run time -------------------------------------------------------------------------------


@pytest.fixture
def neighbour(own_registry: str, start: Start) -> Iterator[httpx.Client]:
    """Another process of the same house, over real HTTP."""
    port = any_port()
    start("uvicorn", "--factory", "api.app:create_app", "--port", str(port), "--log-level", "warning")
    with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=20) as client:

        def answers() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return client.get("/health/ready").status_code == 200
            return False

        eventually(answers)
        yield client


def square(place: Place, degrees: float = 0.002) -> shapely.Polygon:
    return shapely.box(place.lon - degrees, place.lat - degrees, place.lon + degrees, place.lat + degrees)


def put_trial_zones(*zones: ZoneFields) -> None:
    with provincial() as session:
        layer = layers.put_layer(session, "pesaro", "trial", name_it="Prova", name_en="Trial")
        layers.put_zones(session, layer, zones)


def put_rule(department: str, rule_id: int | None = None, **more: Any) -> int:
    with provincial() as session:
        return save_rule(session, "pesaro", RuleFields(department, **more), rule_id=rule_id).id


def test_zones_and_rules_edited_at_run_time_count_at_once_in_every_process(
    visitor: TestClient, neighbour: httpx.Client
) -> None:
    def departments() -> list[str]:
        """Where the very next report of each process goes."""
        words = "buca profonda in viale Trieste"
        return [reported(client, words, category="pothole")["department"]["slug"] for client in (visitor, neighbour)]

    assert departments() == ["public-works"] * 2
    put_trial_zones(ZoneFields("park", "Parco", square(COAST)))
    assert departments() == ["public-works"] * 2
    seen = reported(neighbour, category="pothole")
    assert {"layer": "trial", "code": "park", "name": "Parco"} in seen["zones"], "the new zone counts already"

    rule = put_rule("green", category="pothole", layer="trial", zone="park")
    assert departments() == ["green"] * 2
    put_rule("environment", rule, category="pothole", layer="trial", zone="park")
    assert departments() == ["environment"] * 2
    version = reported(neighbour, category="pothole")["department"]["reason"]["version"]
    assert version == 2, "the report remembers which version of the rule it met"

    put_trial_zones(ZoneFields("park", "Parco", square(PROVINCIAL_ROAD)))
    assert departments() == ["public-works"] * 2
    with provincial() as session:
        pesaro = territory.home(session, "pesaro")
        taxonomy.put_override(session, pesaro.id, "pothole", is_active=False)
    for client in (visitor, neighbour):
        answer = client.post("/api/v1/reports", json=report_body(category="pothole"))
        assert (answer.status_code, answer.json()["field"]) == (422, "category")


def test_a_municipality_that_joins_is_served_at_once_by_every_process(
    visitor: TestClient, neighbour: httpx.Client
) -> None:
    sea = Place(13.3, 43.95)
    for client in (visitor, neighbour):
        assert client.post("/api/v1/reports", json=report_body(place=sea)).status_code == 422
    with provincial() as session:
        island = territory.create_municipality(session, territory.MunicipalityFields("Isola Nuova", "isola"))
        territory.put_boundary(session, island, square(sea))
        for slug in ("waste-operator", "water-operator"):
            territory.put_department(session, island.id, territory.DepartmentFields(slug, slug, slug))
    for client in (visitor, neighbour):
        assert reported(client, place=sea)["municipality"]["slug"] == "isola"


# --- a rule that fails is loud ----------------------------------------------------------------------------------------


def assert_waits_for_a_person(client: TestClient, report: dict[str, Any], problem: str, words: str) -> dict[str, Any]:
    assert (report["state"], report["triage_reason"]) == ("triage", problem)
    assert report["department"]["slug"] == "urp", "the front desk takes it"
    assert report["department"]["reason"]["problem"] == problem
    clerk = clerk_of(client)
    listed = {row["id"]: row["triage_reason"] for row in clerk.get("/reports", state="triage")["reports"]}
    assert listed[report["id"]] == problem
    timeline = clerk.get(f"/reports/{report['id']}")["timeline"]
    assert (timeline[1]["what"], timeline[1]["details"]["triage_reason"]) == ("triage", problem)
    facts: dict[str, Any] = timeline[1]["details"]["routing"]["facts"]
    assert words in str(facts)
    return facts


def test_a_rule_that_names_a_deleted_department_is_loud(visitor: TestClient, own_registry: str) -> None:
    assert reported(visitor, category="water-leak")["department"]["slug"] == "water-operator"
    with psycopg.connect(own_registry) as admin:
        admin.execute("DELETE FROM report")
        admin.execute(
            "DELETE FROM department USING municipality WHERE department.slug = 'water-operator'"
            " AND municipality.id = department.municipality_id AND municipality.slug = 'pesaro'"
        )
    report = reported(visitor, category="water-leak")
    facts = assert_waits_for_a_person(visitor, report, "routing.no_department", "water-operator")
    assert facts["missing_department"] == "water-operator"
    assert report["department"]["reason"]["rule"] is not None, "and which rule it was"


def test_rules_that_tie_after_a_zone_was_edited_are_loud(visitor: TestClient) -> None:
    away = Place(COAST.lon - 0.01, COAST.lat)
    put_trial_zones(ZoneFields("park", "Parco", square(COAST)), ZoneFields("school", "Scuola", square(away)))
    park = put_rule("green", category="pothole", layer="trial", zone="park")
    school = put_rule("environment", category="pothole", layer="trial", zone="school")
    assert reported(visitor, category="pothole")["department"]["slug"] == "green"
    put_trial_zones(ZoneFields("park", "Parco", square(COAST)), ZoneFields("school", "Scuola", square(COAST, 0.01)))
    facts = assert_waits_for_a_person(visitor, reported(visitor, category="pothole"), "routing.tie", "trial/park")
    assert sorted(facts["tied_rules"]) == sorted([park, school])
    put_rule("environment", school, category="pothole", layer="trial", zone="school", priority=5)
    mended = reported(visitor, category="pothole")
    assert (mended["state"], mended["department"]["slug"]) == ("assigned", "environment")


def test_days_and_times_of_a_rule_are_both_the_municipalitys(database: str) -> None:
    pesaro = view.held().municipality("pesaro")
    light = pesaro.category("traffic-light")

    def department(moment: str) -> str:
        return route(pesaro, light, [], datetime.fromisoformat(moment)).department.slug

    monday = datetime(2026, 11, 23, 7, 30, tzinfo=ZoneInfo("Europe/Rome"))
    assert monday.isoweekday() == 1
    assert department("2026-11-23T06:29:00+00:00") == "local-police", "07:29 on Monday in Pesaro"
    assert department("2026-11-23T06:30:00+00:00") == "public-works", "07:30"
    assert department("2026-07-20T05:30:00+00:00") == "public-works", "07:30 in summer"
    assert department("2026-11-23T16:30:00+00:00") == "local-police", "17:30"
    assert department("2026-11-22T23:30:00-08:00") == "public-works", "Sunday in California is Monday here"
    assert department("2026-11-21T09:00:00+00:00") == "local-police", "Saturday"


# --- pages, statements, connections -----------------------------------------------------------------------------------


def test_page_sizes_are_bounded(client: TestClient, signed_in: Callable[[str], Staffer]) -> None:
    clerk = signed_in(URP)
    for _ in range(130):
        reported(client)
    for path, default, most in (
        ("/api/v1/reports", 100, 500),
        ("/api/v1/reports.geojson", 100, 500),
        ("/api/v1/desk/reports", 50, 200),
    ):
        for limit in ("100000", str(most + 1), "0", "-1", "1e9", "NaN", "9" * 40):
            answer = client.get(path, params={"limit": limit}, headers=clerk.headers)
            assert answer.status_code == 422, (path, limit)
            assert answer.json()["field"] == "limit"
        page = client.get(path, headers=clerk.headers).json()
        assert len(page.get("reports") or page.get("features")) == default
        numbers: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(3):
            answer = client.get(path, params={"limit": "60", **cursor}, headers=clerk.headers).json()
            numbers += [row.get("number") or row["id"] for row in answer.get("reports") or answer.get("features")]
            cursor = {"cursor": answer["next"]}
        assert answer["next"] is None
        assert len(numbers) == len(set(numbers)) == 130, "every report on exactly one page"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the database through psycopg from here on."""
    asked: list[str] = []

    def spied(method: Callable[..., Any]) -> Callable[..., Any]:
        def ask(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if not str(query).startswith("NOTIFY"):  # another thread's, now and then
                asked.append(str(query))
            return method(cursor, query, *arguments, **options)

        return ask

    for name in ("execute", "executemany"):
        monkeypatch.setattr(psycopg.Cursor, name, spied(getattr(psycopg.Cursor, name)))
    for kind, name in ((DirectTransaction, "_say"), (Prepared, "first")):
        monkeypatch.setattr(kind, name, spied(getattr(kind, name)))
    return asked


@pytest.mark.parametrize(
    ("path", "most"), [("/api/v1/reports", 2), ("/api/v1/reports.geojson", 2), ("/api/v1/desk/reports", 8)]
)
def test_a_list_of_a_hundred_reports_takes_a_fixed_small_number_of_statements(
    client: TestClient, signed_in: Callable[[str], Staffer], statements: list[str], path: str, most: int
) -> None:
    headers = signed_in(URP).headers
    first = reported(client)
    for number in range(99):
        category = ("pothole", "lamp-out", "graffiti", "bin-full")[number % 4]
        reported(client, category=category, email=f"anna{number}@example.org")

    def asked(limit: int) -> list[str]:
        statements.clear()
        answer = client.get(path, params={"limit": limit}, headers=headers)
        rows = answer.json().get("reports") or answer.json()["features"]
        assert len(rows) == limit
        return list(statements)

    asked(1)
    one, ten, hundred = asked(1), asked(10), asked(100)
    assert one == ten == hundred
    assert 1 <= len(hundred) <= most, hundred
    assert first["number"] in client.get(path, params={"limit": 100}, headers=headers).text


def test_a_report_takes_few_statements(client: TestClient, statements: list[str]) -> None:
    reported(client, email="anna@example.org")
    statements.clear()
    reported(client, email="anna@example.org")
    assert 1 <= len(statements) <= 4, statements


def test_connections_are_kept(client: TestClient, database: str, worker: object, postbox: Postbox) -> None:
    assert worker

    def backends() -> set[int]:
        with psycopg.connect(database) as admin:
            found = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'lampione%'"
            )
            return {pid for (pid,) in found}

    def busy(turns: int) -> None:
        for number in range(turns):
            reported(client, email=f"anna{number}@example.org")
            assert client.get("/api/v1/reports", params={"limit": 5}).status_code == 200
            assert client.get("/tiles/reports/15/17559/11943.mvt").status_code == 200
        eventually(lambda: no_job_left(database))

    busy(10)
    before = backends()
    sent = len(postbox.messages)
    busy(50)
    after = backends()
    assert len(postbox.messages) - sent == 50
    assert before <= after, "none was closed"
    assert len(after - before) <= 3, "150 requests and 50 jobs; a thread may just have made its first connection"


# --- photos -----------------------------------------------------------------------------------------------------------


def _photo_with_gps() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (43.0, 54.0, 35.28), 3: "E", 4: (12.0, 54.0, 48.6)})
    written = io.BytesIO()
    Image.new("RGB", (800, 600), "#556b2f").save(written, "JPEG", exif=exif)
    assert b"Exif" in written.getvalue()
    return written.getvalue()


def hand_in_photo(client: TestClient, photo: bytes, name: str = "photo.jpg") -> httpx.Response:
    form = {"description": LAMP, "lon": str(COAST.lon), "lat": str(COAST.lat)}
    answer: httpx.Response = client.post("/api/v1/reports", data=form, files={"photos": (name, photo)})
    return answer


def test_the_gps_of_a_photo_never_leaves(visitor: TestClient, variable: Path) -> None:
    report = hand_in_photo(visitor, _photo_with_gps(), "../../Anna's house 43.9098.jpg").json()
    municipality = view.held().municipality("pesaro").id
    photo_id = report["photos"][0]["id"]
    urls = [
        f"/api/v1/photos/{photo_id}/large",
        f"/api/v1/reports/{report['number']}/receipt/photos/{photo_id}/large",
        f"/api/v1/desk/reports/{report['id']}/photos/{photo_id}/large",
        f"/intake/{municipality}/{photo_id}",
        f"/photos/{municipality}/{photo_id}/large.jpg",
        f"/static/../photos/{municipality}/{photo_id}/large.jpg",
    ]
    clerk = clerk_of(visitor)
    headers = clerk.headers | {"Receipt-Token": report["receipt_token"]}
    assert [visitor.get(url, headers=headers).status_code for url in urls] == [404] * 6, "nothing before it is clean"
    with writing(municipality) as session:
        assert photos.develop(session, municipality, report["id"]) == 1
    clerk.change("PUT", report["id"], "publication", {"public_description": None, "photos": [photo_id]})
    answers = [visitor.get(url, headers=headers) for url in urls]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 404, 404]
    for answer in answers[:3]:
        assert b"Exif\0\0" not in answer.content
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert not picture.getexif().get_ifd(0x8825)
    kept = [path for path in (variable / "photos").rglob("*") if path.is_file() and photo_id in str(path)]
    assert len(kept) == 3
    assert not [path for path in kept if b"Exif\0\0" in path.read_bytes()], "nor does it stay in the house"
    for url in (f"/api/v1/reports/{report['number']}", "/api/v1/reports.geojson"):
        answer = visitor.get(url)
        assert "house" not in answer.text, "the file's own name is nobody's business either"


def png_of(side: int) -> bytes:
    """A square PNG of one bit a pixel, all black: tiny as a file, huge as a picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_of_169_megapixels_is_refused_at_once(client: TestClient, database: str) -> None:
    bomb = png_of(13_000)
    assert len(bomb) < 170_000
    begun = time.monotonic()
    answer = hand_in_photo(client, bomb, "photo.png")
    assert time.monotonic() - begun < AT_ONCE_SECONDS
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/too-large"
    assert "50" in answer.json()["detail"], "it says how large a photo may be"
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM report").fetchone() == (0,)
    assert hand_in_photo(client, png_of(1_000), "photo.png").status_code == 201


# --- the classifier ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bare_house(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A house whose files are all gone."""

    def forget() -> None:
        settings.cache_clear()
        trained.forget()
        photos.store.cache_clear()

    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LAMPIONE_VAR", str(tmp_path))
        forget()
        yield tmp_path / "classifier.npz"
    forget()


def _cut(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2])


def _scratched(path: Path, whole: bytes) -> None:
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(4000) + whole[middle + 4000 :])


def _foreign(path: Path, _whole: bytes) -> None:
    np.savez(path, weights=np.zeros(3))


def _pickled(path: Path, _whole: bytes) -> None:
    np.savez(path, weights=np.array([{"import": "os"}], dtype=object))


BROKEN: Final[dict[str, Callable[[Path, bytes], object]]] = {
    "missing": lambda _path, _whole: None,
    "empty": lambda path, _whole: path.touch(),
    "noise": lambda path, _whole: path.write_bytes(b"\x93NUMPY" + bytes(range(256)) * 40),
    "a folder": lambda path, _whole: path.mkdir(),
    "cut": _cut,
    "scratched": _scratched,
    "foreign": _foreign,
    "pickled": _pickled,
}


@pytest.mark.parametrize("harm", BROKEN)
def test_a_classifier_that_is_missing_or_broken_refuses_no_report(bare_house: Path, harm: str) -> None:
    whole = (PROJECT / "var" / "test" / "classifier.npz").read_bytes()
    BROKEN[harm](bare_house, whole)
    trained.forget()
    with visiting() as client:
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["classifier"]) == (200, False)
        report = reported(client)
        assert report["state"] == "triage"
        assert report["triage_reason"] in {"triage.no_classifier", "triage.classifier_failed"}
        assert (report["category"]["slug"], report["category"]["decided_by"]) == ("other", "nobody")
        assert reported(client, category="lamp-out")["state"] == "assigned", "what the citizen chose needs no guess"
        asked = {"lon": COAST.lon, "lat": COAST.lat, "text": "palo caduto, fili scoperti"}
        suggested = client.post("/api/v1/suggestions", json=asked)
        assert suggested.status_code == 200
        assert suggested.json()["suggestions"] == []
        assert suggested.json()["emergency"]["call"] == "112", "danger is known without it"
        row = clerk_of(client).get(f"/reports/{report['id']}")
        assert row["triage_reason"] == report["triage_reason"]


def test_a_classifier_that_comes_back_is_used_without_a_restart(bare_house: Path) -> None:
    with visiting() as client:
        assert reported(client)["state"] == "triage"
        bare_house.write_bytes((PROJECT / "var" / "test" / "classifier.npz").read_bytes())
        found = eventually(lambda: (seen := reported(client))["state"] == "assigned" and seen, seconds=5)
        assert (found["category"]["slug"], found["category"]["decided_by"]) == ("lamp-out", "classifier")


def test_a_registry_that_changes_all_the_time_keeps_no_report_out(
    client: TestClient, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = view.load()
    looks = 0

    def always_behind(_version: int) -> Registry:
        nonlocal looks
        looks += 1
        with psycopg.connect(database, autocommit=True) as administrator:
            administrator.execute("UPDATE registry_version SET version = version + 1")
        return stale

    with psycopg.connect(database, autocommit=True) as administrator:
        administrator.execute("UPDATE registry_version SET version = version + 1")
    monkeypatch.setattr(view, "at_version", always_behind)
    report = {"lon": 12.9135, "lat": 43.9098, "description": "lampione spento", "category": "lamp-out"}
    answer = client.post("/api/v1/reports", json=report)
    assert answer.status_code == 201, answer.text
    assert looks > 1


def test_the_registry_can_be_read_anew_while_every_thread_is_in_a_transaction(database: str) -> None:
    with ExitStack() as full_house:
        for _ in range(settings().threads):
            full_house.enter_context(reading(1))
        assert view.load().municipalities
