"""The few pages for a person's browser: the bare map, and the status of a report for whoever holds its receipt."""

from __future__ import annotations

from functools import cache, partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Form, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from api.pages import notices, opened, receipt, sign_in, subscriptions
from api.pages.showing import LANGUAGE_NAMES, html, page_language, templates
from api.problems import status_of
from city.database import provincial
from city.errors import LampioneError
from city.registry.sign_in import signing_in
from city.registry.staff.people import SHORTEST_PASSWORD
from city.settings import PROJECT
from city.texts import DEFAULT_LANGUAGE, LANGUAGES, catalogue, text

WEB: Final = PROJECT / "web"
MAPLIBRE: Final = WEB / "node_modules" / "maplibre-gl" / "dist"

_MAP_TEXTS: Final = ("map.", "state.", "page.what.")
_LANGUAGE_NAMES: Final = {"it": "Italiano", "en": "English"}


class _Revalidated(StaticFiles):
    """Files that the browser asks about each time, so that a new version of the program is a new page at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


@cache
def _map_page(language: str) -> str:
    texts = {
        key: sentence.get(language, sentence[DEFAULT_LANGUAGE])
        for key, sentence in catalogue().items()
        if key.startswith(_MAP_TEXTS)
    }
    other = next(known for known in LANGUAGES if known != language)
    return (
        templates()
        .get_template("map.html.jinja")
        .render(
            texts=texts,
            language=language,
            other=other,
            other_name=LANGUAGE_NAMES[other],
            t=partial(text, language=language),
        )
    )


def _password_page(request: Request, *, problem: str = "", done: bool = False, status: int = 200) -> Response:
    language = page_language(request)
    page = templates().get_template("password.html.jinja")
    shown = page.render(
        problem=problem, done=done, shortest=SHORTEST_PASSWORD, language=language, t=partial(text, language=language)
    )
    return html(shown, status)


def add_to(app: FastAPI) -> None:
    """Add the pages to the front door; none of them is part of the contract."""

    @app.get("/", include_in_schema=False)
    def map_page(request: Request) -> Response:
        return html(_map_page(page_language(request)))

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
            return _password_page(request, problem=error.sentence(page_language(request)), status=status_of(error))

    app.include_router(notices.router)
    app.include_router(receipt.router)
    app.include_router(sign_in.router)
    app.include_router(subscriptions.router)
    app.include_router(opened.router)
    app.mount("/static/maplibre", _Revalidated(directory=MAPLIBRE, check_dir=False), name="maplibre")
    app.mount("/static", _Revalidated(directory=WEB / "map", check_dir=False), name="static")
