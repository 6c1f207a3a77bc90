"""Stories of staff who sign in with the account of their office: groups give roles, and take them away again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
import psycopg
import pyotp
import pytest
from fastapi.testclient import TestClient
from joserfc import jwk

from city.database import provincial
from city.digests import digest
from city.outside import identity
from city.registry.sign_in import signing_in
from city.settings import settings
from tests.identity_provider import SECRET, Certified, certified, client_of, signs_in
from tests.lying_provider import WE, lying, now
from tests.stories.outside_world import ADMINISTRATOR, PROVINCE
from tests.stories.providing import HOME, OIDC, callback, comes_back, ticket_in
from tests.stories.telling import SignIn
from tests.trials import PASSWORD
from workers.duties import forget_sign_ins

PROVIDERS: Final = "/api/v1/registry/pesaro/providers"
CLERK: Final = "operatore.urp@pesaro.example.org"
OUR_KEY: Final = jwk.ECKey.generate_key("P-256", {"kid": "ours", "use": "sig"})
POSTS: Final[list[dict[str, str]]] = [
    {"member_of": "clerks-roads", "role": "clerk", "department": "public-works"},
    {"member_of": "council", "role": "council"},
]


@pytest.fixture(scope="module")
def provider(variable: Path) -> Iterator[Certified]:
    clients = [
        client_of("pesaro", callback("pesaro", "office")),
        client_of("provincia", callback("provincia", "office"), token_endpoint_auth_method="client_secret_post"),  # noqa: S106  (a method)
        client_of("by-key", callback("pesaro", "office"))
        | {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}
        | {"jwks": {"keys": [OUR_KEY.as_dict(private=False)]}},
    ]
    with certified(variable / "provider", clients) as running:
        yield running


@pytest.fixture(autouse=True)
def everything_restored(database: str, client: TestClient, signed_in: SignIn, provider: Certified) -> Iterator[None]:
    """The province allows the provider's host, and whoever it makes known is forgotten."""
    identity.forget()
    with psycopg.connect(database) as admin:
        known = admin.execute("SELECT coalesce(max(id), 0) FROM person").fetchone()
        appointed = admin.execute("SELECT coalesce(max(id), 0) FROM appointment").fetchone()
        names = admin.execute("SELECT municipality_id, id, name FROM person").fetchall()
    province = signed_in(PROVINCE).headers
    assert client.put(f"/api/v1/province/allowed-hosts/{provider.host}", headers=province).status_code == 204
    yield
    provider.accounts.clear()
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM appointment WHERE id > %s", appointed)
        admin.execute("DELETE FROM person WHERE id > %s", known)
        admin.execute("DELETE FROM allowed_host")
        with admin.cursor() as cursor:
            change = "UPDATE person SET name = %s, is_active = true WHERE municipality_id = %s AND id = %s"
            cursor.executemany(change, [(name, home, person) for home, person, name in names])


def body_for(provider: Certified, **more: Any) -> dict[str, Any]:
    return {
        "name": {"it": "Account del Comune", "en": "Municipal account"},
        "audience": "staff",
        "issuer": provider.issuer,
        "client_id": "pesaro",
        "secret": SECRET,
        "scopes": ["openid", "profile", "email", "groups"],
        "posts": POSTS,
        **more,
    }


def set_up(client: TestClient, signed_in: SignIn, provider: Certified, **more: Any) -> dict[str, str]:
    """The headers of the administrator who has set the provider up."""
    admin = signed_in(ADMINISTRATOR).headers
    answer = client.put(f"{PROVIDERS}/office", headers=admin, json=body_for(provider, **more))
    assert answer.status_code == 204, answer.text
    return admin


def exchanged(client: TestClient, ticket: str, **more: str) -> httpx.Response:
    return client.post(OIDC, json={"ticket": ticket, **more})


