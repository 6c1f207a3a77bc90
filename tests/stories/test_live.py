"""A story of three screens: the desk sees a report appear, the crew gets it, the desk sees the crew's work."""

from __future__ import annotations

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.listening import Listener
from tests.stories.telling import COAST, URP, SignIn, as_holder, reported

CREW = "squadra.roads-coast@pesaro.example.org"
COUNCIL = "consiglio@pesaro.example.org"


@pytest.mark.usefixtures("worker")
def test_desk_crew_and_council_see_what_happens_as_it_happens(client: TestClient, signed_in: SignIn, live: str) -> None:
    clerk, crew, council = signed_in(URP), signed_in(CREW), signed_in(COUNCIL)

    def ticket(headers: dict[str, str]) -> str:
        answer = httpx.post(f"{live}/api/v1/stream/tickets", headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ticket"])

    desk_screen = Listener(live, parameters={"ticket": ticket(clerk.headers)})
    tablet = Listener(live, parameters={"ticket": ticket(crew.headers)})
    dashboard = Listener(live, parameters={"ticket": ticket(council.headers), "topic": "figures"})
    with desk_screen.in_background() as desk, tablet.in_background() as van, dashboard.in_background() as hall:
        report = reported(client, COAST, "buca profonda in viale Trieste", category="pothole")
        number = report["number"]
        assert desk.wait_for("report", number).data["what"][0] == "received"
        hall.wait_for("figures")

        clerk.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
        job = van.wait_for("report", number)
        assert job.data["crew"] == "roads-coast"
        crew.change("POST", job.data["id"], "moves", {"to": "in_progress"})
        desk.wait_for("report", number, state="in_progress")
        done = crew.change("POST", job.data["id"], "moves", {"to": "resolved", "reason": "Buca chiusa."})
        seen = desk.wait_for("report", number, state="resolved")
        assert (seen.data["version"], seen.data["is_open"]) == (done["version"], False)
        assert as_holder(client, report)["state"] == "resolved"
    assert {heard.event for heard in hall.heard} == {"figures"}

    # The desk's window was closed for a moment; with a new ticket it goes on where it was.
    other = reported(client, COAST, "altra buca, più avanti", category="pothole")
    desk_screen.parameters = {"ticket": ticket(clerk.headers)}
    assert other["number"] in {heard.data.get("number") for heard in desk_screen.missed()}
