"""A host in a private network is called only where the province says so."""

from __future__ import annotations

from fastapi.testclient import TestClient

from city.database import reading
from city.registry.channels.allowed_hosts import door
from tests.trials import PASSWORD

HOSTS = "/api/v1/province/allowed-hosts"


def headers(client: TestClient, email: str) -> dict[str, str]:
    answer = client.post("/api/v1/session", json={"email": email, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def internal(url: str) -> bool:
    with reading(1) as session:
        return door(session, url).is_internal


def test_only_the_province_allows_a_host(client: TestClient) -> None:
    town = headers(client, "amministratore@pesaro.example.org")
    refused = client.put(f"{HOSTS}/127.0.0.1:8443", headers=town)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "Only administrators of the province may allow a host in a private network.",
    )
    province = headers(client, "amministratore@provincia.example.org")
    try:
        assert client.put(f"{HOSTS}/127.0.0.1:8443", headers=province).status_code == 204
        assert client.put(f"{HOSTS}/127.0.0.1:8443", headers=province).status_code == 204
        assert [one["host"] for one in client.get(HOSTS, headers=town).json()] == ["127.0.0.1:8443"]
        assert internal("https://127.0.0.1:8443/hook")
        assert not internal("https://127.0.0.1/hook")
        assert not internal("https://127.0.0.1:8443@example.org/hook")
    finally:
        assert client.delete(f"{HOSTS}/127.0.0.1:8443", headers=province).status_code == 204
    assert not internal("https://127.0.0.1:8443/hook")
    assert client.delete(f"{HOSTS}/127.0.0.1:8443", headers=province).status_code == 404


def test_what_is_no_host_with_its_port_is_refused(client: TestClient) -> None:
    province = headers(client, "amministratore@provincia.example.org")
    for wrong in ("example.org:x", "a@b.example.org:80", ":80", "example.org:80:90", "a b:80"):
        answer = client.put(f"{HOSTS}/{wrong}", headers=province)
        assert (answer.status_code, answer.json()["field"]) == (422, "host"), wrong
