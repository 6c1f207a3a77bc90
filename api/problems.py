"""Every error as RFC 9457 problem+json: one table from the city's errors to HTTP.

`type` is `/problems/<name>`, `title` the class of trouble, `detail` the sentence that says what would be right, `field`
the name of the value at fault, and `errors` lists all of them where the shape of the input was wrong. The body never
repeats what was thrown inside the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson
import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from city import errors
from city.texts import LANGUAGES, catalogue, text

STATUS: Final[dict[type[errors.LampioneError], int]] = {
    errors.InvalidInput: 422,
    errors.OutsideTerritory: 422,
    errors.UnsupportedPhoto: 415,
    errors.TooLarge: 413,
    errors.NotAuthenticated: 401,
    errors.CodeNeeded: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.Conflict: 409,
    errors.VersionConflict: 412,
    errors.PreconditionRequired: 428,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.Refused: 500,
    errors.SettingsError: 500,
}
"""A test walks the tree of city.errors: none is missing here."""

NAMES: Final = {
    400: "bad-request",
    401: "not-authenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    410: "gone",
    412: "version-conflict",
    413: "too-large",
    415: "unsupported-media",
    422: "invalid-input",
    428: "precondition-required",
    429: "too-many-requests",
    500: "internal",
    503: "unavailable",
}

_FIELDS: Final = {"json_invalid": "body", "place_needed": "place"}
"""Faults of the whole body, and the field to name for them."""

_LOST: Final = {"08", "40", "53", "57"}
"""SQLSTATE classes: connection, another transaction in the way, resources, shutdown or a statement that took long."""

log = structlog.get_logger()


def language_of(request: Request) -> str:
    """The first of our languages that the visitor's browser asks for; else Italian."""
    for wish in request.headers.get("accept-language", "").split(","):
        language = wish.split(";")[0].strip()[:2].lower()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    field: str | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a visitor whose request cannot be fulfilled."""
    name = NAMES.get(status, "bad-request")
    body: dict[str, Any] = {
        "type": f"/problems/{name}",
        "title": text(f"problem.{name.replace('-', '_')}", language=language_of(request)),
        "status": status,
        "detail": detail,
        "instance": quote(request.url.path),
    }
    if field:
        body["field"] = field
    if faults:
        body["errors"] = list(faults)
    headers = {"Content-Language": language_of(request), **(headers or {})}
    if status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def status_of(error: errors.LampioneError) -> int:
    """The HTTP status of an error of the city, by the table; 500 for those that only work in the back office meets."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def from_city(request: Request, error: errors.LampioneError) -> Response:
    """An error of the city, by the table."""
    status = status_of(error)
    headers = {"Retry-After": str(error.values.get("seconds", 10))} if status in {429, 503} else {}
    return problem(request, status, error.sentence(language_of(request)), field=error.field, headers=headers)


def from_shape(request: Request, error: RequestValidationError) -> Response:
    """Input of the wrong shape: every fault with its field and what would be right."""
    language = language_of(request)
    faults = faults_of(error.errors(), language)
    detail = " ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:3])
    status = 413 if any(fault["type"] == "string_too_long" for fault in error.errors()) else 422
    return problem(request, status, detail, field=faults[0]["field"], faults=faults)


def faults_of(errors_found: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, str]]:
    """Every fault of a shape: its `field`, and a `message` that says what would be right."""
    return [{"field": _field(fault), "message": _message(fault, language)} for fault in errors_found]


def _field(fault: Mapping[str, Any]) -> str:
    if fault["type"] in _FIELDS:
        return _FIELDS[fault["type"]]
    where: Sequence[str | int] = fault["loc"]
    names = [str(part) for part in where if part not in {"body", "query", "path", "header"}]
    return ".".join(names) or str(where[0] if where else "body")


def _message(fault: Mapping[str, Any], language: str) -> str:
    key = f"shape.{fault['type']}"
    values = dict(fault.get("ctx", {}))
    if "expected" in values:  # pydantic's list of what is possible, with an English word before the last
        values["expected"] = str(values["expected"]).replace("' or '", "', '")
    return text(key if key in catalogue() else "shape.other", language=language, **values)


def register(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""

    async def city_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.LampioneError)
        return from_city(request, error)

    async def shape_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return from_shape(request, error)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        name = NAMES.get(error.status_code, "bad-request").replace("-", "_")
        detail = text(f"problem.{name}_detail", language=language_of(request))
        return problem(request, error.status_code, detail, headers=error.headers)

    async def database_error(request: Request, error: Exception) -> Response:
        log.error("database", path=request.url.path, kind=type(error).__name__)
        if not _is_lost(error):
            return await any_error(request, error)
        detail = text("problem.unavailable_detail", language=language_of(request))
        return problem(request, 503, detail, headers={"Retry-After": "10"})

    async def any_error(request: Request, error: Exception) -> Response:
        log.error("failed", path=request.url.path, method=request.method, exc_info=error)
        return problem(request, 500, text("problem.internal_detail", language=language_of(request)))

    app.add_exception_handler(errors.LampioneError, city_error)
    app.add_exception_handler(RequestValidationError, shape_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DBAPIError, database_error)
    app.add_exception_handler(psycopg.Error, database_error)
    app.add_exception_handler(PoolTimeoutError, database_error)
    app.add_exception_handler(Exception, any_error)


def _is_lost(error: Exception) -> bool:
    """Whether the server was not there, was going down or was too busy, rather than our statement wrong."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(error, PoolTimeoutError) or type(cause) is psycopg.OperationalError or state[:2] in _LOST
