"""What stories of sign-ins at a provider need: going there, signing in, and coming back with a ticket."""

from __future__ import annotations

from typing import Final

import httpx
from fastapi.testclient import TestClient

from tests.identity_provider import signs_in

HOME: Final = "http://lampione.test"
OIDC: Final = "/api/v1/session/oidc"


def callback(owner: str, slug: str) -> str:
    """Where a provider of ours sends the browser back to."""
    return f"{HOME}{OIDC}/{owner}/{slug}/callback"


def comes_back(client: TestClient, login: str, owner: str = "pesaro", return_to: str = "/signed-in") -> httpx.Response:
    """The answer to somebody who went to the provider and signed in there."""
    sent = client.get(f"{OIDC}/{owner}/office", params={"return_to": return_to}, follow_redirects=False)
    assert sent.status_code == 302, sent.text
    return client.get(signs_in(sent.headers["location"], login, HOME), follow_redirects=False)


def ticket_in(answer: httpx.Response) -> str:
    assert answer.status_code == 302, answer.text
    address, _, fragment = answer.headers["location"].partition("#ticket=")
    assert fragment
    assert address.startswith(HOME)
    return str(fragment)
