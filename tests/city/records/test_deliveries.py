"""Who asks the log of messages for an address is told only of reports whose reporter they may know."""

from __future__ import annotations

from typing import Final

import pytest
from fastapi.testclient import TestClient

from city.database import reading, writing
from city.messages.tables import Delivery
from city.records import deliveries
from city.records.deliveries import LogFilter
from city.registry import view
from city.registry.staff.rights import Post, Right, Staff
from tests.stories.telling import COAST, reported

ANNA: Final = "anna@example.org"


@pytest.fixture
def departments(client: TestClient) -> dict[str, int]:
    """By the reports' numbers their departments; Anna was written to about both."""
    made = [
        reported(client, COAST, "lampione spento", category="lamp-out"),
        reported(client, COAST, "buca in strada", category="pothole"),
    ]
    home = view.held().slugs["pesaro"]
    with writing(home.id) as session:
        for number, report in enumerate(made):
            session.add(
                Delivery(
                    municipality_id=home.id,
                    kind="assigned",
                    report_id=report["id"],
                    once=f"trial {number}",
                    address=ANNA,
                    language="it",
                    subject="",
                )
            )
    return {report["number"]: home.departments[report["department"]["slug"]].id for report in made}


def numbers(*posts: Post, address: str | None = ANNA) -> set[str]:
    home = view.held().slugs["pesaro"]
    staff = Staff(1, "Bruno", "bruno@example.org", "it", home.id, posts)
    with reading(home.id) as session:
        found = deliveries.log(session, home, staff, LogFilter(address=address), limit=10, cursor=None)
    return {one["report"]["number"] for one in found["deliveries"]}


def test_an_address_is_looked_for_only_where_it_may_be_known(departments: dict[str, int]) -> None:
    (lamp, lighting), (hole, roads) = departments.items()
    assert lighting != roads
    everywhere = Post("desk", frozenset({Right.DESK}))
    of_lamps = Post("desk", frozenset({Right.DESK}), department_id=lighting)
    knows_roads = Post("contact", frozenset({Right.CONTACT}), department_id=roads)
    knows_lamps = Post("contact", frozenset({Right.CONTACT}), department_id=lighting)
    assert numbers(everywhere, knows_roads, address=None) == {lamp, hole}
    assert numbers(everywhere, knows_roads) == {hole}
    assert numbers(of_lamps, knows_roads) == set(), "neither right lends the other its departments"
    assert numbers(of_lamps, knows_roads, knows_lamps) == {lamp}


def test_an_address_is_found_by_an_index_under_the_eyes_of_the_application(departments: dict[str, int]) -> None:
    home = view.held().slugs["pesaro"]
    staff = Staff(1, "Bruno", "bruno@example.org", "it", home.id, (Post("all", frozenset(Right)),))
    where, values = deliveries.condition(home, staff, LogFilter(address="Anna@Example.org"))
    with reading(home.id) as session:
        session.raw.execute("SET LOCAL enable_seqscan = off")
        rows = session.raw.execute(f"EXPLAIN SELECT delivery.id {deliveries._LOG} {where}", values).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "delivery_mailbox_index" in plan, departments
    assert "= 'anna@example.org'::text)" in plan.partition("Index Cond:")[2].partition("\n")[0]