def comes_in(client: TestClient, login: str, owner: str = "pesaro") -> dict[str, Any]:
    answer = exchanged(client, ticket_in(comes_back(client, login, owner)))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def bearing(begun: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {begun['token']}"}


def roles_of(client: TestClient, admin: dict[str, str], address: str) -> list[str]:
    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    return next(list(one["roles"]) for one in listed if one["email"] == address)


@contextmanager
def wanted_of_everybody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This installation wants a second factor."""
    with monkeypatch.context() as changed:
        changed.setenv("LAMPIONE_SECOND_FACTOR", "everybody")
        settings.cache_clear()
        yield
    settings.cache_clear()


def test_groups_give_roles_and_take_them_away(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    admin = set_up(client, signed_in, provider)
    luisa = {"email": "luisa@pesaro.example.org", "email_verified": True, "name": "Luisa Verdi"}
    provider.know("luisa", **luisa, groups=["clerks-roads", "council", "of no concern"])

    begun = comes_in(client, "luisa")
    assert (begun["name"], begun["roles"], begun["must_enrol"]) == ("Luisa Verdi", ["clerk", "council"], False)
    assert client.get("/api/v1/desk/reports", headers=bearing(begun)).status_code == 200
    assert len(client.get("/api/v1/session/devices", headers=bearing(begun)).json()) == 1
    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    known = next(one for one in listed if one["email"] == luisa["email"])
    posts = [(one["role"], one["department"], one["is_from_provider"]) for one in known["appointments"]]
    assert sorted(posts) == [("clerk", "public-works", True), ("council", None, True)]

    client.post(
        "/api/v1/registry/pesaro/people",
        headers=admin,
        json={"email": luisa["email"], "name": "Luisa Verdi", "role": "head", "password": PASSWORD},
    )
    provider.know("luisa", **luisa, groups=["council"])
    assert comes_in(client, "luisa")["roles"] == ["council", "head"], "what was given by hand stays"
    with_password = {"email": luisa["email"], "password": PASSWORD}
    by_password = client.post("/api/v1/session", json=with_password).json()
    assert by_password["roles"] == ["head"], "a password does not keep what the office gives and takes"
    assert client.get("/api/v1/session", headers=bearing(by_password)).json()["roles"] == ["head"]
    token_hash = digest(by_password["token"])
    with provincial() as session:
        assert signing_in.still_signed_in(session, [token_hash])[token_hash].roles == ["head"], "nor in a stream"

    provider.know("luisa", **luisa, groups=["of no concern"])
    refused = comes_back(client, "luisa")
    assert (refused.status_code, "none of the groups" in refused.text) == (403, True)
    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    known = next(one for one in listed if one["email"] == luisa["email"])
    assert known["roles"] == ["head"], "the last group's role is gone all the same"


def test_who_never_comes_again_loses_what_groups_gave(
    client: TestClient, signed_in: SignIn, provider: Certified, database: str
) -> None:
    admin = set_up(client, signed_in, provider)
    for name in ("luisa", "marco"):
        provider.know(name, email=f"{name}@pesaro.example.org", email_verified=True, groups=["council"])
        comes_in(client, name)
    with psycopg.connect(database) as keeper:
        keeper.execute("UPDATE person_identity SET seen_at = now() - interval '91 days' WHERE subject = 'marco'")
    forget_sign_ins()
    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    roles = {one["email"]: one["roles"] for one in listed}
    assert (roles["luisa@pesaro.example.org"], roles["marco@pesaro.example.org"]) == (["council"], [])
    assert roles[CLERK] == ["clerk"], "what was given by hand stays"
    assert comes_in(client, "marco")["roles"] == ["council"], "who was ill, or on leave"


def test_somebody_known_is_linked_by_a_proved_address_only(
    client: TestClient, signed_in: SignIn, provider: Certified
) -> None:
    admin = set_up(client, signed_in, provider)
    for name, address in (("impostor", CLERK), ("newcomer", "nuova@pesaro.example.org")):
        provider.know(name, email=address, email_verified=False, name="Impostore", groups=["council"])
        refused = comes_back(client, name)
        assert (refused.status_code, "does not vouch" in refused.text) == (409, True)
    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    assert "Impostore" not in {one["name"] for one in listed}, "nor is anybody made known"

    provider.know("clerk", email=CLERK.upper(), email_verified=True, groups=["council"])
    begun = comes_in(client, "clerk")
    assert begun["roles"] == ["clerk", "council"]
    provider.know("second", email=CLERK, email_verified=True, groups=["council"])
    assert comes_back(client, "second").status_code == 409, "one account of one provider is one person"

    listed = client.get("/api/v1/registry/pesaro/people", headers=admin).json()
    number, tied = next((one["id"], one["identities"]) for one in listed if one["email"] == CLERK)
    assert [one["issuer"] for one in tied] == [provider.issuer]
    untied = client.delete(f"/api/v1/registry/pesaro/people/{number}/identities", headers=admin)
    assert untied.status_code == 204
    assert client.get("/api/v1/session", headers=bearing(begun)).status_code == 401, "who came by that account is out"
    assert comes_in(client, "second")["roles"] == ["clerk", "council"]

    provider.know("elsewhere", email="operatore.urp@fano.example.org", email_verified=True, groups=["council"])
    assert comes_back(client, "elsewhere").status_code == 409, "nobody is taken from another municipality"
    provider.know("nameless", groups=["council"])
    assert "no valid e-mail" in comes_back(client, "nameless").text

    client.patch(f"/api/v1/registry/pesaro/people/{number}", headers=admin, json={"is_active": False})
    refused = comes_back(client, "second")
    assert (refused.status_code, "switched off" in refused.text) == (403, True)


def test_groups_do_not_take_the_last_administrator_away(
    client: TestClient, signed_in: SignIn, provider: Certified
) -> None:
    admin = set_up(client, signed_in, provider, posts=[*POSTS, {"member_of": "chiefs", "role": "municipality_admin"}])
    for name in ("capo", "vice"):
        provider.know(name, email=f"{name}@pesaro.example.org", email_verified=True, groups=["chiefs"])
    chief, deputy = comes_in(client, "capo"), comes_in(client, "vice")
    number = next(
        one["id"]
        for one in client.get("/api/v1/registry/pesaro/people", headers=admin).json()
        if one["email"] == ADMINISTRATOR
    )
    off = client.patch(f"/api/v1/registry/pesaro/people/{number}", headers=bearing(chief), json={"is_active": False})
    assert off.status_code == 200, off.text

    for refused in (
        client.delete(f"{PROVIDERS}/office", headers=bearing(chief)),
        client.put(f"{PROVIDERS}/office", headers=bearing(chief), json=body_for(provider, is_active=False)),
        client.put(f"{PROVIDERS}/office", headers=bearing(chief), json=body_for(provider)),
    ):
        assert (refused.status_code, "nobody who can administer" in refused.text) == (409, True)
    assert client.get("/api/v1/session", headers=bearing(chief)).json()["roles"] == ["municipality_admin"]

    provider.know("vice", email="vice@pesaro.example.org", email_verified=True, groups=["council"])
    assert comes_in(client, "vice")["roles"] == ["council"], "there is another"
    assert client.get("/api/v1/session", headers=bearing(deputy)).json()["roles"] == ["council"]
    for groups in (["council"], []):
        provider.know("capo", email="capo@pesaro.example.org", email_verified=True, groups=groups)
        back = comes_back(client, "capo")
        assert (back.status_code, "nobody else can administer" in back.text) == (409, True)
    assert client.get("/api/v1/session", headers=bearing(chief)).json()["roles"] == ["municipality_admin"]
    again = client.patch(f"/api/v1/registry/pesaro/people/{number}", headers=bearing(chief), json={"is_active": True})
    assert again.status_code == 200
    provider.know("capo", email="capo@pesaro.example.org", email_verified=True, groups=["council"])
    assert comes_in(client, "capo")["roles"] == ["council"]


def test_what_the_map_gives_no_longer_ends_at_once(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    admin = set_up(client, signed_in, provider)
    provider.know("luisa", email="luisa@pesaro.example.org", email_verified=True, groups=["clerks-roads", "council"])
    theirs = bearing(comes_in(client, "luisa"))
    changed = client.put(f"{PROVIDERS}/office", headers=admin, json=body_for(provider, posts=POSTS[1:]))
    assert changed.status_code == 204, changed.text
    assert client.get("/api/v1/session", headers=theirs).json()["roles"] == ["council"]
    moved = {"member_of": "council", "role": "council", "department": "green"}
    client.put(f"{PROVIDERS}/office", headers=admin, json=body_for(provider, posts=[moved]))
    assert client.get("/api/v1/session", headers=theirs).json()["roles"] == [], "nor for more than the map says now"
    assert roles_of(client, admin, CLERK) == ["clerk"], "what was given by hand stays"

    theirs = bearing(comes_in(client, "luisa"))
    with lying() as (liar, _):
        province = signed_in(PROVINCE).headers
        client.put(f"/api/v1/province/allowed-hosts/{urlsplit(liar.url).netloc}", headers=province)
        set_up(client, signed_in, provider, issuer=liar.url, client_id=WE)
        assert client.get("/api/v1/session", headers=theirs).status_code == 401, "another issuer answers for nobody yet"
        assert roles_of(client, admin, "luisa@pesaro.example.org") == []


def test_only_the_province_makes_administrators_of_the_province(
    client: TestClient, signed_in: SignIn, provider: Certified
) -> None:
    admin = signed_in(ADMINISTRATOR).headers
    wished = body_for(provider, posts=[{"member_of": "chiefs", "role": "province_admin"}])
    refused = client.put(f"{PROVIDERS}/office", headers=admin, json=wished)
    assert (refused.status_code, refused.json()["field"]) == (422, "posts.0.role")
    there = "/api/v1/registry/provincia/providers/office"
    assert client.put(there, headers=admin, json=wished).status_code == 403

    wished |= {"client_id": "provincia", "client_auth": "client_secret_post"}
    assert client.put(there, headers=signed_in(PROVINCE).headers, json=wished).status_code == 204
    provider.know("chief", email="capo@provincia.example.org", email_verified=True, name="Capo", groups=["chiefs"])
    begun = comes_in(client, "chief", "provincia")
    assert begun["roles"] == ["province_admin"]
    assert client.get("/api/v1/registry/fano/people", headers=bearing(begun)).status_code == 200


def test_a_second_factor_is_the_providers_or_ours(
    client: TestClient, signed_in: SignIn, provider: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    headers = bearing(comes_in(client, "clerk"))
    secret = client.post("/api/v1/session/second-factor", headers=headers).json()["secret"]
    code = pyotp.TOTP(secret).now()
    paper = client.put("/api/v1/session/second-factor", headers=headers, json={"code": code}).json()["codes"]

    ticket = ticket_in(comes_back(client, "clerk"))
    asked = exchanged(client, ticket)
    assert (asked.status_code, asked.json()["field"]) == (401, "code")
    assert exchanged(client, ticket, code="000000").status_code == 401
    assert exchanged(client, ticket, code=paper[0]).status_code == 201, "asking has not used the ticket up"
    assert exchanged(client, ticket, code=paper[1]).status_code == 401, "the sign-in has"

    provider.know("luisa", email="luisa@pesaro.example.org", email_verified=True, groups=["council"])
    with wanted_of_everybody(monkeypatch):
        begun = comes_in(client, "luisa")
        assert begun["must_enrol"] is True
        assert client.get("/api/v1/desk/reports", headers=bearing(begun)).status_code == 403


def test_we_prove_who_we_are_with_a_key_of_our_own(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    ours = orjson.dumps(OUR_KEY.as_dict(private=True)).decode()
    set_up(client, signed_in, provider, client_id="by-key", client_auth="private_key_jwt", secret=ours)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    assert comes_in(client, "clerk")["roles"] == ["clerk", "council"]


def way_back(client: TestClient) -> str:
    """The address that the liar sends somebody back to."""
    sent = client.get(f"{OIDC}/pesaro/office", follow_redirects=False)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}
    return f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'code': asked['nonce']})}"


def comes_back_from_liar(client: TestClient) -> httpx.Response:
    return client.get(way_back(client), follow_redirects=False)


def test_a_second_factor_at_the_provider_is_enough_and_a_lie_is_not(
    client: TestClient, signed_in: SignIn, provider: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lying() as (liar, _):
        province = signed_in(PROVINCE).headers
        client.put(f"/api/v1/province/allowed-hosts/{urlsplit(liar.url).netloc}", headers=province)
        set_up(client, signed_in, provider, issuer=liar.url, client_id=WE, strong_values=["mfa", "gold"])
        whose = {"email": CLERK, "email_verified": True, "groups": "council", "name": "URP"}
        with wanted_of_everybody(monkeypatch):
            for how, is_full in (({"amr": ["pwd", "mfa"]}, True), ({"acr": "gold"}, True), ({"amr": ["pwd"]}, False)):
                liar.claims = whose | how
                begun = exchanged(client, ticket_in(comes_back_from_liar(client))).json()
                assert begun["must_enrol"] is not is_full, how
        for lie in ({"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil.example"}, {"exp": now() - 60}):
            liar.claims = whose | lie
            refused = comes_back_from_liar(client)
            assert (refused.status_code, f"({next(iter(lie))})" in refused.text) == (401, True), lie
        assert client.get("/api/v1/session").status_code == 401


def test_an_address_is_not_proved_by_what_is_said_of_another(
    client: TestClient, signed_in: SignIn, provider: Certified
) -> None:
    with lying() as (liar, _):
        province = signed_in(PROVINCE).headers
        client.put(f"/api/v1/province/allowed-hosts/{urlsplit(liar.url).netloc}", headers=province)
        set_up(client, signed_in, provider, issuer=liar.url, client_id=WE)
        own = "luisa@pesaro.example.org"
        for subject, token, userinfo, status in (
            ("first", {"email": CLERK}, {"email": own, "email_verified": True}, 302),
            ("second", {"email_verified": True}, {"email": CLERK}, 409),
            ("third", {"email_verified": True}, {"email": CLERK, "email_verified": False}, 409),
            ("fourth", {"email": CLERK}, {"email_verified": True}, 422),
            ("fifth", {"email": CLERK}, {}, 409),
        ):
            liar.claims = {"sub": subject, "groups": ["council"]} | token
            liar.userinfo = {"sub": subject, "name": "Luisa Verdi"} | userinfo
            assert comes_back_from_liar(client).status_code == status, subject
        known = client.get("/api/v1/registry/pesaro/people", headers=signed_in(ADMINISTRATOR).headers).json()
        assert {one["email"] for one in known if one["identities"]} == {own}


def test_a_ticket_is_good_once_soon_and_in_one_browser(
    client: TestClient, signed_in: SignIn, provider: Certified, database: str
) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    ticket = ticket_in(comes_back(client, "clerk"))
    kept = dict(client.cookies)
    client.cookies.clear()
    assert exchanged(client, ticket).status_code == 401, "another browser"
    client.cookies.update(kept)
    begun = exchanged(client, ticket)
    assert (begun.status_code, begun.headers["cache-control"]) == (201, "no-store")
    assert exchanged(client, ticket).status_code == 401
    with psycopg.connect(database) as admin:
        late = ticket_in(comes_back(client, "clerk"))
        admin.execute("UPDATE sign_in_ticket SET expires_at = now()")
    assert exchanged(client, late).status_code == 401
    of_nobody = ticket_in(comes_back(client, "clerk"))
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE person SET is_active = false WHERE email = %s", (CLERK,))
    assert exchanged(client, of_nobody).status_code == 401, "somebody switched off meanwhile"


def test_a_return_is_good_once_soon_and_in_the_browser_it_began_in(
    client: TestClient, signed_in: SignIn, provider: Certified, database: str
) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    sent = client.get(f"{OIDC}/pesaro/office", follow_redirects=False)
    cookie = sent.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/api/v1;"))
    assert "secure" not in cookie, "there is no https here"
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    back = signs_in(sent.headers["location"], "clerk", HOME)

    kept = dict(client.cookies)
    client.cookies.clear()
    stolen = client.get(back, follow_redirects=False)
    assert (stolen.status_code, "this browser" in stolen.text) == (401, True)
    assert stolen.headers["content-type"].startswith("text/html")
    client.cookies.update(kept)
    forged = client.get(back.replace("state=", "state=A"), follow_redirects=False)
    assert forged.status_code == 401
    elsewhere = client.get(back.replace("iss=", "iss=x"), follow_redirects=False)
    assert elsewhere.status_code == 401, "an answer of another provider"
    assert client.get(back, follow_redirects=False).status_code == 401, "which has used it up"

    back = signs_in(client.get(f"{OIDC}/pesaro/office", follow_redirects=False).headers["location"], "clerk", HOME)
    assert client.get(back, follow_redirects=False).status_code == 302
    again = client.get(back, follow_redirects=False)
    assert (again.status_code, "used already" in again.text) == (401, True)
    with psycopg.connect(database) as admin:
        back = signs_in(client.get(f"{OIDC}/pesaro/office", follow_redirects=False).headers["location"], "clerk", HOME)
        admin.execute("UPDATE pending_sign_in SET created_at = now() - interval '11 minutes'")
    assert client.get(back, follow_redirects=False).status_code == 401


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a?b=//c", "/a#b", "/../x", "/a\n", ""],
)
def test_nobody_is_sent_to_a_strangers_page(
    client: TestClient, signed_in: SignIn, provider: Certified, elsewhere: str
) -> None:
    set_up(client, signed_in, provider)
    answer = client.get(f"{OIDC}/pesaro/office", params={"return_to": elsewhere}, follow_redirects=False)
    assert answer.status_code == 422


def test_one_comes_back_to_the_page_one_wanted(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    home = comes_back(client, "clerk", return_to="/desk/today")
    assert home.headers["location"].startswith(f"{HOME}/desk/today#ticket=")
    assert "Signed in" in client.get("/signed-in").text


def test_who_gives_up_is_told_so_in_their_language(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    set_up(client, signed_in, provider)
    sent = client.get(f"{OIDC}/pesaro/office", follow_redirects=False)
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    answer = client.get(
        f"{OIDC}/pesaro/office/callback",
        params={"state": state, "error": "access_denied", "error_description": "<b>call 0900</b>"},
        headers={"Accept-Language": "it"},
    )
    assert (answer.status_code, "annullato" in answer.text, "call 0900" in answer.text) == (401, True, False)
    assert f'href="{HOME}{OIDC}/pesaro/office"' in answer.text


def test_signing_out_leads_to_the_providers_page(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    begun = comes_in(client, "clerk")
    assert client.delete("/api/v1/session", headers=bearing(begun)).status_code == 204
    assert signs_in(begun["sign_out_address"], "clerk", HOME) == f"{HOME}/"


def test_keys_are_read_anew_when_the_provider_has_new_ones(
    client: TestClient, signed_in: SignIn, provider: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(client, signed_in, provider)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    comes_in(client, "clerk")
    provider.stop()
    provider.rotate()
    provider.start()
    refused = comes_back(client, "clerk")
    assert (refused.status_code, "InvalidKeyIdError" in refused.text) == (401, True), "no more than once a minute"
    monkeypatch.setattr(identity, "KEYS_ANEW_SECONDS", 0.0)
    assert comes_in(client, "clerk")["roles"] == ["clerk", "council"]


def test_a_provider_that_is_down_is_said_to_be(client: TestClient, signed_in: SignIn, provider: Certified) -> None:
    admin = set_up(client, signed_in, provider)
    looked = client.post(f"{PROVIDERS}/office/test", headers=admin)
    assert (looked.status_code, looked.json()["keys"]) == (200, 1)
    provider.know("clerk", email=CLERK, email_verified=True, groups=["council"])
    back = signs_in(client.get(f"{OIDC}/pesaro/office", follow_redirects=False).headers["location"], "clerk", HOME)
    provider.stop()
    try:
        down = client.get(back, follow_redirects=False)
        assert (down.status_code, "does not answer" in down.text) == (503, True)
        assert client.post(f"{PROVIDERS}/office/test", headers=admin).status_code == 503
        identity.forget()
        assert client.get(f"{OIDC}/pesaro/office", follow_redirects=False).status_code == 503
    finally:
        provider.start()


def test_a_provider_is_set_up_changed_and_taken_away(
    client: TestClient, signed_in: SignIn, provider: Certified, database: str
) -> None:
    admin = set_up(client, signed_in, provider)
    listed = client.get(PROVIDERS, headers=admin).json()
    assert [(one["slug"], one["posts"][0]["department"]) for one in listed] == [("office", "public-works")]
    assert SECRET not in str(listed)
    assert listed[0]["return_address"] == callback("pesaro", "office")
    with psycopg.connect(database) as keeper:
        kept = keeper.execute("SELECT secret FROM identity_provider").fetchall()
    assert SECRET.encode() not in bytes(kept[0][0])
    offered = client.get(OIDC, params={"municipality": "pesaro"}).json()
    assert [one["address"] for one in offered] == [f"{HOME}{OIDC}/pesaro/office"]
    assert client.get(OIDC, params={"municipality": "fano"}).json() == []

    provider.know("luisa", email="luisa@pesaro.example.org", email_verified=True, groups=["council"])
    headers = bearing(comes_in(client, "luisa"))
    on_the_way = ticket_in(comes_back(client, "luisa"))
    unchanged = body_for(provider)
    del unchanged["secret"]
    client.put(f"{PROVIDERS}/office", headers=admin, json=unchanged | {"is_active": False})
    assert exchanged(client, on_the_way).status_code == 401, "nobody who has just come gets in"
    assert client.get("/api/v1/session", headers=headers).status_code == 401, "who came from there is out at once"
    assert roles_of(client, admin, "luisa@pesaro.example.org") == [], "and what its groups gave has ended"
    assert client.get("/api/v1/session", headers=admin).status_code == 200, "nobody else is"
    assert client.get(f"{OIDC}/pesaro/office", follow_redirects=False).status_code == 404
    assert client.get(OIDC, params={"municipality": "pesaro"}).json() == []
    client.put(f"{PROVIDERS}/office", headers=admin, json=unchanged)
    headers = bearing(comes_in(client, "luisa"))
    assert client.delete(f"{PROVIDERS}/office", headers=admin).status_code == 204
    assert client.get("/api/v1/session", headers=headers).status_code == 401
    assert roles_of(client, admin, "luisa@pesaro.example.org") == []
    assert client.delete(f"{PROVIDERS}/office", headers=admin).status_code == 404

    clerk = signed_in(CLERK).headers
    assert client.get(PROVIDERS, headers=clerk).status_code == 403
    for fault, field in (
        ({"issuer": "http://127.0.0.1:1"}, "issuer"),
        ({"issuer": "https://user:x@example.org"}, "issuer"),
        ({"posts": []}, "posts"),
        ({"audience": "citizens"}, "posts"),
        ({"audience": "citizens", "posts": []}, "audience"),
        ({"posts": [{"member_of": "x", "role": "clerk", "department": "nowhere"}]}, "posts.0.department"),
        ({"posts": [{"member_of": "x", "role": "crew"}]}, "posts.0.crew"),
        ({"client_auth": "private_key_jwt"}, "secret"),
        ({"secret": None}, "secret"),
    ):
        refused = client.put(f"{PROVIDERS}/other", headers=admin, json=body_for(provider, **fault))
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text


def test_a_secret_that_is_kept_goes_to_no_other_issuer(
    client: TestClient, signed_in: SignIn, provider: Certified
) -> None:
    admin = set_up(client, signed_in, provider)
    same = body_for(provider, secret=None)
    assert client.put(f"{PROVIDERS}/office", headers=admin, json=same).status_code == 204
    elsewhere = same | {"issuer": "https://login.example.org"}
    refused = client.put(f"{PROVIDERS}/office", headers=admin, json=elsewhere)
    assert (refused.status_code, refused.json()["field"]) == (422, "secret")


def test_whoever_comes_twice_at_once_comes_in_once_and_is_one_person(
    client: TestClient, signed_in: SignIn, provider: Certified, database: str
) -> None:
    with lying() as (liar, _):
        province = signed_in(PROVINCE).headers
        client.put(f"/api/v1/province/allowed-hosts/{urlsplit(liar.url).netloc}", headers=province)
        set_up(client, signed_in, provider, issuer=liar.url, client_id=WE, email_verified_claim=None)
        liar.claims = {"email": "luisa@pesaro.example.org", "groups": ["council"], "name": "Luisa Verdi"}
        with ThreadPoolExecutor(6) as together:

            def come_back(addresses: list[str]) -> list[int]:
                answers = together.map(lambda back: client.get(back, follow_redirects=False).status_code, addresses)
                return sorted(answers)

            assert come_back([way_back(client) for _ in range(4)]) == [302] * 4, "four times at once, unknown before"
            assert come_back([way_back(client)] * 6) == [302, 401, 401, 401, 401, 401]
        with psycopg.connect(database) as keeper:
            found = keeper.execute("SELECT count(*) FROM person WHERE name = 'Luisa Verdi'").fetchone()
        assert found == (1,)
