"""Stories of other systems that are told what happens: set up, told in order, down for a while, told once more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from api.app import contract, create_app
from tests.hook_receiver import Receiver, receiving
from tests.stories.outside_world import ADMINISTRATOR, CONTACT, PROVINCE
from tests.stories.telling import COAST, INLAND, URP, SignIn, plain, reported
from tests.stories.test_notices import Desk
from tests.trials import Postbox, Staffer, eventually

pytestmark = pytest.mark.usefixtures("worker")

PADOVA = {"lon": 11.8768, "lat": 45.4064}
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def receiver(client: TestClient, signed_in: SignIn) -> Iterator[Receiver]:
    """An endpoint on this machine, which the province allows."""
    with receiving() as there:
        place = f"/api/v1/province/allowed-hosts/{there.host}"
        province = signed_in(PROVINCE).headers
        assert client.put(place, headers=province).status_code == 204
        yield there
        client.delete(place, headers=province)


class Hook:
    """A webhook as its administrator keeps it."""

    def __init__(self, client: TestClient, administrator: Staffer, owner: str, **fields: Any) -> None:
        self.client, self.headers = client, administrator.headers
        self.base = f"/api/v1/registry/{owner}/webhooks"
        self.fields = fields
        made = self.call("POST", "", 201, json=fields)
        self.base += f"/{made['id']}"
        self.secret = made["secret"]

    def call(self, method: str, what: str, expected: int = 200, **how: Any) -> Any:
        answer: httpx.Response = self.client.request(method, self.base + what, headers=self.headers, **how)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    def now(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.call("GET", "")
        return shown

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self.call("GET", "/deliveries", params=wanted)["deliveries"]
        return shown


def a_while_passes(database: str) -> None:
    """Whatever waits for a later try is due."""
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE webhook SET rests_until = now()")
        admin.execute("UPDATE hook_delivery SET next_at = now() WHERE state = 'waiting'")


def test_an_administrator_sets_it_up_tests_it_and_is_told_in_order(
    client: TestClient, signed_in: SignIn, receiver: Receiver, postbox: Postbox
) -> None:
    assert postbox.messages == []
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", is_public_only=False)
    assert "secret" not in hook.now(), "told once"
    receiver.status, receiver.body = 200, b"pronto " * 200
    tried = hook.call("POST", "/test")
    assert (tried["is_good"], tried["status"], tried["problem"]) == (True, 200, None)
    assert tried["answer"] == (b"pronto " * 200)[:500].decode()
    ping = receiver.calls.pop()
    assert ping.event["type"] == "ping"
    assert ping.is_signed_with(hook.secret)

    clerk = signed_in(URP)
    first = reported(client, COAST, "lampione spento", category="lamp-out", contact=CONTACT)
    clerk.change("POST", first["id"], "updates", {"text": "il signor Rossi abita al 12"})
    clerk.change("POST", first["id"], "moves", {"to": "planned"})
    clerk.change("POST", first["id"], "updates", {"text": "passiamo domani", "is_public": True})
    told = eventually(lambda: (found := receiver.told())[4:] and found)
    assert [event for event, _ in told] == [
        "report.received",
        "report.assigned",
        "report.noted",
        "report.moved",
        "report.updated",
    ]
    assert {number for _, number in told} == {first["number"]}
    calls = receiver.taken()
    assert all(call.is_signed_with(hook.secret) for call in calls)
    assert len({call.id for call in calls}) == 5
    moved = calls[3].event["data"]
    assert (moved["from"], moved["to"], moved["actor"]) == ("assigned", "planned", "staff")
    assert moved["report"]["place"] == {"lon": COAST.lon, "lat": COAST.lat}
    assert "pesaro-districts/centro-mare" in moved["report"]["zones"]
    document = contract(create_app())
    assert {event for event, _ in told} < document["webhooks"].keys()
    promised = Draft202012Validator({"$ref": "#/components/schemas/EventTold", "components": document["components"]})
    for call in calls:
        promised.validate(call.event)
    whole = b"".join(call.body for call in calls)
    for secret in (*CONTACT.values(), "Bianchi", "signor Rossi", "passiamo domani", "lampione spento"):
        assert secret.encode() not in whole, "nobody's data and nobody's words"
    assert [one["state"] for one in hook.log()] == ["sent"] * 5
    newest = hook.call("GET", "/deliveries", params={"limit": 2})
    assert len(newest["deliveries"]) == 2
    assert len(hook.log(before=newest["next"])) == 3


def test_filters_and_rights_are_obeyed_and_another_municipality_is_never_told(
    client: TestClient, signed_in: SignIn, receiver: Receiver
) -> None:
    administrator, url = signed_in(ADMINISTRATOR), receiver.url
    Hook(client, administrator, "pesaro", address=f"{url}/public")
    Hook(client, administrator, "pesaro", address=f"{url}/lamps", groups=["lighting"], is_public_only=False)
    Hook(client, administrator, "pesaro", address=f"{url}/done", events=["report.moved"], states=["resolved"])
    Hook(client, administrator, "pesaro", address=f"{url}/shore", zones=["pesaro-districts/centro-mare"])
    Hook(client, administrator, "pesaro", address=f"{url}/words", is_public_only=False, has_notes=True)
    Hook(client, signed_in(PROVINCE), "provincia", address=f"{url}/all", events=["report.received"])
    Hook(client, signed_in("amministratore@padova.example.org"), "padova", address=f"{url}/padova")
    clerk = signed_in(URP)
    lamp = reported(client, COAST, "lampione spento", category="lamp-out")["number"]
    hole = reported(client, INLAND, "buca profonda", category="pothole")
    hidden = reported(client, COAST, "non mi sento sicura", category="unsafe-place")["number"]
    away = client.post("/api/v1/reports", json=PADOVA | {"description": "x", "category": "lamp-out"}).json()["number"]
    clerk.change("POST", hole["id"], "updates", {"text": "chiamare il geometra"})
    clerk.change("POST", hole["id"], "moves", {"to": "resolved", "reason": "fatto"})
    eventually(lambda: ("report.moved", hole["number"]) in receiver.told("/words"))
    eventually(lambda: away in {number for _, number in receiver.told("/all")})
    eventually(lambda: receiver.told("/padova"))
    eventually(lambda: receiver.told("/done"))

    def numbers(path: str) -> set[str]:
        return {number for _, number in receiver.told(path)}

    eventually(lambda: numbers("/public") == {lamp, hole["number"]})
    eventually(lambda: numbers("/lamps") and numbers("/shore"))
    assert "report.noted" not in {event for event, _ in receiver.told("/public")}
    assert numbers("/lamps") == {lamp}
    assert receiver.told("/done") == [("report.moved", hole["number"])]
    assert numbers("/shore") == {lamp}
    assert numbers("/words") == {lamp, hole["number"], hidden}
    assert numbers("/all") == {lamp, hole["number"], away}, "public ones only, of all municipalities"
    assert numbers("/padova") == {away}
    noted = [call.event["data"]["note"] for call in receiver.taken("/words") if call.event["type"] == "report.noted"]
    assert noted == ["chiamare il geometra"]


def test_an_endpoint_that_was_down_gets_everything_once_and_in_order(
    client: TestClient, signed_in: SignIn, receiver: Receiver, database: str
) -> None:
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", events=["report.received"])
    receiver.status = 503
    numbers = [reported(client, COAST, f"lampione {name} spento", category="lamp-out")["number"] for name in "abcde"]
    shown = eventually(lambda: (now := hook.now())["failed"] == 3 and now["waiting"] == 5 and now)
    assert len(receiver.calls) == 3, "after three failures it is left alone"
    assert shown["dead"] == 0
    assert shown["rests_until"] > datetime.now(UTC).isoformat()
    assert {one["problem"] for one in hook.log() if one["attempts"]} == {"http_503"}
    receiver.status = 200
    a_while_passes(database)
    eventually(lambda: len(receiver.taken()) == 5)
    assert [number for _, number in receiver.told()] == numbers
    assert len({call.id for call in receiver.taken()}) == 5
    assert {call.id for call in receiver.calls} == {call.id for call in receiver.taken()}, "a repeat has the same id"
    shown = eventually(lambda: (now := hook.now())["waiting"] == 0 and now)
    assert shown["failing_since"] is None


def test_what_is_asked_for_with_retry_after_is_waited_for(
    client: TestClient, signed_in: SignIn, receiver: Receiver
) -> None:
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", events=["report.received"])
    receiver.status, receiver.headers = 429, {"Retry-After": "7200"}
    reported(client, COAST, "lampione spento", category="lamp-out")
    one = eventually(lambda: [one for one in hook.log() if one["attempts"]])[0]
    soonest = datetime.now(UTC) + timedelta(seconds=7100)
    assert datetime.fromisoformat(one["next_at"]) > soonest
    assert datetime.fromisoformat(hook.now()["rests_until"]) > soonest


def test_dead_letters_are_listed_and_sent_again(
    client: TestClient, signed_in: SignIn, receiver: Receiver, database: str
) -> None:
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", events=["report.received"])
    receiver.status = 500
    for name in ("uno", "due"):
        reported(client, COAST, f"lampione {name} spento", category="lamp-out")
    eventually(lambda: hook.now()["failed"] == 2)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE hook_delivery SET attempts = 8")
    a_while_passes(database)
    eventually(lambda: hook.now()["dead"] >= 1)
    a_while_passes(database)
    eventually(lambda: hook.now()["dead"] == 2)
    assert hook.now()["waiting"] == 0
    receiver.status = 200
    dead = hook.log(state="dead")
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE webhook SET rests_until = now()")
    hook.call("POST", f"/deliveries/{dead[-1]['id']}/resend", 202)
    eventually(lambda: len(receiver.taken()) == 1)
    assert receiver.taken()[0].id == dead[-1]["message_id"]
    assert hook.call("POST", "/deliveries/resend", 202, json={"since": "2100-01-01T00:00:00Z"}) == {"events": 0}
    assert hook.call("POST", "/deliveries/resend", 202, json={"since": LONG_AGO}) == {"events": 1}
    eventually(lambda: len(receiver.taken()) == 2)
    hook.call("POST", "/deliveries/999999/resend", 404)


def test_history_is_told_once_more_from_a_moment_on(client: TestClient, signed_in: SignIn, receiver: Receiver) -> None:
    numbers = [reported(client, COAST, f"lampione {name} spento", category="lamp-out")["number"] for name in "abc"]
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", events=["report.received"])
    new = reported(client, COAST, "lampione nuovo spento", category="lamp-out")["number"]
    eventually(lambda: receiver.told() == [("report.received", new)])
    hook.call("POST", "/replays", 422, json={"since": "2100-01-01T00:00:00Z"})
    replay = hook.call("POST", "/replays", 202, json={"since": LONG_AGO})
    eventually(lambda: len(receiver.told()) == 5)
    again = receiver.taken()[1:]
    assert [call.event["data"]["report"]["number"] for call in again] == [*numbers, new]
    assert all(call.event["data"]["is_replay"] for call in again)
    assert again[-1].id == receiver.taken()[0].id, "an event has one id, however often it is told"
    shown = eventually(lambda: [one for one in hook.call("GET", "/replays") if one["waiting"] == 0])[0]
    assert (shown["id"], shown["state"], shown["queued"]) == (replay["id"], "done", 4)
    later = hook.call("POST", "/replays", 202, json={"since": datetime.now(UTC).isoformat()})
    eventually(lambda: hook.call("GET", "/replays")[0]["state"] == "done")
    assert hook.call("GET", "/replays")[0] | {"queued": 0} == hook.call("GET", "/replays")[0]
    hook.call("DELETE", f"/replays/{later['id']}", 204)


def test_a_replay_is_stopped_and_another_begins_anew(
    client: TestClient, signed_in: SignIn, receiver: Receiver, database: str
) -> None:
    for name in "abc":
        reported(client, COAST, f"lampione {name} spento", category="lamp-out")
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", events=["report.received"])
    receiver.status = 503
    replay = hook.call("POST", "/replays", 202, json={"since": LONG_AGO})
    eventually(lambda: hook.now()["failed"] == 3)
    new = reported(client, COAST, "lampione nuovo spento", category="lamp-out")["number"]
    eventually(lambda: hook.now()["waiting"] == 4)
    hook.call("DELETE", f"/replays/{replay['id']}", 204)
    assert hook.now()["waiting"] == 1, "what is new is no part of it"
    receiver.status = 200
    a_while_passes(database)
    eventually(lambda: hook.now()["waiting"] == 0)
    assert receiver.told()[-1] == ("report.received", new)
    hook.call("POST", "/replays", 202, json={"since": LONG_AGO})
    eventually(lambda: len([one for one in hook.log() if one["state"] == "sent"]) == 5)


def test_secrets_are_rotated_with_both_good_for_a_day(
    client: TestClient, signed_in: SignIn, receiver: Receiver, database: str
) -> None:
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook")
    new = hook.call("POST", "/secret")["secret"]
    hook.call("POST", "/test")
    assert receiver.calls[0].is_signed_with(hook.secret)
    assert receiver.calls[0].is_signed_with(new)
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT secret, old_secret FROM webhook").fetchone()
        assert kept is not None
        assert new.encode() not in kept[0], "sealed"
        admin.execute("UPDATE webhook SET old_secret_until = now()")
    hook.call("POST", "/test")
    assert not receiver.calls[1].is_signed_with(hook.secret)
    assert receiver.calls[1].is_signed_with(new)


def test_an_endpoint_that_is_gone_or_fails_for_days_is_switched_off_and_its_administrators_hear_once(
    client: TestClient, signed_in: SignIn, receiver: Receiver, postbox: Postbox, database: str
) -> None:
    hook = Hook(client, signed_in(ADMINISTRATOR), "pesaro", address=receiver.url + "/hook", description="Protocollo")
    receiver.status = 410
    reported(client, COAST, "lampione spento", category="lamp-out")
    shown = eventually(lambda: not (now := hook.now())["is_active"] and now)
    assert (shown["off_reason"], shown["waiting"], shown["dead"]) == ("gone", 0, 2)
    assert len(receiver.calls) == 1
    letter = eventually(lambda: postbox.to(ADMINISTRATOR))[0]
    assert "Protocollo" in letter["Subject"]
    assert "410" in plain(letter)
    reported(client, COAST, "un altro lampione spento", category="lamp-out")

    for path, body in (("/resend", {"since": LONG_AGO}), (f"/{hook.log()[0]['id']}/resend", None)):
        hook.call("POST", f"/deliveries{path}", 409, json=body)
    receiver.status = 500
    hook.call("PUT", "", json=hook.fields)
    reported(client, COAST, "un terzo lampione spento", category="lamp-out")
    eventually(lambda: hook.now()["failed"])
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE webhook SET failing_since = now() - interval '4 days'")
    a_while_passes(database)
    eventually(lambda: hook.now()["off_reason"] == "failing")
    eventually(lambda: len(postbox.to(ADMINISTRATOR)) == 2)
    receiver.status = 200
    hook.call("PUT", "", json=hook.fields)
    hook.call("POST", "/deliveries/resend", 202, json={"since": LONG_AGO})
    eventually(lambda: len(receiver.taken()) == 4)


def test_the_provinces_administrators_hear_of_their_own(
    client: TestClient, signed_in: SignIn, receiver: Receiver, postbox: Postbox
) -> None:
    Hook(client, signed_in(PROVINCE), "provincia", address=receiver.url + "/hook")
    receiver.status = 410
    reported(client, COAST, "lampione spento", category="lamp-out")
    assert eventually(lambda: postbox.to(PROVINCE))
    assert not postbox.to(ADMINISTRATOR)


def test_a_private_address_is_refused_until_the_province_allows_it(client: TestClient, signed_in: SignIn) -> None:
    administrator, province = signed_in(ADMINISTRATOR), signed_in(PROVINCE).headers
    with receiving() as there:
        body = {"address": there.url + "/hook"}
        base, place = "/api/v1/registry/pesaro/webhooks", f"/api/v1/province/allowed-hosts/{there.host}"
        refused = client.post(base, json=body, headers=administrator.headers)
        assert (refused.status_code, refused.json()["field"]) == (422, "address")
        client.put(place, headers=province)
        hook = Hook(client, administrator, "pesaro", **body)
        assert hook.call("POST", "/test")["is_good"]
        client.delete(place, headers=province)
        tried = hook.call("POST", "/test")
        assert (tried["is_good"], tried["problem"]) == (False, "not_allowed")
        assert len(there.calls) == 1


def test_a_slow_endpoint_holds_up_neither_the_others_nor_the_mails(
    client: TestClient, signed_in: SignIn, receiver: Receiver, postbox: Postbox
) -> None:
    administrator = signed_in(ADMINISTRATOR)
    with receiving() as slow:
        place = f"/api/v1/province/allowed-hosts/{slow.host}"
        client.put(place, headers=signed_in(PROVINCE).headers)
        slow.goes_on.clear()
        for number in range(5):
            Hook(client, administrator, "pesaro", address=f"{slow.url}/{number}", events=["report.received"])
        reported(client, COAST, "lampione spento", category="lamp-out")
        eventually(lambda: slow.calls)
        Hook(client, administrator, "pesaro", address=receiver.url + "/hook", events=["report.received"])
        report = reported(client, COAST, "lampione spento", category="lamp-out", email="anna@example.org")
        eventually(lambda: receiver.told() == [("report.received", report["number"])])
        eventually(lambda: postbox.to("anna@example.org"))
        client.delete(place, headers=signed_in(PROVINCE).headers)


def test_only_administrators_of_the_place_keep_webhooks(client: TestClient, signed_in: SignIn) -> None:
    base, body = "/api/v1/registry/pesaro/webhooks", {"address": "https://gis.example.org/hook"}
    for address in (URP, "amministratore@fano.example.org"):
        assert client.post(base, json=body, headers=signed_in(address).headers).status_code == 403
    administrator = signed_in(ADMINISTRATOR).headers
    for wrong, named in (({"events": ["report.eaten"]}, "events"), ({"zones": ["nowhere/1"]}, "zones")):
        refused = client.post(base, json=body | wrong, headers=administrator)
        assert (refused.status_code, refused.json()["field"]) == (422, named)
    province = client.post("/api/v1/registry/provincia/webhooks", json=body, headers=administrator)
    assert province.status_code == 403


def test_whoever_keeps_copies_hears_that_a_category_was_hidden_and_made_public_again(
    client: TestClient, signed_in: SignIn, receiver: Receiver
) -> None:
    administrator = signed_in(ADMINISTRATOR)
    hook = Hook(client, administrator, "pesaro", address=receiver.url + "/hook", events=["category.republished"])
    Hook(client, administrator, "pesaro", address=receiver.url + "/roads", groups=["roads"])
    Hook(client, signed_in("amministratore@padova.example.org"), "padova", address=receiver.url + "/padova")
    Hook(client, signed_in(PROVINCE), "provincia", address=receiver.url + "/all", events=["category.republished"])
    reported(client, COAST, "lampione spento", category="lamp-out")
    place, headers = "/api/v1/registry/pesaro/categories/lamp-out", administrator.headers
    try:
        assert client.put(place, headers=headers, json={"privacy": "hidden"}).status_code == 204
        eventually(lambda: receiver.taken("/hook"))
    finally:
        assert client.put(place, headers=headers, json={}).status_code == 204
    told = eventually(lambda: (found := receiver.taken("/hook"))[1:] and found)
    said = {"municipality": "pesaro", "category": "lamp-out", "group": "lighting"}
    assert [call.event["data"] for call in told] == [said | {"privacy": one} for one in ("hidden", "public")]
    assert len({call.id for call in told}) == 2
    assert {one["event"] for one in hook.log()} == {"category.republished"}
    document = contract(create_app())
    promised = {"$ref": "#/components/schemas/CategoryEventTold", "components": document["components"]}
    for call in told:
        assert call.is_signed_with(hook.secret)
        Draft202012Validator(promised).validate(call.event)
    eventually(lambda: len(receiver.taken("/all")) == len(told))
    assert not receiver.taken("/roads"), "of another group"
    assert not receiver.taken("/padova"), "of another municipality"


def test_other_systems_hear_of_notices_too(client: TestClient, signed_in: SignIn, receiver: Receiver) -> None:
    administrator, url = signed_in(ADMINISTRATOR), receiver.url
    hook = Hook(client, administrator, "pesaro", address=f"{url}/hook", zones=["pesaro-districts/centro-mare"])
    Hook(client, administrator, "pesaro", address=f"{url}/hills", zones=["pesaro-districts/castelli"])
    Hook(client, signed_in(PROVINCE), "provincia", address=f"{url}/all", events=["notice.withdrawn"])
    desk = Desk(signed_in(URP))
    works = desk.published()
    desk.act(works, "withdrawal", reason="Rinviati a primavera")
    told = eventually(lambda: (found := receiver.taken())[1:] and found)
    assert [call.event["type"] for call in told] == ["notice.published", "notice.withdrawn"]
    assert {call.event["data"]["notice"]["number"] for call in told} == {works["number"]}
    document = contract(create_app())
    promised = {"$ref": "#/components/schemas/NoticeEventTold", "components": document["components"]}
    for call in told:
        assert call.is_signed_with(hook.secret)
        Draft202012Validator(promised).validate(call.event)
    eventually(lambda: receiver.taken("/all"))
    assert [call.id for call in receiver.taken("/all")] == [told[1].id]
    assert not receiver.taken("/hills")
    hook.call("POST", "/replays", 202, json={"since": LONG_AGO})
    again = eventually(lambda: (found := receiver.taken())[3:] and found)[2:]
    assert [call.id for call in again] == [call.id for call in told]
    assert all(call.event["data"]["is_replay"] for call in again)
