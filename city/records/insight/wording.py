"""Numbers as people read them: with the language's signs, waits in hours or days, changes with their sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from city.records.insight.figures import FEW, NONE_YET, NOT_REACHED, SHARES, WAITS
from city.texts import text

HOURS_OF_A_DAY: Final = 24
IN_DAYS_FROM: Final = 48
"""Hours from which a wait is told in days."""
MINUS: Final = "\u2212"
_SWAPPED: Final = str.maketrans(",.", ".,")


@dataclass(frozen=True, slots=True)
class Wording:
    """How numbers are said in one language."""

    language: str

    def said(self, key: str, **values: object) -> str:
        """A sentence of the monthly report."""
        return text(f"monthly.{key}", language=self.language, **values)

    def number(self, value: float, digits: int = 0) -> str:
        """With so many digits behind the decimal sign."""
        shown = f"{abs(value):,.{digits}f}"
        shown = shown.translate(_SWAPPED) if self.language == "it" else shown
        return f"{MINUS}{shown}" if value < 0 and float(f"{value:.{digits}f}") else shown

    def share(self, value: float) -> str:
        """A share (0 to 1) in per cent."""
        return f"{self.number(value * 100)}\u00a0%" if self.language == "it" else f"{self.number(value * 100)}%"

    def wait(self, hours: float) -> str:
        """A wait in minutes, hours or days, whichever is read best."""
        if hours < 1:
            return self.said("minutes", count=max(1, round(hours * 60)))
        if hours < IN_DAYS_FROM:
            return self._counted("hour", hours)
        return self._counted("day", hours / HOURS_OF_A_DAY)

    def days(self, days: int) -> str:
        """So many days."""
        return self._counted("day", days)

    def _counted(self, unit: str, value: float) -> str:
        shown = self.number(value, 0 if value >= 10 or value == int(value) else 1)  # noqa: PLR2004
        return self.said(f"{unit}_one" if shown == "1" else f"{unit}_many", count=shown)

    def figure(self, name: str, figures: dict[str, Any]) -> str:
        """A figure of a period, or why there is none."""
        value = figures[name]
        if value is None:
            return self.missing(figures.get("reasons", {}).get(name, FEW))
        if name in WAITS:
            return self.wait(value)
        return self.share(value) if name in SHARES else self.number(value)

    def missing(self, reason: str) -> str:
        """The short sign for a figure that is not there."""
        key = {FEW: "sign_few", NOT_REACHED: "sign_not_reached", NONE_YET: "sign_none"}[reason]
        return self.said(key)

    def count(self, value: int | None) -> str:
        """A number of reports, or the sign for too few."""
        return self.missing(FEW) if value is None else self.number(value)

    def change(self, now: float | None, then: float | None) -> str:
        """How much more or less; empty where either is not told."""
        if now is None or then is None:
            return ""
        return f"+{self.number(now - then)}" if now > then else "=" if now == then else self.number(now - then)

    def day(self, day: date) -> str:
        """A date as it is written in Italy; English readers here are used to it too."""
        return f"{day.day}/{day.month:02}/{day.year}"

    def month(self, first: date) -> str:
        """A month with its year."""
        return f"{text(f'insight.month.{first.month}', language=self.language)} {first.year}"

    def short_month(self, first: date) -> str:
        """The month's first three letters."""
        return text(f"insight.month.{first.month}", language=self.language)[:3]
