"""The page of a notice, for whoever follows the link of a letter, a feed or a calendar."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.pages.showing import error_page, html, other_language, page_language, templates
from city.database import public
from city.errors import LampioneError
from city.messages.notices.letter import map_at, period_between, where
from city.records import notices
from city.registry import view
from city.texts import text
from geo.place import Place

router = APIRouter(include_in_schema=False)


@router.get("/notices/{number}")
def notice_page(request: Request, number: str) -> Response:
    """What the municipality tells, until when, and who answers for it."""
    language = page_language(request)
    try:
        with public() as session:
            registry = view.fresh(session)
            notice = notices.one(session, registry, number)
    except LampioneError as error:
        return error_page(request, error)
    home = registry.slugs[notice["municipality"]]
    page = templates().get_template("notice.html.jinja")
    shown = page.render(
        notice=notice,
        municipality=home,
        department=home.department(notice["department"]).name(language),
        period=period_between(home, notice["starts_at"], notice["ends_at"], language),
        where=where(notice["where"]["it"], notice["where"]["en"], language),
        map_link=map_at(Place(**notice["middle"]), language),
        language=language,
        t=partial(text, language=language),
        **other_language(request, language),
    )
    return html(shown)
