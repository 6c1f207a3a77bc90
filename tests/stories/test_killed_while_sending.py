"""A worker is killed after an outside body's service has taken a report and before that is noted: no harm is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from city.settings import PROJECT
from tests.outside_services import KEY, Services, serving
from tests.stories.outside_world import BODY, PROVINCE
from tests.stories.telling import COAST, URP, reported
from tests.trials import PASSWORD, Staffer, eventually


@pytest.fixture
def visitor(own_registry: str) -> Iterator[TestClient]:
    with TestClient(create_app(), base_url="http://lampione.test", headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.fixture
def services() -> Iterator[Services]:
    with serving() as there:
        yield there
        there.goes_on.set()


@contextmanager
def working(variable: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (variable / "killed-worker.log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", "workers"],
            stderr=log,
            cwd=PROJECT,
            env=dict(os.environ),
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def signed(client: TestClient, address: str) -> Staffer:
    answer = client.post("/api/v1/session", json={"email": address, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return Staffer(client, {"Authorization": f"Bearer {answer.json()['token']}"})


@pytest.mark.parametrize(("channel", "path"), [("open311", "/open311"), ("webhook", "/hook")])
def test_what_was_taken_when_the_worker_died_is_known_again(
    visitor: TestClient,
    services: Services,
    variable: Path,
    channel: str,
    path: str,
) -> None:
    body = BODY | {
        "channel": channel,
        "address": services.url + path,
        "services": {"*": "X"},
        "secret": KEY,
        "is_internal": True,
    }
    made = visitor.put(
        "/api/v1/registry/pesaro/outside-bodies/there", json=body, headers=signed(visitor, PROVINCE).headers
    )
    assert made.status_code == 204, made.text
    report = reported(visitor, COAST, "lampione spento", category="lamp-out")
    clerk = signed(visitor, URP)
    services.goes_on.clear()
    clerk.change("POST", report["id"], "hand-over", {"to": "there", "reason": "Tocca a loro"})
    with working(variable) as first:
        eventually(lambda: services.requests or services.hooks)
        first.kill()
        first.wait()
    services.goes_on.set()
    assert clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "queued", "nothing was noted"
    with working(variable):
        eventually(lambda: clerk.get(f"/reports/{report['id']}")["handovers"][0]["state"] == "sent", 60)
    handover = clerk.get(f"/reports/{report['id']}")["handovers"][0]
    if channel == "open311":
        assert list(services.requests) == ["EXT-1"], "looked for before it was sent again"
        assert handover["reference"] == "EXT-1"
    else:
        assert len(services.hooks) == 2
        assert len({hook["headers"]["webhook-id"] for hook in services.hooks}) == 1, "known by its id"
