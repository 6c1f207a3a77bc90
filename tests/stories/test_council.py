"""The story of a council: reports come in, the office works, and the figures, the hot spots and the map tell of it."""

from __future__ import annotations

import io
import time
from datetime import datetime
from typing import Any, Final

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image
from pypdf import PdfReader

from geo.place import Place
from tests.stories.telling import COAST, INLAND, ROME, URP, SignIn, east_of, receipt, reported
from tests.trials import Staffer, eventually
from workers.duties import find_hotspots

COUNCIL: Final = "consiglio@pesaro.example.org"
ANNA: Final = {"email": "anna@example.org"}
HOT: Final = (165, 15, 38)
"""The colour of what is nearly certain, before the paper shines through."""


def asked(client: TestClient, path: str, who: Staffer | None = None, **parameters: Any) -> Any:
    answer = client.get(
        f"/api/v1/insight/{path}", params={"municipality": "pesaro"} | parameters, headers=who.headers if who else {}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def drawn(client: TestClient, **parameters: Any) -> NDArray[np.uint8]:
    answer = client.get("/api/v1/insight/map.png", params={"municipality": "pesaro", "language": "it"} | parameters)
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as picture:
        return np.asarray(picture.convert("RGB"))


def reddish(picture: NDArray[np.uint8]) -> int:
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return int(((red > 120) & (red - green > 90) & (red - blue > 60)).sum())


def a_dark_street(client: TestClient) -> list[dict[str, Any]]:
    """Fourteen lamps out in one street, and here and there one other trouble."""
    for number in range(40):
        reported(client, Place(12.84 + 0.006 * (number % 8), 43.84 + 0.006 * (number // 8)), "buca", category="pothole")
    return [
        reported(client, east_of(COAST, 3 * number), "lampione spento", category="lamp-out") for number in range(14)
    ]


def test_the_dark_street_is_found_and_once_it_is_lit_the_figures_say_so(client: TestClient, signed_in: SignIn) -> None:
    clean = drawn(client, by="heat")
    lamps = a_dark_street(client)
    row = next(row for row in asked(client, "zones", by="group")["rows"] if row["key"] == "lighting")
    assert (row["received"], row["open"], row["solved"]) == (14, 14, 0)
    assert row["answer_median_hours"] is None
    assert row["reasons"]["answer_median_hours"] == "not_reached", "nobody has answered"
    assert reddish(clean) == 0
    assert (drawn(client, by="heat") != clean).any(), "the new reports are on the very next map"

    find_hotspots()
    hot = asked(client, "hotspots", group="lighting")["features"]
    assert hot
    assert {feature["properties"]["kind"] for feature in hot} == {"hot"}
    for feature in hot:
        west, south = np.min(feature["geometry"]["coordinates"][0], axis=0)
        east, north = np.max(feature["geometry"]["coordinates"][0], axis=0)
        assert west <= lamps[0]["place"]["lon"] <= east
        assert south <= COAST.lat <= north
        assert feature["properties"]["q"] <= 0.05
        assert feature["properties"]["count"] >= 5
    assert reddish(drawn(client, by="hotspots", group="lighting")) > 100

    clerk = signed_in(URP)
    for lamp in lamps[:10]:
        clerk.change("POST", lamp["id"], "moves", {"to": "resolved", "reason": "Linea riparata."})
    row = next(row for row in asked(client, "zones", by="group")["rows"] if row["key"] == "lighting")
    assert (row["received"], row["open"], row["solved"]) == (14, 4, 10)
    assert row["answer_median_hours"] < 1
    assert row["solve_median_hours"] < 1
    assert row["late_share"] == 0
    months = [row for row in asked(client, "months")["rows"] if row["group"] == "lighting" and row["received"]]
    assert [(row["received"], row["open"], row["solved"]) for row in months] == [(14, 4, 10)]

    time.sleep(1.1)  # what comes again comes after a second at the earliest
    reported(client, COAST, "di nuovo spento", category="lamp-out")
    again = asked(client, "recurrence")
    assert again["again"] == 1
    assert len(again["places"]) == 1


def test_a_quarrel_with_the_neighbours_shows_nowhere_but_to_the_council(client: TestClient, signed_in: SignIn) -> None:
    for number in range(30):
        place = Place(12.84 + 0.006 * (number % 8), 43.84 + 0.006 * (number // 8))
        reported(client, place, "buca", category="pothole")
    before = {by: drawn(client, by=by, layer="pesaro-districts").tobytes() for by in ("heat", "zones")}
    for _ in range(12):
        reported(client, INLAND, "musica altissima ogni notte", category="noise", contact=ANNA)
    find_hotspots()
    told = {
        "months": asked(client, "months", group="safety")["rows"],
        "zones": asked(client, "zones", by="group")["rows"],
    }
    assert {row["received"] for row in told["months"] if row["group"] == "safety"} == {0}
    assert next(row for row in told["zones"] if row["key"] == "safety")["received"] == 0
    assert asked(client, "recurrence", category="noise")["places"] == []
    assert asked(client, "hotspots", group="safety")["features"] == []
    assert asked(client, "hotspots")["features"] == []
    for by, picture in before.items():
        assert drawn(client, by=by, layer="pesaro-districts").tobytes() == picture, f"{by} shows nothing of it"
    assert reddish(drawn(client, by="hotspots", group="safety")) == 0

    council = signed_in(COUNCIL)
    seen = next(row for row in asked(client, "zones", council, by="group")["rows"] if row["key"] == "safety")
    assert seen["received"] == 12
    assert asked(client, "hotspots", council, group="safety")["features"]
    for_council = client.get(
        "/api/v1/insight/map.svg", params={"municipality": "pesaro", "language": "it"}, headers=council.headers
    )
    assert "uso interno" in for_council.text


def on_paper(client: TestClient, who: Staffer | None = None) -> str:
    """The words of this month's report as PDF."""
    parameters = {"municipality": "pesaro", "month": f"{datetime.now(ROME):%Y-%m}", "language": "it"}
    answer = client.get("/api/v1/insight/report.pdf", params=parameters, headers=who.headers if who else {})
    assert answer.status_code == 200, answer.text
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_figures_ages_and_the_printed_month_tell_one_story(client: TestClient, signed_in: SignIn) -> None:
    lamps = a_dark_street(client)
    for _ in range(6):
        reported(client, INLAND, "musica altissima ogni notte", category="noise", contact=ANNA)
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    for lamp in lamps[:9]:
        clerk.change("POST", lamp["id"], "moves", {"to": "resolved", "reason": "Linea riparata."})
    clerk.change("POST", lamps[0]["id"], "moves", {"to": "reopened", "reason": "Di nuovo spento."})

    everything = asked(client, "zones", council, by="total")["rows"][0]
    told = {name: everything[name] for name in ("received", "open", "solved", "reopened", "late")}
    assert told == {"received": 60, "open": 52, "solved": 8, "reopened": 1, "late": 0}
    month = asked(client, "flow", council)["rows"][-1]
    assert (month["received"], month["solved"], month["reopened"]) == (60, 8, 1)
    ages = asked(client, "ageing", council, by="group")["rows"]
    assert {row["key"]: row["open"] for row in ages if row["open"]} == {"roads": 40, "lighting": 6, "safety": 6}
    by_month = asked(client, "zones", council, by="month", across="group")["rows"]
    assert {row["across"]["key"]: row["received"] for row in by_month if row["received"]} == {
        "roads": 40,
        "lighting": 14,
        "safety": 6,
    }

    internal = on_paper(client, council)
    assert "Segnalazioni ricevute nel mese: 60" in internal
    assert "Segnalazioni risolte nel mese, anche ricevute prima: 8." in internal
    assert "Aperte in questo momento: 52" in internal
    assert "Per uso interno" in internal
    public = on_paper(client)
    assert "Segnalazioni ricevute nel mese: 54" in public
    assert "Sicurezza" not in public.split("Per tipo di problema")[1].split("Le categorie")[0]
    assert asked(client, "flow")["rows"][-1]["reopened"] is None, "one is not told to the public"


def test_what_citizens_say_of_the_work_reaches_the_council(client: TestClient, signed_in: SignIn) -> None:
    clerk, council = signed_in(URP), signed_in(COUNCIL)
    lamps = [
        reported(client, east_of(COAST, -150 * number), "lampione spento", category="lamp-out", contact=ANNA)
        for number in range(6)
    ]
    for lamp in lamps:
        clerk.change("POST", lamp["id"], "moves", {"to": "resolved", "reason": "Lampada cambiata."})

    def heard(lamp: dict[str, Any], rating: int) -> None:
        answer = client.put(
            f"/api/v1/reports/{lamp['number']}/feedback",
            json={"rating": rating, "is_solved": True},
            headers=receipt(lamp),
        )
        assert answer.status_code == 200, answer.text

    for lamp in lamps[:4]:
        heard(lamp, 5)
    row = asked(client, "zones", council, by="total")["rows"][0]
    assert (row["solved"], row["confirmed"], row["rated"], row["confirmed_share"]) == (6, 4, 4, 0.6667)
    public = asked(client, "zones", by="total")["rows"][0]
    assert (public["solved"], public["confirmed"], public["rated"]) == (6, None, None), "four may point at somebody"
    for lamp in lamps[4:]:
        heard(lamp, 4)
    public = asked(client, "zones", by="total")["rows"][0]
    assert (public["confirmed"], public["rated"], public["satisfied_share"]) == (6, 6, 1.0)
    assert "Confermate, su quelle risolte 100 %" in on_paper(client, council).replace("\u00a0", " ")


@pytest.mark.usefixtures("worker")
def test_the_worker_looks_for_hot_spots_by_itself(client: TestClient) -> None:
    eventually(lambda: asked(client, "hotspots")["computed_at"])
    eventually(lambda: client.get("/api/v1/insight/hotspots").json()["cell_metres"] == 1000)
