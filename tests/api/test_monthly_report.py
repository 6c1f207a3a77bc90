"""The monthly report over HTTP: whole, by right, and with nothing in it that the figures do not tell."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, Final
from xml.etree import ElementTree as ET

import psycopg
import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader

from city.records.insight.insight import months_later
from tests.stories.telling import COAST, INLAND, ROME, SignIn, reported
from tests.trials import Staffer

COUNCIL: Final = "consiglio@pesaro.example.org"
NOW: Final = datetime.now(ROME)
LAST: Final = months_later(NOW.date().replace(day=1), -1)
MONTH: Final = f"{LAST:%Y-%m}"

Fill = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def fill(client: TestClient, database: str) -> Fill:
    """Reports of last month; `months_ago` more months back."""

    def report(count: int, place: Any = COAST, category: str = "lamp-out", months_ago: int = 0) -> list[dict[str, Any]]:
        made = [reported(client, place, "qualcosa non va", category=category) for _ in range(count)]
        first = months_later(LAST, -months_ago)
        with psycopg.connect(database) as admin:
            admin.execute("SET session_replication_role = replica")
            admin.execute(
                "UPDATE report SET created_at = %(at)s, updated_at = %(at)s, month = %(month)s WHERE id = ANY(%(ids)s)",
                {
                    "at": datetime(first.year, first.month, 10, 12, tzinfo=UTC),
                    "month": first.year * 100 + first.month,
                    "ids": [one["id"] for one in made],
                },
            )
        return made

    return report


class Page(HTMLParser):
    """What a page holds: its tables by caption, its pictures, its words, what is not closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self._caption = ""
        self.feed(markup)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag == "img":
            self.images.append(given)
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        if tag in {"th", "td"}:
            self.tables[self._caption][-1].append("")
        if tag not in {"meta", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "caption":
            self._caption += data
        elif inside in {"th", "td"}:
            self.tables[self._caption][-1][-1] += data
        elif inside != "style":
            self.words.append(data)

    def row(self, caption: str, name: str) -> list[str]:
        rows = next(rows for title, rows in self.tables.items() if caption in title)
        return next(row for row in rows if row[0].lower() == name.lower())


def page(client: TestClient, who: Staffer | None = None, **parameters: Any) -> tuple[Page, str]:
    answer = client.get(
        "/api/v1/insight/report.html",
        params={"municipality": "pesaro", "month": MONTH, "language": "it"} | parameters,
        headers=who.headers if who else {},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return Page(answer.text), answer.text


def test_the_report_tells_the_month_beside_the_one_before_and_a_year_before(client: TestClient, fill: Fill) -> None:
    fill(12)
    fill(7, months_ago=1)
    fill(20, months_ago=12)
    seen, markup = page(client)
    assert seen.row("accanto a quelle", "ricevute")[1:] == ["12", "7", "20"]
    assert "Segnalazioni ricevute nel mese: 12 (+5 rispetto a" in markup
    assert "\u22128 rispetto a" in markup
    assert seen.row("per gruppo", "Illuminazione pubblica")[1:4] == ["12", "7", "20"]
    assert seen.row("per ufficio che", "Ufficio Illuminazione Pubblica")[1:4] == ["12", "7", "20"]
    assert seen.row("per ufficio e per età", "Totale")[1] == "39"
    assert len(next(rows for title, rows in seen.tables.items() if "in ogni mese" in title)) == 14
    english, _ = page(client, language="en")
    assert english.row("of a year before", "received")[1:] == ["12", "7", "20"]


def test_the_page_needs_nothing_from_outside_and_says_what_its_pictures_show(client: TestClient, fill: Fill) -> None:
    fill(8)
    seen, markup = page(client)
    assert len(seen.images) >= 4
    assert all(link.startswith("data:image/svg+xml;base64,") for link in seen.links)
    assert all(image["alt"] for image in seen.images)
    for image in seen.images:
        drawing = ET.fromstring(base64.b64decode((image["src"] or "").partition(",")[2]))  # noqa: S314  (our own)
        assert drawing.tag.endswith("svg")
    assert "<script" not in markup
    assert re.search(r'<html lang="it">', markup)


def test_what_is_hidden_is_in_the_councils_report_and_not_in_the_publics(
    client: TestClient, fill: Fill, signed_in: SignIn
) -> None:
    fill(9)
    fill(6, INLAND, "noise")
    fill(3, INLAND, "pothole")
    public, markup = page(client)
    assert "Comprende solo le segnalazioni pubbliche." in markup
    assert public.row("accanto a quelle", "ricevute")[1] == "12"
    untold = "Troppo poche per dirne il numero, o necessarie per non far ricavare quello di altre: "
    assert f"{untold}Illuminazione pubblica, Strade e marciapiedi." in markup, "one would give the other away"
    council, internal = page(client, signed_in(COUNCIL))
    assert council.row("accanto a quelle", "ricevute")[1] == "18"
    assert council.row("per gruppo", "Strade e marciapiedi")[1] == "3"
    assert "Per uso interno" in internal
    head, own = page(client, signed_in("responsabile.illuminazione@pesaro.example.org"))
    assert head.row("accanto a quelle", "ricevute")[1] == "9"
    assert "Solo: Ufficio Illuminazione Pubblica" in own


def test_a_month_in_which_nothing_happened_is_a_report_too(client: TestClient) -> None:
    seen, markup = page(client)
    assert seen.row("accanto a quelle", "ricevute")[1:] == ["0", "0", "0"]
    assert "Nessuna segnalazione." in markup


def test_a_name_that_looks_like_markup_stays_a_name(client: TestClient, fill: Fill, database: str) -> None:
    fill(6)
    with psycopg.connect(database) as admin:
        name = "SELECT name_it FROM department WHERE slug = 'lighting-office' LIMIT 1"
        kept = admin.execute(name).fetchone()
        admin.execute("UPDATE department SET name_it = '<b>Luci & Co</b>' WHERE slug = 'lighting-office'")
    try:
        _, markup = page(client)
    finally:
        with psycopg.connect(database) as admin:
            admin.execute("UPDATE department SET name_it = %s WHERE slug = 'lighting-office'", kept)
    assert "&lt;b&gt;Luci &amp; Co&lt;/b&gt;" in markup
    assert "<b>" not in markup


def test_the_report_comes_as_one_table_too(client: TestClient, fill: Fill) -> None:
    fill(6)
    parameters = {"municipality": "pesaro", "month": MONTH, "language": "en"}
    answer = client.get("/api/v1/insight/report.csv", params=parameters)
    assert answer.headers["content-disposition"] == f'attachment; filename="pesaro-{MONTH}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["section"] for row in rows} >= {"total", "department", "group", "category", "month by month"}
    received = next(row for row in rows if row["section"] == "total" and row["figure"] == "received")
    assert (received["value"], received["month_before"]) == ("6", "0")


def test_the_same_report_comes_on_paper(client: TestClient, fill: Fill) -> None:
    fill(12)
    fill(7, months_ago=1)
    address = f"/api/v1/insight/report.pdf?municipality=pesaro&month={MONTH}&language=it"
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    reader = PdfReader(io.BytesIO(answer.content))
    assert 3 <= len(reader.pages) <= 12
    assert all(round(float(sheet.mediabox.width)) == 595 for sheet in reader.pages), "A4"
    words = " ".join(" ".join(sheet.extract_text() for sheet in reader.pages).split())
    assert "Segnalazioni ricevute nel mese: 12 (+5 rispetto a" in words
    assert "Illuminazione pubblica" in words
    assert "Comprende solo le segnalazioni pubbliche." in words
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_answer_is_not_sent_again(client: TestClient, fill: Fill) -> None:
    fill(6)
    address = f"/api/v1/insight/report.html?municipality=pesaro&month={MONTH}"
    first = client.get(address)
    assert client.get(address, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"month": "2026-13"}, 422, "month"),
        ({"month": "2026-10-05"}, 422, "month"),
        ({"month": "ottobre"}, 422, "month"),
        ({"month": "2199-01"}, 422, "month"),
        ({"layer": "no-such"}, 422, "layer"),
        ({"municipality": ""}, 422, "municipality"),
        ({"municipality": "nowhere"}, 404, None),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, parameters: dict[str, str], status: int, field: str | None
) -> None:
    answer = client.get("/api/v1/insight/report.html", params={"municipality": "pesaro"} | parameters)
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert client.get("/api/v1/insight/report.html").json()["field"] == "municipality"
