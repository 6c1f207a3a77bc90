"""`./lampione report`: the council's monthly report of a municipality into a file, for the screen or for print."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from api.tables import as_csv
from city.database import public, reading
from city.errors import InvalidInput
from city.outside import paper
from city.records.insight.insight import Scope
from city.records.insight.wording import Wording
from city.records.monthly import monthly
from city.records.monthly import page as monthly_page
from city.records.monthly import parts as monthly_parts
from city.registry import view
from city.registry.staff.rights import Post, Right, Staff

KINDS: Final = (".pdf", ".html", ".csv")
WHOLE_COUNCIL: Final = Staff(0, "", "", "it", 0, (Post("council", frozenset({Right.READ})),))
"""Whoever is at the command line may read the database anyway."""


def write(municipality: str, month: str | None, output: Path, language: str, *, is_internal: bool) -> Path:
    """Write the report; the file appears only once it is whole.

    Raises InvalidInput for a file of another kind, or one that cannot be written; NotFound, Unavailable.
    """
    if output.suffix not in KINDS:
        raise InvalidInput("monthly.which_kind", field="output", value=output.name, known=", ".join(KINDS))
    now = datetime.now(UTC)
    home = view.load().municipality(municipality)
    with reading(home.id) if is_internal else public() as session:
        registry = view.fresh(session)
        scope = Scope(registry, registry.municipality(municipality), WHOLE_COUNCIL if is_internal else None)
        seen = monthly.gather(session, scope, monthly.month_of(month, scope, now), now)
        if output.suffix == ".csv":
            words = Wording(language)
            rows = monthly.table(seen, language, lambda section: words.said(f"csv_{section}"))
            body = as_csv(monthly.TABLE_HEAD, rows, "spreadsheet", language)
        else:
            body = monthly_page.page(monthly_parts.report(session, seen, language)).encode()
    if output.suffix == ".pdf":
        body = paper.as_pdf(body.decode())
    unfinished = output.with_name(f".{output.name}.unfinished")
    try:
        unfinished.write_bytes(body)
        unfinished.replace(output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InvalidInput("reading.broken", field="output", path=str(output), problem=error.strerror or "") from error
    return output
