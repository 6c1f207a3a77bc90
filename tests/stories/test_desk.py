"""A morning at the desk: what came in overnight is seen, sorted, shared out, talked over, done and told."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.stories.telling import COAST, URP, SignIn, plain, reported, wait_for_receipt, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

WORKS = "operatore.lavoripubblici@pesaro.example.org"
HEAD = "responsabile.lavoripubblici@pesaro.example.org"
CREW = "squadra.roads-coast@pesaro.example.org"
CITIZEN = "anna@example.org"


def counts(staffer: Staffer) -> dict[str, int]:
    return {one["name"]: one["count"] for one in staffer.get("/worklists")["worklists"]}


def listed(staffer: Staffer, **which: Any) -> list[str]:
    return [row["id"] for row in staffer.get("/reports", **which)["reports"]]


def sent(staffer: Staffer, path: str, body: dict[str, Any], status: int = 200) -> Any:
    answer = staffer.client.post(f"/api/v1/desk{path}", headers=staffer.headers, json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def in_one_go(staffer: Staffer, action: dict[str, Any], **which: Any) -> tuple[Any, Any]:
    """What the preview says, and what comes of it."""
    seen = sent(staffer, "/bulk", {"preview": True, "action": action, **which})
    wish = {"reports": seen["reports"], "selection_token": seen["selection_token"], "client_reference": str(uuid4())}
    return seen, sent(staffer, "/bulk", {"action": action} | wish)


@pytest.mark.usefixtures("worker")
def test_a_morning_at_the_desk(client: TestClient, database: str, signed_in: SignIn, postbox: Postbox) -> None:
    words = "buca profonda in viale Trieste"
    night = [reported(client, COAST, words, category="pothole", email=CITIZEN) for _ in range(4)]
    unclear = reported(client, COAST, "non so come dire, venite a vedere")
    danger = reported(client, COAST, "cavo scoperto sul lampione, si prende la scossa", category="lamp-out")
    for report in night:
        wait_for_receipt(postbox, report, CITIZEN)
    urp, works, head, crew = (signed_in(address) for address in (URP, WORKS, HEAD, CREW))

    # The front desk looks at what there is, the dangerous one first, and sorts what nobody could sort.
    morning = counts(urp)
    assert (morning["triage"], morning["emergencies"], morning["mine"]) == (1, 1, 0)
    assert listed(urp, order="urgent")[0] == danger["id"]
    assert listed(urp, worklist="triage") == [unclear["id"]]
    urp.change("PUT", unclear["id"], "category", {"category": "pothole"})
    assert counts(urp)["triage"] == 0

    # The office keeps its own list, and its head finds it.
    kept = sent(
        works,
        "/filters",
        {
            "name": "Buche da affidare",
            "conditions": {"worklist": "unassigned", "category": "pothole"},
            "order": "deadline",
            "department": night[0]["department"]["slug"],
        },
        201,
    )
    assert [(one["name"], one["own"], one["count"]) for one in head.get("/worklists")["filters"]] == [
        ("Buche da affidare", False, 5)
    ]

    # One of them is taken, and the head asked; the head says what to do and watches it.
    hers = night[0]
    works.change("POST", hers["id"], "take", {})
    assert listed(works, worklist="mine") == [hers["id"]]
    works.change("POST", hers["id"], "updates", {"text": "@responsabile.lavoripubblici: chiudiamo la strada?"})
    (asked,) = eventually(lambda: postbox.to(HEAD))
    assert "chiudiamo la strada?" in plain(asked)
    assert listed(head, worklist="mentioned") == [hers["id"]]
    url = f"/api/v1/desk/reports/{hers['id']}"
    assert client.post(f"{url}/seen", headers=head.headers).status_code == 204
    assert counts(head)["mentioned"] == 0
    assert client.put(f"{url}/watch", headers=head.headers).status_code == 204
    head.change("POST", hers["id"], "updates", {"text": "Sì, @operatore.lavoripubblici, per oggi."})
    eventually(lambda: postbox.to(WORKS))

    # The rest goes to the crew in one go, after a look at what that would do.
    seen, done = in_one_go(works, {"do": "crew", "crew": "roads-coast"}, selection={"filter": kept["id"]})
    assert sorted(one["id"] for one in seen["changed"]) == sorted([*(r["id"] for r in night[1:]), unclear["id"]])
    assert done["changed"] == seen["changed"]
    assert seen["told"]["letters"] == 0, "which crew it is, the citizen need not hear"
    assert len(listed(crew)) == 4
    assert works.get("/worklists")["filters"][0]["count"] == 0

    # The crew goes out; who reported hears, and the head hears of the report that she watches.
    works.change("PUT", hers["id"], "crew", {"crew": "roads-coast"})
    wait_for_rest(database)
    postbox.messages.clear()
    over, _ = in_one_go(crew, {"do": "move", "to": "resolved", "reason": "Buca chiusa."}, selection={})
    assert (len(over["changed"]), over["told"]["letters"], over["told"]["reporters"]) == (5, 4, 1)
    assert [one["name"] for one in over["told"]["colleagues"]] == [who(urp, "responsabile.lavoripubblici")]
    wait_for_rest(database)
    assert sorted(number(mail) for mail in postbox.to(CITIZEN)) == sorted(report["number"] for report in night)
    (news,) = postbox.to(HEAD)
    assert hers["number"] in news["Subject"]
    assert "risolta" in plain(news)
    assert postbox.to(WORKS) == []

    evening = counts(works)
    assert {name: evening[name] for name in ("mine", "department", "unassigned")} == {
        "mine": 0,
        "department": 0,
        "unassigned": 0,
    }


def who(staffer: Staffer, handle: str) -> str:
    return next(one["name"] for one in staffer.get("/people")["people"] if one["handle"] == handle)


def number(mail: Any) -> str:
    return next(word for word in str(mail["Subject"]).replace(":", " ").split() if word.startswith("PS-"))
