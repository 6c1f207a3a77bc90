"""Stories of a street: from the report to the repair, through HTTP, with the real worker and a real mail server."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from tests.trials import Postbox, Staffer, eventually

PROVINCIAL_ROAD = {"lon": 12.861, "lat": 43.8861}


def test_a_pothole_on_a_provincial_road_goes_to_the_province(
    client: TestClient, worker: object, postbox: Postbox, signed_in: Callable[[str], Staffer]
) -> None:
    report: dict[str, Any] = client.post(
        "/api/v1/reports",
        json=PROVINCIAL_ROAD
        | {
            "description": "buca molto profonda sulla provinciale, ho rotto la gomma",
            "contact": {"email": "anna@example.org"},
        },
    ).json()
    assert report["category"]["slug"] == "pothole"
    assert report["department"]["slug"] == "province-roads"
    assert "provincial-roads/sp-423" in report["department"]["reason"]["facts"]["zones"]
    mail = eventually(lambda: postbox.to("anna@example.org"))[0]
    assert report["number"] in mail["Subject"]
    clerk = signed_in("operatore.urp@pesaro.example.org")
    clerk.change("POST", report["id"], "moves", {"to": "in_progress"})
    clerk.change("POST", report["id"], "moves", {"to": "resolved", "reason": "asfalto nuovo"})
    eventually(lambda: "Risolta".lower() in str([m["Subject"] for m in postbox.to("anna@example.org")]))
