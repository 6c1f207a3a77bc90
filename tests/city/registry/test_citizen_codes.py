"""One-time codes: made and not kept, counted while they are guessed at, taken once."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import psycopg

from city.database import provincial
from city.registry.sign_in import citizen_codes
from tests.stories.telling import counted


def asked() -> tuple[str, str]:
    """A handle and its code."""
    with provincial() as session:
        row, handle = citizen_codes.ask(session, "anna@example.org", "it")
        return handle, citizen_codes.code_of(row.id)


def redeemed(handle: str, code: str) -> bool:
    with provincial() as session:
        return citizen_codes.redeem(session, handle, code) is not None


def test_codes_have_six_digits_and_are_spread_out(database: str) -> None:
    assert database
    codes = [citizen_codes.code_of(uuid4()) for _ in range(500)]
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert len({code[0] for code in codes}) == 10
    assert len(set(codes)) > 490


def test_of_many_who_give_the_right_code_at_once_one_comes_in(database: str) -> None:
    handle, code = asked()
    came: list[bool] = []
    threads = [threading.Thread(target=lambda: came.append(redeemed(handle, code))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == [False] * 4 + [True]


def test_guesses_at_once_are_no_way_past_the_count(database: str) -> None:
    handle, code = asked()
    wrong = [f"{(int(code) + step) % 1_000_000:06}" for step in range(1, 13)]
    threads = [threading.Thread(target=redeemed, args=(handle, guess)) for guess in wrong]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT tries FROM citizen_code").fetchone() == (citizen_codes.MOST_TRIES,)
    assert not redeemed(handle, code)


def test_old_codes_are_forgotten_and_no_others(database: str) -> None:
    asked()
    handle, code = asked()
    with psycopg.connect(database) as admin:
        admin.execute(
            "UPDATE citizen_code SET created_at = now() - %s::interval WHERE handle_hash <> sha256(%s)",
            (citizen_codes.LIFE + timedelta(seconds=1), handle.encode()),
        )
    with provincial() as session:
        citizen_codes.forget_old(session)
    assert counted(database, "citizen_code") == 1
    assert redeemed(handle, code)
