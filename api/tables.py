"""Tables for spreadsheets, in two styles.

- `rfc4180`: as RFC 4180 has it, with commas and decimal points; for programs
- `spreadsheet`: semicolons and, in Italian, decimal commas; opens with a double click in an Italian office

Both are UTF-8, with the mark by which spreadsheets know it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal

TableStyle = Literal["rfc4180", "spreadsheet"]

MARK = b"\xef\xbb\xbf"


def as_csv(head: Sequence[str], rows: Iterable[Sequence[object]], style: TableStyle, language: str) -> bytes:
    """The table; None is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if style == "spreadsheet" else ",")
    writer.writerow(head)
    has_comma = style == "spreadsheet" and language == "it"
    for row in rows:
        writer.writerow([_written(value, has_comma=has_comma) for value in row])
    return MARK + out.getvalue().encode()


def _written(value: object, *, has_comma: bool) -> object:
    """A name that a spreadsheet would take for a formula gets a quote in front."""
    if isinstance(value, float):
        return str(value).replace(".", ",") if has_comma else value
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t"} else value
