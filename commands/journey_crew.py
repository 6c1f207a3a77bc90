"""A crew's offline morning, as part of the journey: the day is fetched, work is done without network, and comes in."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import httpx

from city.texts import text
from commands.journey_steps import expect, good
from geo.place import Place

CREW: Final = "squadra.roads-coast@pesaro.example.org"
CREW_SLUG: Final = "roads-coast"
YARD: Final = Place(12.9135, 43.9098)
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PIECE: Final = {"Content-Type": "application/offset+octet-stream"}


class Morning:
    """What the tablet holds while it is offline, and what it sends once there is network."""

    def __init__(self, client: httpx.Client, password: str, clerk: dict[str, str], photo: bytes) -> None:
        self._client = client
        self._password = password
        self._clerk = clerk
        self._photo = photo
        self._crew: dict[str, str] = {}
        self._job: dict[str, Any] = {}
        self._operations: list[dict[str, Any]] = []
        self._upload = uuid4()

    def fetched(self) -> str:
        """The desk gives the crew a job; the tablet takes the day along."""
        report = good(
            self._client.post(
                "/api/v1/reports",
                json={
                    "lon": YARD.lon,
                    "lat": YARD.lat,
                    "description": text("morning.words", language="it"),
                    "category": "pothole",
                    "contact": {"email": "cittadino@example.org"},
                },
            )
        ).json()
        desk = f"/api/v1/desk/reports/{report['id']}"
        version = {"If-Match": good(self._client.get(desk, headers=self._clerk)).headers["etag"]}
        good(self._client.put(f"{desk}/crew", json={"crew": CREW_SLUG}, headers=self._clerk | version))
        signed = good(self._client.post("/api/v1/session", json={"email": CREW, "password": self._password})).json()
        self._crew = {"Authorization": f"Bearer {signed['token']}"}
        asked = {"lon": YARD.lon, "lat": YARD.lat}
        day = good(self._client.get("/api/v1/crew/day", params=asked, headers=self._crew))
        jobs = day.json()["jobs"]
        self._job = next(job for job in jobs if job["number"] == report["number"])
        same = self._client.get(
            "/api/v1/crew/day", params=asked, headers=self._crew | {"If-None-Match": day.headers["etag"]}
        )
        expect(same.status_code == httpx.codes.NOT_MODIFIED, f"the day changed by itself: {same.status_code}")
        return f"{day.json()['crew']['name']}: {len(jobs)}, {len(day.content) // 1024} kB"

    def worked(self) -> str:
        """Without network: the tablet only writes down."""
        for kind, said in (
            ("start", {}),
            ("photo", {"upload": str(self._upload)}),
            ("work", {"minutes": 40, "materials": [{"material": "cold_asphalt", "quantity": 25, "unit": "kg"}]}),
            ("done", {"text": text("morning.done", language="it")}),
        ):
            of = {"report": self._job["id"], "base_version": self._job["version"]}
            self._operations.append(self._operation(kind, **of, **said))
        beside = {"lon": YARD.lon + 0.001, "lat": YARD.lat, "category": "pothole"}
        self._operations.append(
            self._operation("found_more", description=text("morning.found", language="it"), **beside)
        )
        return ", ".join(operation["kind"] for operation in self._operations)

    def sent(self) -> str:
        """The network comes and goes: batches overlap, an answer is lost, the photo comes in two parts."""
        self._sync(self._operations[1:])
        results = self._sync(self._operations)
        expect(
            [result["result"] for result in results] == ["applied", *["already_applied"] * 4],
            f"{[result['result'] for result in results]}",
        )
        self._send_photo()
        again = self._sync(self._operations)
        expect(all(result["outcome"] == "applied" for result in again), f"{[one['outcome'] for one in again]}")
        expect(again[0]["report"]["state"] == "resolved", f"state {again[0]['report']['state']}")
        seen = good(self._client.get(f"/api/v1/desk/reports/{self._job['id']}", headers=self._clerk)).json()
        expect(len(seen["photos"]) == 1, f"{len(seen['photos'])} photos")
        expect(seen["field_work"]["minutes"] == 40, f"{seen['field_work']}")  # noqa: PLR2004
        return (
            f"{seen['number']}: {seen['state']}, {seen['field_work']['minutes']} min, + {again[-1]['report']['number']}"
        )

    def _operation(self, kind: str, **said: Any) -> dict[str, Any]:
        return {
            "id": str(uuid4()),
            "kind": kind,
            "device_at": datetime.now(UTC).isoformat(),
            "sequence": len(self._operations),
            **said,
        }

    def _sync(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        batch = {"device": "tablet-1", "sent_at": datetime.now(UTC).isoformat(), "operations": operations}
        results: list[dict[str, Any]] = good(
            self._client.post("/api/v1/crew/sync", json=batch, headers=self._crew)
        ).json()["results"]
        return results

    def _send_photo(self) -> None:
        named = {"Upload-Metadata": f"id {base64.b64encode(str(self._upload).encode()).decode()}"}
        length = {"Upload-Length": str(len(self._photo))}
        begun = good(self._client.post("/api/v1/crew/uploads", headers=self._crew | _TUS | named | length))
        url, half = begun.headers["location"], len(self._photo) // 2
        for part in (self._photo[:half], self._photo[half:]):
            known = good(self._client.head(url, headers=self._crew | _TUS)).headers["upload-offset"]
            start = {"Upload-Offset": known}
            good(self._client.patch(url, content=part, headers=self._crew | _TUS | _PIECE | start))
