"""Stories of links that are opened: counted where the town wants it, leading on whatever happens, and nowhere else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from fastapi.testclient import TestClient

from city import links
from city.settings import PROJECT
from tests.conftest import pointed_at
from tests.stories.telling import COAST, URP, SignIn, html, plain, reported, wait_for_rest
from tests.stories.test_notices import Desk
from tests.stories.test_subscriptions import CIRCLE, subscribed
from tests.trials import Postbox, eventually

ANNA: Final = "anna@example.org"
BASE: Final = "http://lampione.test"


@pytest.fixture(scope="module")
def _noting(_database: str, variable: Path) -> Iterator[None]:
    """Openings are noted, by this process and by a worker of its own."""
    with pointed_at({"LAMPIONE_NOTE_OPENED_LINKS": "true"}), (variable / "noting.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", sys.executable, "-P", "-m", "workers"],
            stderr=log,
            cwd=PROJECT,
            env=dict(os.environ),
        )
        yield
        process.terminate()
        process.wait(45)


@pytest.fixture
def link(_noting: None, client: TestClient, database: str, postbox: Postbox) -> str:
    """The path of a link in a letter that was sent a while ago."""
    reported(client, COAST, "lampione spento davanti al civico 12", email=ANNA)
    [mail] = eventually(lambda: postbox.to(ANNA))
    wait_for_rest(database)
    found = re.search(rf"{BASE}(/l/\S+)", plain(mail))
    assert found is not None
    assert f'href="{BASE}{found[1]}"' in html(mail)
    assert "<img" not in html(mail), "there is no pixel"
    age(database)
    return found[1]


def age(database: str) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET sent_at = sent_at - interval '1 minute'")


def openings(database: str) -> list[tuple[int, bool]]:
    with psycopg.connect(database) as admin:
        return admin.execute("SELECT openings, opened_at IS NOT NULL FROM delivery").fetchall()


def test_a_reader_gets_to_the_report_and_the_office_sees_that_it_was_read(
    client: TestClient, database: str, link: str, signed_in: SignIn
) -> None:
    for _ in range(2):
        answer = client.get(link, follow_redirects=False)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"{BASE}/r/")
        assert answer.headers["cache-control"] == "no-store"
    assert openings(database) == [(2, True)]
    assert client.get(link).status_code == 200
    [listed] = signed_in(URP).get("/deliveries")["deliveries"]
    assert (listed["openings"], listed["opened_at"] is not None) == (3, True)


@pytest.mark.usefixtures("_noting")
def test_a_notice_that_many_get_is_counted_for_each_that_reads_it(
    client: TestClient, database: str, postbox: Postbox, signed_in: SignIn
) -> None:
    bruno, carla = "bruno@example.org", "carla@example.org"
    for address in (bruno, carla):
        subscribed(client, postbox, address, **CIRCLE)
    postbox.messages.clear()
    Desk(signed_in(URP)).published()
    links_of = {}
    for address in (bruno, carla):
        [mail] = eventually(lambda who=address: postbox.to(who))  # type: ignore[misc]
        found = re.search(rf"{BASE}(/l/\S+)", plain(mail))
        assert found is not None
        assert f'href="{BASE}{found[1]}"' in html(mail)
        links_of[address] = found[1]
    wait_for_rest(database)
    age(database)
    answer = client.get(links_of[bruno], follow_redirects=False)
    assert answer.headers["location"].startswith(f"{BASE}/notices/")
    with psycopg.connect(database) as admin:
        counted = admin.execute("SELECT address, openings FROM delivery WHERE kind = 'notice'").fetchall()
    assert dict(counted) == {bruno: 1, carla: 0}


def test_programs_are_no_readers(client: TestClient, database: str, link: str) -> None:
    assert client.head(link, follow_redirects=False).status_code == 302
    assert client.get(link, headers={"Sec-Purpose": "prefetch"}, follow_redirects=False).status_code == 302
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET sent_at = now()")
    assert client.get(link, follow_redirects=False).status_code == 302, "a scanner, seconds after it was sent"
    assert openings(database) == [(0, False)]


def test_a_link_leads_on_when_all_is_forgotten_and_nobody_can_lead_it_elsewhere(
    client: TestClient, database: str, link: str
) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("DELETE FROM delivery")
    assert client.get(link, follow_redirects=False).headers["location"].startswith(f"{BASE}/r/")
    with pointed_at({"LAMPIONE_NOTE_OPENED_LINKS": "false"}):
        assert client.get(link, follow_redirects=False).status_code == 302, "also where it is noted no more"
    for forged in (link[:-4] + "AAAA", "/l/x", f"/l/{links.made('unsubscribe', b'0' * 20 + b'//evil.example')}"):
        assert client.get(forged, follow_redirects=False).status_code == 404
