"""The monthly report as one page: HTML that needs nothing else, for the screen and, through `outside/paper`, for print.

Who opens it finds all in it: style, charts and maps. So it can be kept, sent on and printed as it is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from city.records.insight.wording import Wording
from city.records.monthly.parts import Report

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for the page: nothing from outside."""


def page(report: Report) -> str:
    """The report as HTML."""
    return _template().render(report=report, said=Wording(report.language).said)


@cache
def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template("monthly.html.jinja")
