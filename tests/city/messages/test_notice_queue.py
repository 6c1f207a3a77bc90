"""Letters of notices are put down in batches: whatever is cut short, nobody is forgotten and nobody gets two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import select

from city.database import writing
from city.messages.notices import handling, queue, sending
from city.messages.notices.area import Area
from city.messages.notices.handling import NoticeFields
from city.messages.subscriptions import subscribing
from city.messages.subscriptions.subscribing import Wish
from city.messages.subscriptions.tables import Subscription
from city.messages.tables import Delivery, PausedAddress
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice, NoticeTelling
from city.registry.staff.people import Right, Staff
from city.registry.staff.rights import Post
from city.reports.changing import Desk
from geo.place import Place
from tests.trials import PATIENCE_SECONDS, eventually

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


@pytest.fixture
def _taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are taken as soon as they leave."""
    monkeypatch.setattr(sending, "_carry", lambda *_: "taken")


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


def send(town: MunicipalityView, telling_id: int, count: int) -> None:
    for _ in range(count):
        assert sending.send_next(town.id, telling_id) == (True, None)


def change(town: MunicipalityView, notice: Notice, words: str) -> Notice:
    with writing(town.id) as session:
        desk = Desk(session, town, STAFF)
        return handling.change(desk, notice.id, notice.version, fields(title_it=words), tell=True, words=words)


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


@pytest.mark.usefixtures("_taken")
def test_whoever_has_read_the_new_words_meanwhile_is_not_told_of_the_change(
    database: str, town: MunicipalityView
) -> None:
    notice = published(town)
    first = tellings(town)[0]
    while put_down(town, first):
        pass
    send(town, first, 4)
    change(town, notice, "Altri lavori")
    send(town, first, 1)  # before anybody looks for whom to tell
    second = tellings(town)[1]
    assert put_down(town, second)
    send(town, first, PEOPLE - 5)
    while put_down(town, second):
        pass
    told = letters(database)
    assert [knows for _, knows in told].count("true") == 4, "who had the letter with the old words"
    assert len(told) == PEOPLE + 4


@pytest.mark.usefixtures("_taken")
def test_a_second_change_is_told_also_while_the_letter_of_the_first_one_waits(
    database: str, town: MunicipalityView
) -> None:
    notice = published(town)
    first = tellings(town)[0]
    while put_down(town, first):
        pass
    send(town, first, PEOPLE)
    notice = change(town, notice, "Prima cosa")
    second = tellings(town)[1]
    while put_down(town, second):
        pass
    change(town, notice, "Seconda cosa")
    third = tellings(town)[2]
    while put_down(town, third):
        pass
    assert [knows for _, knows in letters(database)] == ["false"] * PEOPLE + ["true"] * 2 * PEOPLE


def test_whom_the_old_words_are_on_their_way_to_is_told_of_the_change(
    database: str, town: MunicipalityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving, may_leave = Event(), Event()

    def slow(*_: Any) -> str:
        leaving.set()
        assert may_leave.wait(PATIENCE_SECONDS)
        return "taken"

    monkeypatch.setattr(sending, "_carry", slow)
    notice = published(town)
    first = tellings(town)[0]
    while put_down(town, first):
        pass
    with ThreadPoolExecutor() as threads:
        sent = threads.submit(sending.send_next, town.id, first)
        assert leaving.wait(PATIENCE_SECONDS)
        change(town, notice, "Altri lavori")
        told = threads.submit(queue.put_all_down, town.id, tellings(town)[1])
        try:
            eventually(lambda: _waiting(database))
        finally:
            may_leave.set()
        assert sent.result() == (True, None)
        told.result()
    assert [knows for _, knows in letters(database)].count("true") == 1


def _waiting(database: str) -> bool:
    """Whether somebody waits for the senders."""
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return row is not None and row[0] > 0


def test_a_letter_is_made_of_what_is_known_now_whatever_other_threads_forget(
    town: MunicipalityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(dict[Any, Any]):
        """As if another thread had cleared it at once."""

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, value)
            self.clear()

    said: list[str] = []

    def kept(_session: object, _town: object, _delivery: object, made: Any) -> str:
        said.append(made.plain.footer)
        return "taken"

    monkeypatch.setattr(sending, "_carry", kept)
    published(town)
    first = tellings(town)[0]
    while put_down(town, first):
        pass
    with monkeypatch.context() as forgetting:
        forgetting.setattr(sending, "_composed", Forgetful())
        send(town, first, 1)
    send(town, first, 1)
    renamed = replace(town, name="Pesaro Nuova")
    registry = replace(view.held(), municipalities={town.id: renamed})
    monkeypatch.setattr(view, "held", lambda: registry)
    send(town, first, 1)
    assert ["Pesaro Nuova" in one for one in said] == [False, False, True]


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


@pytest.mark.usefixtures("_taken")
def test_an_address_that_was_paused_since_gets_no_letter_and_may_get_it_later(
    database: str, town: MunicipalityView
) -> None:
    def pause(address: str) -> None:
        with writing(town.id) as session:
            session.add(PausedAddress(municipality_id=town.id, address=address, bounce="hard", status="5.1.1"))

    published(town)
    (telling_id,) = tellings(town)
    pause("n2@example.org")
    while put_down(town, telling_id):
        pass
    assert len(letters(database)) == PEOPLE - 1, "nothing is put down for one that was paused before"
    pause(address := "n3@example.org")
    send(town, telling_id, PEOPLE - 1)
    with writing(town.id) as session:
        failed = session.scalars(select(Delivery).where(Delivery.has_failed)).all()
        assert [(one.address, one.dropped_for) for one in failed] == [(address, "paused")]


def test_whoever_changes_a_notice_and_its_tellings_never_waits_for_a_job_that_waits_for_them(
    database: str, town: MunicipalityView
) -> None:
    published(town)
    (telling_id,) = tellings(town)

    def waits() -> bool:
        with psycopg.connect(database) as admin:
            held_up = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return admin.execute(held_up).fetchone() is not None

    with ThreadPoolExecutor(1) as pool, psycopg.connect(database) as admin:
        admin.execute("SELECT FROM notice FOR UPDATE")
        job = pool.submit(put_down, town, telling_id)
        eventually(waits)
        admin.execute("SET lock_timeout = '2s'; UPDATE notice_telling SET paused_at = now()")
        admin.rollback()
        assert job.result(PATIENCE_SECONDS)
