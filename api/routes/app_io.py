"""The administrator's errand with app IO: the key of the municipality's service, and whether it works."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from api.access import Signed, administering
from api.problems import language_of
from api.schemas.base import Line, Slug, Strict
from city.database import PROVINCE
from city.errors import LampioneError, NotFound
from city.messages import app_io
from city.registry import view
from city.registry.channels import app_io_services
from city.settings import settings
from city.texts import text

router = APIRouter(prefix="/api/v1/registry/{owner}/app-io", tags=["administration"])


class AppIoPut(Strict):
    """The key with which the municipality writes in app IO."""

    key: Annotated[Line, StringConstraints(min_length=16, max_length=200, pattern=r"^[!-~]+$")]


class AppIoOut(BaseModel):
    """Whether the municipality writes in app IO. The key is told to nobody."""

    is_active: bool
    changed_at: datetime | None
    is_real: Annotated[bool, Field(description="False: this installation writes into a folder, for tries")]


class AppIoTried(BaseModel):
    """Whether the key works; what kept it from working, in words. Null: it was not tried, since this installation only
    writes into a folder.
    """

    works: bool | None
    problem: str | None


@router.get("")
def find_app_io(owner: Slug, staff: Signed) -> AppIoOut:
    """Whether the municipality writes in app IO."""
    with administering(staff, owner) as (session, home):
        found = app_io_services.find(session, home.id)
        return AppIoOut(
            is_active=found is not None,
            changed_at=found.changed_at if found else None,
            is_real=_is_real(),
        )


@router.put("", status_code=204)
def put_app_io(owner: Slug, body: AppIoPut, staff: Signed) -> None:
    """Write in app IO from now on, to those who give their fiscal code for that. The province has no service."""
    with administering(staff, owner) as (session, home):
        if home.id == PROVINCE:
            raise NotFound("app_io.no_service")
        app_io_services.put(session, home.id, body.key)


@router.delete("", status_code=204)
def remove_app_io(owner: Slug, staff: Signed) -> None:
    """Write there no more: whoever has an e-mail address gets mail, and no fiscal code is taken."""
    with administering(staff, owner) as (session, home):
        app_io_services.remove(session, home.id)


@router.post("/attempts")
def try_app_io(request: Request, owner: Slug, staff: Signed) -> AppIoTried:
    """Send a message to the code for tries: it comes by mail to whoever asked for the key."""
    with administering(staff, owner) as (session, home):
        if app_io_services.find(session, home.id) is None:
            raise NotFound("app_io.no_service")
        key, municipality = app_io_services.key_of(session, home.id), view.fresh(session).municipalities[home.id]
    language = language_of(request)
    try:
        app_io.attempt(key, municipality, str(uuid4()), language)
    except LampioneError as error:
        return AppIoTried(works=False, problem=error.sentence(language))
    if not _is_real():
        return AppIoTried(works=None, problem=text("app_io.only_a_folder", language=language))
    return AppIoTried(works=True, problem=None)


def _is_real() -> bool:
    return urlsplit(settings().app_io).scheme != "file"
