"""What stories of hand-overs need: outside bodies of the demo, and their links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, Final

import psycopg
from fastapi.testclient import TestClient

from tests.stories.telling import SignIn, plain
from tests.trials import Staffer

ADMINISTRATOR: Final = "amministratore@pesaro.example.org"
PROVINCE: Final = "amministratore@provincia.example.org"
HEAD: Final = "responsabile.lavoripubblici@pesaro.example.org"
ANNA: Final = "anna@example.org"
ROADS: Final = "strade@ditta.example.org"
CONTACT: Final = {"email": ANNA, "name": "Anna Bianchi", "phone": "+39 333 7654321"}
BODY: Final[dict[str, Any]] = {
    "name": {"it": "Strade Sicure srl", "en": "Safe Roads Ltd"},
    "channel": "mail",
    "address": ROADS,
}


@contextmanager
def allowed(database: str, host: str) -> Iterator[None]:
    """The province allows a host on this machine."""
    with psycopg.connect(database) as admin:
        admin.execute("INSERT INTO allowed_host (host, person_id) VALUES (%s, 1)", (host,))
    yield
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM allowed_host WHERE host = %s", (host,))


def with_body(client: TestClient, signed_in: SignIn, slug: str = "safe-roads", **fields: Any) -> str:
    """The slug of an outside body of Pesaro (of the province where its administrator makes it)."""
    owner = fields.pop("owner", "pesaro")
    administrator = signed_in(PROVINCE if owner == "provincia" else ADMINISTRATOR)
    answer = client.put(
        f"/api/v1/registry/{owner}/outside-bodies/{slug}", json=BODY | fields, headers=administrator.headers
    )
    assert answer.status_code == 204, answer.text
    return slug


def hand_over(clerk: Staffer, report: dict[str, Any], to: str, **more: Any) -> Any:
    """The report after it was handed over."""
    return clerk.change("POST", report["id"], "hand-over", {"to": to, "reason": "Tocca a loro", **more})


def link_in(message: EmailMessage) -> str:
    """The path of the page that a letter's link opens."""
    found = re.search(r"http://lampione\.test(/h/[a-z2-7]{32})", plain(message))
    assert found, plain(message)
    return found[1]


def api_of(link: str) -> str:
    """The path of the same for programs."""
    return link.replace("/h/", "/api/v1/handovers/")
