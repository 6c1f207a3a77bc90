"""Stories of a photo over a bad connection: it goes on where it was cut off, and finds its report in either order."""

from __future__ import annotations

import base64
import socket
import time
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from city.database import provincial, writing
from city.registry import view
from city.reports import photos
from city.reports.field import uploads
from tests.stories.telling import COAST, URP, SignIn, photo_taken_at, reported, wait_for_rest
from tests.trials import PASSWORD, Staffer, eventually

CREW: Final = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW: Final = "squadra.roads-hills@pesaro.example.org"
UPLOADS: Final = "/api/v1/crew/uploads"
TUS: Final = {"Tus-Resumable": "1.0.0"}
PIECE: Final = {"Content-Type": "application/offset+octet-stream"}
PHOTO: Final = photo_taken_at(COAST)


def job(client: TestClient, clerk: Staffer) -> Any:
    contact = {"email": "anna@example.org"}
    report = reported(client, COAST, "buca profonda in viale Trieste", category="pothole", contact=contact)
    clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    return report


def named(upload_id: UUID) -> dict[str, str]:
    return {"Upload-Metadata": f"id {base64.b64encode(str(upload_id).encode()).decode()}"}


def announce(client: TestClient, crew: Staffer, upload_id: UUID, length: int) -> Response:
    headers = crew.headers | TUS | named(upload_id) | {"Upload-Length": str(length)}
    answer: Response = client.post(UPLOADS, headers=headers)
    return answer


def send(client: TestClient, crew: Staffer, upload_id: UUID, offset: int, data: bytes, **headers: str) -> Response:
    said = crew.headers | TUS | PIECE | {"Upload-Offset": str(offset)} | headers
    answer: Response = client.patch(f"{UPLOADS}/{upload_id}", headers=said, content=data)
    return answer


def offset_of(client: TestClient, crew: Staffer, upload_id: UUID) -> int:
    answer = client.head(f"{UPLOADS}/{upload_id}", headers=crew.headers | TUS)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def uploaded(client: TestClient, crew: Staffer, upload_id: UUID, data: bytes = PHOTO) -> None:
    assert announce(client, crew, upload_id, len(data)).status_code == 201
    assert send(client, crew, upload_id, 0, data).status_code == 204


def photo_of(report_id: str, upload_id: UUID, **said: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "id": str(uuid4()),
        "kind": "photo",
        "device_at": now,
        "report": report_id,
        "upload": str(upload_id),
        **said,
    }


