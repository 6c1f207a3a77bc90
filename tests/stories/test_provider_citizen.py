"""Stories of citizens who sign in with SPID or CIE, through the city's broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial
from city.outside import identity
from city.registry.sign_in import citizens
from tests.identity_provider import FISCAL_NUMBER, SECRET, Certified, certified, client_of, signs_in
from tests.stories.outside_world import ADMINISTRATOR, PROVINCE
from tests.stories.providing import HOME, OIDC, callback, comes_back, ticket_in
from tests.stories.telling import COAST, SignIn, reported

ANNA: Final = "anna@example.org"
NUMBER: Final = "TINIT-BNCNNA80A41L500X"
PROVIDERS: Final = "/api/v1/registry/provincia/providers"
CITIZEN: Final = "/api/v1/citizen"


@pytest.fixture(scope="module")
def broker(variable: Path) -> Iterator[Certified]:
    with certified(variable / "broker", [client_of("lampione", callback("provincia", "office"))]) as running:
        yield running


@pytest.fixture(autouse=True)
def set_up(client: TestClient, signed_in: SignIn, broker: Certified, database: str) -> Iterator[None]:
    """The province has set the broker up."""
    identity.forget()
    province = signed_in(PROVINCE).headers
    client.put(f"/api/v1/province/allowed-hosts/{broker.host}", headers=province)
    answer = client.put(f"{PROVIDERS}/office", headers=province, json=body_for(broker))
    assert answer.status_code == 204, answer.text
    yield
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM allowed_host")


def body_for(broker: Certified) -> dict[str, Any]:
    return {
        "name": {"it": "Entra con SPID o CIE", "en": "Sign in with SPID or CIE"},
        "audience": "citizens",
        "issuer": broker.issuer,
        "client_id": "lampione",
        "secret": SECRET,
        "scopes": ["openid", "profile", "email", "spid"],
    }


def exchanged(client: TestClient, ticket: str) -> httpx.Response:
    return client.post(f"{CITIZEN}/session/oidc", json={"ticket": ticket})


def comes_in(client: TestClient, login: str) -> dict[str, Any]:
    answer = exchanged(client, ticket_in(comes_back(client, login, "provincia")))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def own(client: TestClient, begun: dict[str, Any]) -> list[str]:
    headers = {"Authorization": f"Bearer {begun['token']}"}
    return [report["number"] for report in client.get(f"{CITIZEN}/reports", headers=headers).json()["reports"]]


def test_a_citizen_is_known_by_the_fiscal_number(client: TestClient, broker: Certified, database: str) -> None:
    before = reported(client, COAST, "lampione spento", email=ANNA)
    broker.know("anna", **{FISCAL_NUMBER: NUMBER}, name="Anna Bianchi", email=ANNA, email_verified=True)
    begun = comes_in(client, "anna")
    assert (begun["name"], begun["email"], begun["has_fiscal_number"]) == ("Anna Bianchi", ANNA, True)
    assert own(client, begun) == [before["number"]]

    broker.know("anna of another broker", **{FISCAL_NUMBER: NUMBER.removeprefix("TINIT-").lower()})
    assert own(client, comes_in(client, "anna of another broker")) == [before["number"]], "the same person"
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM citizen").fetchone() == (1,)
        kept = admin.execute("SELECT fiscal_number FROM citizen").fetchone()
    assert kept is not None
    assert NUMBER.removeprefix("TINIT-").encode() not in bytes(kept[0])
    assert signs_in(begun["sign_out_address"], "anna", HOME) == f"{HOME}/"


def test_a_sign_in_ends_with_its_provider_and_one_by_code_does_not(
    client: TestClient, signed_in: SignIn, broker: Certified
) -> None:
    broker.know("anna", **{FISCAL_NUMBER: NUMBER})
    with provincial() as session:
        by_code = citizens.begin(session, email="carla@example.org", device="").token
    province = signed_in(PROVINCE).headers

    def states(begun: dict[str, Any]) -> list[int]:
        headers = [{"Authorization": f"Bearer {token}"} for token in (begun["token"], by_code)]
        return [client.get(f"{CITIZEN}/reports", headers=one).status_code for one in headers]

    unchanged = body_for(broker)
    renamed = unchanged | {"name": {"it": "SPID", "en": "SPID"}}
    for ending in (unchanged | {"is_active": False}, unchanged | {"issuer": "https://login.example.org"}, None):
        begun = comes_in(client, "anna")
        assert client.put(f"{PROVIDERS}/office", headers=province, json=renamed).status_code == 204
        assert states(begun) == [200, 200], "another name ends nothing"
        if ending is None:
            assert client.delete(f"{PROVIDERS}/office", headers=province).status_code == 204
        else:
            assert client.put(f"{PROVIDERS}/office", headers=province, json=ending).status_code == 204
        assert states(begun) == [401, 200]
        client.put(f"{PROVIDERS}/office", headers=province, json=unchanged)
        assert states(begun) == [401, 200], "what has ended does not come back"


def test_an_address_that_is_only_said_opens_nobodys_reports(client: TestClient, broker: Certified) -> None:
    reported(client, COAST, "lampione spento", email=ANNA)
    broker.know("bruno", **{FISCAL_NUMBER: "TINIT-RSSBRN80A01L500X"}, email=ANNA, email_verified=False)
    begun = comes_in(client, "bruno")
    assert (begun["email"], own(client, begun)) == (None, [])
    broker.know("carla", email="carla@example.org", email_verified=False)
    refused = comes_back(client, "carla", "provincia")
    assert (refused.status_code, "vouched neither" in refused.text) == (403, True)
    broker.know("dario", **{FISCAL_NUMBER: "no number"}, email="dario@example.org", email_verified=True)
    assert comes_in(client, "dario")["has_fiscal_number"] is False


def test_what_is_a_citizens_is_not_the_staffs(
    client: TestClient, signed_in: SignIn, broker: Certified, database: str
) -> None:
    broker.know("anna", **{FISCAL_NUMBER: NUMBER})
    ticket = ticket_in(comes_back(client, "anna", "provincia"))
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT proved FROM sign_in_ticket").fetchone()
    assert kept is not None
    assert NUMBER.removeprefix("TINIT-").encode() not in bytes(kept[0]), "sealed, for the minute that it is kept"
    assert client.post(OIDC, json={"ticket": ticket}).status_code == 401
    assert exchanged(client, ticket).status_code == 201
    assert exchanged(client, ticket).status_code == 401

    admin_of_town = signed_in(ADMINISTRATOR).headers
    refused = client.put("/api/v1/registry/pesaro/providers/spid", headers=admin_of_town, json=body_for(broker))
    assert (refused.status_code, refused.json()["field"]) == (422, "audience")
    offered = client.get(OIDC, params={"municipality": "fano"}).json()
    assert [(one["owner"], one["audience"]) for one in offered] == [("provincia", "citizens")]
