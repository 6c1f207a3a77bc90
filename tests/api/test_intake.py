"""What comes in wrong is refused with a sentence that helps, in the visitor's language, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.app import create_app
from tests.conftest import REPORT_TABLES

STREET = {"lon": 12.9135, "lat": 43.9098}
LAMP = STREET | {"description": "Lampione spento davanti al civico 12"}
PDF = b"%PDF-1.7\n1 0 obj\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def picture() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (32, 24), "orange").save(kept, "JPEG")
    return kept.getvalue()


JPEG = picture()


@pytest.fixture
def kept(database: str, variable: Path) -> Callable[[], dict[str, int]]:
    """Counts all that a report could leave behind: rows and files."""

    def count() -> dict[str, int]:
        with psycopg.connect(database) as admin:
            rows = {
                table: admin.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[index]
                for table in REPORT_TABLES.split(", ")
            }
        files = sum(1 for path in (variable / "photos").rglob("*") if path.is_file())
        return rows | {"files": files}

    return count


@pytest.fixture
def refused(client: TestClient, kept: Callable[[], dict[str, int]]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Send something wrong: the problem it leads to, said in both languages; at the end nothing has been kept."""
    before = kept()

    def send(status: int, field: str | None, method: str = "POST", path: str = "/api/v1/reports", **how: Any) -> Any:
        headers = how.pop("headers", {})
        english, italian = (
            client.request(method, path, headers=headers | {"Accept-Language": language}, **how)
            for language in ("en-GB,en;q=0.9", "it-IT,it;q=0.9,en;q=0.5")
        )
        for answer in (english, italian):
            assert answer.status_code == status, f"{path}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == status
            assert problem["type"].startswith("/problems/")
            assert unquote(problem["instance"]) == unquote(path.split("?", maxsplit=1)[0])
            assert problem.get("field") == field, problem
            assert len(problem["detail"]) > 10
        assert english.headers["content-language"] == "en"
        assert italian.headers["content-language"] == "it"
        assert english.json()["title"] != italian.json()["title"]
        assert english.json()["detail"] != italian.json()["detail"], english.json()["detail"]
        return english.json()

    yield send
    assert kept() == before


