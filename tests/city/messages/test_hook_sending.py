"""Calling webhooks: whose turn it is, what waits for what, and when what has failed is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from city.database import provincial, writing
from city.messages.hooks import following, keeping, log, replays, sending
from city.messages.hooks.keeping import HookFields
from city.messages.hooks.sending import WAITS
from city.messages.hooks.tables import Webhook
from city.outside.strangers import Answer
from city.registry import view
from city.registry.tables import AllowedHost
from tests.city.messages.test_hook_following import ENTRY
from tests.hook_receiver import Receiver, receiving
from tests.stories.telling import COAST, reported


@pytest.fixture
def receiver(client: TestClient) -> Iterator[Receiver]:
    with receiving() as there:
        with provincial() as session:
            session.add(AllowedHost(host=there.host, person_id=1))
        yield there
        with provincial() as session:
            session.delete(session.get_one(AllowedHost, there.host))


@pytest.fixture
def hook(receiver: Receiver) -> UUID:
    """A webhook of Pesaro; nobody works but the test."""
    with provincial() as session:
        fields = HookFields(receiver.url + "/hook", events=["report.received", "report.assigned"])
        made, _ = keeping.add(session, view.fresh(session), pesaro(), fields)
        return made.id


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def pesaro() -> int:
    return view.held().slugs["pesaro"].id


def lamp(client: TestClient, name: str) -> str:
    """The number of a new report, whose two events are written down."""
    number: str = reported(client, COAST, f"lampione {name} spento", category="lamp-out")["number"]
    with provincial() as session:
        following.follow(session, view.fresh(session))
    return number


def send(hook: UUID) -> bool:
    with writing(pesaro()) as session:
        return sending.send_some(session, view.fresh(session), pesaro(), hook)


def send_all(hook: UUID) -> None:
    while send(hook):
        pass


def later(admin: psycopg.Connection[Any]) -> None:
    admin.execute("UPDATE webhook SET rests_until = now()")
    admin.execute("UPDATE hook_delivery SET next_at = now() WHERE state = 'waiting'")


def test_it_is_one_callers_turn_and_a_host_has_four_seats(
    client: TestClient, receiver: Receiver, hook: UUID, database: str
) -> None:
    lamp(client, "a")
    with psycopg.connect(database) as other:
        other.execute(sending._TURN, [str(hook)])
        assert not send(hook)
    with writing(pesaro()) as one:
        made = one.get_one(Webhook, (pesaro(), hook))
        assert sending._seated(one, made)
        with psycopg.connect(database) as other:
            host = sending.host_number(made.address)
            for seat in range(sending.AT_ONE_HOST):
                other.execute(sending._SEAT, [sending._SEATS, host + seat])
            assert not send(hook)
    assert receiver.calls == []
    assert send(hook)
    assert len(receiver.taken()) == 2


def test_an_event_that_is_refused_holds_up_only_later_ones_of_its_report_and_only_for_a_while(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    first = lamp(client, "a")
    receiver.refusing.add(first)
    send_all(hook)
    second = lamp(client, "b")
    send_all(hook)
    assert [number for _, number in receiver.told()] == [second, second]
    tried = [call.event["type"] for call in receiver.calls if call.status == 400]
    assert tried == ["report.received"], "the other waits for it"
    for _ in range(sending.HOLDING_TRIES - 1):
        later(admin)
        send_all(hook)
    admin.execute("UPDATE webhook SET rests_until = now()")
    send_all(hook)
    tried = [call.event["type"] for call in receiver.calls if call.status == 400]
    assert tried.count("report.received") == sending.HOLDING_TRIES
    assert tried.count("report.assigned") == 1


def test_a_replay_that_is_refused_holds_up_nothing_new_of_its_report(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    number = lamp(client, "a")
    send_all(hook)
    with provincial() as session:
        registry, made = view.fresh(session), session.get_one(Webhook, (pesaro(), hook))
        replays.begin(session, registry, made, datetime.now(UTC) - timedelta(days=1))
        assert replays.advance(session, registry)
    receiver.refusing.add(number)
    send_all(hook)
    receiver.refusing.clear()
    columns = "municipality_id, webhook_id, event, about_id, subject_id, entry_id, happened_at"
    admin.execute(
        f"INSERT INTO hook_delivery ({columns}) SELECT {columns} FROM hook_delivery"
        " WHERE event = 'report.assigned' AND NOT is_replay"
    )
    send_all(hook)
    told = [call.event["data"]["is_replay"] for call in receiver.taken()]
    assert told == [False, False, False]


def test_each_repeat_waits_longer_and_after_the_last_it_is_a_dead_letter(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    receiver.status = 500
    lamp(client, "a")
    for tries, wait in enumerate(WAITS, start=1):
        later(admin)
        admin.execute("UPDATE hook_delivery SET state = 'dropped' WHERE event = 'report.assigned'")
        asked = datetime.now(UTC)
        assert send(hook)
        row = admin.execute(
            "SELECT state, attempts, next_at, status, problem FROM hook_delivery ORDER BY id"
        ).fetchone()
        assert row is not None
        assert (row[0], row[1], row[3], row[4]) == ("waiting", tries, 500, "http_500")
        assert timedelta(seconds=0.79 * wait) < row[2] - asked < timedelta(seconds=1.21 * wait + 20)
    later(admin)
    assert send(hook)
    assert admin.execute("SELECT state FROM hook_delivery ORDER BY id LIMIT 1").fetchone() == ("dead",)
    resting = admin.execute("SELECT rests_until > now() + interval '40 minutes' FROM webhook").fetchone()
    assert resting == (True,)


def test_what_has_been_hidden_meanwhile_is_not_told(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    lamp(client, "a")
    admin.execute("UPDATE report SET is_public = false")
    send_all(hook)
    assert receiver.calls == []
    assert admin.execute("SELECT DISTINCT state FROM hook_delivery").fetchall() == [("dropped",)]


def test_what_is_written_down_is_not_told_to_a_webhook_that_may_not_hear_it_any_more(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    def change(*, is_public_only: bool) -> None:
        with provincial() as session:
            made = session.get_one(Webhook, (pesaro(), hook))
            fields = HookFields(made.address, events=["report.noted"], is_public_only=is_public_only)
            keeping.change(session, view.fresh(session), made, fields)

    change(is_public_only=False)
    number = lamp(client, "a")
    admin.execute(ENTRY, [number])
    with provincial() as session:
        following.follow(session, view.fresh(session))
    change(is_public_only=True)
    send_all(hook)
    assert receiver.calls == []
    assert admin.execute("SELECT event, state FROM hook_delivery").fetchall() == [("report.noted", "dropped")]


def test_who_answers_again_gets_at_once_what_was_put_off_but_not_what_it_refused(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    receiver.refusing.add(lamp(client, "a"))
    send_all(hook)
    receiver.status = 503
    numbers = [lamp(client, name) for name in "bcd"]
    send_all(hook)
    assert len(receiver.calls) == sending.PATIENCE
    receiver.status = 200
    admin.execute("UPDATE webhook SET rests_until = now()")
    send_all(hook)
    assert sorted(number for _, number in receiver.told()) == sorted(2 * numbers)
    assert admin.execute("SELECT failures, failing_since FROM webhook").fetchone() == (0, None)


def test_what_is_over_is_forgotten_after_a_month(
    client: TestClient, receiver: Receiver, hook: UUID, admin: psycopg.Connection[Any]
) -> None:
    lamp(client, "a")
    send_all(hook)
    lamp(client, "b")
    admin.execute("UPDATE hook_delivery SET created_at = now() - interval '31 days'")
    with provincial() as session:
        assert log.forget(session) == 2
    assert admin.execute("SELECT count(*) FROM hook_delivery WHERE state = 'waiting'").fetchone() == (2,)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0), ("90", 90), ("-3", 0), ("soon", 0), ("9" * 30, WAITS[-1]), ("Wed, 99 Foo", 0)],
)
def test_retry_after_is_read_with_care(said: str, seconds: float) -> None:
    now = datetime.now(UTC)
    assert sending._wanted_wait(Answer(503, b"", said), now) == seconds
    assert sending._wanted_wait(None, now) == 0


def test_retry_after_may_be_a_moment() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    said = format_datetime(now + timedelta(minutes=5), usegmt=True)
    assert sending._wanted_wait(Answer(503, b"", said), now) == 300
