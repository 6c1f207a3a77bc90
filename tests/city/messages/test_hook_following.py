"""From the timeline to the webhooks: each entry once, whoever commits first; none of what was undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial, writing
from city.messages.hooks import following, keeping, replays
from city.messages.hooks.keeping import HookFields
from city.messages.hooks.tables import HookPosition, Webhook
from city.messages.notices import handling
from city.position import Position
from city.registry import view
from city.reports.changing import Desk
from tests.city.messages.test_notice_queue import STAFF, published, tellings
from tests.stories.telling import COAST, reported

ENTRY = """
  INSERT INTO timeline_entry (municipality_id, report_id, what, actor, is_public)
  SELECT municipality_id, id, 'note', 'staff', false FROM report WHERE number = %s RETURNING id
"""


@pytest.fixture
def hook(client: TestClient) -> UUID:
    """A webhook of Pesaro that wants everything; nobody sends."""
    pesaro = view.held().slugs["pesaro"].id
    with provincial() as session:
        made, _ = keeping.add(
            session, view.fresh(session), pesaro, HookFields("https://gis.example.org/", is_public_only=False)
        )
        return made.id


@pytest.fixture
def number(client: TestClient, hook: UUID) -> str:
    """A report whose own entries have been told."""
    made: str = reported(client, COAST, "lampione spento", category="lamp-out")["number"]
    follow()
    return made


def follow() -> int:
    """How many looks it took."""
    looks = 0
    more = True
    while more:
        with provincial() as session:
            more = following.follow(session, view.fresh(session))
        looks += 1
    return looks


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database) as connection:
        yield connection


def told(database: str) -> list[int]:
    with psycopg.connect(database) as admin:
        return [row[0] for row in admin.execute("SELECT entry_id FROM hook_delivery ORDER BY id")]


def write(connection: psycopg.Connection[Any], number: str) -> int:
    row = connection.execute(ENTRY, [number]).fetchone()
    assert row is not None
    return int(row[0])


def test_each_entry_is_told_once_however_late_it_is_committed(
    database: str, number: str, admin: psycopg.Connection[Any]
) -> None:
    before = told(database)
    late = write(admin, number)
    with psycopg.connect(database) as other:
        early = write(other, number)
    follow()
    assert told(database) == [*before, early]
    admin.commit()
    follow()
    follow()
    assert told(database) == [*before, early, late]


def test_what_was_undone_is_never_told(database: str, number: str, admin: psycopg.Connection[Any]) -> None:
    before = told(database)
    write(admin, number)
    follow()
    admin.rollback()
    follow()
    assert told(database) == before


def test_a_long_absence_is_caught_up_with_in_pieces(
    database: str, number: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told(database)
    wanted = []
    open_one = psycopg.connect(database)
    waiting = write(open_one, number)
    for _ in range(3):
        wanted += [write(admin, number) for _ in range(3)]
        admin.commit()
    look = following._LOOK.replace(f"LIMIT {following.MOST_ENTRIES}", "LIMIT 2")
    monkeypatch.setattr(following, "_LOOK", look)
    monkeypatch.setattr(following, "MOST_ENTRIES", 2)
    assert follow() == 5
    assert told(database) == [*before, *wanted]
    open_one.commit()
    open_one.close()
    follow()
    assert told(database) == [*before, *wanted, waiting]


def test_where_nobody_has_a_webhook_nobody_reads_and_the_next_one_begins_with_what_is_new(
    database: str, client: TestClient, hook: UUID, number: str, admin: psycopg.Connection[Any]
) -> None:
    with provincial() as session:
        made = session.get_one(Webhook, (view.held().slugs["pesaro"].id, hook))
        keeping.change(
            session, view.fresh(session), made, HookFields(made.address, is_active=False, is_public_only=False)
        )
        seen = session.get_one(HookPosition, 1).seen
    before = told(database)
    missed = write(admin, number)
    admin.commit()
    follow()
    with provincial() as session:
        assert session.get_one(HookPosition, 1).seen == seen
        made = session.get_one(Webhook, (view.held().slugs["pesaro"].id, hook))
        keeping.change(session, view.fresh(session), made, HookFields(made.address, is_public_only=False))
    new = write(admin, number)
    admin.commit()
    follow()
    assert told(database) == [*before, new]
    assert missed not in told(database)


def test_a_database_that_was_brought_back_from_a_copy_is_read_from_where_it_is(
    database: str, number: str, admin: psycopg.Connection[Any]
) -> None:
    before = told(database)
    with provincial() as session:
        session.get_one(HookPosition, 1).seen = str(Position(0, 2**40))
    follow()
    new = write(admin, number)
    admin.commit()
    follow()
    assert told(database) == [*before, new]


def test_a_replay_goes_piece_by_piece_from_where_it_was(
    database: str, hook: UUID, number: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = told(database) + [write(admin, number) for _ in range(5)]
    admin.commit()
    follow()
    with provincial() as session:
        made = session.get_one(Webhook, (view.held().slugs["pesaro"].id, hook))
        first = session.raw.execute("SELECT min(at) FROM timeline_entry").fetchone()
        assert first is not None
        replays.begin(session, view.fresh(session), made, first[0])
    monkeypatch.setattr(replays, "_PIECE", replays._PIECE.replace(f"LIMIT {replays.PIECE}", "LIMIT 3"))
    monkeypatch.setattr(replays, "PIECE", 3)

    def advance() -> bool:
        with provincial() as session:
            return replays.advance(session, view.fresh(session))

    assert advance()
    assert told(database) == [*entries, *entries[:3]]
    assert not advance(), "enough is waiting"
    for _ in range(2):
        admin.execute("UPDATE hook_delivery SET state = 'sent'")
        admin.commit()
        assert advance()
    assert not advance()
    assert told(database) == entries * 2
    with provincial() as session:
        shown = replays.listed(session, session.get_one(Webhook, (view.held().slugs["pesaro"].id, hook)))
        assert [(one.replay.state, one.replay.queued, one.replay.examined) for one in shown] == [("done", 7, 7)]


def test_a_replay_reads_nothing_of_what_was_before_its_moment(
    database: str, hook: UUID, number: str, admin: psycopg.Connection[Any]
) -> None:
    before = told(database)
    admin.execute("SET LOCAL session_replication_role = replica")  # the timeline is append-only
    admin.execute("UPDATE timeline_entry SET at = at - interval '2 days'")
    wanted = [write(admin, number), write(admin, number)]
    imported = write(admin, number)
    admin.execute("UPDATE timeline_entry SET at = now() - interval '1 year' WHERE id = %s", [imported])
    admin.commit()
    follow()
    with provincial() as session:
        made = session.get_one(Webhook, (view.held().slugs["pesaro"].id, hook))
        begun = replays.begin(session, view.fresh(session), made, datetime.now(UTC) - timedelta(days=1))
        assert begun.first_entry_id == wanted[0]
        assert replays.advance(session, view.fresh(session))
        assert (begun.examined, begun.queued, begun.state) == (2, 2, "done")
    assert told(database) == [*before, *wanted, imported, *wanted]


def test_a_notice_is_told_in_order_whichever_job_comes_first_and_once(hook: UUID, database: str) -> None:
    assert hook
    pesaro = view.held().slugs["pesaro"]
    notice = published(pesaro)
    with writing(pesaro.id) as session:
        handling.withdraw(Desk(session, pesaro, STAFF), notice.id, notice.version, "Non si fa più")
    first, second = tellings(pesaro)
    for telling_id in (second, first, second):
        with provincial() as session:
            following.note_notice(session, view.fresh(session), pesaro.id, telling_id)
    assert told(database) == [first, second]
