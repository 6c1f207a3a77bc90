"""One report's journey, played over real HTTP and shown step by step: what the demo shows, and a smoke test of all.

Nothing in here looks into the database: each step asks what a citizen, a clerk or a map would ask.
"""

from __future__ import annotations

import email
import email.policy
import io
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
import orjson
import pyogrio
from PIL import Image, ImageDraw

from city.settings import settings
from city.texts import said, text
from commands.journey_council import Council
from commands.journey_crew import YARD, Morning
from commands.journey_steps import PATIENCE_SECONDS, Unexpected, expect, good, patiently
from commands.journey_telling import Neighbour
from geo.place import Place
from geo.tiles import Tile

ZOOM: Final = 15
ROAD: Final = (Place(12.868, 43.889), Place(12.853551, 43.883059))
"""A stretch of a provincial road in Pesaro, of the demo's own drawing."""
CITIZEN: Final = "cittadina@example.org"
CLERK: Final = "operatore.urp@pesaro.example.org"


@dataclass
class Step:
    """What was done, whether it held, how long it took, and what came of it."""

    name: str
    label: str
    """What a person reads."""
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""


@dataclass
class Journey:
    """All of it, as `--json` prints it."""

    steps: list[Step] = field(default_factory=list)
    report: dict[str, Any] | None = None
    mail: dict[str, str | None] | None = None
    tile: dict[str, Any] | None = None
    seconds: float = 0.0
    links: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every step held."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"ok": self.ok}


def play(address: str, password: str, hear: Callable[[Step], None]) -> Journey:
    """Play the journey against the service at `address`; `hear` gets every step as soon as it is done."""
    journey = Journey()
    begun = time.monotonic()
    with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, headers={"Accept-Language": "it"}) as client:
        for name, step in _steps(client, journey, password):
            shown = Step(name, said(f"journey.{name}"))
            started = time.monotonic()
            try:
                shown.detail = step()
                shown.ok = True
            except (Unexpected, httpx.HTTPError, KeyError, TypeError, OSError) as error:
                shown.detail = f"{type(error).__name__}: {error}"
            shown.seconds = round(time.monotonic() - started, 3)
            journey.steps.append(shown)
            hear(shown)
            if not shown.ok and journey.report is None:
                break
    journey.seconds = round(time.monotonic() - begun, 3)
    return journey


def _steps(client: httpx.Client, journey: Journey, password: str) -> Iterator[tuple[str, Callable[[], str]]]:
    way = _Way(client, journey, password)
    yield "suggested", way.suggested
    yield "received", way.received
    yield "repeated", way.repeated
    yield "routed", way.routed
    yield "told", way.told
    yield "mapped", way.mapped
    yield "photo", way.photo
    neighbour = Neighbour(client, password, way.place, str(way.report.get("number")))
    yield "asked", neighbour.asked
    yield "worked", way.worked
    yield "solved", way.solved
    yield "heard", neighbour.heard
    yield "followed", way.followed
    yield "gone", way.gone
    yield "announced", neighbour.announced
    council = Council(client, password)
    yield "council", lambda: council.figures(way.report["department"]["slug"])
    yield "printed", council.printed
    morning = Morning(client, password, way.staff, photo_at(YARD))
    yield "day_fetched", morning.fetched
    yield "day_worked", morning.worked
    yield "day_sent", morning.sent


