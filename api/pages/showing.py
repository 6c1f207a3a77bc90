"""How a page is shown: its template, its headers, and what it says where something went wrong."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from api.problems import NAMES, language_of, status_of
from city.errors import LampioneError
from city.texts import text

_SAFE: Final = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@cache
def templates() -> Environment:
    """The templates of this folder; what they are given is escaped."""
    return Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)


def html(page: str, status: int = 200) -> Response:
    """A page that nobody keeps."""
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store", "Content-Security-Policy": _SAFE})


def error_page(request: Request, error: LampioneError) -> Response:
    """What went wrong, in words."""
    language = language_of(request)
    status = status_of(error)
    page = templates().get_template("error.html.jinja")
    shown = page.render(
        title=text(f"problem.{NAMES[status].replace('-', '_')}", language=language),
        sentence=error.sentence(language),
        language=language,
        t=partial(text, language=language),
    )
    return html(shown, status)
