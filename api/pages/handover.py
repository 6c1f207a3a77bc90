"""The page that the link of a hand-over opens: for whoever does the work, without an account and without JavaScript."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.pages.showing import error_page, html, other_language, page_language, templates
from api.routes.contractor import do, open_link, seen_by_link
from api.routes.reports import read_form
from api.schemas.handover import ActIn
from city.errors import InvalidInput, LampioneError
from city.texts import text

router = APIRouter(prefix="/h/{token}", include_in_schema=False)


def _page(request: Request, token: str) -> Response:
    language = page_language(request)
    municipality, _ = open_link(token)
    seen = seen_by_link(token)
    shown = (
        templates()
        .get_template("handover.html.jinja")
        .render(
            it=seen,
            token=token,
            language=language,
            **other_language(request, language),
            t=partial(text, language=language),
            day=lambda moment: municipality.local(datetime.fromisoformat(moment)).strftime("%d/%m/%Y"),
        )
    )
    return html(shown)


def _acted(token: str, fields: dict[str, Any], files: list[bytes]) -> None:
    seen_by_link(token)
    try:
        said = ActIn.model_validate({name: value for name, value in fields.items() if value.strip()})
    except ValidationError as error:
        raise InvalidInput("handover.unclear", field="act") from error
    do(token, said, [file for file in files if file])


@router.api_route("", methods=["GET", "HEAD"])
def handover_page(request: Request, token: str) -> Response:
    """What is to be done, and forms to answer. Looking changes nothing."""
    try:
        return _page(request, token)
    except LampioneError as error:
        return error_page(request, error)


@router.post("")
async def act_on_page(request: Request, token: str) -> Response:
    """Take what they say, and show what has become of it."""
    try:
        await run_in_threadpool(seen_by_link, token)  # before a long body is read
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise HTTPException(415)
        fields, files = await read_form(request)
        await run_in_threadpool(_acted, token, fields, files)
    except LampioneError as error:
        return await run_in_threadpool(error_page, request, error)
    return RedirectResponse(f"/h/{quote(token, safe='')}", 303)