class _Way:
    """The steps, and what they hand to one another."""

    def __init__(self, client: httpx.Client, journey: Journey, password: str) -> None:
        self.client = client
        self.journey = journey
        self.password = password
        share = random.uniform(0.15, 0.85)  # noqa: S311  (a place, not a secret)
        start, end = ROAD
        self.place = Place(
            round(start.lon + (end.lon - start.lon) * share, 6), round(start.lat + (end.lat - start.lat) * share, 6)
        )
        self.words = text("journey.words", language="it")
        self.staff: dict[str, str] = {}
        self.body = {
            "lon": self.place.lon,
            "lat": self.place.lat,
            "description": self.words,
            "address": "SP 423, Pesaro",
            "contact": {"email": CITIZEN},
            "client_reference": str(uuid4()),
            "source": "phone",
            "language": "it",
        }

    def suggested(self) -> str:
        """What the phone asks while the citizen types."""
        asked = {"lon": self.place.lon, "lat": self.place.lat, "text": self.words}
        answer = good(self.client.post("/api/v1/suggestions", json=asked)).json()
        best = answer["suggestions"][0]
        return f"{best['category']} {best['confidence']:.0%} ({', '.join(answer['words'][:3])})"

    def received(self) -> str:
        """The report, with a photo that carries its place."""
        answer = self._hand_in()
        expect(answer.status_code == 201, f"{answer.status_code} {answer.text[:200]}")  # noqa: PLR2004
        self.journey.report = answer.json()
        self.journey.links = answer.json()["links"]
        return f"{answer.json()['number']}, {answer.json()['municipality']['name']}"

    def repeated(self) -> str:
        """The phone was not sure that it arrived, and sends it again."""
        again = self._hand_in()
        expect(again.status_code == 200, f"{again.status_code}")  # noqa: PLR2004
        expect(again.json()["number"] == self.report["number"], "another number")
        expect(again.json()["receipt_token"] == self.report["receipt_token"], "another receipt")
        return str(again.json()["number"])

    def routed(self) -> str:
        """Category, department, reason, deadline."""
        category, department = self.report["category"], self.report["department"]
        expect(category["slug"] == "pothole", f"category {category['slug']}")
        expect(department["slug"] == "province-roads", f"department {department['slug']}")
        expect(department["reason"]["rule"] is not None, "no rule")
        note = department["reason"]["note"] or {}
        deadline = str(self.report["deadline_at"])[:10]
        return f"{category['name']['it']} → {department['name']['it']}: {note.get('it', '')} ({deadline})"

    def told(self) -> str:
        """The mail with the receipt."""
        if urlsplit(settings().mail).scheme != "file":
            delivery = patiently(lambda: self._deliveries("sent"))
            self.journey.mail = {"path": None, "subject": delivery[0]["subject"]}
        else:
            path, message = patiently(lambda: self._mail(after=0))
            self.journey.mail = {"path": str(path), "subject": str(message["Subject"])}
            plain = message.get_body(("plain",))
            body = plain.get_content() if plain else ""
            expect(self.report["number"] in body and self.report["receipt_token"] in body, "no link in the mail")
        return f"«{self.journey.mail['subject']}»"

    def mapped(self) -> str:
        """The tile of the place, with the report on it."""
        tile = Tile.at(self.place, ZOOM)
        found = [f for f in self._features(tile) if f.get("number") == self.report["number"]]
        expect(bool(found), f"not on tile {tile.zoom}/{tile.x}/{tile.y}")
        self.journey.tile = {"z": tile.zoom, "x": tile.x, "y": tile.y, "properties": found[0]}
        return f"/tiles/reports/{tile.zoom}/{tile.x}/{tile.y}.mvt: {found[0]['number']} {found[0]['state']}"

    def photo(self) -> str:
        """The clean copy of the photo: smaller, and without its place."""
        photo_id = self.report["photos"][0]["id"]
        url = f"/api/v1/reports/{self.report['number']}/receipt/photos/{photo_id}/medium"
        receipt = {"Receipt-Token": self.report["receipt_token"]}

        def ready() -> bytes | None:
            answer = self.client.get(url, headers=receipt)
            return answer.content if answer.status_code == 200 else None  # noqa: PLR2004

        data = patiently(ready)
        with Image.open(io.BytesIO(data)) as picture:
            expect(not picture.getexif(), "the photo kept its EXIF")
            size = picture.size
        hidden = self.client.get(f"/api/v1/photos/{photo_id}/medium")
        expect(hidden.status_code == 404, "the photo is public before anyone released it")  # noqa: PLR2004
        return f"{size[0]} × {size[1]}, {len(data) // 1024} kB"

    def worked(self) -> str:
        """A clerk signs in, finds the report and sets it going."""
        signed = good(self.client.post("/api/v1/session", json={"email": CLERK, "password": self.password})).json()
        self.staff = {"Authorization": f"Bearer {signed['token']}"}
        listed = good(self.client.get("/api/v1/desk/reports", params={"limit": 20}, headers=self.staff)).json()
        expect(any(r["number"] == self.report["number"] for r in listed["reports"]), "not in the worklist")
        stale = self.client.post(
            f"{self._desk}/moves", json={"to": "in_progress"}, headers=self.staff | {"If-Match": '"v999"'}
        )
        expect(stale.status_code == 412, f"a stale version was taken: {stale.status_code}")  # noqa: PLR2004
        self._move("in_progress", None)
        return f"{signed['name']}: in_progress"

    def solved(self) -> str:
        """Solved, with a sentence for the citizen, who gets it by mail."""
        self._move("resolved", text("journey.solved_reason", language="it"))
        if urlsplit(settings().mail).scheme != "file":
            patiently(lambda: self._deliveries("sent", at_least=2))
            return "resolved"
        solved = text("state.resolved", language="it").lower()

        def said_so() -> tuple[Path, EmailMessage] | None:
            return next((found for found in self._mails() if solved in str(found[1]["Subject"])), None)

        _, message = patiently(said_so)
        return f"«{message['Subject']}»"

    def followed(self) -> str:
        """The link of the mail."""
        page = good(self.client.get(f"/r/{self.report['number']}?token={self.report['receipt_token']}"))
        expect(text("journey.solved_reason", language="it") in page.text.replace("&#39;", "'"), "no reason on the page")
        public = good(self.client.get(f"/api/v1/reports/{self.report['number']}"))
        expect(CITIZEN not in public.text and self.words not in public.text, "the public sees the reporter")
        return f"/r/{self.report['number']}: {public.json()['state']}"

    def gone(self) -> str:
        """Solved, so the map of open reports shows it no more."""
        still = [f for f in self._features(Tile.at(self.place, ZOOM)) if f.get("number") == self.report["number"]]
        expect(not still, "still on the map")
        return "✓"

    @property
    def report(self) -> dict[str, Any]:
        return self.journey.report or {}

    @property
    def _desk(self) -> str:
        return f"/api/v1/desk/reports/{self.report['id']}"

    def _hand_in(self) -> httpx.Response:
        photo = ("buca.jpg", photo_at(self.place), "image/jpeg")
        form = {"report": orjson.dumps(self.body).decode()}
        return self.client.post("/api/v1/reports", data=form, files={"photos": photo})

    def _move(self, to: str, reason: str | None) -> None:
        seen = good(self.client.get(self._desk, headers=self.staff))
        headers = self.staff | {"If-Match": seen.headers["etag"]}
        good(self.client.post(f"{self._desk}/moves", json={"to": to, "reason": reason}, headers=headers))

    def _deliveries(self, state: str, at_least: int = 1) -> list[dict[str, Any]] | None:
        if not self.staff:
            signed = good(self.client.post("/api/v1/session", json={"email": CLERK, "password": self.password}))
            self.staff = {"Authorization": f"Bearer {signed.json()['token']}"}
        found = good(self.client.get(self._desk, headers=self.staff)).json()["deliveries"]
        sent = [delivery for delivery in found if delivery["state"] == state]
        return sent if len(sent) >= at_least else None

    def _mails(self) -> Iterator[tuple[Path, EmailMessage]]:
        folder = Path(unquote(urlsplit(settings().mail).path))
        for path in sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)[:50]:
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if self.report["number"] in str(message["Subject"]):
                yield path, message

    def _mail(self, after: int) -> tuple[Path, EmailMessage] | None:
        return next(iter(list(self._mails())[after:]), None)

    def _features(self, tile: Tile) -> list[dict[str, Any]]:
        url = f"/tiles/reports/{tile.zoom}/{tile.x}/{tile.y}.mvt"
        return decoded(good(self.client.get(url)).content)


