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

from city.settings import PROJECT, settings
from tests.hook_receiver import receiving
from tests.outside_services import KEY, Services, serving
from tests.stories.outside_world import BODY, PROVINCE, allowed
from tests.stories.telling import COAST, URP, reported
from tests.trials import PASSWORD, Staffer, eventually, visiting


@pytest.fixture
def visitor(own_registry: str) -> Iterator[TestClient]:
    with visiting() as client:
        yield client


@pytest.fixture
def services(own_registry: str) -> Iterator[Services]:
    with serving() as there, allowed(own_registry, there.host):
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


def test_an_event_in_the_air_when_the_worker_died_comes_again_under_its_id(visitor: TestClient) -> None:
    with receiving() as there:
        province = signed(visitor, PROVINCE).headers
        assert visitor.put(f"/api/v1/province/allowed-hosts/{there.host}", headers=province).status_code == 204
        base = "/api/v1/registry/pesaro/webhooks"
        hook = {"address": there.url + "/hook", "events": ["report.received"]}
        made = visitor.post(base, json=hook, headers=province).json()
        numbers = [reported(visitor, COAST, f"lampione {name} spento", category="lamp-out")["number"] for name in "abc"]
        there.goes_on.clear()
        with working(settings().var) as first:
            eventually(lambda: there.calls)
            first.kill()
            first.wait()
        there.calls[0].status = 503
        there.goes_on.set()
        deliveries = f"{base}/{made['id']}/deliveries"
        kept = visitor.get(deliveries, headers=province).json()["deliveries"]
        assert [one["state"] for one in kept] == ["waiting"] * 3, "written down, and nothing noted"
        with working(settings().var):
            eventually(lambda: len(there.taken()) == 3, 60)
        assert there.taken()[0].id == there.calls[0].id, "known by its id"
        assert [number for _, number in there.told()] == numbers
        assert len(there.calls) == 4
