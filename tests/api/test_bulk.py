"""The same done to many reports: what the preview says is what comes of it, once, and what cannot be done is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import WriteSession, writing
from city.registry import view
from city.reports import stacks
from tests.api.test_assignment import COUNCIL, CREW, GREEN, PROVINCE, WORKS, person
from tests.api.test_attention import states
from tests.api.test_worklists import copy, keep
from tests.stories.telling import COAST, FANO, URP, SignIn, counted, plain, reported, wait_for_rest
from tests.trials import Postbox, Staffer, eventually

URL = "/api/v1/desk/bulk"
RESOLVE = {"do": "move", "to": "resolved", "reason": "Buca chiusa."}


def potholes(client: TestClient, number: int, **more: Any) -> list[Any]:
    return [reported(client, COAST, f"buca profonda {n}", category="pothole", **more) for n in range(number)]


def asked(staffer: Staffer, body: dict[str, Any], **parameters: Any) -> httpx.Response:
    answer: httpx.Response = staffer.client.post(URL, headers=staffer.headers, json=body, params=parameters)
    return answer


def named(reports: list[Any]) -> list[dict[str, Any]]:
    return [{"id": report["id"]} for report in reports]


def preview(staffer: Staffer, action: dict[str, Any], **which: Any) -> Any:
    answer = asked(staffer, {"preview": True, "action": action, **which})
    assert answer.status_code == 200, answer.text
    return answer.json()


def application(seen: dict[str, Any], action: dict[str, Any], reference: str | None = None) -> dict[str, Any]:
    return {
        "action": action,
        "reports": seen["reports"],
        "selection_token": seen["selection_token"],
        "client_reference": reference or str(uuid4()),
    }


def applied(staffer: Staffer, action: dict[str, Any], **which: Any) -> tuple[Any, Any]:
    seen = preview(staffer, action, **which)
    answer = asked(staffer, application(seen, action))
    assert answer.status_code == 200, answer.text
    return seen, answer.json()


def everything(database: str) -> list[Any]:
    """All that a change could have left."""
    tables = ("report", "timeline_entry", "job", "delivery", "watcher", "mention", "training_pair", "stack_run")
    with psycopg.connect(database) as admin:
        return [admin.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


# --- preview and effect


def actions(works: int) -> list[dict[str, Any]]:
    return [
        RESOLVE,
        {"do": "move", "to": "planned", "internal_note": "con @operatore.lavoripubblici"},
        {"do": "person", "person": works},
        {"do": "person", "person": None},
        {"do": "crew", "crew": "roads-coast"},
        {"do": "department", "department": "green", "reason": "È nel parco."},
        {"do": "category", "category": "pavement", "note": "È il marciapiede."},
        {"do": "note", "text": "Visto con @operatore.lavoripubblici."},
        {"do": "watch", "watch": True},
    ]


@pytest.mark.parametrize("which", range(9))
def test_what_the_preview_says_is_what_comes_of_it(
    client: TestClient, database: str, signed_in: SignIn, which: int
) -> None:
    urp = signed_in(URP)
    action = actions(person(urp, "operatore.lavoripubblici")["id"])[which]
    reports = potholes(client, 3, contact={"email": "anna@example.org"})
    over = potholes(client, 1)[0]
    urp.change("POST", over["id"], "moves", {"to": "resolved", "reason": "Chiusa."})
    taken = potholes(client, 1)[0]
    signed_in(WORKS).change("POST", taken["id"], "take", {})
    stack = [*reports, over, taken]
    before = everything(database)
    seen = preview(urp, action, reports=named(stack))
    assert everything(database) == before, "a preview leaves nothing"
    again = asked(urp, application(seen, action)).json()
    for what in ("changed", "told"):
        assert again[what] == seen[what]
    assert len(seen["changed"]) + len(seen["unchanged"]) + len(seen["refused"]) == len(stack)
    assert [one["id"] for one in seen["reports"]] == [one["id"] for one in seen["changed"]]
    assert len(seen["changed"]) >= 1
    for one in again["changed"]:
        now = urp.get(f"/reports/{one['id']}")
        assert now["version"] == one["version"]
        for name, (_, after) in one["changes"].items():
            assert now[name] == after, name


def test_what_cannot_be_done_is_said_and_the_rest_is_done(client: TestClient, database: str, signed_in: SignIn) -> None:
    works, urp = signed_in(WORKS), signed_in(URP)
    good, over, stale, green = potholes(client, 4)
    urp.change("POST", over["id"], "moves", {"to": "rejected", "reason": "Area privata."})
    urp.change("PUT", green["id"], "department", {"department": "green", "reason": "È nel parco."})
    seen = preview(
        works,
        RESOLVE,
        reports=[
            {"id": good["id"], "version": 1},
            {"id": over["id"]},
            {"id": stale["id"], "version": 7},
            {"id": green["id"]},
            {"id": str(UUID(int=1))},
        ],
    )
    assert [one["id"] for one in seen["changed"]] == [good["id"]]
    assert seen["changed"][0]["changes"]["state"] == ["assigned", "resolved"]
    why = {one["id"]: one for one in seen["refused"]}
    assert set(why) == {over["id"], stale["id"], green["id"], str(UUID(int=1))}
    assert "changed" in why[stale["id"]]["why"]
    assert why[green["id"]]["number"] is None, "what one may not read is not named"
    assert why[green["id"]]["why"].replace(green["id"], "") == why[str(UUID(int=1))]["why"].replace(
        str(UUID(int=1)), ""
    )
    body = application(seen, RESOLVE)
    note = {"text": "Nel frattempo."}
    urp.change("POST", good["id"], "updates", note)
    late = asked(works, body).json()
    assert (late["changed"], [one["id"] for one in late["refused"]]) == ([], [good["id"]])
    assert urp.get(f"/reports/{good['id']}")["state"] == "assigned"
    assert counted(database, "stack_run") == 1


@pytest.mark.usefixtures("worker")
def test_many_given_at_once_make_one_letter_and_each_reporter_hears(
    client: TestClient, database: str, signed_in: SignIn, postbox: Postbox
) -> None:
    reports = potholes(client, 3, contact={"email": "anna@example.org"}) + potholes(client, 2)
    urp = signed_in(URP)
    wait_for_rest(database)
    postbox.messages.clear()
    works = person(urp, "operatore.lavoripubblici")
    seen, _ = applied(urp, {"do": "person", "person": works["id"]}, reports=named(reports))
    assert seen["told"] == {
        "letters": 0,
        "reporters": 0,
        "colleagues": [{"id": works["id"], "name": works["name"], "why": ["assigned"]}],
        "others": 0,
    }
    (mail,) = eventually(lambda: postbox.to(WORKS))
    assert all(report["number"] in plain(mail) for report in reports)
    applied(urp, {"do": "watch", "watch": True}, reports=named(reports))
    note = {"do": "note", "text": "Domani si comincia, @operatore.lavoripubblici"}
    noted, _ = applied(urp, note, reports=named(reports))
    assert noted["told"]["colleagues"] == [{"id": works["id"], "name": works["name"], "why": ["mentioned"]}]
    eventually(lambda: len(postbox.to(WORKS)) == 2)
    assert plain(postbox.to(WORKS)[1]).count("Domani si comincia") == 1
    wait_for_rest(database)
    seen, _ = applied(signed_in(WORKS), RESOLVE, reports=named(reports))
    urp_id = person(urp, "operatore.urp")
    assert seen["told"] == {
        "letters": 3,
        "reporters": 1,
        "colleagues": [{"id": urp_id["id"], "name": urp_id["name"], "why": ["watched"]}],
        "others": 0,
    }
    wait_for_rest(database)
    assert len(postbox.to("anna@example.org")) == 3
    watched = postbox.to(URP)
    assert sum(plain(mail).count("nuovo stato: risolta") for mail in watched) == len(reports)
    assert states(database, "watched") == ["sent"] * len(watched)


# --- a preview binds what is done, and a reference does it once


def test_only_what_was_seen_is_done(client: TestClient, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    urp, works = signed_in(URP), signed_in(WORKS)
    reports = potholes(client, 2)
    other = potholes(client, 1)[0]
    seen = preview(urp, RESOLVE, reports=named(reports))
    body = application(seen, RESOLVE)
    wrong: list[tuple[Staffer, dict[str, Any], int, str]] = [
        (urp, body | {"reports": [*body["reports"], {"id": other["id"], "version": 1}]}, 409, "selection_token"),
        (urp, body | {"reports": body["reports"][:1]}, 409, "selection_token"),
        (urp, body | {"reports": [one | {"version": 2} for one in body["reports"]]}, 409, "selection_token"),
        (urp, body | {"action": RESOLVE | {"reason": "Altro."}}, 409, "selection_token"),
        (urp, body | {"selection_token": "9" * 11 + "." + "0" * 32}, 409, "selection_token"),
        (urp, body | {"selection_token": "è"}, 409, "selection_token"),
        (works, body, 409, "selection_token"),
        (urp, {k: v for k, v in body.items() if k != "selection_token"}, 422, "selection_token"),
        (urp, {k: v for k, v in body.items() if k != "client_reference"}, 422, "client_reference"),
        (urp, {k: v for k, v in body.items() if k != "reports"}, 422, "reports"),
        (urp, {"preview": True, "action": RESOLVE}, 422, "selection"),
    ]
    for staffer, sent, status, field in wrong:
        answer = asked(staffer, sent)
        assert (answer.status_code, answer.json().get("field")) == (status, field), sent
    monkeypatch.setattr(stacks, "TOKEN_SECONDS", -1)
    old = asked(urp, application(preview(urp, RESOLVE, reports=named(reports)), RESOLVE))
    assert (old.status_code, old.json()["field"]) == (409, "selection_token")
    assert "more than an hour old" in old.json()["detail"]
    assert [urp.get(f"/reports/{report['id']}")["version"] for report in [*reports, other]] == [1, 1, 1]


def test_sent_twice_it_is_done_once(client: TestClient, database: str, signed_in: SignIn) -> None:
    urp = signed_in(URP)
    reports = potholes(client, 4)
    note = {"do": "note", "text": "Una volta sola."}
    body = application(preview(urp, note, reports=named(reports)), note)
    with ThreadPoolExecutor(3) as phones:
        answers = list(phones.map(lambda _: asked(urp, body), range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json() == asked(urp, body).json()
    with psycopg.connect(database) as admin:
        notes = admin.execute("SELECT count(*) FROM timeline_entry WHERE what = 'note'").fetchone()
    assert notes == (4,)
    another = application(preview(urp, RESOLVE, reports=named(reports)), RESOLVE, body["client_reference"])
    refused = asked(urp, another)
    assert (refused.status_code, refused.json()["field"]) == (409, "client_reference")


def test_cut_off_in_the_middle_it_leaves_nothing_and_can_be_sent_again(
    client: TestClient, database: str, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    urp = signed_in(URP)
    reports = potholes(client, 3)
    body = application(preview(urp, RESOLVE, reports=named(reports)), RESOLVE)
    before = everything(database)

    def cut_off(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(stacks, "keep_answer", cut_off)
        with pytest.raises(RuntimeError):
            asked(urp, body)
    assert everything(database) == before
    again = asked(urp, body)
    assert (again.status_code, len(again.json()["changed"])) == (200, 3)


def test_two_stacks_at_once_the_other_way_round_both_end(client: TestClient, signed_in: SignIn) -> None:
    urp, works = signed_in(URP), signed_in(WORKS)
    reports = potholes(client, 12)
    urp.change("PUT", reports[3]["id"], "master", {"master": reports[9]["id"]})
    seen = [
        (staffer, preview(staffer, RESOLVE, reports=named(stack)))
        for staffer, stack in ((urp, reports), (works, reports[::-1]))
    ]
    with ThreadPoolExecutor(2) as desks:
        answers = list(desks.map(lambda pair: asked(pair[0], application(pair[1], RESOLVE)), seen))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(len(answer.json()["changed"]) for answer in answers) == [0, 11]
    assert sorted(len(answer.json()["refused"]) for answer in answers) == [0, 11]


def test_who_is_in_anothers_way_is_asked_to_come_again(client: TestClient, database: str, signed_in: SignIn) -> None:
    urp = signed_in(URP)
    first, second = sorted(potholes(client, 2), key=lambda report: report["id"])
    body = application(preview(urp, RESOLVE, reports=named([first, second])), RESOLVE)
    lock = "SELECT FROM report WHERE id = %s FOR UPDATE"
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(database) as other, psycopg.connect(database, autocommit=True) as onlooker:
        other.execute("SET deadlock_timeout = '1min'")  # so that it is the stack that gives way
        other.execute(lock, (second["id"],))
        with ThreadPoolExecutor(1) as desk:
            answer = desk.submit(asked, urp, body)
            eventually(lambda: onlooker.execute(waiting).fetchone() != (0,))
            other.execute(lock, (first["id"],))
        other.rollback()
    assert (answer.result().status_code, answer.result().headers["retry-after"]) == (503, "10")
    assert len(asked(urp, body).json()["changed"]) == 2


# --- which reports


def test_a_list_is_taken_as_a_whole_up_to_five_hundred(client: TestClient, database: str, signed_in: SignIn) -> None:
    urp = signed_in(URP)
    base, lamp = potholes(client, 1)[0], reported(client, COAST, "lampione spento", category="lamp-out")
    watch = {"do": "watch", "watch": True}
    kept = keep(urp, "Buche", {"category": "pothole"})
    for selection in (
        {"conditions": {"category": "pothole"}},
        {"filter": kept["id"]},
        {"conditions": {"worklist": "unassigned"}, "filter": kept["id"], "order": "urgent"},
    ):
        seen = preview(urp, watch, selection=selection)
        assert ([one["id"] for one in seen["changed"]], seen["selected"]) == ([base["id"]], 1)
    with psycopg.connect(database) as admin:
        copy(admin, base["id"], [(uuid4(), timedelta(0), timedelta(seconds=n), False) for n in range(509)])
    seen = preview(urp, watch, selection={"filter": kept["id"], "order": "deadline"})
    assert (len(seen["changed"]), seen["selected"]) == (500, 510)
    assert asked(urp, application(seen, watch)).status_code == 200
    assert len(urp.get("/reports", worklist="watched", limit=200)["reports"]) == 200
    assert lamp["id"] not in {one["id"] for one in seen["changed"]}
    too_many = asked(urp, {"preview": True, "action": watch, "reports": [{"id": str(uuid4())} for _ in range(501)]})
    assert (too_many.status_code, too_many.json()["field"]) == (422, "reports")
    twice = asked(urp, {"preview": True, "action": watch, "reports": [{"id": base["id"]}] * 2})
    assert twice.status_code == 422
    assert "once only" in twice.json()["detail"]


def test_what_is_so_already_is_left_alone(client: TestClient, signed_in: SignIn) -> None:
    urp = signed_in(URP)
    report = potholes(client, 1)[0]
    urp.change("PUT", report["id"], "crew", {"crew": "roads-coast"})
    for action in (
        {"do": "crew", "crew": "roads-coast"},
        {"do": "person", "person": None},
        {"do": "department", "department": report["department"]["slug"], "reason": "Già loro."},
        {"do": "watch", "watch": False},
    ):
        seen = preview(urp, action, reports=named([report]))
        assert [one["id"] for one in seen["unchanged"]] == [report["id"]], action
        assert seen["reports"] == []


def test_an_action_that_can_never_be_is_refused_as_a_whole(client: TestClient, signed_in: SignIn) -> None:
    urp = signed_in(URP)
    reports = named(potholes(client, 1))
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"do": "crew", "crew": "atlantis"}, 422, "crew"),
        ({"do": "department", "department": "atlantis", "reason": "x"}, 422, "department"),
        ({"do": "category", "category": "atlantis"}, 422, "category"),
        ({"do": "person", "person": 2**31 - 1}, 404, "person"),
        ({"do": "note", "text": "  "}, 422, "action.text"),
        ({"do": "move", "to": "duplicate"}, 422, "action.to"),
    ]
    for action, status, field in wrong:
        answer = asked(urp, {"preview": True, "action": action, "reports": reports})
        assert (answer.status_code, answer.json()["field"]) == (status, field), action
    assert asked(urp, {"preview": True, "action": {"do": "dance"}, "reports": reports}).status_code == 422


# --- rights


def test_nobody_does_to_many_what_they_may_not_do_to_one(client: TestClient, database: str, signed_in: SignIn) -> None:
    reports = potholes(client, 2)
    fano = reported(client, FANO, "buca in viale Adriatico", category="pothole", contact={"email": "a@example.org"})
    signed_in(URP).change("PUT", reports[0]["id"], "crew", {"crew": "roads-coast"})
    stack = named([*reports, fano])
    crew, council, green, province = (signed_in(one) for one in (CREW, COUNCIL, GREEN, PROVINCE))
    before = everything(database)
    assert asked(council, {"preview": True, "action": RESOLVE, "reports": stack}).status_code == 403
    assert preview(green, RESOLVE, reports=stack)["reports"] == []
    assert [one["id"] for one in preview(crew, RESOLVE, reports=stack)["changed"]] == [reports[0]["id"]]
    assert preview(crew, {"do": "crew", "crew": None}, reports=stack)["reports"] == [], "that is the desk's"
    assert preview(crew, RESOLVE, selection={})["selected"] == 1
    away = asked(province, {"preview": True, "action": RESOLVE, "reports": stack}, municipality="fano").json()
    assert [one["id"] for one in away["changed"]] == [fano["id"]]
    assert everything(database) == before
    assert client.post(URL, json={"action": RESOLVE}).status_code == 401


# --- what a trial leaves


def test_a_trial_that_is_undone_forgets_no_plans(client: TestClient) -> None:
    potholes(client, 1)
    town = view.held().slugs["pesaro"]
    with writing(town.id) as session:
        for _ in range(4):
            session.raw.execute("SELECT count(*) FROM report WHERE municipality_id = %s", (town.id,))
        plans = "SELECT count(*) FROM pg_prepared_statements"
        before = session.raw.execute(plans, prepare=False).fetchone()
        assert before is not None
        assert before[0] > 0
        with session.trial(kept=False):
            session.raw.execute("UPDATE report SET version = 9", prepare=False)
            with pytest.raises(ZeroDivisionError):
                _fail_in_a_trial(session)
            assert session.raw.execute("SELECT version FROM report", prepare=False).fetchone() == (9,)
        assert session.raw.execute("SELECT version FROM report", prepare=False).fetchone() == (1,)
        assert session.raw.execute(plans, prepare=False).fetchone() == before


def _fail_in_a_trial(session: WriteSession) -> None:
    with session.trial():
        session.raw.execute("UPDATE report SET version = 10", prepare=False)
        raise ZeroDivisionError


def test_what_time_is_over_for_is_left_undone(
    client: TestClient, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    urp = signed_in(URP)
    reports = potholes(client, 3)
    body = application(preview(urp, RESOLVE, reports=named(reports)), RESOLVE)
    monkeypatch.setattr(stacks, "LONGEST_SECONDS", -1.0)
    answer = asked(urp, body).json()
    assert [one["id"] for one in answer["refused"]] == [report["id"] for report in reports]
    assert "no time left" in answer["refused"][0]["why"]
    assert urp.get(f"/reports/{reports[0]['id']}")["version"] == 1
