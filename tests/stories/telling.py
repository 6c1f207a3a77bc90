"""What every story needs: places of the demo province, citizens who report, and what a map, a mail and a photo hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Final
from zoneinfo import ZoneInfo

import mapbox_vector_tile
import orjson
import psycopg
from fastapi.testclient import TestClient
from httpx import Response
from PIL import ExifTags, Image, ImageDraw

from city.jobs import DEAD
from geo.place import Place
from geo.tiles import Tile
from tests.trials import Postbox, Staffer, eventually

ROME: Final = ZoneInfo("Europe/Rome")

PROVINCIAL_ROAD: Final = Place(12.861, 43.8861)
"""On the SP 423 in Pesaro."""
COAST: Final = Place(12.9135, 43.9098)
"""In Pesaro's centre, where the municipality runs the lamps itself."""
INLAND: Final = Place(12.86, 43.845)
"""In Pesaro's hills, off the provincial roads."""
FANO: Final = Place(13.02, 43.84)
"""In Fano, which takes no anonymous reports."""
URP: Final = "operatore.urp@pesaro.example.org"

SignIn = Callable[[str], Staffer]


def east_of(place: Place, metres: float) -> Place:
    """A place so many metres to the east, in the latitudes of the demo province."""
    return Place(round(place.lon + metres / 80_200, 7), place.lat)


def hand_in(client: TestClient, place: Place, words: str, *, photo: bytes | None = None, **more: Any) -> Response:
    """A citizen's report, whatever the answer; `email` stands for a contact with that address."""
    body: dict[str, Any] = {"lon": place.lon, "lat": place.lat, "description": words, **more}
    if "email" in body:
        body["contact"] = {"email": body.pop("email")}
    answer: Response
    if photo is None:
        answer = client.post("/api/v1/reports", json=body)
    else:
        files = {"photos": ("photo.jpg", photo, "image/jpeg")}
        answer = client.post("/api/v1/reports", data={"report": orjson.dumps(body).decode()}, files=files)
    return answer


def reported(client: TestClient, place: Place, words: str, **more: Any) -> Any:
    """The 201 answer to a citizen's report."""
    answer = hand_in(client, place, words, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def wait_for_receipt(postbox: Postbox, report: dict[str, Any], address: str) -> None:
    """Wait until the reporter has the first mail: what happens sooner would be told in that one."""
    eventually(lambda: [m for m in postbox.to(address) if report["number"] in m["Subject"]])


def as_holder(client: TestClient, report: dict[str, Any]) -> Any:
    """The report as its reporter sees it with the receipt token."""
    answer = client.get(f"/api/v1/reports/{report['number']}/receipt", headers=receipt(report))
    assert answer.status_code == 200, answer.text
    return answer.json()


def receipt(report: dict[str, Any]) -> dict[str, str]:
    """The header that opens the report to its reporter."""
    return {"Receipt-Token": report["receipt_token"]}


def on_the_map(client: TestClient, place: Place, zoom: int = 15) -> list[dict[str, Any]]:
    """The properties of all reports in the tile that holds `place`."""
    tile = Tile.at(place, zoom)
    answer = client.get(f"/tiles/reports/{tile.zoom}/{tile.x}/{tile.y}.mvt")
    assert answer.status_code == 200, answer.text
    layers = mapbox_vector_tile.decode(answer.content) if answer.content else {}
    return [feature["properties"] for feature in layers.get("reports", {}).get("features", [])]


def numbers_on_the_map(client: TestClient, place: Place) -> set[str]:
    """The numbers of the single reports in the tile that holds `place`."""
    return {str(properties["number"]) for properties in on_the_map(client, place)}


def plain(message: EmailMessage) -> str:
    """The plain text of a mail."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html(message: EmailMessage) -> str:
    """The HTML of a mail."""
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def days_until(report: dict[str, Any]) -> int:
    """Calendar days from now to the deadline, by Rome's clock."""
    deadline = datetime.fromisoformat(report["deadline_at"]).astimezone(ROME).date()
    return (deadline - datetime.now(UTC).astimezone(ROME).date()).days


def wait_for_rest(database: str) -> None:
    """Wait until no job is left to do; fails where one has died."""

    def at_rest() -> bool:
        with psycopg.connect(database) as admin:
            rows = admin.execute("SELECT state, actor, error FROM job").fetchall()
        assert not [row for row in rows if row[0] == DEAD], rows
        return not rows

    eventually(at_rest)


def counted(database: str, table: str) -> int:
    """How many rows a table holds."""
    with psycopg.connect(database) as admin:
        row = admin.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def photo_taken_at(place: Place) -> bytes:
    """A phone's photo: lying on its side, and telling place, time, camera and its owner's name."""
    picture = Image.new("RGB", (1200, 900), "#8f9297")
    ImageDraw.Draw(picture).ellipse([(330, 480), (760, 720)], fill="#2b2522")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "Telefono di Anna"
    exif[ExifTags.Base.Artist] = "Anna Bianchi"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:01 10:20:30"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: _sexagesimal(place.lat),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: _sexagesimal(place.lon),
        }
    )
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=85, exif=exif, comment=b"a casa di Anna")
    return written.getvalue()


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1 * 60
    return float(int(degrees)), float(int(minutes)), round(minutes % 1 * 60, 4)
