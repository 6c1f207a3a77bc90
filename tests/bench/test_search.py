"""The benchmark of the search: it asks the real search, and what is drawn is found by it."""

from __future__ import annotations

import psycopg

from bench import search
from city.registry import view
from city.settings import settings

PHRASES = (
    ("lamp-out", "lampione spento"),
    ("lamp-out", "lampione rotto"),
    ("pothole", "buca profonda sul marciapiede"),
    ("stray-animal", "gatto nel tombino"),
)


def test_each_question_is_asked_of_both_and_reports_are_drawn_once(database: str) -> None:
    town = search.Town(view.held().municipality("padova").id, 400, PHRASES)
    with psycopg.connect(database) as owner, psycopg.connect(settings().database_url) as app:
        found = search.measure(owner, app, town, lambda _: None)
        again = search.measure(owner, app, town, lambda _: None)
    names = [result.name for result in found]
    assert len([name for name in names if "ILIKE, 50 on the page" in name]) >= 4, names
    assert any("rare word" in name and "ILIKE, 0" not in name for name in names)
    assert all(result.ours > 0 and result.peer > 0 for result in found)
    assert [result.unit for result in found].count("reports/s") == 1
    assert [result.name for result in again] == [result.name for result in found if result.unit == "ms"]
