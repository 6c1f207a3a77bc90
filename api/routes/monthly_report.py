"""The council's monthly report: the public one for everybody, the staff's for whoever may read reports."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from api.schemas.base import Slug
from api.tables import as_csv
from api.viewing import SAME, Ready, Tabled, Viewing, answer, tag_of
from city.database import ReadSession
from city.outside import paper
from city.records.insight.insight import Scope, Sieve
from city.records.insight.wording import Wording
from city.records.monthly import monthly
from city.records.monthly import page as monthly_page
from city.records.monthly import parts as monthly_parts

router = APIRouter(prefix="/api/v1/insight", tags=["insight"])

Kind = Literal["html", "pdf", "csv"]
MEDIA: Final = {"html": "text/html", "pdf": "application/pdf", "csv": "text/csv"}


@router.get(
    "/report.{kind}",
    response_class=Response,
    responses=SAME | {200: {"content": {media: {} for media in MEDIA.values()}}},
)
def make_monthly_report(
    request: Request,
    viewer: Viewing,
    table: Tabled,
    kind: Kind,
    month: Annotated[
        str | None, Query(max_length=10, description="YYYY-MM; without, the last whole month", examples=["2026-10"])
    ] = None,
    layer: Annotated[Slug | None, Query(description="whose zones; without, those that divide the town best")] = None,
    department: Annotated[Slug | None, Query(description="only this department's reports")] = None,
    group: Annotated[Slug | None, Query(description="only this group of categories")] = None,
) -> Response:
    """A month of a municipality: figures, charts and maps beside the month before and a year before.

    The page needs nothing else, and prints on A4; the PDF is the same one, tagged for screen readers.
    """
    scope = viewer.scope()
    asked, sieve = monthly.month_of(month, scope, viewer.now), Sieve(group=group, department=department)

    def make(session: ReadSession, scope: Scope) -> Ready:
        seen = monthly.gather(session, scope, asked, viewer.now, layer=layer, sieve=sieve)
        if kind == "csv":
            words = Wording(table.language)
            rows = monthly.table(seen, table.language, lambda section: words.said(f"csv_{section}"))
            body = as_csv(monthly.TABLE_HEAD, rows, table.style, table.language)
        else:
            body = monthly_page.page(monthly_parts.report(session, seen, table.language)).encode()
        return Ready(body, MEDIA[kind], tag_of(body))

    def finish(ready: Ready) -> Ready:
        """On paper, where that is wanted. The tag stays the page's: a PDF says when it was made."""
        return ready._replace(body=paper.as_pdf(ready.body.decode())) if kind == "pdf" else ready

    given = answer(request, viewer, ("report", kind, asked, layer, sieve, table.style, table.language), make, finish)
    if kind == "html":
        given.headers["Content-Security-Policy"] = monthly_page.POLICY
    name = f"{scope.municipality.slug if scope.municipality else ''}-{asked.first:%Y-%m}.{kind}"
    given.headers["Content-Disposition"] = f'{"inline" if kind != "csv" else "attachment"}; filename="{name}"'
    return given
