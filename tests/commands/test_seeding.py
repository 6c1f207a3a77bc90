"""The demo goes in through the stations, with its dates, silently, and once."""

from __future__ import annotations

import psycopg

from commands.seeding.demo import load_demo
from tests.trials import PASSWORD


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


STATE = (
    "SELECT (SELECT version FROM registry_version), (SELECT count(*) FROM report),"
    " (SELECT count(*) FROM timeline_entry)"
)


def test_loading_the_demo_again_changes_nothing(own_registry: str) -> None:
    first = load_demo(lambda *_: None, password=PASSWORD)
    state = rows(own_registry, STATE)
    second = load_demo(lambda *_: None, password=PASSWORD)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.reports == second.reports == state[0][1]
    assert rows(own_registry, STATE) == state


def test_an_interrupted_load_is_completed(own_registry: str) -> None:
    load_demo(lambda *_: None, password=PASSWORD)
    whole = rows(own_registry, "SELECT count(*) FROM report")
    with psycopg.connect(own_registry) as admin:
        admin.execute("SET session_replication_role = replica")
        lost = "(SELECT report.id FROM report JOIN municipality m ON m.id = municipality_id WHERE slug = 'urbino')"
        for table, column in (
            ("timeline_entry", "report_id"),
            ("reporter", "report_id"),
            ("training_pair", "report_id"),
        ):
            admin.execute(f"DELETE FROM {table} WHERE {column} IN {lost}")
        admin.execute(
            "DELETE FROM client_request USING municipality m WHERE m.id = municipality_id AND m.slug = 'urbino'"
        )
        admin.execute(f"DELETE FROM report WHERE id IN {lost}")
    registry = rows(own_registry, "SELECT version FROM registry_version")
    assert load_demo(lambda *_: None, password=PASSWORD).is_new
    assert rows(own_registry, "SELECT count(*) FROM report") == whole
    assert rows(own_registry, "SELECT version FROM registry_version") == registry


def test_history_keeps_its_dates_and_nobody_is_told(own_registry: str) -> None:
    load_demo(lambda *_: None, password=PASSWORD)
    assert rows(own_registry, "SELECT count(*) FROM job") == [(0,)]
    assert rows(own_registry, "SELECT count(*) FROM timeline_entry WHERE at > now() - interval '1 minute'") == [(0,)]
    assert rows(
        own_registry,
        "SELECT count(*) FROM (SELECT at, lag(at) OVER (PARTITION BY report_id ORDER BY id) AS before"
        " FROM timeline_entry) AS steps WHERE at < before",
    ) == [(0,)]
    states = {state for (state,) in rows(own_registry, "SELECT DISTINCT state FROM report")}
    assert {"assigned", "in_progress", "waiting", "resolved", "closed", "rejected"} <= states
