"""The pace of mail: what somebody waits for leaves at once, and letters to many make up for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from city.database import writing
from city.errors import Refused, Unavailable
from city.messages import app_io, mail_pace
from city.messages.channels import CHANNELS
from city.messages.letter import Letter
from city.messages.notices import sending
from city.messages.tables import Delivery
from city.outside.mail import ReadyMail
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.settings import settings
from tests.city.messages.test_notice_queue import published, put_down, tellings, town
from tests.trials import eventually

__all__ = ["town"]


@pytest.fixture
def a_mail_a_minute(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Seconds stand for minutes, so that it does not matter how long a test takes."""
    monkeypatch.setenv("LAMPIONE_MAIL_PER_MINUTE", "1")
    for name in ("BULK_SECONDS", "DEBT_SECONDS"):
        monkeypatch.setattr(mail_pace, name, getattr(mail_pace, name) * 60)
    settings.cache_clear()
    yield database
    monkeypatch.undo()
    settings.cache_clear()


def pass_by(database: str, minutes: int) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE pace SET full_at = full_at - make_interval(mins => %s) WHERE name = 'mail'", (minutes,))


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """To whom mails have left."""
    found: list[str] = []

    class Mailer:
        """Takes everything."""

        def send(self, message: EmailMessage | ReadyMail, _sender: str | None = None) -> str:
            """Take it."""
            found.append(message.to if isinstance(message, ReadyMail) else str(message["To"]))
            return "taken"

        def keeping(self) -> AbstractContextManager[None]:
            """Needs no connection."""
            return nullcontext()

    monkeypatch.setattr(mail_pace, "mailer", Mailer)
    monkeypatch.setattr(sending, "mailer", Mailer)
    return found


def send_one() -> None:
    mail_pace.send(ReadyMail("anna@example.org", "<1@example.org>", b""))


def ahead(database: str) -> int:
    """By how many mails the rate is used already."""
    with psycopg.connect(database) as admin:
        row = admin.execute("SELECT extract(epoch FROM full_at - now()) / 60 FROM pace WHERE name = 'mail'").fetchone()
    return 0 if row is None else max(0, round(row[0]))


@pytest.mark.usefixtures("left")
def test_letters_to_many_keep_the_rate_and_wait_for_single_ones(a_mail_a_minute: str) -> None:
    with mail_pace.turn() as turn:
        for _ in range(5):
            assert turn.may_mail()
            send_one()
        assert not turn.may_mail(), "five seconds of the rate at once, and here a second is a minute"
        assert not turn.wait()
        pass_by(a_mail_a_minute, 2)
        assert turn.may_mail()
    for _ in range(10):
        send_one()
    pass_by(a_mail_a_minute, 8)
    with mail_pace.turn() as turn:
        assert not turn.may_mail(), "the single ones have gone ahead"
        pass_by(a_mail_a_minute, 60)
        assert turn.may_mail()


@pytest.mark.usefixtures("left")
def test_what_a_turn_has_not_used_is_given_back_and_nobody_else_may_use_it(a_mail_a_minute: str) -> None:
    with mail_pace.turn() as turn:
        assert turn.may_mail()
        assert ahead(a_mail_a_minute) == 5
        with ThreadPoolExecutor() as threads:
            threads.submit(send_one).result()
        assert ahead(a_mail_a_minute) == 6, "a single mail in another thread is counted by itself"
        send_one()
        assert ahead(a_mail_a_minute) == 6
    assert ahead(a_mail_a_minute) == 2


@pytest.mark.usefixtures("left")
def test_single_letters_too_are_bounded_in_the_end(a_mail_a_minute: str) -> None:
    assert a_mail_a_minute
    for _ in range(60):
        send_one()
    with pytest.raises(Unavailable):
        send_one()


def delivery_to(town: MunicipalityView, channel: str, *, kind: str) -> Delivery:
    return Delivery(
        municipality_id=town.id, id=uuid4(), kind=kind, channel=channel, address="anna@example.org", language="it"
    )


def test_every_way_by_which_a_mail_leaves_counts_it_once(
    a_mail_a_minute: str, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> str:
        raise Refused("app_io.gone")

    monkeypatch.setattr(app_io, "by_app_io", gone)
    monkeypatch.setattr(app_io, "mail_instead", lambda *_: "anna@example.org")
    town = view.newest().slugs["pesaro"]
    letter = Letter("Ecco", "Ecco", ["Ecco."], "Comune")
    with writing(town.id) as session:
        for number, (channel, kind) in enumerate((("email", "assigned"), ("app_io", "tidings")), 1):
            CHANNELS[channel](session, town, delivery_to(town, channel, kind=kind), letter)
            assert (len(left), ahead(a_mail_a_minute)) == (number, number)
    with mail_pace.turn() as turn, writing(town.id) as session:
        assert turn.may_mail()
        CHANNELS["email"](session, town, delivery_to(town, "email", kind="tidings"), letter)
    assert (len(left), ahead(a_mail_a_minute)) == (3, 3)


def test_letters_of_notices_keep_the_rate_and_those_that_are_no_mails_need_not(
    a_mail_a_minute: str, left: list[str], town: MunicipalityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[str] = []
    monkeypatch.setitem(CHANNELS, "push", lambda *given: pushed.append(given[2].address) or "201")
    published(town)
    (telling_id,) = tellings(town)
    while put_down(town, telling_id):
        pass
    with psycopg.connect(a_mail_a_minute) as admin:
        admin.execute(
            "UPDATE delivery SET channel = 'push', due_at = due_at + interval '1 ms' WHERE address IN"
            " ('n7@example.org', 'n8@example.org', 'n9@example.org')"
        )

    def sent(mails: int) -> bool:
        sending.send(town.id, time.monotonic() + 0.5)
        return len(left) == mails

    eventually(lambda: sent(5) and len(pushed) == 3)
    assert sorted(pushed) == ["n7@example.org", "n8@example.org", "n9@example.org"]
    assert (sent(5), ahead(a_mail_a_minute)) == (True, 5), "a turn without mails takes nothing"
    pass_by(a_mail_a_minute, 60)
    eventually(lambda: sent(7))
    assert ahead(a_mail_a_minute) == 2


@pytest.mark.usefixtures("left")
def test_without_a_rate_nothing_waits(database: str) -> None:
    with mail_pace.turn() as turn:
        assert turn.wait()
        send_one()
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM pace").fetchone() == (0,)