def decoded(tile: bytes) -> list[dict[str, Any]]:
    """The features' properties of the first layer of a vector tile; none of an empty one."""
    if not tile:
        return []
    with _quiet_tile(tile) as path:
        meta, _, _, columns = pyogrio.raw.read(path, read_geometry=False)
    rows = zip(*columns, strict=True)
    return [
        {name: _plain(value) for name, value in zip(meta["fields"], row, strict=True) if name != "mvt_id"}
        for row in rows
    ]


@contextmanager
def _quiet_tile(tile: bytes) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(suffix=".mvt") as file:
        file.write(tile)
        file.flush()
        yield f"MVT:{file.name}"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def photo_at(place: Place) -> bytes:
    """A picture of a hole in a road, as a phone would take it at `place`: upright only by its EXIF, with GPS."""
    picture = Image.new("RGB", (1200, 900), "#8f9297")
    pencil = ImageDraw.Draw(picture)
    pencil.polygon([(0, 900), (480, 0), (720, 0), (1200, 900)], fill="#53565a")
    pencil.line([(600, 0), (600, 900)], fill="#e8e8e8", width=14)
    pencil.ellipse([(330, 480), (760, 720)], fill="#2b2522", outline="#1a1614", width=12)
    pencil.ellipse([(400, 530), (690, 690)], fill="#15110f")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825).update(
        {
            1: "N" if place.lat >= 0 else "S",
            2: _sexagesimal(abs(place.lat)),
            3: "E" if place.lon >= 0 else "W",
            4: _sexagesimal(abs(place.lon)),
        }
    )
    data = io.BytesIO()
    picture.rotate(90, expand=True).save(data, "JPEG", quality=85, exif=exif)
    return data.getvalue()


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = (degrees % 1) * 60
    return float(int(degrees)), float(int(minutes)), round((minutes % 1) * 60, 4)
