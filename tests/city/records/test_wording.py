"""Numbers as people read them, in both languages."""

from __future__ import annotations

from datetime import date

import pytest

from city.records.insight.wording import Wording

IT, EN = Wording("it"), Wording("en")


@pytest.mark.parametrize(
    ("hours", "italian", "english"),
    [
        (0.001, "1 min", "1 min"),
        (0.5, "30 min", "30 min"),
        (1, "1 ora", "1 hour"),
        (1.25, "1,2 ore", "1.2 hours"),
        (23.6, "24 ore", "24 hours"),
        (48, "2 giorni", "2 days"),
        (60, "2,5 giorni", "2.5 days"),
        (24 * 45.4, "45 giorni", "45 days"),
        (24 * 1234, "1.234 giorni", "1,234 days"),
    ],
)
def test_a_wait_is_told_in_the_unit_that_reads_best(hours: float, italian: str, english: str) -> None:
    assert IT.wait(hours) == italian
    assert EN.wait(hours) == english


def test_changes_have_their_sign_and_what_is_not_told_has_none() -> None:
    assert IT.change(1500, 200) == "+1.300"
    assert IT.change(3, 11) == "\u22128"
    assert IT.change(4, 4) == "="
    assert IT.change(None, 4) == IT.change(4, None) == ""


def test_figures_say_why_they_are_missing() -> None:
    missing = {"received": None, "late_share": None, "solve_p90_hours": None}
    figures = missing | {"reasons": {"received": "few", "late_share": "none", "solve_p90_hours": "not_reached"}}
    assert [IT.figure(name, figures) for name in missing] == ["n.d.", "–", "non ancora"]
    assert EN.figure("received", figures) == "n/a"
    assert IT.figure("late_share", {"late_share": 0.1234}) == "12\u00a0%"
    assert EN.figure("late_share", {"late_share": 0.1234}) == "12%"


def test_days_and_months() -> None:
    assert IT.day(date(2026, 3, 1)) == "1/03/2026"
    assert (IT.month(date(2026, 3, 1)), EN.month(date(2026, 3, 1))) == ("marzo 2026", "March 2026")
    assert (IT.days(1), IT.days(30)) == ("1 giorno", "30 giorni")
