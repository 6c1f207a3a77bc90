"""The few pages for a person's browser: the bare map, and the status of a report for whoever holds its receipt."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from api.problems import NAMES, language_of, status_of
from city.database import provincial, reading, writing
from city.errors import LampioneError
from city.records import holding
from city.registry import signing_in, view
from city.registry.people import SHORTEST_PASSWORD
from city.reports.deadlines import next_step
from city.reports.lifecycle import State
from city.settings import PROJECT
from city.texts import DEFAULT_LANGUAGE, LANGUAGES, catalogue, text

WEB: Final = PROJECT / "web"
MAPLIBRE: Final = WEB / "node_modules" / "maplibre-gl" / "dist"

_SAFE: Final = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_MAP_TEXTS: Final = ("map.", "state.", "page.what.")
_LANGUAGE_NAMES: Final = {"it": "Italiano", "en": "English"}


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)


class _Revalidated(StaticFiles):
    """Files that the browser asks about each time, so that a new version of the program is a new page at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store", "Content-Security-Policy": _SAFE})


@cache
def _map_page(language: str) -> str:
    texts = {
        key: sentence.get(language, sentence[DEFAULT_LANGUAGE])
        for key, sentence in catalogue().items()
        if key.startswith(_MAP_TEXTS)
    }
    other = next(known for known in LANGUAGES if known != language)
    return (
        _templates()
        .get_template("map.html.jinja")
        .render(
            texts=texts,
            language=language,
            other=other,
            other_name=_LANGUAGE_NAMES[other],
            t=partial(text, language=language),
        )
    )


def _status_page(request: Request, number: str, token: str) -> Response:
    language = language_of(request)
    municipality = view.found(lambda registry: holding.home_of(registry, number))
    with reading(municipality.id) as session:
        report = holding.opened(session, municipality, number, token)
        seen = holding.as_seen(session, municipality, report)
    page = _templates().get_template("status.html.jinja")
    told_at = seen["promised_at"] or seen["deadline_at"]
    shown = page.render(
        report=seen,
        told_at=told_at,
        next_step=next_step(State(seen["state"]), told_at, datetime.now(UTC)),
        token=token,
        language=language,
        t=partial(text, language=language),
        day=lambda moment: municipality.local(moment).strftime("%d/%m/%Y"),
        parsed=datetime.fromisoformat,
    )
    return _html(shown)


def _error_page(request: Request, error: LampioneError) -> Response:
    language = language_of(request)
    status = status_of(error)
    page = _templates().get_template("error.html.jinja")
    shown = page.render(
        title=text(f"problem.{NAMES[status].replace('-', '_')}", language=language),
        sentence=error.sentence(language),
        language=language,
        t=partial(text, language=language),
    )
    return _html(shown, status)


def _password_page(request: Request, *, problem: str = "", done: bool = False, status: int = 200) -> Response:
    language = language_of(request)
    page = _templates().get_template("password.html.jinja")
    shown = page.render(
        problem=problem, done=done, shortest=SHORTEST_PASSWORD, language=language, t=partial(text, language=language)
    )
    return _html(shown, status)


def add_to(app: FastAPI) -> None:
    """Add the pages to the front door; none of them is part of the contract."""

    @app.get("/", include_in_schema=False)
    def map_page(request: Request, language: Annotated[str, Query(max_length=10)] = "") -> Response:
        return _html(_map_page(language if language in LANGUAGES else language_of(request)))

    @app.get("/r/{number}", include_in_schema=False)
    def status_page(request: Request, number: str, token: Annotated[str, Query(max_length=100)] = "") -> Response:
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
            municipality = view.found(lambda registry: holding.home_of(registry, number))
            with writing(municipality.id) as session:
                report = holding.move(session, municipality, number, token, State(to), reason=reason)
            return RedirectResponse(f"/r/{report.number}?token={token}", 303)
        except LampioneError as error:
            return _error_page(request, error)

    @app.get("/password/{token}", include_in_schema=False)
    def password_page(request: Request, token: str) -> Response:  # noqa: ARG001  (a look uses nothing up)
        return _password_page(request)

    @app.post("/password/{token}", include_in_schema=False)
    def set_password(request: Request, token: str, new: Annotated[str, Form(max_length=200)]) -> Response:
        try:
            with provincial() as session:
                signing_in.reset_password(session, token, new)
            return _password_page(request, done=True)
        except LampioneError as error:
            return _password_page(request, problem=error.sentence(language_of(request)), status=status_of(error))

    app.mount("/static/maplibre", _Revalidated(directory=MAPLIBRE, check_dir=False), name="maplibre")
    app.mount("/static", _Revalidated(directory=WEB / "map", check_dir=False), name="static")
