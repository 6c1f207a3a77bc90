"""The peer of `intake`: the least that FastAPI and psycopg can do to keep a report. One table, one INSERT, no thought.

Same fields in, same row, same sizes of pools; no classification, routing, history, jobs, map, rights or repeats.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import FastAPI
from psycopg_pool import ConnectionPool
from pydantic import AwareDatetime, BaseModel, StringConstraints

URL: Final = "LAMPIONE_BENCH_URL"
"""The environment variable that names the database."""
THREADS: Final = 16

TABLE_SQL: Final = """
CREATE TABLE IF NOT EXISTS bare_report (
  id uuid PRIMARY KEY, municipality_id integer NOT NULL, number text NOT NULL, state text NOT NULL,
  category_id integer NOT NULL, group_slug text NOT NULL, decided_by text NOT NULL, confidence double precision,
  suggestions jsonb NOT NULL, department_id integer NOT NULL, crew_id integer, routing jsonb NOT NULL,
  triage_reason text, lon double precision NOT NULL, lat double precision NOT NULL, cell bigint NOT NULL,
  cell_x integer NOT NULL, cell_y integer NOT NULL, zone_ids integer[] NOT NULL, address text,
  description text NOT NULL, language text NOT NULL, answers jsonb NOT NULL, source text NOT NULL,
  is_public boolean NOT NULL, is_emergency boolean NOT NULL, is_open boolean NOT NULL, occurred_at timestamptz,
  created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, deadline_at timestamptz NOT NULL,
  email text, name text, phone text, client_reference uuid
)
"""

_CONSTANT: Final[dict[str, Any]] = {
    "municipality_id": 1,
    "number": "PES-2026-1000000",
    "state": "assigned",
    "category_id": 17,
    "group_slug": "lighting",
    "decided_by": "classifier",
    "confidence": 0.93,
    "suggestions": '[{"group": "lighting", "category": "lamp-out", "confidence": 0.93},'
    ' {"group": "lighting", "category": "lamp-damaged", "confidence": 0.03},'
    ' {"group": "roads", "category": "road-sign", "confidence": 0.01}]',
    "department_id": 4,
    "crew_id": None,
    "routing": '{"note": null, "rule": 12, "facts": {"group": "lighting", "zones": ["districts/3"], "category":'
    ' "lamp-out", "local_time": "2026-11-22T08:00"}, "problem": null, "version": 1, "inherited": true}',
    "triage_reason": None,
    "cell": 210_000_000_000_000,
    "cell_x": 8_990_000,
    "cell_y": 6_130_000,
    "zone_ids": [3, 8],
    "language": "it",
    "is_public": True,
    "is_emergency": False,
    "is_open": True,
}
_GIVEN: Final = ("lon", "lat", "address", "description", "source", "occurred_at", "client_reference")
_COLUMNS: Final = (
    *("id", *_CONSTANT, *_GIVEN),
    *("email", "name", "phone", "answers", "created_at", "updated_at", "deadline_at"),
)
_INSERT: Final = (
    f"INSERT INTO bare_report ({', '.join(_COLUMNS)}) VALUES ({', '.join(f'%({name})s' for name in _COLUMNS)})"  # noqa: S608
)


class BareContact(BaseModel):
    """How to reach the reporter."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None


class BareReport(BaseModel):
    """A report with the fields of the real one."""

    lon: float
    lat: float
    description: Annotated[str, StringConstraints(max_length=4000)]
    category: str | None = None
    address: Annotated[str, StringConstraints(max_length=200)] | None = None
    answers: dict[str, str] = {}
    contact: BareContact = BareContact()
    client_reference: uuid.UUID | None = None
    occurred_at: AwareDatetime | None = None
    source: str = "web"
    language: str | None = None


class BareAnswer(BaseModel):
    """What the peer answers."""

    id: uuid.UUID
    number: str


def create_app() -> FastAPI:
    """The peer; uvicorn serves it with the very options of the real one."""
    pool = ConnectionPool(os.environ[URL], min_size=THREADS, max_size=THREADS, open=False)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        pool.open(wait=True)
        yield
        pool.close()

    app = FastAPI(lifespan=life)

    @app.post("/reports", status_code=201)
    def take(report: BareReport) -> BareAnswer:
        now = datetime.now(UTC)
        row = {name: getattr(report, name) for name in _GIVEN}
        contact = {"email": report.contact.email, "name": report.contact.name, "phone": report.contact.phone}
        made = {"id": uuid.uuid4(), "answers": "{}", "created_at": now, "updated_at": now, "deadline_at": now}
        with pool.connection() as connection:
            connection.execute(_INSERT, {**_CONSTANT, **row, **contact, **made})
        return BareAnswer(id=made["id"], number=_CONSTANT["number"])  # type: ignore[arg-type]

    @app.get("/health/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app
