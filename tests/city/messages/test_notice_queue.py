"""Letters of notices are put down in batches: whatever is cut short, nobody is forgotten and nobody gets two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import select

from city.database import writing
from city.messages.notices import handling, queue
from city.messages.notices.area import Area
from city.messages.notices.handling import NoticeFields
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.subscribing import Wish
from city.messages.subscriptions.tables import Subscription
from city.registry import view
from city.registry.notice_tables import Notice, NoticeTelling
from city.registry.people import Right, Staff
from city.registry.rights import Post
from city.registry.view import MunicipalityView
from city.reports.changing import Desk
from geo.place import Place

PEOPLE: Final = 10
STAFF: Final = Staff(1, "Anna", "anna@example.org", "it", 0, (Post("any", frozenset(Right)),))


@pytest.fixture
def town(database: str, monkeypatch: pytest.MonkeyPatch) -> MunicipalityView:
    assert database
    monkeypatch.setattr(queue, "BATCH", 3)
    pesaro = view.newest().slugs["pesaro"]
    with writing(pesaro.id) as session:
        for number in range(PEOPLE):
            for wish in (Wish(), Wish(place=Place(12.9135, 43.9098), metres=300)):
                address = f"n{number}@example.org"
                subscribing.ask(session, pesaro, wish, address=address, language="it", rhythm="at_once")
        for subscription_id in session.scalars(select(Subscription.id)).all():
            subscribing.confirm(session, pesaro.id, subscription_id)
    return pesaro


def fields(**changed: Any) -> NoticeFields:
    now = datetime.now(UTC)
    return NoticeFields(
        **{
            "kind": "works",
            "title_it": "Lavori",
            "title_en": None,
            "text_it": "Si lavora.",
            "text_en": None,
            "area": Area(everywhere=True),
            "starts_at": now,
            "ends_at": now + timedelta(days=2),
            "department": "urp",
        }
        | changed
    )


def published(town: MunicipalityView) -> Notice:
    with writing(town.id) as session:
        desk = Desk(session, town, STAFF)
        notice = handling.write(desk, fields())
        return handling.publish(desk, notice.id, notice.version, confirm_urgent=False)


def tellings(town: MunicipalityView) -> list[int]:
    with writing(town.id) as session:
        return list(session.scalars(select(NoticeTelling.id).order_by(NoticeTelling.id)))


def put_down(town: MunicipalityView, telling_id: int) -> bool:
    with writing(town.id) as session:
        return queue.put_down(session, town, telling_id)


def letters(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as admin:
        return admin.execute(
            "SELECT address, about ->> 'knows' FROM delivery WHERE kind = 'notice' ORDER BY telling_id, address"
        ).fetchall()


def test_a_batch_that_is_cut_short_is_done_again_and_a_job_may_come_twice(
    database: str, town: MunicipalityView
) -> None:
    published(town)
    (telling_id,) = tellings(town)
    assert put_down(town, telling_id)
    assert len(letters(database)) == 3

    class Killed(Exception):
        pass

    with pytest.raises(Killed), writing(town.id) as session:  # noqa: PT012  (killed before it is kept)
        queue.put_down(session, town, telling_id)
        raise Killed
    assert len(letters(database)) == 3
    while put_down(town, telling_id):
        pass
    assert not put_down(town, telling_id)
    assert [address for address, _ in letters(database)] == sorted(f"n{number}@example.org" for number in range(PEOPLE))


def test_a_change_before_all_were_told_waits_for_the_rest_and_tells_nobody_twice(
    database: str, town: MunicipalityView
) -> None:
    notice = published(town)
    first = tellings(town)[0]
    put_down(town, first)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET state = 'sent' WHERE kind = 'notice'")
    with writing(town.id) as session:
        changed = fields(title_it="Altri lavori")
        handling.change(Desk(session, town, STAFF), notice.id, notice.version, changed, tell=True, words="Più tardi")
    second = tellings(town)[1]
    while put_down(town, second):
        pass
    told = letters(database)
    assert len(told) == PEOPLE + 3
    assert [knows for _, knows in told].count("true") == 3, "only who had the letter hears what has changed"
    assert len({address for address, _ in told}) == PEOPLE


def test_a_withdrawal_stops_what_is_not_put_down_yet(database: str, town: MunicipalityView) -> None:
    notice = published(town)
    first = tellings(town)[0]
    put_down(town, first)
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE delivery SET state = 'sent' WHERE id = (SELECT min(id::text)::uuid FROM delivery)")
    with writing(town.id) as session:
        handling.withdraw(Desk(session, town, STAFF), notice.id, notice.version, "Non si fa più")
    second = tellings(town)[1]
    while put_down(town, second):
        pass
    while put_down(town, first):
        pass
    with psycopg.connect(database) as admin:
        states = admin.execute("SELECT state, count(*) FROM delivery WHERE kind = 'notice' GROUP BY 1").fetchall()
    assert dict(states) == {"sent": 1, "dropped": 2, "queued": 1}