def sync(client: TestClient | httpx.Client, headers: dict[str, str], *operations: Any) -> Any:
    batch = {"device": "tablet-1", "sent_at": datetime.now(UTC).isoformat(), "operations": list(operations)}
    answer = client.post("/api/v1/crew/sync", json=batch, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_a_photo_goes_on_where_the_connection_was_cut(served: str) -> None:
    with httpx.Client(base_url=served, timeout=20) as client:

        def signed(email: str) -> dict[str, str]:
            answer = client.post("/api/v1/session", json={"email": email, "password": PASSWORD})
            return {"Authorization": f"Bearer {answer.json()['token']}"}

        clerk, crew = signed(URP), signed(CREW)
        body = {"lon": COAST.lon, "lat": COAST.lat, "description": "Buca da riparare", "category": "pothole"}
        report = client.post("/api/v1/reports", json=body).json()
        desk = f"/api/v1/desk/reports/{report['id']}"
        version = {"If-Match": client.get(desk, headers=clerk).headers["etag"]}
        given = client.put(f"{desk}/crew", json={"crew": "roads-coast"}, headers=clerk | version)
        assert given.status_code == 200, given.text

        upload_id = uuid4()
        length = {"Upload-Length": str(len(PHOTO))}
        url = client.post(UPLOADS, headers=crew | TUS | named(upload_id) | length).headers["location"]
        half = len(PHOTO) // 2
        cut_off(served, url, crew | TUS | PIECE | {"Upload-Offset": "0"}, PHOTO[:half])

        def received() -> int:
            return int(client.head(url, headers=crew | TUS).headers["upload-offset"])

        eventually(lambda: received() == half)
        start = {"Upload-Offset": str(half)}
        rest = client.patch(url, headers=crew | TUS | PIECE | start, content=PHOTO[half:])
        assert (rest.status_code, rest.headers["upload-offset"]) == (204, str(len(PHOTO)))
        operation = photo_of(report["id"], upload_id)
        assert sync(client, crew, operation)[0]["result"] == "applied"
        assert sync(client, crew, operation)[0]["result"] == "already_applied"
        assert len(client.get(desk, headers=clerk).json()["photos"]) == 1


def cut_off(served: str, path: str, headers: dict[str, str], beginning: bytes) -> None:
    """Begin to send the whole photo, and let the connection die on the way."""
    address = urlsplit(served)
    lines = [f"PATCH {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {len(PHOTO)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + beginning)
        time.sleep(0.3)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.usefixtures("worker")
def test_the_photo_and_what_tells_of_it_come_in_either_order(
    client: TestClient, signed_in: SignIn, database: str
) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report = job(client, clerk)
    early, late = uuid4(), uuid4()
    uploaded(client, crew, early)
    assert sync(client, crew.headers, photo_of(report["id"], early, text="Prima."))[0]["result"] == "applied"
    operation = photo_of(report["id"], late)
    assert sync(client, crew.headers, operation)[0]["result"] == "waiting"
    assert announce(client, crew, late, len(PHOTO)).status_code == 201
    assert send(client, crew, late, 0, PHOTO[:1000]).status_code == 204
    assert len(clerk.get(f"/reports/{report['id']}")["photos"]) == 1
    assert send(client, crew, late, 1000, PHOTO[1000:]).status_code == 204
    again = sync(client, crew.headers, operation)[0]
    assert (again["result"], again["first"], again["outcome"]) == ("already_applied", "waiting", "applied")
    wait_for_rest(database)
    seen = clerk.get(f"/reports/{report['id']}")
    assert [photo["state"] for photo in seen["photos"]] == ["ready", "ready"]
    assert not any(photo["is_public"] for photo in seen["photos"])
    day = client.get("/api/v1/crew/day", headers=crew.headers).json()
    picture = client.get(day["jobs"][0]["photos"][0]["links"]["small"], headers=crew.headers)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert b"Anna Bianchi" not in picture.content


@pytest.mark.usefixtures("worker")
def test_a_server_killed_before_it_looks_at_the_photo_loses_nothing(
    client: TestClient, signed_in: SignIn, database: str
) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report, upload_id = job(client, clerk), uuid4()
    assert sync(client, crew.headers, photo_of(report["id"], upload_id))[0]["result"] == "waiting"
    assert announce(client, crew, upload_id, len(PHOTO)).status_code == 201
    municipality = view.held().slugs["pesaro"]
    coast = municipality.crew("roads-coast")
    with writing(municipality.id) as session:
        known = uploads.progress(session, municipality.id, coast, upload_id)
        key = uploads.keep_piece(municipality.id, upload_id, 0, PHOTO)
        uploads.add(session, coast, known, key, len(PHOTO))
    wait_for_rest(database)
    eventually(lambda: [p["state"] for p in clerk.get(f"/reports/{report['id']}")["photos"]] == ["ready"])
    assert sync(client, crew.headers, photo_of(report["id"], upload_id))[0]["result"] == "applied"


def test_a_photo_of_what_was_found_besides(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    upload_id, found_id = uuid4(), str(uuid4())
    uploaded(client, crew, upload_id)
    found = {
        "id": found_id,
        "kind": "found_more",
        "device_at": datetime.now(UTC).isoformat(),
        "lon": COAST.lon,
        "lat": COAST.lat,
        "description": "Tombino rotto",
    }
    photo = photo_of(found_id, upload_id)
    assert sync(client, crew.headers, photo)[0]["result"] == "refused"
    results = sync(client, crew.headers, photo, found)
    assert [one["result"] for one in results] == ["refused", "applied"] or [one["result"] for one in results] == [
        "applied",
        "applied",
    ]
    assert sync(client, crew.headers, photo)[0]["outcome"] == "applied"
    assert len(clerk.get(f"/reports/{results[1]['report']['id']}")["photos"]) == 1


def test_what_is_no_photo_is_refused_and_not_kept(client: TestClient, signed_in: SignIn) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    report, upload_id = job(client, clerk), uuid4()
    operation = photo_of(report["id"], upload_id, text="Ecco la foto.")
    assert sync(client, crew.headers, operation)[0]["result"] == "waiting"
    assert announce(client, crew, upload_id, 400).status_code == 201
    refused = send(client, crew, upload_id, 0, b"%PDF-1.7" * 50)
    assert refused.status_code == 415
    assert refused.headers["content-type"] == "application/problem+json"
    assert client.head(f"{UPLOADS}/{upload_id}", headers=crew.headers | TUS).status_code == 415
    assert [stored for stored in photos.store().list("uploads") if str(upload_id) in stored.key] == []
    again = sync(client, crew.headers, operation)[0]
    assert (again["first"], again["outcome"]) == ("waiting", "refused")
    assert again["why"]
    seen = clerk.get(f"/reports/{report['id']}")
    assert seen["photos"] == []
    assert "Ecco la foto." in [entry["note"] for entry in seen["timeline"]]


def test_uploads_keep_the_rules_of_tus(client: TestClient, signed_in: SignIn) -> None:
    crew, others = signed_in(CREW), signed_in(OTHER_CREW)
    spoken = client.options(UPLOADS, headers=crew.headers)
    assert spoken.status_code == 204
    assert (spoken.headers["tus-version"], spoken.headers["tus-extension"]) == (
        "1.0.0",
        "creation,expiration,termination",
    )
    assert int(spoken.headers["tus-max-size"]) >= 20_000_000

    upload_id = uuid4()
    old = client.post(UPLOADS, headers=crew.headers | {"Upload-Length": "5", "Tus-Resumable": "0.2.2"})
    assert (old.status_code, old.headers["tus-version"]) == (412, "1.0.0")
    assert client.post(UPLOADS, headers=crew.headers | TUS).json()["field"] == "Upload-Length"
    begun = announce(client, crew, upload_id, len(PHOTO))
    assert (begun.status_code, begun.headers["location"]) == (201, f"{UPLOADS}/{upload_id}")
    assert begun.headers["upload-expires"].endswith("GMT")
    again = announce(client, crew, upload_id, len(PHOTO))
    assert (again.status_code, again.headers["location"]) == (201, begun.headers["location"])
    assert announce(client, crew, upload_id, 7).status_code == 409
    assert announce(client, crew, uuid4(), 0).status_code == 422
    assert announce(client, crew, uuid4(), 10**9).status_code == 413
    bad = client.post(UPLOADS, headers=crew.headers | TUS | {"Upload-Length": "5", "Upload-Metadata": "id !!"})
    assert (bad.status_code, bad.json()["field"]) == (422, "Upload-Metadata")

    assert send(client, crew, upload_id, 0, PHOTO[:100]).headers["upload-offset"] == "100"
    for offset in (0, 99, 101):
        wrong = send(client, crew, upload_id, offset, PHOTO[offset:200])
        assert (wrong.status_code, wrong.json()["field"]) == (409, "Upload-Offset")
        assert wrong.headers["tus-resumable"] == "1.0.0"
    typed = send(client, crew, upload_id, 100, PHOTO[100:200], **{"Content-Type": "image/jpeg"})
    assert typed.status_code == 415
    assert send(client, crew, upload_id, 100, PHOTO[100:] + b"more").status_code == 413
    assert offset_of(client, crew, upload_id) == 100

    for method, headers in (("HEAD", {}), ("PATCH", PIECE | {"Upload-Offset": "100"}), ("DELETE", {})):
        foreign = client.request(method, f"{UPLOADS}/{upload_id}", headers=others.headers | TUS | headers)
        assert foreign.status_code == 404, method
    assert client.delete(f"{UPLOADS}/{upload_id}", headers=crew.headers | TUS).status_code == 204
    assert client.head(f"{UPLOADS}/{upload_id}", headers=crew.headers | TUS).status_code == 404
    assert [stored for stored in photos.store().list("uploads") if str(upload_id) in stored.key] == []


def test_what_nobody_finished_is_swept(client: TestClient, signed_in: SignIn, database: str) -> None:
    crew = signed_in(CREW)
    begun, finished = uuid4(), uuid4()
    assert announce(client, crew, begun, len(PHOTO)).status_code == 201
    assert send(client, crew, begun, 0, PHOTO[:500]).status_code == 204
    uploaded(client, crew, finished)

    def kept() -> set[str]:
        return {key for one in photos.store().list("uploads") for key in (str(begun), str(finished)) if key in one.key}

    assert kept() == {str(begun), str(finished)}
    with provincial() as session:
        uploads.sweep(session, min_age=uploads.ORPHAN_AGE * 0)
    assert kept() == {str(begun), str(finished)}
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE photo_upload SET expires_at = now() - interval '1 minute' WHERE id = %s", (begun,))
    assert client.head(f"{UPLOADS}/{begun}", headers=crew.headers | TUS).status_code == 404
    with provincial() as session:
        uploads.sweep(session, min_age=uploads.ORPHAN_AGE * 0)
    assert kept() == {str(finished)}