@pytest.fixture
def accepted(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Send something unusual that is right: the answer."""

    def send(**how: Any) -> dict[str, Any]:
        answer = client.post("/api/v1/reports", **how)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return send


Refused = Callable[..., dict[str, Any]]
Accepted = Callable[..., dict[str, Any]]

PLACES: list[tuple[dict[str, Any], str, str]] = [
    ({"lon": 43.9098, "lat": 12.9135}, "place", "swapped"),
    ({"lon": 0, "lat": 0}, "place", "Atlantic"),
    ({"lon": 9.19, "lat": 45.4642}, "place", "nearest one is Padova"),
    ({"lon": 12.9135, "lat": 91}, "lat", "91"),
    ({"lon": -180.5, "lat": 43.9}, "lon", "-180.5"),
    ({"lon": 1e300, "lat": 43.9}, "lon", "coordinate"),
    ({"lon": "12.9135", "lat": 43.9098}, "lon", "number"),
    ({"lon": True, "lat": 43.9098}, "lon", "number"),
    ({"lon": None, "lat": 43.9098}, "place", "lon and lat"),
    ({"lat": 43.9098}, "place", "lon and lat"),
    ({}, "place", "lon and lat"),
    ({"place": {"type": "Point", "coordinates": [43.9098, 12.9135]}}, "place", "swapped"),
    ({"place": {"type": "Point", "coordinates": [12.9]}}, "place.coordinates", "too few"),
    ({"place": {"type": "Point", "coordinates": [12.9, 43.9, 5, 6]}}, "place.coordinates", "too many"),
    ({"place": {"type": "Point", "coordinates": "12.9,43.9"}}, "place.coordinates", "list"),
    ({"place": {"type": "Polygon", "coordinates": [12.9, 43.9]}}, "place.type", "Point"),
    ({"place": {"coordinates": [12.9, 43.9]}}, "place.type", "missing"),
    ({"place": "12.9 43.9"}, "place", "object"),
    ({"place": [12.9, 43.9]}, "place", "object"),
]


@pytest.mark.parametrize(("place", "field", "word"), PLACES, ids=lambda value: json.dumps(value)[:50])
def test_a_place_that_cannot_be_right(refused: Refused, place: dict[str, Any], field: str, word: str) -> None:
    problem = refused(422, field, json={"description": "Lampione spento", **place})
    assert word in problem["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_are_none(refused: Refused, number: str) -> None:
    body = f'{{"lon": {number}, "lat": 43.9098, "description": "Lampione spento"}}'
    problem = refused(422, "lon" if number != "unparsable" else "body", content=body, headers=JSON)
    assert "number" in problem["detail"] or "coordinate" in problem["detail"]


JSON = {"Content-Type": "application/json"}


def test_a_geojson_point_may_carry_an_altitude(accepted: Accepted) -> None:
    point = {"type": "Point", "coordinates": [STREET["lon"], STREET["lat"], 11.5]}
    assert accepted(json={"description": "Lampione spento", "place": point})["place"] == STREET


TEXTS: list[tuple[Any, int, str, str]] = [
    ("", 422, "description", "missing"),
    (" \n\t ", 422, "description", "missing"),
    (None, 422, "description", "text"),
    (7, 422, "description", "text"),
    ("a" * 4001, 413, "description", "4000"),
    ("a" * 10_000_000, 413, None, "4000"),
    ("lampione\0spento", 422, "description", "control characters"),
    ("lampione \x1b[31mspento", 422, "description", "control characters"),
    ("lampione \x85 spento", 422, "description", "control characters"),
    ("lampione \x7f spento", 422, "description", "control characters"),
]


@pytest.mark.parametrize(("text", "status", "field", "word"), TEXTS, ids=lambda value: ascii(value)[:24])
def test_a_text_that_nobody_can_read(refused: Refused, text: Any, status: int, field: str, word: str) -> None:
    problem = refused(status, field, json=STREET | {"description": text})
    assert word in problem["detail"]


def test_a_missing_text(refused: Refused) -> None:
    assert "required" in refused(422, "description", json=STREET)["detail"]


@pytest.mark.parametrize("path", ["/api/v1/reports", "/api/v1/suggestions"])
def test_a_lone_surrogate(refused: Refused, path: str) -> None:
    name = "text" if path.endswith("suggestions") else "description"
    body = f'{{"lon": 12.9135, "lat": 43.9098, "{name}": "lampione \\ud800 spento"}}'
    refused(422, "text" if name == "text" else "body", path=path, content=body, headers=JSON)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 4000,
        "💡 lampione spento 🙏🏽👩‍👩‍👧",
        "المصباح مطفأ أمام المدرسة",
        "הפנס כבוי",
        "e\u0301 buio pesto",
        "prima riga\nseconda\triga\r\nterza",
        "\u200flampione\u200e",
        "%s %(id)s {value} ' \" ; -- <script>",
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_any_script_is_welcome(accepted: Accepted, client: TestClient, text: str) -> None:
    report = accepted(json=STREET | {"description": text})
    seen = client.get(
        f"/api/v1/reports/{report['number']}/receipt", headers={"Receipt-Token": report["receipt_token"]}
    ).json()
    assert seen["description"].replace("\u0301", "") in {text, text.replace("e\u0301", "é")}


FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"category": "dragons"}, "category", "dragons"),
    ({"category": "Buca grande"}, "category", "form"),
    ({"categoria": "pothole"}, "categoria", "no such field"),
    ({"contact": {"mail": "a@example.org"}}, "contact.mail", "no such field"),
    ({"contact": {"email": "nessuno"}}, "contact.email", "e-mail"),
    ({"contact": {"email": "a@b"}}, "contact.email", "e-mail"),
    ({"contact": {"email": "a b@example.org"}}, "contact.email", "e-mail"),
    ({"contact": {"email": "a@example.org\r\nBcc: all@example.org"}}, "contact.email", "control"),
    ({"contact": {"email": "a@example.org\u2028Bcc: all@example.org"}}, "contact.email", "control"),
    ({"contact": {"email": "a@example.org, b@example.org"}}, "contact.email", "e-mail"),
    ({"contact": {"name": "Anna\r\nBcc: all@example.org"}}, "contact.name", "control"),
    ({"contact": {"name": "Anna\x85Bcc"}}, "contact.name", "control"),
    ({"contact": {"phone": "chiamami"}}, "contact.phone", "form"),
    ({"contact": "anna@example.org"}, "contact", "object"),
    ({"contact": None}, "contact", "object"),
    ({"client_reference": "12"}, "client_reference", "UUID"),
    ({"client_reference": 12}, "client_reference", "UUID"),
    ({"occurred_at": "2026-11-20T09:00:00"}, "occurred_at", "zone"),
    ({"occurred_at": "ieri"}, "occurred_at", "ISO 8601"),
    ({"occurred_at": 5}, "occurred_at", "ISO 8601"),
    ({"occurred_at": "2999-01-01T00:00:00+00:00"}, "occurred_at", "future"),
    ({"occurred_at": "9998-12-31T23:59:59-14:00"}, "occurred_at", "future"),
    ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at", "ISO 8601"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at", "ISO 8601"),
    ({"occurred_at": "1899-12-31T23:59:59Z"}, "occurred_at", "long ago"),
    ({"answers": ["yes"]}, "answers", "object"),
    ({"answers": {"a": 1}}, "answers.a", "text"),
    ({"answers": {"dove": "qui\0"}}, "answers.dove", "control"),
    ({"answers": {"do\0ve": "qui"}}, "answers", "control"),
    ({"answers": {"dove": "x" * 4001}}, "answers.dove", "4000"),
    ({"answers": {str(n): "x" for n in range(51)}}, "answers", "too many"),
    ({"category": "pothole", "answers": {"colour": "blue"}}, "answers.colour", "no question"),
    ({"address": "via Roma\0"}, "address", "control"),
    ({"address": "x" * 201}, "address", "200"),
    ({"source": "telepathy"}, "source", "one of these"),
    ({"language": "de"}, "language", "one of these"),
]


@pytest.mark.parametrize(("wrong", "field", "word"), FIELDS, ids=lambda value: json.dumps(value)[:50])
def test_a_field_that_cannot_be_right(refused: Refused, wrong: dict[str, Any], field: str, word: str) -> None:
    status = 413 if word in {"200", "4000"} else 422
    problem = refused(status, field, json=LAMP | wrong)
    assert word in problem["detail"]


def test_an_answer_that_is_not_to_choose(refused: Refused, client: TestClient) -> None:
    offered = client.get("/api/v1/categories", params={"municipality": "pesaro"}).json()["categories"]
    category, question = next(
        (category["slug"], question["key"])
        for category in offered
        for question in category["questions"]
        if question["choices"]
    )
    problem = refused(
        422, f"answers.{question}", json=LAMP | {"category": category, "answers": {question: "who knows"}}
    )
    assert "who knows" in problem["detail"]


def test_the_address_written_in_capitals_and_spaces_is_trimmed_not_refused(accepted: Accepted, database: str) -> None:
    report = accepted(json=LAMP | {"contact": {"email": "  anna@example.org\n", "name": " Anna "}})
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT email, name FROM reporter WHERE report_id = %s", (report["id"],)).fetchone()
    assert row == ("anna@example.org", "Anna")


BODIES: list[tuple[bytes, int, str | None]] = [
    (b"", 422, "body"),
    (b"{", 422, "body"),
    (b"[]", 422, "body"),
    (b'"text"', 422, "body"),
    (b"null", 422, "body"),
    (b"\xff\xfe{}", 422, "body"),
    (b"[" * 100_000, 422, "body"),
    (b'{"lon":' * 20_000, 422, "body"),
    (b'{"description": "' + b"a" * 300_000 + b'"}', 413, None),
]


@pytest.mark.parametrize(("body", "status", "field"), BODIES, ids=lambda value: ascii(value)[:24])
def test_a_body_that_is_no_report(refused: Refused, body: bytes, status: int, field: str | None) -> None:
    refused(status, field, content=body, headers=JSON)


@pytest.mark.parametrize("path", ["/api/v1/suggestions", "/api/v1/session"])
def test_other_bodies_that_are_none(refused: Refused, path: str) -> None:
    for body in (b"{", b"[]"):
        refused(422, "body", path=path, content=body, headers=JSON)
    for body in (b"[" * 100_000, b"\xff"):
        refused(400, None, path=path, content=body, headers=JSON)
    refused(413, None, path=path, content=b" " * 300_000, headers=JSON)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_a_content_type_that_we_do_not_read(refused: Refused, kind: str) -> None:
    problem = refused(415, None, content=json.dumps(LAMP), headers={"Content-Type": kind})
    assert "multipart/form-data" in problem["detail"]


def test_a_body_larger_than_the_limit_is_not_read_to_its_end() -> None:
    pieces = 0
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 10_000, "more_body": pieces < 400}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/reports",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    asyncio.run(create_app()(scope, receive, send))
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["type"] == "/problems/too-large"
    assert pieces < 30


def test_a_body_that_says_it_is_too_large_is_refused_at_once(refused: Refused) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(10**12)}
    refused(413, None, content=b"", headers=headers)


FLAT = {"lon": "12.9135", "lat": "43.9098", "description": "Lampione spento davanti al civico 12"}


def form(*photos: bytes, **fields: str) -> dict[str, Any]:
    files: list[tuple[str, Any]] = [("photos", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
    return {"files": [*files, *((name, (None, value)) for name, value in fields.items())]}


PHOTOS: list[tuple[list[bytes], int, str]] = [
    ([PDF], 415, "PDF"),
    ([b"hello"], 415, "no photo"),
    ([b""], 415, "empty"),
    ([HEIC], 415, "HEIC"),
    ([JPEG[: len(JPEG) // 2]], 415, "damaged"),
    ([JPEG, JPEG, PDF], 415, "PDF"),
    ([JPEG] * 7, 413, "at most 6"),
    ([JPEG] * 12, 413, "at most 6"),
    ([JPEG + bytes(21 * 1024 * 1024)], 413, "20 MB"),
]


@pytest.mark.parametrize(("photos", "status", "word"), PHOTOS, ids=lambda value: ascii(value)[:16])
def test_a_file_that_is_no_photo(refused: Refused, photos: list[bytes], status: int, word: str) -> None:
    problem = refused(status, "photos", **form(*photos, **FLAT))
    assert word in problem["detail"]


def test_a_good_photo_is_not_kept_with_a_report_that_is_refused(refused: Refused) -> None:
    refused(422, "category", **form(JPEG, **FLAT, category="dragons"))
    refused(422, "place", **form(JPEG, **(FLAT | {"lon": "0", "lat": "0"})))


FORMS: list[tuple[dict[str, str], int, str | None, str]] = [
    (FLAT | {"lon": "east"}, 422, "lon", "number"),
    (FLAT | {"lon": "nan"}, 422, "lon", "finite"),
    (FLAT | {"description": ""}, 422, "description", "required"),
    (FLAT | {"descrizione": "ciao"}, 422, "descrizione", "no such field"),
    (FLAT | {"email": "nessuno"}, 422, "contact.email", "e-mail"),
    (FLAT | {"answers": "{"}, 422, "answers", "JSON"),
    (FLAT | {"place": "qui"}, 422, "place", "JSON"),
    (FLAT | {"description": "a" * 4001}, 413, "description", "4000"),
    (FLAT | {"description": "a" * 10_000_000}, 413, None, "too large"),
    ({"report": "{"}, 422, "body", "JSON"),
    ({"report": json.dumps(LAMP | {"lon": "12"})}, 422, "lon", "number"),
    ({}, 422, "description", "required"),
]


@pytest.mark.parametrize(("fields", "status", "field", "word"), FORMS, ids=lambda value: ascii(value)[:40])
def test_a_form_that_is_filled_in_wrong(
    refused: Refused, fields: dict[str, str], status: int, field: str | None, word: str
) -> None:
    problem = refused(status, field, **form(JPEG, **fields))
    assert word in problem["detail"]


def test_a_form_without_boundary(refused: Refused) -> None:
    refused(400, None, content=b"--x--", headers={"Content-Type": "multipart/form-data"})


def test_a_form_with_one_field_each(accepted: Accepted) -> None:
    report = accepted(**form(JPEG, **FLAT, email="anna@example.org", client_reference=str(uuid4())))
    assert report["place"] == STREET
    assert len(report["photos"]) == 1


def test_a_form_with_one_field_for_all(accepted: Accepted) -> None:
    report = accepted(**form(JPEG, JPEG, report=json.dumps(LAMP)))
    assert report["place"] == STREET
    assert len(report["photos"]) == 2


def test_a_form_with_place_and_answers_as_json(accepted: Accepted) -> None:
    point = json.dumps({"type": "Point", "coordinates": [STREET["lon"], STREET["lat"]]})
    assert accepted(**form(place=point, description="Lampione spento", answers="{}"))["place"] == STREET


def test_a_repeat_keeps_one_report_and_its_photos_once(client: TestClient, kept: Callable[[], dict[str, int]]) -> None:
    reference = str(uuid4())
    first = client.post("/api/v1/reports", **form(JPEG, **FLAT, client_reference=reference))
    after_first = kept()
    again = client.post("/api/v1/reports", **form(JPEG, **FLAT, client_reference=reference))
    assert (first.status_code, again.status_code) == (201, 200)
    assert kept() == after_first
    changing = ("photos",)
    assert {k: v for k, v in first.json().items() if k not in changing} == {
        k: v for k, v in again.json().items() if k not in changing
    }
    other = client.post("/api/v1/reports", json=LAMP | {"client_reference": reference})
    assert (other.status_code, other.json()["field"]) == (409, "client_reference")
    assert kept() == after_first


QUERIES: list[tuple[str, str]] = [
    ("bbox=1,2,3", "bbox"),
    ("bbox=a,b,c,d", "bbox"),
    ("bbox=13,43,12,44", "bbox"),
    ("bbox=nan,43,12,44", "bbox"),
    ("bbox=-181,43,12,44", "bbox"),
    ("bbox=1e999,43,1e999,44", "bbox"),
    ("bbox=", "bbox"),
    ("cursor=garbage", "cursor"),
    ("cursor=%00", "cursor"),
    ("cursor=bnVsbA", "cursor"),
    ("cursor=W10", "cursor"),
    ("cursor=WyIyMDI2LTAxLTAxIiwgInkiXQ", "cursor"),
    ("cursor=%F0%9F%92%A1", "cursor"),
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("limit=-1", "limit"),
    ("limit=ten", "limit"),
    ("limit=" + "9" * 5000, "limit"),
    ("created_from=2026-01-01T00:00:00", "created_from"),
    ("created_from=2026-01-01", "created_from"),
    ("created_until=soon", "created_until"),
    ("status=asleep", "status"),
    ("state=asleep", "state"),
    ("category=DROP%20TABLE", "category"),
    ("group=%00", "group"),
]


@pytest.mark.parametrize("path", ["/api/v1/reports", "/api/v1/reports.geojson"])
def test_a_filter_that_cannot_be_right(refused: Refused, path: str) -> None:
    for query, field in QUERIES:
        refused(422, field, method="GET", path=f"{path}?{query}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/reports?municipality=atlantis", 404),
        ("/api/v1/reports/PD-2026-999999", 404),
        ("/api/v1/reports/PD-2026%00", 404),
        ("/api/v1/reports/PD-%F0%9F%92%A1", 404),
        ("/api/v1/reports/PD-2026-1/receipt", 404),
        ("/api/v1/reports/PD-%00/receipt", 404),
        (f"/api/v1/photos/{UUID(int=0)}/large", 404),
        ("/tiles/reports/3/8/0.mvt", 404),
        ("/tiles/reports/23/0/0.mvt", 404),
        (f"/tiles/reports/{2**70}/{2**90}/0.mvt", 404),
        ("/nowhere", 404),
    ],
)
def test_what_is_not_there(refused: Refused, path: str, status: int) -> None:
    refused(status, None, method="GET", path=path)


def test_a_number_that_is_none_is_a_page_too(client: TestClient) -> None:
    answer = client.get("/r/PD-%00", params={"token": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_nul_in_a_sign_in_or_a_search(client: TestClient, signed_in: Callable[[str], Any]) -> None:
    answer = client.post("/api/v1/session", json={"email": "a\0@example.org", "password": "x"})
    assert answer.status_code in {401, 422}, answer.text
    clerk = signed_in("operatore.urp@pesaro.example.org")
    answer = client.get("/api/v1/desk/reports", params={"q": "\0"}, headers=clerk.headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "q")


def test_paging_gives_every_report_exactly_once(client: TestClient, accepted: Accepted, database: str) -> None:
    numbers = {
        accepted(json=LAMP | {"lon": 12.90 + n / 1000, "category": "lamp-out"})["number"]
        if n % 5 == 0
        else accepted(json=LAMP | {"lon": 12.90 + n / 1000})["number"]
        for n in range(25)
    }
    with psycopg.connect(database) as admin:  # all at the same moment: the id alone decides the order
        admin.execute("UPDATE report SET created_at = '2026-03-01T10:00:00Z' WHERE lon > 12.908")
        public = {row[0] for row in admin.execute("SELECT number FROM report WHERE is_public")}
    assert public <= numbers
    for path, of in (("/api/v1/reports", "reports"), ("/api/v1/reports.geojson", "features")):
        for limit in (1, 4, 7, 25, 500):
            seen: list[str] = []
            cursor: str | None = None
            while True:
                asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
                answer = client.get(path, params=asked).json()
                assert len(answer[of]) <= limit
                seen += [row.get("number") or row["id"] for row in answer[of]]
                cursor = answer["next"]
                if cursor is None:
                    break
            assert len(seen) == len(set(seen))
            assert set(seen) == public


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_calendar_holds_everywhere(refused: Refused, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([moment, str(UUID(int=0))]).encode()).decode().rstrip("=")
    for name, value in (("created_from", moment), ("created_until", moment), ("cursor", cursor)):
        refused(422, name, method="GET", path=f"/api/v1/reports?{name}={quote(value)}")


def test_a_moment_far_away_is_only_far_away(client: TestClient, accepted: Accepted) -> None:
    number = accepted(json=LAMP)["number"]
    for moment, found in (("0002-01-01T00:00:00+14:00", [number]), ("9998-12-31T23:59:59-14:00", [])):
        reports = client.get("/api/v1/reports", params={"created_from": moment}).json()["reports"]
        assert [report["number"] for report in reports] == found


def test_the_filters_find_what_they_say(client: TestClient, accepted: Accepted) -> None:
    here = accepted(json=LAMP)
    there = accepted(json={"lon": 11.8768, "lat": 45.4064, "description": "Buca profonda in via Roma, ruota rotta"})

    def found(**asked: Any) -> set[str]:
        return {report["number"] for report in client.get("/api/v1/reports", params=asked).json()["reports"]}

    assert found() == {here["number"], there["number"]}
    assert found(bbox="12.9,43.9,12.93,43.92") == {here["number"]}
    assert found(bbox="-180,-90,180,90") == {here["number"], there["number"]}
    assert found(municipality="padova") == {there["number"]}
    assert found(category=here["category"]["slug"]) == {here["number"]}
    assert found(group=there["category"]["group"]) == {there["number"]}
    assert found(status="closed") == set()
    assert found(status="open", state=here["state"]) >= {here["number"]}
    assert found(created_from="2999-01-01T00:00:00Z") == set()
    assert found(created_until="2999-01-01T00:00:00+02:00") == {here["number"], there["number"]}
