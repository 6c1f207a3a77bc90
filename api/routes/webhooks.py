"""The administrator's errand with webhooks: other systems that are told what happens to reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, FastAPI, Query, Response

from api.access import Signed, administering
from api.schemas.base import Slug
from api.schemas.webhook import (
    CategoryEventTold,
    DeliveryOut,
    DeliveryPage,
    EventTold,
    Fate,
    NoticeEventTold,
    ReplayOut,
    ResentOut,
    SecretOut,
    SinceIn,
    TestOut,
    WebhookMade,
    WebhookOut,
    WebhookPut,
)
from city import pacing
from city.messages.hooks import keeping, log, replays, sending
from city.messages.hooks.categories import CATEGORY_EVENTS
from city.messages.hooks.events import PING, REPORT_EVENTS, message_id
from city.messages.hooks.noticing import NOTICE_EVENTS
from city.outside.strangers import check_door
from city.pacing import Pace
from city.registry import view
from city.registry.channels import allowed_hosts

router = APIRouter(prefix="/api/v1/registry/{owner}/webhooks", tags=["administration"])

LARGEST_PAGE: Final = 200
_TESTS: Final = Pace("webhook_test", 10, 6.0)

HookId = UUID
Before = Annotated[int | None, Query(ge=1, lt=2**63, description="`next` of the page before")]


@router.get("")
def list_webhooks(owner: Slug, staff: Signed) -> list[WebhookOut]:
    """The webhooks of a municipality; of the province: those told what happens in every municipality."""
    with administering(staff, owner) as (session, home):
        return [WebhookOut.of(hook, log.counts(session, hook)) for hook in keeping.listed(session, home.id)]


@router.post("", status_code=201)
def add_webhook(owner: Slug, body: WebhookPut, staff: Signed, response: Response) -> WebhookMade:
    """Keep a webhook: it is told what happens from now on. The secret is shown this once."""
    _check_address(owner, staff, body)
    with administering(staff, owner) as (session, home):
        hook, secret = keeping.add(session, view.fresh(session), home.id, body.fields())
        session.refresh(hook)
        response.headers["Cache-Control"] = "no-store"
        shown = WebhookOut.of(hook, log.counts(session, hook))
        return WebhookMade(**shown.model_dump(), secret=secret)


@router.get("/{hook_id}")
def show_webhook(owner: Slug, hook_id: HookId, staff: Signed) -> WebhookOut:
    """One webhook."""
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        return WebhookOut.of(hook, log.counts(session, hook))


@router.put("/{hook_id}")
def change_webhook(owner: Slug, hook_id: HookId, body: WebhookPut, staff: Signed) -> WebhookOut:
    """Change a webhook. Switched off, it is told nothing, and what was waiting becomes dead letters."""
    _check_address(owner, staff, body)
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        keeping.change(session, view.fresh(session), hook, body.fields())
        return WebhookOut.of(hook, log.counts(session, hook))


@router.delete("/{hook_id}", status_code=204)
def remove_webhook(owner: Slug, hook_id: HookId, staff: Signed) -> Response:
    """Remove a webhook with its log."""
    with administering(staff, owner) as (session, home):
        session.delete(keeping.one(session, home.id, hook_id))
    return Response(status_code=204)


@router.post("/{hook_id}/secret")
def renew_secret(owner: Slug, hook_id: HookId, staff: Signed, response: Response) -> SecretOut:
    """A new secret, shown this once. For a day each event is signed with the old one too."""
    now = datetime.now(UTC)
    with administering(staff, owner) as (session, home):
        secret = keeping.rotate(keeping.one(session, home.id, hook_id), now)
    response.headers["Cache-Control"] = "no-store"
    return SecretOut(secret=secret, old_secret_until=now + keeping.ROTATION)


@router.post("/{hook_id}/test")
def test_webhook(owner: Slug, hook_id: HookId, staff: Signed) -> TestOut:
    """Send a `ping` now, also to a webhook that is switched off, and say how it was answered."""
    now = datetime.now(UTC)
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        door, signed_with = allowed_hosts.door(session, hook.address), keeping.secrets_of(hook, now)
    pacing.take((_TESTS, str(home.id)))
    payload = {"type": PING, "timestamp": now.isoformat(), "data": {}}
    outcome = sending.call(door, signed_with, f"ping_{uuid4().hex}", payload)
    answer = outcome.answer
    return TestOut(
        is_good=outcome.problem is None,
        status=answer.status if answer else None,
        problem=outcome.problem,
        milliseconds=outcome.milliseconds,
        answer=answer.body[: sending.FIRST_BYTES].decode(errors="replace") if answer else "",
    )


@router.get("/{hook_id}/deliveries")
def list_hook_deliveries(
    owner: Slug,
    hook_id: HookId,
    staff: Signed,
    state: Annotated[Fate | None, Query(description="only these; dead: dead letters")] = None,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
) -> DeliveryPage:
    """What became of its events, the newest first. What is over is kept for thirty days."""
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        found = log.page(session, hook, state=state, before=before, limit=limit + 1)
        shown = [DeliveryOut.of(one, message_id(one)) for one in found[:limit]]
        return DeliveryPage(deliveries=shown, next=shown[-1].id if len(found) > limit else None)


@router.post("/{hook_id}/deliveries/resend", status_code=202)
def resend_dead_letters(owner: Slug, hook_id: HookId, body: SinceIn, staff: Signed) -> ResentOut:
    """Send all dead letters again of what has happened since then."""
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        return ResentOut(events=log.resend_dead(session, hook, body.since))


@router.post("/{hook_id}/deliveries/{delivery_id}/resend", status_code=202)
def resend_delivery(owner: Slug, hook_id: HookId, delivery_id: int, staff: Signed) -> ResentOut:
    """Send one event again, under its own id."""
    with administering(staff, owner) as (session, home):
        log.resend(session, keeping.one(session, home.id, hook_id), delivery_id)
    return ResentOut(events=1)


@router.get("/{hook_id}/replays")
def list_replays(owner: Slug, hook_id: HookId, staff: Signed) -> list[ReplayOut]:
    """Its last replays and how far they are, the newest first."""
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        return [ReplayOut.of(progress) for progress in replays.listed(session, hook)]


@router.post("/{hook_id}/replays", status_code=202)
def begin_replay(owner: Slug, hook_id: HookId, body: SinceIn, staff: Signed) -> ReplayOut:
    """Tell once more what has happened since then, by its filters, marked `is_replay`; what is new goes first."""
    with administering(staff, owner) as (session, home):
        hook = keeping.one(session, home.id, hook_id)
        return ReplayOut.of(replays.Progress(replays.begin(session, view.fresh(session), hook, body.since), 0))


@router.delete("/{hook_id}/replays/{replay_id}", status_code=204)
def stop_replay(owner: Slug, hook_id: HookId, replay_id: UUID, staff: Signed) -> Response:
    """Stop a replay: what is still waiting of it is not sent."""
    with administering(staff, owner) as (session, home):
        replays.stop(session, keeping.one(session, home.id, hook_id), replay_id)
    return Response(status_code=204)


def _check_address(owner: str, staff: Signed, body: WebhookPut) -> None:
    """Raises InvalidInput where we never call there. It asks the network for the name: nothing else waits meanwhile."""
    with administering(staff, owner) as (session, _):
        door = allowed_hosts.door(session, body.address)
    check_door(door)


def document(app: FastAPI) -> None:
    """Say in the contract what endpoints are sent."""
    for event, meaning in REPORT_EVENTS.items():

        @app.webhooks.post(event, name=event, summary=f"{event}: {meaning}", operation_id=f"webhook_{event}")
        def told(body: EventTold) -> None:
            """Answer with any 2xx within ten seconds; 410 ends it. May come twice: `webhook-id` is then the same."""

    for event, meaning in CATEGORY_EVENTS.items():

        @app.webhooks.post(event, name=event, summary=f"{event}: {meaning}", operation_id=f"webhook_{event}")
        def told_of_category(body: CategoryEventTold) -> None:
            """Answer with any 2xx within ten seconds; 410 ends it. May come twice: `webhook-id` is then the same."""

    for event, meaning in NOTICE_EVENTS.items():

        @app.webhooks.post(event, name=event, summary=f"{event}: {meaning}", operation_id=f"webhook_{event}")
        def told_of_notice(body: NoticeEventTold) -> None:
            """Answer with any 2xx within ten seconds; 410 ends it. May come twice: `webhook-id` is then the same."""
