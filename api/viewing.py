"""Who looks at figures, and how they are answered: kept until something has happened, with the tag of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import Depends, Query, Request, Response

from api.access import bearer, staff_at
from api.problems import language_of
from api.schemas.base import Slug
from api.tables import TableStyle, as_csv
from city.database import ReadSession, public, reading
from city.records.insight import kept
from city.records.insight.figures import FIGURES
from city.records.insight.insight import Scope
from city.records.insight.kept import Kept
from city.registry import view
from city.registry.municipality import Registry
from city.registry.staff.people import Staff
from city.texts import text

MOST_KEPT: Final = 256
"""Answers that a process keeps; a picture is some hundred kilobytes."""

SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Nothing has changed"}}
AS_CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {}}}}

Language = Annotated[Literal["it", "en"] | None, Query()]


class Ready(NamedTuple):
    """An answer as bytes, and the tag of its content."""

    body: bytes
    media_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, and for which municipality (None: all)."""

    municipality: str | None
    staff: Staff | None
    now: datetime

    @contextmanager
    def looking(self) -> Iterator[tuple[ReadSession, Scope]]:
        """A look with the right eyes, and the registry as it is then."""
        municipality = self.scope().municipality
        with reading(municipality.id) if self.staff and municipality else public() as session:
            yield session, self._scope_in(view.fresh(session))

    def scope(self) -> Scope:
        """What they may see. Raises NotFound, Forbidden."""
        scope = view.found(self._scope_in)
        scope.clause()
        return scope

    def _scope_in(self, registry: Registry) -> Scope:
        chosen = registry.municipality(self.municipality) if self.municipality else None
        return Scope(registry, chosen, self.staff)


def _viewer(request: Request, municipality: Annotated[Slug | None, Query()] = None) -> Viewer:
    now = datetime.now(UTC)
    if "authorization" not in request.headers:
        return Viewer(municipality, None, now)
    work = staff_at(bearer(request), municipality)
    home = view.found(lambda registry: registry.municipalities[work.municipality_id].slug)
    return Viewer(home, work.staff, now)


Viewing = Annotated[Viewer, Depends(_viewer)]


class Table:
    """Whether a table for spreadsheets is wanted, how it is written, and in which language."""

    def __init__(
        self,
        request: Request,
        form: Annotated[
            Literal["json", "csv"] | None, Query(alias="format", description="csv is given for Accept: text/csv too")
        ] = None,
        style: Annotated[
            TableStyle, Query(description="of a csv; spreadsheet: semicolons and the language's decimal sign")
        ] = "rfc4180",
        language: Language = None,
    ) -> None:
        self.is_wanted = form == "csv" or (form is None and "text/csv" in request.headers.get("accept", ""))
        self.style, self.language = style, language or language_of(request)
        self.key = (style, self.language) if self.is_wanted else None

    def ready(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Ready:
        """The table. For spreadsheets, the heads that have words are said in words."""
        heads = [self._said(name) for name in head] if self.style == "spreadsheet" else head
        body = as_csv(heads, rows, self.style, self.language)
        return Ready(body, "text/csv", tag_of(body))

    def _said(self, name: str) -> str:
        plain = name.removeprefix("before_")
        said = text(f"insight.{'figure' if plain in WORDED else 'head'}.{plain}", language=self.language)
        return said if plain == name else text("insight.head.before", language=self.language, what=said)


Tabled = Annotated[Table, Depends()]
WORDED: Final = frozenset(FIGURES)
"""What has words as a figure; the other heads have words of their own."""


def answer(
    request: Request,
    viewer: Viewer,
    key: tuple[Hashable, ...],
    make: Callable[[ReadSession, Scope], Ready],
    finish: Callable[[Ready], Ready] = lambda ready: ready,
) -> Response:
    """The answer, made anew only where something has happened since it was made last; `finish` needs no database."""
    scope = viewer.scope()
    figures_kept: Kept[Ready] = request.state.figures
    # What is looked at is never older than the version it is kept under.
    version = kept.version(scope.municipality.id if scope.municipality else None)

    def made() -> Ready:
        with viewer.looking() as (session, seen):
            ready = make(session, seen)
        return finish(ready)

    return tagged(request, viewer, figures_kept.get((*key, scope.key()), version, made))


def tagged(request: Request, viewer: Viewer, ready: Ready) -> Response:
    """The answer, or 304 where the client has it (RFC 9110, 13.1.2)."""
    headers = {
        "ETag": ready.tag,
        "Cache-Control": "private, no-cache" if viewer.staff else "public, max-age=0, must-revalidate",
        "Vary": "Authorization, Accept, Accept-Language",
    }
    known = request.headers.get("if-none-match", "").split(",")
    if any(tag.strip().removeprefix("W/") in {ready.tag, "*"} for tag in known):
        return Response(status_code=304, headers=headers)
    return Response(ready.body, headers=headers, media_type=ready.media_type)


def tag_of(body: bytes) -> str:
    """The ETag of an answer: of its content, so that it tells nothing of hidden reports."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
