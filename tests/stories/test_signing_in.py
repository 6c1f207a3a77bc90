"""Stories of signing in: guessing is slowed down, a second factor, a lost tablet, a forgotten password."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import psycopg
import pyotp
import pytest
from fastapi.testclient import TestClient

from city import pacing
from city.database import provincial
from city.digests import digest
from city.errors import TooManyRequests
from city.registry.sign_in import citizen_codes, signing_in
from city.settings import settings
from tests.stories.telling import COAST
from tests.trials import PASSWORD, Postbox, Staffer, eventually, visiting

CLERK: Final = "operatore.urp@pesaro.example.org"
ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
SESSION: Final = "/api/v1/session"


def from_afar(address: str) -> TestClient:
    """A visitor from another machine."""
    return visiting(client=(address, 4711))


def try_in(client: TestClient, password: str = PASSWORD, code: str | None = None, who: str = CLERK) -> Any:
    return client.post(SESSION, json={"email": who, "password": password} | ({"code": code} if code else {}))


@pytest.fixture
def passwords_restored(database: str) -> Iterator[None]:
    """Whatever passwords a test sets, the next one finds the former."""
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT municipality_id, id, password_hash FROM person").fetchall()
    yield
    with psycopg.connect(database) as admin, admin.cursor() as cursor:
        cursor.executemany(
            "UPDATE person SET password_hash = %s, is_active = true WHERE municipality_id = %s AND id = %s",
            [(hashed, home, person) for home, person, hashed in kept],
        )


def test_who_guesses_has_to_wait_and_nobody_else(database: str) -> None:
    with from_afar("203.0.113.9") as guesser, from_afar("198.51.100.7") as colleague:
        for number in range(10):
            assert try_in(guesser, f"provo ancora {number}").status_code == 401
        refused = try_in(guesser)
        assert refused.status_code == 429, "also with the right password: otherwise it would be one more guess"
        assert 0 < int(refused.headers["retry-after"]) <= 90
        assert "try again in" in refused.json()["detail"]
        assert try_in(colleague).status_code == 201, "another network is not locked out by it"
        assert try_in(guesser, who=ADMINISTRATOR).status_code == 201, "nor another account"


def test_two_processes_count_guesses_together(live: str) -> None:
    network = {"X-Forwarded-For": "203.0.113.12"}
    with from_afar("203.0.113.12") as here, httpx.Client(base_url=live, headers=network) as there:
        for number in range(5):
            for door in (here, there):
                wrong = {"email": CLERK, "password": f"provo ancora {number}"}
                assert door.post(SESSION, json=wrong).status_code == 401
        for door in (here, there):
            refused = door.post(SESSION, json={"email": CLERK, "password": PASSWORD})
            assert refused.status_code == 429, "ten in all, and not ten at each"


Paces = Callable[[str, str], list[tuple[pacing.Pace, str]]]


@pytest.mark.parametrize(
    ("paces", "here", "anywhere", "network"),
    [
        (signing_in.paces, 10, 100, 50),
        (signing_in.reset_paces, 3, 3, 20),
        (citizen_codes.paces, 5, 10, 30),
    ],
)
def test_a_mailbox_and_a_network_have_bounds_of_their_own(
    database: str, paces: Paces, here: int, anywhere: int, network: int
) -> None:
    def let_through(tries: list[tuple[str, str]]) -> int:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("TRUNCATE pace")
        for number, (email, place) in enumerate(tries):
            try:
                pacing.take(*paces(email, place))
            except TooManyRequests:
                return number
        return len(tries)

    assert let_through([(CLERK if number % 2 else CLERK.upper(), "a") for number in range(here + 1)]) == here
    assert let_through([(CLERK, str(number)) for number in range(anywhere + 1)]) == anywhere
    assert let_through([(f"{number}@example.org", "a") for number in range(network + 1)]) == network
    house = [(f"{number}@example.org", "") for number in range(network + 1)]
    assert let_through(house) == network + 1, "whoever comes through our own house is no one network"


def test_a_sign_in_is_over_when_its_time_is(
    client: TestClient, signed_in: Callable[[str], Staffer], database: str
) -> None:
    mine, old = signed_in(CLERK).headers, signed_in(CLERK).headers
    token_hash = digest(old["Authorization"].removeprefix("Bearer "))
    assert len(client.get(f"{SESSION}/devices", headers=mine).json()) == 2
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE access_token SET expires_at = now() WHERE token_hash = %s", (token_hash,))
    assert client.get(SESSION, headers=old).status_code == 401
    assert len(client.get(f"{SESSION}/devices", headers=mine).json()) == 1
    with provincial() as session:
        assert signing_in.still_signed_in(session, [token_hash]) == {}, "nor in a stream"


def test_an_ordinary_morning_counts_nothing(database: str) -> None:
    with from_afar("203.0.113.10") as office:
        for _ in range(60):
            assert try_in(office).status_code == 201
    with psycopg.connect(database) as admin:
        left = admin.execute("SELECT count(*) FROM pace WHERE full_at > now() + interval '1 second'").fetchone()
    assert left == (0,)


def test_many_guesses_at_once_are_no_way_past(database: str) -> None:
    pace = pacing.Pace("trial", 5, 600)
    refused: list[bool] = []

    def guess() -> None:
        try:
            pacing.take((pace, "anna@example.org"))
            refused.append(False)
        except TooManyRequests:
            refused.append(True)

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refused) == [False] * 5 + [True] * 11
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT who FROM pace WHERE name = 'trial'").fetchall()
    assert len(kept) == 1
    assert b"anna@example.org" not in bytes(kept[0][0])


def test_reports_are_slowed_down_by_network_and_not_from_this_machine(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPIONE_REPORTS_PER_HOUR", "40")
    settings.cache_clear()
    report = {"lon": COAST.lon, "lat": COAST.lat, "description": "lampione spento davanti al civico 12"}

    def send(visitor: TestClient) -> int:
        return int(visitor.post("/api/v1/reports", json=report).status_code)

    try:
        with (
            from_afar("2001:db8:1:2::5") as one,
            from_afar("2001:db8:1:2::6") as same,
            from_afar("2001:db8:9::1") as other,
        ):
            given = [send(one) for _ in range(15)]
            assert given.count(201) in range(10, 13), "a quarter at once; each process lets a few pass on its own count"
            assert given[-1] == 429
            given = [send(same) for _ in range(4)]
            assert given[-1] == 429, "another address of the same network"
            assert send(other) == 201
        assert [send(client) for _ in range(20)] == [201] * 20
    finally:
        settings.cache_clear()


def test_a_second_factor_from_setting_up_to_giving_up(client: TestClient, signed_in: Callable[[str], Staffer]) -> None:
    headers = signed_in(CLERK).headers
    elsewhere = signed_in(CLERK).headers
    begun = client.post(f"{SESSION}/second-factor", headers=headers).json()
    assert begun["address"].startswith("otpauth://totp/Lampione:")
    assert try_in(client).status_code == 201, "nothing is asked for before a code was given"
    wrong = client.put(f"{SESSION}/second-factor", headers=headers, json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "code")
    app = pyotp.TOTP(begun["secret"])
    code = app.now()
    paper = client.put(f"{SESSION}/second-factor", headers=headers, json={"code": code}).json()["codes"]
    assert len(set(paper)) == 8
    assert client.get(SESSION, headers=elsewhere).status_code == 401, "what was signed in without it has ended"
    assert client.get(SESSION, headers=headers).status_code == 200

    needed = try_in(client)
    assert (needed.status_code, needed.json()["field"]) == (401, "code")
    assert try_in(client, code=code).status_code == 401, "no code is taken twice"
    assert try_in(client, "una password sbagliata", code=paper[0]).status_code == 401
    assert try_in(client, code=paper[0]).status_code == 201
    assert try_in(client, code=paper[0].upper()).status_code == 401, "nor a paper code"
    signed = try_in(client, code=paper[1].upper()).json()["token"]
    headers = {"Authorization": f"Bearer {signed}"}

    refused = client.request(
        "DELETE", f"{SESSION}/second-factor", headers=headers, json={"password": PASSWORD, "code": code}
    )
    assert refused.status_code == 401
    gone = client.request(
        "DELETE", f"{SESSION}/second-factor", headers=headers, json={"password": PASSWORD, "code": paper[2]}
    )
    assert gone.status_code == 204
    assert try_in(client).status_code == 201


def test_the_secret_of_a_factor_is_sealed(
    client: TestClient, signed_in: Callable[[str], Staffer], database: str
) -> None:
    begun = client.post(f"{SESSION}/second-factor", headers=signed_in(CLERK).headers).json()
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT secret FROM second_factor").fetchall()
    assert begun["secret"].encode() not in bytes(kept[0][0])


def test_where_it_is_wanted_nothing_else_goes_before_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPIONE_SECOND_FACTOR", "administrators")
    settings.cache_clear()
    try:
        assert try_in(client).json()["must_enrol"] is False, "a clerk administers nothing"
        begun = try_in(client, who=ADMINISTRATOR).json()
        assert begun["must_enrol"] is True
        headers = {"Authorization": f"Bearer {begun['token']}"}
        refused = client.get("/api/v1/desk/reports", headers=headers)
        assert (refused.status_code, "second factor" in refused.json()["detail"]) == (403, True)
        assert client.get("/api/v1/insight/months?municipality=pesaro", headers=headers).status_code == 403
        assert client.get(SESSION, headers=headers).status_code == 200
        secret = client.post(f"{SESSION}/second-factor", headers=headers).json()["secret"]
        code = {"code": pyotp.TOTP(secret).now()}
        paper = client.put(f"{SESSION}/second-factor", headers=headers, json=code).json()["codes"]
        assert client.get("/api/v1/desk/reports", headers=headers).status_code == 200
        kept = client.request(
            "DELETE", f"{SESSION}/second-factor", headers=headers, json={"password": PASSWORD, "code": paper[0]}
        )
        assert kept.status_code == 403, "it cannot be given up"
    finally:
        settings.cache_clear()


def test_a_lost_tablet_is_signed_out(client: TestClient, signed_in: Callable[[str], Staffer], live: str) -> None:
    mine = signed_in(CLERK)
    tablet = client.post(SESSION, json={"email": CLERK, "password": PASSWORD}, headers={"User-Agent": "Tablet 7"})
    theirs = {"Authorization": f"Bearer {tablet.json()['token']}"}
    listed = client.get(f"{SESSION}/devices", headers=mine.headers).json()
    lost = next(one for one in listed if one["device"] == "Tablet 7")
    assert (lost["is_this"], len(listed)) == (False, 2)
    stranger = signed_in(ADMINISTRATOR)
    assert client.delete(f"{SESSION}/devices/{lost['id']}", headers=stranger.headers).status_code == 404
    assert client.get(SESSION, headers=theirs).status_code == 200
    assert httpx.get(f"{live}{SESSION}", headers=theirs).status_code == 200
    assert client.delete(f"{SESSION}/devices/{lost['id']}", headers=mine.headers).status_code == 204
    assert client.get(SESSION, headers=theirs).status_code == 401
    assert httpx.get(f"{live}{SESSION}", headers=theirs).status_code == 401, "in every process"
    assert len(client.get(f"{SESSION}/devices", headers=mine.headers).json()) == 1


@pytest.mark.usefixtures("passwords_restored")
def test_a_password_is_changed_and_other_devices_are_signed_out(
    client: TestClient, signed_in: Callable[[str], Staffer]
) -> None:
    mine, elsewhere = signed_in(CLERK).headers, signed_in(CLERK).headers
    new = "un'altra password lunga"
    for body, field in (
        ({"current": "sbagliata", "new": new}, "current"),
        ({"current": PASSWORD, "new": "corta"}, "password"),
        ({"current": PASSWORD, "new": "aaaaaaaaaaaaaaaa"}, "password"),
        ({"current": PASSWORD, "new": f"{CLERK} 1"}, "password"),
    ):
        refused = client.put(f"{SESSION}/password", headers=mine, json=body)
        assert (refused.is_success, refused.json()["field"]) == (False, field)
    assert client.get(SESSION, headers=elsewhere).status_code == 200, "nothing has ended yet"
    changed = client.put(f"{SESSION}/password", headers=mine, json={"current": PASSWORD, "new": new})
    assert changed.status_code == 204
    assert client.get(SESSION, headers=mine).status_code == 200
    assert client.get(SESSION, headers=elsewhere).status_code == 401
    assert try_in(client).status_code == 401
    assert try_in(client, new).status_code == 201


@pytest.mark.usefixtures("worker", "passwords_restored")
def test_a_forgotten_password_is_set_by_the_link_of_a_mail_once(
    client: TestClient, signed_in: Callable[[str], Staffer], postbox: Postbox, database: str
) -> None:
    before = signed_in(CLERK).headers
    assert client.post(f"{SESSION}/resets", json={"email": "nobody@example.org"}).status_code == 202
    assert client.post(f"{SESSION}/resets", json={"email": CLERK.upper()}).status_code == 202
    mail = eventually(lambda: postbox.to(CLERK))[0]
    body = mail.get_body(("plain",))
    assert body is not None
    link = re.search(r"http://lampione\.test(/password/\S+)", body.get_content())
    assert link is not None, body.get_content()
    for _ in range(3):
        assert "minlength" in client.get(link[1]).text, "a scanner that opens the link uses nothing up"
    assert client.get(SESSION, headers=before).status_code == 200
    short = client.post(link[1], data={"new": "corta"})
    assert (short.status_code, "too short" in short.text) == (422, True)
    new = "la terza password lunga"
    assert "counts from now on" in client.post(link[1], data={"new": new}).text
    assert client.get(SESSION, headers=before).status_code == 401
    assert try_in(client, new).status_code == 201
    token = link[1].rsplit("/", 1)[-1]
    again = client.put(f"{SESSION}/resets", json={"token": token, "new": "la quarta password lunga"})
    assert again.status_code == 401
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE password_reset SET used_at = NULL, created_at = now() - interval '61 minutes'")
    old = client.put(f"{SESSION}/resets", json={"token": token, "new": "la quarta password lunga"})
    assert (old.status_code, old.json()["field"]) == (401, "token")
    for forged in (token[:-4] + "AAAA", "x", "A" * 43):
        assert client.put(f"{SESSION}/resets", json={"token": forged, "new": new}).status_code == 401
    assert len(postbox.messages) == 1, "nobody at the unknown address was written to"
    for _ in range(3):
        answer = client.post(f"{SESSION}/resets", json={"email": CLERK})
    assert answer.status_code == 429, "no mailbox is flooded"


@pytest.mark.usefixtures("passwords_restored")
def test_an_administrator_takes_away_what_was_given(client: TestClient, signed_in: Callable[[str], Staffer]) -> None:
    admin, theirs = signed_in(ADMINISTRATOR).headers, signed_in(CLERK).headers
    people = "/api/v1/registry/pesaro/people"
    listed = client.get(people, headers=admin).json()
    clerk = next(one for one in listed if one["email"] == CLERK)
    assert clerk["roles"] == ["clerk"]
    assert clerk["has_second_factor"] is False

    secret = client.post(f"{SESSION}/second-factor", headers=theirs).json()["secret"]
    client.put(f"{SESSION}/second-factor", headers=theirs, json={"code": pyotp.TOTP(secret).now()})
    assert client.delete(f"{people}/{clerk['id']}/second-factor", headers=admin).status_code == 204
    assert client.get(SESSION, headers=theirs).status_code == 401
    theirs = signed_in(CLERK).headers
    assert client.delete(f"{people}/{clerk['id']}/devices", headers=admin).status_code == 204
    assert client.get(SESSION, headers=theirs).status_code == 401

    theirs = signed_in(CLERK).headers
    off = client.patch(f"{people}/{clerk['id']}", headers=admin, json={"is_active": False})
    assert (off.status_code, off.json()["is_active"]) == (200, False)
    assert client.get(SESSION, headers=theirs).status_code == 401
    assert try_in(client).status_code == 401
    on = client.patch(f"{people}/{clerk['id']}", headers=admin, json={"is_active": True})
    assert on.json()["is_active"] is True
    assert client.get(SESSION, headers=theirs).status_code == 401, "what has ended stays ended"

    myself = next(one for one in listed if one["email"] == ADMINISTRATOR)
    for method, path, body in (
        ("PATCH", f"{people}/{myself['id']}", {"is_active": False}),
        ("DELETE", f"{people}/{myself['id']}/appointments/{myself['appointments'][0]['id']}", None),
    ):
        assert client.request(method, path, headers=admin, json=body).status_code == 403, "nobody locks themself out"
    assert client.patch(f"{people}/999999", headers=admin, json={}).status_code == 404
    stranger = signed_in(CLERK).headers
    assert client.patch(f"{people}/{clerk['id']}", headers=stranger, json={}).status_code == 403


def test_a_role_taken_away_counts_at_once(client: TestClient, signed_in: Callable[[str], Staffer]) -> None:
    admin = signed_in(ADMINISTRATOR).headers
    people = "/api/v1/registry/pesaro/people"
    new = {"email": "nuovo@pesaro.example.org", "name": "Nuovo Collega", "role": "clerk", "password": PASSWORD}
    made = client.post(people, headers=admin, json=new).json()
    made = client.post(people, headers=admin, json=new | {"role": "council"}).json()
    assert made["roles"] == ["clerk", "council"]
    theirs = signed_in(new["email"]).headers
    first = next(one["id"] for one in made["appointments"] if one["role"] == "clerk")
    left = client.delete(f"{people}/{made['id']}/appointments/{first}", headers=admin)
    assert left.json()["roles"] == ["council"]
    assert client.get(SESSION, headers=theirs).json()["roles"] == ["council"]
    assert client.delete(f"{people}/{made['id']}/appointments/{first}", headers=admin).status_code == 404
