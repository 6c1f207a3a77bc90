"""The few pages for a person's browser: the bare map, and the status of a report for whoever holds its receipt."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from api.problems import language_of
from city.database import reading, writing
from city.errors import LampioneError
from city.records import holding
from city.registry import view
from city.reports import handling
from city.reports.lifecycle import State
from city.settings import PROJECT
from city.texts import text

WEB: Final = PROJECT / "web"
MAPLIBRE: Final = WEB / "node_modules" / "maplibre-gl" / "dist"

_SAFE: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )


def _status_page(request: Request, number: str, token: str) -> Response:
    language = language_of(request)
    municipality = holding.home_of(view.held(), number)
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, token)
        seen = holding.as_seen(session, municipality, report)
    page = _templates().get_template("status.html.jinja")
    shown = page.render(
        report=seen,
        token=token,
        language=language,
        t=lambda key, **values: text(key, language=language, **values),
        day=lambda moment: municipality.local(moment).strftime("%d/%m/%Y"),
    )
    return HTMLResponse(shown, headers={"Cache-Control": "no-store", "Content-Security-Policy": _SAFE})


def _error_page(request: Request, error: LampioneError) -> Response:
    language = language_of(request)
    page = _templates().get_template("error.html.jinja").render(
        sentence=error.sentence(language), language=language, title=text("problem.not_found", language=language)
    )
    return HTMLResponse(page, 404, headers={"Cache-Control": "no-store", "Content-Security-Policy": _SAFE})


def add_to(app: FastAPI) -> None:
    """Add the pages to the front door; none of them is part of the contract."""

    @app.get("/", include_in_schema=False)
    def map_page() -> Response:
        return FileResponse(WEB / "map" / "index.html", headers={"Content-Security-Policy": _SAFE})

    @app.get("/r/{number}", include_in_schema=False)
    def status_page(
        request: Request, number: str, token: Annotated[str, Query(max_length=100)] = ""
    ) -> Response:
        try:
            return _status_page(request, number, token)
        except LampioneError as error:
            return _error_page(request, error)

    @app.post("/r/{number}", include_in_schema=False)
    def act(
        request: Request,
        number: str,
        token: Annotated[str, Form(max_length=100)],
        to: Annotated[str, Form(pattern="^(withdrawn|reopened)$")],
        reason: Annotated[str, Form(max_length=4000)] = "",
    ) -> Response:
        try:
            municipality = holding.home_of(view.held(), number)
            with writing(municipality.id) as session:
                found = holding.opened(session, municipality, number, token)
                report = handling.locked(session, municipality.id, found.id)
                handling.move_by_reporter(session, report, State(to), reason)
            return RedirectResponse(f"/r/{report.number}?token={token}", 303)
        except LampioneError as error:
            return _error_page(request, error)

    app.mount("/static/maplibre", StaticFiles(directory=MAPLIBRE, check_dir=False), name="maplibre")
    app.mount("/static", StaticFiles(directory=WEB / "map", check_dir=False), name="static")
