"""Stories of a photo: what it says of its place is a hint to the office, and never leaves the house."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from city.database import provincial
from city.registry.sign_in import citizens
from tests.stories.telling import (
    COAST,
    PROVINCIAL_ROAD,
    URP,
    SignIn,
    as_holder,
    counted,
    east_of,
    hand_in,
    photo_taken_at,
    receipt,
    reported,
)
from tests.trials import Staffer, eventually

SIDES = {"large": (900, 1200), "medium": (480, 640), "small": (120, 160)}
WORDS = "buca profonda, si vede nella foto"


def developed(clerk: Staffer, report: dict[str, Any]) -> list[dict[str, Any]]:
    """The report's photos once their clean copies are made."""

    def ready() -> list[dict[str, Any]] | None:
        photos: list[dict[str, Any]] = clerk.get(f"/reports/{report['id']}")["photos"]
        return photos if all(photo["state"] == "ready" for photo in photos) else None

    return eventually(ready)


@pytest.mark.usefixtures("worker")
def test_a_photo_with_gps_is_cleaned_and_shown_only_once_released(
    client: TestClient, variable: Path, signed_in: SignIn
) -> None:
    original = photo_taken_at(east_of(COAST, 20))
    report = reported(client, COAST, WORDS, photo=original)
    [photo] = report["photos"]
    assert photo["is_far"] is False
    clerk = signed_in(URP)
    [kept] = developed(clerk, report)
    assert (kept["width"], kept["height"]) == (900, 1200), "upright"
    assert kept["metres_away"] == pytest.approx(20, abs=0.5)
    assert kept["taken_at"].startswith("2026-07-01T08:20:30"), "by the municipality's clock"
    assert (kept["is_far"], kept["is_public"]) == (False, False)

    for size, sides in SIDES.items():
        url = f"/photos/{photo['id']}/{size}"
        answer = client.get(f"/api/v1/reports/{report['number']}/receipt{url}", headers=receipt(report))
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        assert_clean(answer.content, sides)
        desk = client.get(f"/api/v1/desk/reports/{report['id']}{url}", headers=clerk.headers)
        assert desk.content == answer.content
        assert client.get(f"/api/v1{url}").status_code == 404, "not public before somebody has released it"
    assert client.get(f"/api/v1/reports/{report['number']}").json()["photos"] == []
    assert not [path for path in (variable / "photos" / "intake").rglob("*") if photo["id"] in path.name], "gone"

    released = clerk.change(
        "PUT", report["id"], "publication", {"public_description": "Buca in viale Trieste", "photos": [photo["id"]]}
    )
    assert released["photos"][0]["is_public"] is True
    public = client.get(f"/api/v1/reports/{report['number']}").json()
    assert (public["photos"], public["description"]) == ([photo["id"]], "Buca in viale Trieste")
    shown = client.get(f"/api/v1/photos/{photo['id']}/large")
    assert shown.status_code == 200
    assert_clean(shown.content, SIDES["large"])

    clerk.change("PUT", report["id"], "publication", {"public_description": None, "photos": []})
    assert client.get(f"/api/v1/photos/{photo['id']}/large").status_code == 404
    assert client.get(f"/api/v1/reports/{report['number']}").json()["description"] is None


