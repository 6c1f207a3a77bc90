"""The operator's errand: is it alive, and can it work?"""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from api.schemas.base import Health
from city.database import public
from city.reports import trained

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"model": Health}})
def ready(response: Response) -> Health:
    """This process can work: the database answers. Without a classifier it can, but people must sort."""
    try:
        with public() as session:
            session.raw.execute("SELECT version FROM registry_version")
        has_database = True
    except SQLAlchemyError:
        has_database = False
        response.status_code = 503
    return Health(
        status="ok" if has_database else "down",
        database=has_database,
        classifier=trained.classifier() is not None,
    )
