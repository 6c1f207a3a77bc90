"""Stories of many who report the same trouble: one master, everybody hears of everything once, and each keeps apart."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from tests.stories.telling import COAST, URP, SignIn, as_holder, east_of, plain, receipt, reported, wait_for_rest
from tests.trials import Postbox, Staffer

LAMP = "lampione spento davanti al civico 12"
DONE = "Lampada sostituita."


def merge(clerk: Staffer, report: dict[str, Any], master: dict[str, Any]) -> Any:
    return clerk.change("PUT", report["id"], "master", {"master": master["id"]})


def heard(postbox: Postbox, words: str) -> Counter[str]:
    """How often each address has read these words."""
    return Counter(str(message["To"]) for message in postbox.messages if words in plain(message))


@pytest.mark.usefixtures("worker")
def test_seventeen_people_each_hear_every_change_once(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    crowd = [f"vicino{number}@example.org" for number in range(15)]
    master = reported(client, COAST, LAMP, email=crowd[0])
    others = [
        reported(client, east_of(COAST, number), LAMP, email=address)
        for number, address in enumerate([*crowd[1:], crowd[3].upper(), crowd[0]], start=1)
    ]
    others += [reported(client, COAST, LAMP) for _ in range(2)]
    wait_for_rest(database)
    clerk = signed_in(URP)
    for other in others:
        merge(clerk, other, master)
    wait_for_rest(database)
    assert (len(others), clerk.get(f"/reports/{master['id']}")["people"]) == (18, 17), "two wrote twice, two no address"
    together = clerk.get(f"/reports/{master['id']}")["together"]
    assert {row["number"] for row in together["duplicates"]} == {other["number"] for other in others}
    public = client.get(f"/api/v1/reports/{master['number']}").json()
    assert public["people"] == 17
    assert as_holder(client, others[5])["people"] == 17
    page = client.get(f"/r/{others[5]['number']}", params={"token": others[5]["receipt_token"]}).text
    assert "17 people" in page
    assert master["number"] in page

    clerk.change("POST", master["id"], "updates", {"text": "Domani passa l'elettricista.", "is_public": True})
    wait_for_rest(database)
    clerk.change("PUT", master["id"], "department", {"department": "public-works", "reason": "Cavo sotto la strada."})
    wait_for_rest(database)
    clerk.change("POST", master["id"], "moves", {"to": "resolved", "reason": DONE})
    wait_for_rest(database)
    once = dict.fromkeys(crowd, 1)
    assert heard(postbox, "Domani passa l'elettricista.") == once
    assert heard(postbox, "Cavo sotto la strada.") == once
    assert heard(postbox, DONE) == once
    [mail] = [m for m in postbox.to(crowd[7]) if "Cavo sotto la strada." in plain(m)]
    assert f"Novità sulla segnalazione {master['number']}, a cui la Sua è unita: è passata" in plain(mail)
    assert "17 persone" in plain(mail)
    assert "Settore Lavori Pubblici" in plain(mail)
    twice = as_holder(client, others[14])
    assert [entry["note"] for entry in twice["timeline"] if entry["what"].startswith("master_")][-1] == DONE, (
        "the history is whole also where the mail came for another report"
    )


@pytest.mark.usefixtures("worker")
def test_a_report_that_is_split_off_is_told_and_hears_no_more_of_the_others(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    anna, bruno, carla = "anna@example.org", "bruno@example.org", "carla@example.org"
    first, second, third = (reported(client, COAST, LAMP, email=address) for address in (anna, bruno, carla))
    wait_for_rest(database)
    merge(clerk, third, second)
    moved = merge(clerk, second, first)
    wait_for_rest(database)
    assert (moved["people"], clerk.get(f"/reports/{first['id']}")["people"]) == (1, 3)
    assert heard(postbox, f"segnalato con il numero {first['number']}") == {bruno: 1, carla: 1}, "who hung on it too"
    again = client.put(
        f"/api/v1/desk/reports/{first['id']}/master",
        json={"master": third["id"]},
        headers=clerk.headers | {"If-Match": f'"v{clerk.get("/reports/" + first["id"])["version"]}"'},
    )
    assert again.status_code == 409, "nothing hangs on a duplicate"
    split = clerk.change("POST", third["id"], "split", {"reason": "È un altro lampione."})
    clerk.change("POST", first["id"], "updates", {"text": "Arriva il pezzo.", "is_public": True})
    wait_for_rest(database)
    assert (split["state"], split["people"], clerk.get(f"/reports/{first['id']}")["people"]) == ("reopened", 1, 2)
    assert heard(postbox, "È un altro lampione.") == {carla: 1}
    assert heard(postbox, f"non è più unita alla {first['number']}") == {carla: 1}
    assert heard(postbox, "Arriva il pezzo.") == {anna: 1, bruno: 1}


@pytest.mark.usefixtures("worker")
def test_a_master_cannot_be_withdrawn_while_others_wait_with_it(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    first, second = (reported(client, COAST, LAMP, email=f"{name}@example.org") for name in ("anna", "bruno"))
    wait_for_rest(database)
    merge(clerk, second, first)
    url = f"/api/v1/reports/{first['number']}/receipt/moves"
    assert as_holder(client, first)["moves"] == []
    refused = client.post(url, json={"to": "withdrawn"}, headers=receipt(first))
    assert refused.status_code == 409
    assert "(1)" in refused.json()["detail"]
    clerk.change("POST", second["id"], "split", {"reason": "È un altro lampione."})
    assert client.post(url, json={"to": "withdrawn"}, headers=receipt(first)).status_code == 200


def test_what_was_said_on_a_hidden_master_is_not_read_on_a_public_duplicate(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    clerk = signed_in(URP)
    first, second = (reported(client, COAST, LAMP) for _ in range(2))
    merge(clerk, second, first)
    clerk.change("POST", first["id"], "updates", {"text": "Parole riservate.", "is_public": True})
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE report SET is_public = false WHERE id = %s", (first["id"],))
    public = client.get(f"/api/v1/reports/{second['number']}")
    assert [entry["what"] for entry in public.json()["timeline"]][-1] == "master_update"
    assert "Parole riservate" not in public.text


def test_clerks_who_merge_split_and_move_crosswise_leave_one_whole_group(
    client: TestClient, database: str, signed_in: SignIn
) -> None:
    """Two clerks merge the other way round, split and move masters meanwhile: nobody waits for ever, nothing breaks."""
    clerk = signed_in(URP)
    reports = [reported(client, COAST, LAMP, email=f"{number % 4}@example.org") for number in range(6)]
    dice = random.Random(4)

    def attempt(chosen: tuple[str, dict[str, Any], dict[str, Any]]) -> Response:
        what, report, other = chosen
        url = f"/api/v1/desk/reports/{report['id']}"
        seen = client.get(url, headers=clerk.headers)
        headers = clerk.headers | {"If-Match": seen.headers["etag"]}
        if what == "merge":
            return client.put(f"{url}/master", json={"master": other["id"]}, headers=headers)
        if what == "split":
            return client.post(f"{url}/split", json={"reason": "Altro guasto."}, headers=headers)
        return client.post(f"{url}/updates", json={"text": "Si va avanti.", "is_public": True}, headers=headers)

    attempts = [(dice.choice(("merge", "merge", "split", "update")), *dice.sample(reports, 2)) for _ in range(120)]
    with ThreadPoolExecutor(6) as clerks:
        answers = list(clerks.map(attempt, attempts))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 409, 412}, statuses
    assert statuses[200] > 20
    with psycopg.connect(database) as admin:
        rows = admin.execute("SELECT id, state, master_id, people FROM report").fetchall()
        emails = dict(admin.execute("SELECT report_id, email FROM reporter").fetchall())
    masters = {row[0]: row[2] for row in rows}
    for key, state, master, people in rows:
        assert (state == "duplicate") == (master is not None)
        assert master is None or masters[master] is None, "no chain"
        group = {emails[key]} | {emails[other] for other, of in masters.items() if of == key}
        assert people == len(group)