def assert_clean(data: bytes, sides: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.format == "JPEG"
        assert picture.size == sides
        assert not picture.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(picture.info)
    for trace in (b"Exif", b"Anna", b"Telefono", b"2026"):
        assert trace not in data


@pytest.mark.usefixtures("worker")
def test_a_photo_from_elsewhere_is_flagged(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, WORDS, photo=photo_taken_at(PROVINCIAL_ROAD))
    assert report["state"] == "assigned", "a hint, no verdict"
    assert report["photos"][0]["is_far"] is True
    [photo] = developed(signed_in(URP), report)
    assert photo["is_far"] is True
    assert photo["metres_away"] == pytest.approx(COAST.distance_metres(PROVINCIAL_ROAD), rel=0.01)


def test_a_photo_that_is_cut_short_refuses_the_report_and_nothing_stays(
    client: TestClient, database: str, variable: Path
) -> None:
    def kept_aside() -> set[Path]:
        return {path for path in (variable / "photos" / "intake").rglob("*") if path.is_file()}

    before = kept_aside()
    for photo, status in ((photo_taken_at(COAST)[:-9000], 415), (b"GIF89a" + bytes(50), 415), (b"", 415)):
        answer = hand_in(client, COAST, WORDS, photo=photo)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert counted(database, "report") == counted(database, "photo") == 0
    assert kept_aside() <= before


@pytest.mark.usefixtures("worker")
def test_another_reports_receipt_opens_no_photo(client: TestClient, signed_in: SignIn) -> None:
    mine = reported(client, COAST, WORDS, photo=photo_taken_at(COAST))
    other = reported(client, east_of(COAST, 300), WORDS)
    developed(signed_in(URP), mine)
    photo_id = mine["photos"][0]["id"]
    assert as_holder(client, mine)["photos"] == [photo_id]
    for number, headers in ((mine["number"], receipt(other)), (other["number"], receipt(other)), (mine["number"], {})):
        answer = client.get(f"/api/v1/reports/{number}/receipt/photos/{photo_id}/small", headers=headers)
        assert answer.status_code == 404


def add(client: TestClient, report: dict[str, Any], photo: bytes, headers: dict[str, str]) -> Any:
    files = {"photos": ("photo.jpg", photo, "image/jpeg")}
    return client.post(f"/api/v1/reports/{report['number']}/receipt/photos", headers=headers, files=files)


@pytest.mark.usefixtures("worker")
def test_the_reporter_adds_a_photo_later_once_and_nobody_else_does(
    client: TestClient, variable: Path, signed_in: SignIn
) -> None:
    def originals() -> set[Path]:
        return {path for path in (variable / "photos" / "intake").rglob("*") if path.is_file()}

    before = originals()
    original = photo_taken_at(COAST)
    report = reported(client, COAST, WORDS)
    clerk = signed_in(URP)
    with provincial() as session:
        token = citizens.begin(session, email="anna@example.org", device="").token
    stranger = {"Authorization": f"Bearer {token}"}
    for headers in ({}, {"Receipt-Token": "a" * 26}, stranger):
        assert add(client, report, original, headers).status_code == 404
    for _ in range(2):
        answer = add(client, report, original, receipt(report))
        assert answer.status_code == 200, answer.text
    [kept] = developed(clerk, report)
    assert (kept["taken_at"][:10], kept["is_public"]) == ("2026-07-01", False)
    assert as_holder(client, report)["photos"] == [kept["id"]]
    entries = clerk.get(f"/reports/{report['id']}")["timeline"]
    assert [(one["what"], one["actor"], one["is_public"]) for one in entries if "photo" in one["what"]] == [
        ("photos_added", "citizen", False)
    ], "the desk sees who it was; the photo waits to be released"
    eventually(lambda: originals() == before)

    no_photo = add(client, report, b"<svg/>", receipt(report))
    assert (no_photo.status_code, no_photo.json()["field"]) == (415, "photos")
    nothing = client.post(f"/api/v1/reports/{report['number']}/receipt/photos", headers=receipt(report), json={})
    assert nothing.status_code == 415
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    assert add(client, report, photo_taken_at(east_of(COAST, 9)), receipt(report)).status_code == 409
    assert add(client, report, original, receipt(report)).status_code == 200, "a repeat is no change"


@pytest.mark.usefixtures("worker")
def test_a_citizen_adds_a_photo_to_an_own_report(client: TestClient, signed_in: SignIn) -> None:
    report = reported(client, COAST, WORDS, email="anna@example.org")
    with provincial() as session:
        anna = {"Authorization": f"Bearer {citizens.begin(session, email='anna@example.org', device='').token}"}
    assert add(client, report, photo_taken_at(COAST), anna).status_code == 200
    [kept] = developed(signed_in(URP), report)
    shown = client.get(f"/api/v1/reports/{report['number']}/receipt/photos/{kept['id']}/small", headers=anna)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
