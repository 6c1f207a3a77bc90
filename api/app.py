"""The application: routes, problems, headers. `create_app()` has no side effects until it is served."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import pages, problems
from api.limits import BodyLimit
from api.routes import (
    addresses,
    administration,
    allowed_hosts,
    app_io,
    bulk,
    calendars,
    citizen,
    citizen_data,
    citizen_subscriptions,
    conflicts,
    crew,
    deliveries,
    desk,
    dialogue,
    health,
    insight,
    looks,
    monthly_report,
    notice_desk,
    notices,
    people,
    providers,
    receipt,
    registry,
    rehearsal,
    report_schedules,
    reports,
    roles,
    satisfaction,
    session,
    staff_channels,
    stream,
    subscriptions,
    tiles,
    uploads,
    webhooks,
    worklists,
)
from api.routes.outside import ROUTERS
from api.schemas.base import Problem
from api.schemas.crew import SyncIn
from api.schemas.handover import ActIn
from api.schemas.intake import ReportIn
from api.stopping import when_asked_to_end
from api.streaming import Streams
from api.tile_front import KnownTiles, TileFront
from api.tile_keeping import TileKeeper
from api.viewing import MOST_KEPT
from city.database import check_roles, overseeing, watching
from city.logs import write_logs
from city.records.insight.kept import Kept
from city.registry import view
from city.reports import trained
from city.settings import settings

VERSION: Final = "0.1.0"

_OF_VISITORS: Final = (
    reports,
    receipt,
    citizen,
    citizen_data,
    citizen_subscriptions,
    subscriptions,
    notices,
    registry,
    addresses,
)
_OF_STAFF: Final = (
    session,
    worklists,
    bulk,
    desk,
    deliveries,
    dialogue,
    conflicts,
    crew,
    uploads,
    administration,
    allowed_hosts,
    app_io,
    calendars,
    looks,
    people,
    providers,
    roles,
    report_schedules,
    rehearsal,
    notice_desk,
    staff_channels,
    stream,
    webhooks,
)
_OF_FIGURES: Final = (insight, satisfaction, monthly_report)

_A_PROBLEM: Final = {
    "description": "What was wrong and what would be right (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

_FOR_STAFF: Final = (
    "/api/v1/crew",
    "/api/v1/desk",
    "/api/v1/province",
    "/api/v1/registry",
    "/api/v1/session",
    "/api/v1/stream/",
)
_FOR_CITIZENS: Final = "/api/v1/citizen"
_FOR_CITIZENS_TOO: Final = tuple(f"/api/v1/reports/{{number}}/{what}" for what in ("receipt", "answers", "feedback"))
_FOR_ALL: Final = {
    ("/api/v1/session", "post"),
    ("/api/v1/session/oidc", "get"),
    ("/api/v1/session/oidc", "post"),
    ("/api/v1/session/resets", "post"),
    ("/api/v1/session/resets", "put"),
    ("/api/v1/citizen/codes", "post"),
    ("/api/v1/citizen/session", "post"),
    ("/api/v1/citizen/session/oidc", "post"),
}

_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class SafeHeaders:
    """Every answer says: do not guess its type, do not tell others where you come from, do not frame it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)


def _take_over_the_servers_log() -> None:
    """What the web server logs goes our way too: its tracebacks would quote what a citizen wrote."""
    server = logging.getLogger("uvicorn")
    server.handlers.clear()
    server.propagate = True


@asynccontextmanager
async def _life(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """What is held while it is served stands in `request.state`: an application served again begins with nothing."""
    write_logs()
    _take_over_the_servers_log()
    chosen = settings().check()
    check_roles()
    to_thread.current_default_thread_limiter().total_tokens = chosen.threads
    view.load()
    trained.classifier()
    tiles_kept = TileKeeper(watching, chosen.tile_cache_megabytes)
    streams = Streams(overseeing, stream.over, chosen.streams)
    when_asked_to_end(streams.close)
    # What is there now stays: a full collection that walks through all of it would hold up every request meanwhile.
    gc.collect()
    gc.freeze()
    yield {"tiles": tiles_kept, "known_tiles": KnownTiles(), "streams": streams, "figures": Kept(MOST_KEPT)}
    await streams.finish()
    await tiles_kept.close()


def create_app() -> FastAPI:
    """The front door."""
    app = FastAPI(
        title="Lampione",
        summary="From a citizen's report to department, crew, citizen and map.",
        version=VERSION,
        license_info={"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        lifespan=_life,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": _A_PROBLEM},
        separate_input_output_schemas=False,
    )
    for errand in (*_OF_VISITORS, *_OF_STAFF, *_OF_FIGURES, tiles, health):
        app.include_router(errand.router)
    for router in (providers.administration, *ROUTERS):
        app.include_router(router)
    webhooks.document(app)
    pages.add_to(app)
    problems.register(app)
    for layer in (BodyLimit, TileFront, SafeHeaders):  # the last is the first to see a request
        app.add_middleware(layer)
    app.openapi = lambda: contract(app)  # type: ignore[method-assign]
    return app


def contract(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with our problems in place of its own validation errors."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        schemas = document["components"]["schemas"]
        for model in (Problem, ReportIn, ActIn, SyncIn):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas[model.__name__] = schema
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        bearer = {"type": "http", "scheme": "bearer"}
        document["components"]["securitySchemes"] = {"staff": bearer, "citizen": bearer}
        for name, path in document["paths"].items():
            for method, operation in path.items():
                if security := _security(name, method):
                    operation["security"] = security
        app.openapi_schema = document
    return app.openapi_schema


def _security(path: str, method: str) -> list[dict[str, list[str]]]:
    """Who signs in for an operation; `{}` among them: nobody needs to. Empty: nobody can."""
    if (path, method) in _FOR_ALL:
        return []
    if path.startswith(_FOR_STAFF):
        return [{"staff": []}]
    if path.startswith(_FOR_CITIZENS):
        return [{"citizen": []}]
    if path.startswith(_FOR_CITIZENS_TOO) or (path, method) == ("/api/v1/reports", "post"):
        return [{}, {"citizen": []}]
    return []
