"""The benchmark of webhooks: the real worker and a receiver on this machine, on a database with the demo's registry."""

from __future__ import annotations

import contextlib
from typing import Final
from uuid import UUID

import orjson
import psycopg

from bench import intake, webhooks
from bench.results import Result
from bench.webhooks import EVENTS, Receiver
from city.database import provincial, reading, writing
from city.messages.hooks import events, keeping
from city.messages.hooks.keeping import HookFields
from city.messages.hooks.tables import Webhook
from city.outside.webhook import new_secret
from city.registry import view
from city.registry.tables import AllowedHost
from city.reports.intake import receive
from city.reports.judging import Submission
from city.settings import PROJECT
from commands.bench_ground import Plan, at_work, prepared, served, worker
from commands.cluster import Cluster
from commands.serving import HOST, free_port
from geo.place import Place

TOWN: Final = "pesaro"
PLACE: Final = Place(12.9135, 43.9098)
REPORTS: Final = 200
SEVERAL: Final = 4
ROUNDS: Final = 3
BODIES: Final = 2_000


def run(cluster: Cluster, plan: Plan) -> list[Result]:
    """Events a second to one webhook and to several, and what they cost those who report."""
    environment = prepared(cluster, "webhooks")
    with (
        at_work(environment),
        Receiver.listening(HOST, free_port(HOST)) as receiver,
        psycopg.connect(cluster.url(database="webhooks")) as owner,
        served("api.app:create_app", environment) as address,
        worker(environment) as working,
    ):
        town = view.load().slugs[TOWN]
        for _ in range(REPORTS):
            with writing(town.id) as session:
                receive(session, Submission(PLACE, "Lampione spento davanti al civico 12", category="lamp-out"))
        hook_ids = [_hook(town.id, receiver)]
        webhooks.happen(owner, town.id)
        through, bare = [], []
        for _ in range(ROUNDS):
            plan.said("one")
            through.append(webhooks.through(receiver, EVENTS, working, owner))
            bare.append(webhooks.bare(receiver, new_secret(), _payloads(hook_ids[0], town.id)))
            webhooks.happen(owner, town.id)
        found = [webhooks.results("events to one webhook / bare loop", through, bare, webhooks.LEAST_THROUGH)]
        plan.said("several")
        hook_ids += [_hook(town.id, receiver) for _ in range(SEVERAL - 1)]
        several = [webhooks.through(receiver, EVENTS * SEVERAL, working, owner)]
        found.append(webhooks.results(f"events to {SEVERAL} webhooks of one host / bare loop", several, bare, None))
        for hook_id in hook_ids[1:]:
            _switch(town.id, hook_id, is_on=False)
        plan.said("intake")
        lines = (PROJECT / "seed" / "reports.jsonl").read_bytes().splitlines()
        bodies = intake.bodies([orjson.loads(line) for line in lines], intake.over(view.load()), BODIES)
        requests = intake.requests(intake.OUR_PATH, bodies)

        def switch(is_on: bool) -> None:
            _switch(0, province, is_on=is_on)

        _switch(town.id, hook_ids[0], is_on=False)
        province = _hook(0, receiver)
        for name, at in (("worker on", working), ("worker off", contextlib.nullcontext)):
            told, quiet = webhooks.intake_beside(switch, address, requests, at, rounds=ROUNDS)
            title = f"intake, 8 clients, {name}, a webhook / none"
            found.append(webhooks.results(title, told, quiet, webhooks.LEAST_INTAKE))
    return found


def _hook(owner_id: int, receiver: Receiver) -> UUID:
    """A webhook that is told everything."""
    with provincial() as session:
        host = receiver.url.partition("://")[2]
        if session.get(AllowedHost, host) is None:
            session.add(AllowedHost(host=host, person_id=1))
        fields = HookFields(receiver.url + "/hook", is_public_only=False)
        return keeping.add(session, view.fresh(session), owner_id, fields)[0].id


def _switch(owner_id: int, hook_id: UUID, *, is_on: bool) -> None:
    with provincial() as session:
        hook = session.get_one(Webhook, (owner_id, hook_id))
        keeping.change(
            session, view.fresh(session), hook, HookFields(hook.address, is_public_only=False, is_active=is_on)
        )


def _payloads(hook_id: UUID, municipality_id: int) -> list[dict[str, object]]:
    """What the worker has just posted, made ready."""
    with reading(municipality_id) as session:
        registry = view.fresh(session)
        hook = session.get_one(Webhook, (municipality_id, hook_id))
        rows = session.raw.execute("SELECT id FROM timeline_entry WHERE what = 'note' ORDER BY id LIMIT %s", [EVENTS])
        told = events.happenings(session, municipality_id, [row[0] for row in rows])
        return [events.payload(hook, what, registry.municipalities[municipality_id], is_replay=False) for what in told]
