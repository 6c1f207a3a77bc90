"""How a page is shown: its template, its headers, and what it says where something went wrong."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from api.problems import NAMES, language_of, status_of
from city.errors import LampioneError
from city.texts import LANGUAGES, text

LANGUAGE_NAMES: Final = {"it": "Italiano", "en": "English"}
_SAFE: Final = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@cache
def templates() -> Environment:
    """The templates of this folder; what they are given is escaped."""
    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)


def html(page: str, status: int = 200) -> Response:
    """A page that nobody keeps."""
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store", "Content-Security-Policy": _SAFE})


def chosen_language(request: Request) -> str | None:
    """The language that the address asks for with `?language=`, if it does."""
    wish = request.query_params.get("language", "")
    return wish if wish in LANGUAGES else None


def page_language(request: Request) -> str:
    """The language of a page: what its address asks for, else what the browser does."""
    return chosen_language(request) or language_of(request)


def other_language(request: Request, language: str) -> dict[str, str]:
    """The link that shows the same page in the other language: `other`, `other_name`, `other_link`."""
    other = next(known for known in LANGUAGES if known != language)
    return {
        "other": other,
        "other_name": LANGUAGE_NAMES[other],
        "other_link": f"?{urlencode({**request.query_params, 'language': other})}",
    }


def error_page(request: Request, error: LampioneError) -> Response:
    """What went wrong, in words."""
    language = page_language(request)
    status = status_of(error)
    page = templates().get_template("error.html.jinja")
    shown = page.render(
        title=text(f"problem.{NAMES[status].replace('-', '_')}", language=language),
        sentence=error.sentence(language),
        language=language,
        may_turn=request.method == "GET",
        **other_language(request, language),
        t=partial(text, language=language),
    )
    return html(shown, status)
