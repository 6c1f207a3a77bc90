"""The pace of mail: what somebody waits for leaves at once, and letters to many make up for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from city.errors import Unavailable
from city.messages import mail_pace
from city.settings import settings


@pytest.fixture
def a_mail_a_second(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LAMPIONE_MAIL_PER_MINUTE", "60")
    settings.cache_clear()
    yield database
    monkeypatch.undo()
    settings.cache_clear()


def pass_by(database: str, seconds: int) -> None:
    with psycopg.connect(database) as admin:
        admin.execute("UPDATE pace SET full_at = full_at - make_interval(secs => %s) WHERE name = 'mail'", (seconds,))


def test_letters_to_many_keep_the_rate_and_wait_for_single_ones(a_mail_a_second: str) -> None:
    now = time.monotonic()
    assert mail_pace.for_many(100, now) == 5, "five seconds of the rate at once"
    assert mail_pace.for_many(100, now) == 0
    pass_by(a_mail_a_second, 2)
    assert mail_pace.for_many(1, now) == 1
    mail_pace.for_one()
    for _ in range(10):
        mail_pace.for_one()
    pass_by(a_mail_a_second, 8)
    assert mail_pace.for_many(100, now) == 0, "the single ones have gone ahead"
    pass_by(a_mail_a_second, 60)
    assert mail_pace.for_many(3, now) == 3


def test_single_letters_too_are_bounded_in_the_end(a_mail_a_second: str) -> None:
    assert a_mail_a_second
    for _ in range(60):
        mail_pace.for_one()
    with pytest.raises(Unavailable):
        mail_pace.for_one()


def test_without_a_rate_nothing_waits(database: str) -> None:
    assert mail_pace.for_many(1_000, time.monotonic()) == 1_000
    mail_pace.for_one()
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM pace").fetchone() == (0,)
