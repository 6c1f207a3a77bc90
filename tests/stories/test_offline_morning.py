"""The story of an offline morning: two tablets, a desk that goes on, a connection that is cut, and one end."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, as_holder, east_of, photo_taken_at, plain, reported, wait_for_rest
from tests.stories.test_uploads import PIECE, TUS, UPLOADS, announce, offset_of, send
from tests.trials import Postbox, Staffer, eventually

CREW: Final = "squadra.roads-coast@pesaro.example.org"
OTHER_CREW: Final = "squadra.roads-hills@pesaro.example.org"
PHOTO: Final = photo_taken_at(COAST)


class Tablet:
    """It writes down what is done, and knows nothing of what the desk does meanwhile."""

    def __init__(self, client: TestClient, crew: Staffer) -> None:
        self._client = client
        self._crew = crew
        self.day: list[dict[str, Any]] = []
        self.outbox: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}

    def fetch(self) -> None:
        """Take the day along."""
        asked = {"lon": COAST.lon, "lat": COAST.lat}
        answer = self._client.get("/api/v1/crew/day", headers=self._crew.headers, params=asked)
        assert answer.status_code == 200
        self.day = answer.json()["jobs"]

    def write_down(self, kind: str, job: dict[str, Any] | None = None, **said: Any) -> str:
        """Something is done, now."""
        of = {"report": job["id"], "base_version": job["version"]} if job else {}
        operation = {
            "id": str(uuid4()),
            "kind": kind,
            "device_at": datetime.now(UTC).isoformat(),
            "sequence": len(self.outbox),
            **of,
            **said,
        }
        self.outbox.append(operation)
        return str(operation["id"])

    def sync(self, operations: list[dict[str, Any]], *, is_cut: bool = False) -> None:
        """Send a batch; where the connection is cut, nobody hears the answer."""
        batch = {"device": "tablet", "sent_at": datetime.now(UTC).isoformat(), "operations": operations}
        answer = self._client.post("/api/v1/crew/sync", json=batch, headers=self._crew.headers)
        assert answer.status_code == 200, answer.text
        if not is_cut:
            self.answers |= {one["id"]: one for one in answer.json()["results"]}


@pytest.mark.usefixtures("worker")
def test_an_offline_morning(  # noqa: PLR0915  (one morning, from its beginning to its end)
    client: TestClient, signed_in: SignIn, postbox: Postbox, database: str
) -> None:
    clerk, crew = signed_in(URP), signed_in(CREW)
    names = ("buca", "marciapiede", "tombino", "segnale", "cordolo")
    mails = {name: f"{name}@example.org" for name in names}
    reports = {}
    for number, name in enumerate(names):
        place = east_of(COAST, 150 * (5 - number))
        reports[name] = reported(
            client, place, f"{name} da sistemare", category="pothole", contact={"email": mails[name]}
        )
        clerk.change("PUT", reports[name]["id"], "crew", {"crew": "roads-coast"})
    wait_for_rest(database)

    tablet = Tablet(client, crew)
    tablet.fetch()
    jobs = {job["description"].split()[0]: job for job in tablet.day}
    assert [job["description"].split()[0] for job in tablet.day] == list(reversed(names))

    # The tablet goes offline. Five jobs are done, or not; the desk goes on.
    upload = uuid4()
    tablet.write_down("start", jobs["buca"])
    tablet.write_down("photo", jobs["buca"], upload=str(upload))
    tablet.write_down("work", jobs["buca"], minutes=45, materials=[{"material": "sabbia", "quantity": 2, "unit": "kg"}])
    tablet.write_down("done", jobs["buca"], text="Buca chiusa.")
    cant = tablet.write_down("cant", jobs["marciapiede"], reason="material", text="Mancano i cordoli.")
    done_before = tablet.write_down("done", jobs["tombino"], text="Tombino fissato.")
    clerk.change("PUT", reports["segnale"]["id"], "crew", {"crew": "roads-hills"})
    clerk.change("POST", reports["tombino"]["id"], "moves", {"to": "planned"})
    clerk.change("POST", reports["cordolo"]["id"], "moves", {"to": "resolved", "reason": "Già sistemato ieri."})
    clerk.change("POST", reports["cordolo"]["id"], "moves", {"to": "closed"})
    passed_on = tablet.write_down("done", jobs["segnale"], text="Segnale raddrizzato.")
    closed = tablet.write_down("start", jobs["cordolo"], text="Cominciamo dal cordolo.")
    found = tablet.write_down(
        "found_more",
        lon=east_of(COAST, 20).lon,
        lat=COAST.lat,
        description="Griglia divelta vicino alla buca",
        category="pothole",
    )

    # Two batches that overlap, the first with a cut before its answer; the photo in two parts, with a cut.
    tablet.sync(tablet.outbox[4:], is_cut=True)
    assert announce(client, crew, upload, len(PHOTO)).status_code == 201
    assert send(client, crew, upload, 0, PHOTO[:9000]).status_code == 204
    tablet.sync(tablet.outbox[:7])
    at = offset_of(client, crew, upload)
    rest = crew.headers | TUS | PIECE | {"Upload-Offset": str(at)}
    assert client.patch(f"{UPLOADS}/{upload}", headers=rest, content=PHOTO[at:]).status_code == 204
    tablet.sync(tablet.outbox)
    wait_for_rest(database)

    assert {one["result"] for one in tablet.answers.values()} == {"already_applied"}
    outcomes = {key: one["outcome"] for key, one in tablet.answers.items()}
    assert [key for key, outcome in outcomes.items() if outcome != "applied"] == [passed_on, closed]
    seen = {name: clerk.get(f"/reports/{reports[name]['id']}") for name in names}
    assert {name: report["state"] for name, report in seen.items()} == {
        "buca": "resolved",
        "marciapiede": "waiting",
        "tombino": "resolved",
        "segnale": "assigned",
        "cordolo": "closed",
    }
    assert [photo["state"] for photo in seen["buca"]["photos"]] == ["ready"]
    assert seen["buca"]["field_work"]["minutes"] == 45
    assert seen["marciapiede"]["paused_at"]
    assert seen["segnale"]["crew"] == "roads-hills"
    assert tablet.answers[cant]["report"]["state"] == "waiting"
    assert tablet.answers[done_before]["report"]["state"] == "resolved"

    conflicts = {one["id"]: one for one in clerk.get("/conflicts")["conflicts"]}
    assert set(conflicts) == {passed_on, closed}
    assert conflicts[passed_on]["conflict"]["fields"]["crew"] == {"yours": "roads-coast", "theirs": "roads-hills"}
    assert conflicts[closed]["conflict"]["fields"]["state"] == {"yours": "in_progress", "theirs": "closed"}
    said = Counter(entry["note"] for report in seen.values() for entry in report["timeline"] if entry["note"])
    for words in ("Buca chiusa.", "Tombino fissato.", "Segnale raddrizzato.", "Cominciamo dal cordolo."):
        assert said[words] == 1, words
    assert said["Manca il materiale. Mancano i cordoli."] == 1
    assert [row["source"] for row in clerk.get("/reports", limit=1)["reports"]] == ["crew"]
    assert tablet.answers[found]["report"]["number"] == clerk.get("/reports", limit=1)["reports"][0]["number"]

    # Each reporter has been told what became of it, once, and nothing that is among colleagues.
    eventually(lambda: [mail for mail in postbox.to(mails["buca"]) if "Buca chiusa." in plain(mail)])
    told = {name: "".join(plain(mail) for mail in postbox.to(mails[name])) for name in names}
    assert told["buca"].count("Buca chiusa.") == 1
    assert told["tombino"].count("Tombino fissato.") == 1
    assert "Mancano i cordoli." in told["marciapiede"]
    assert "Segnale raddrizzato." not in told["segnale"]
    assert "Cominciamo" not in told["cordolo"]
    assert as_holder(client, reports["tombino"])["state"] == "resolved"
    letters = [mail for mail in postbox.to(URP) if reports["tombino"]["number"] in mail["Subject"]]
    assert len(letters) == 1

    tablet.fetch()
    assert [job["description"].split()[0] for job in tablet.day] == ["marciapiede"]
    theirs = Tablet(client, signed_in(OTHER_CREW))
    theirs.fetch()
    assert "Segnale raddrizzato." in str(theirs.day[0]["timeline"])
