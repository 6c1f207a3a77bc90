"""Answers are kept until something happens, and made once however many ask."""

from __future__ import annotations

import threading
import time

import pytest

from city.errors import TooManyRequests
from city.records.insight.kept import AT_ONCE, LONGEST_SECONDS, MOST_WAITING, Kept


def test_an_answer_is_made_anew_when_something_has_happened() -> None:
    made: list[int] = []
    kept = Kept[int](4)

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [kept.get("a", (1,), make) for _ in range(3)] == [0, 0, 0]
    assert kept.get("a", (2,), make) == 1
    assert kept.get("b", (2,), make) == 2


def test_the_clock_alone_makes_it_anew_after_a_minute() -> None:
    now = [0.0]
    kept = Kept[float](4, lambda: now[0])
    assert kept.get("a", (1,), lambda: now[0]) == 0
    now[0] = LONGEST_SECONDS
    assert kept.get("a", (1,), lambda: now[0]) == 0
    now[0] += 1
    assert kept.get("a", (1,), lambda: now[0]) == LONGEST_SECONDS + 1


def test_the_least_used_is_forgotten() -> None:
    kept = Kept[str](2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, (1,), lambda: "old")
    assert kept.get("a", (1,), lambda: "new") == "old"
    assert kept.get("b", (1,), lambda: "new") == "new"


def test_of_many_who_ask_at_once_one_makes_it() -> None:
    made: list[int] = []
    kept = Kept[int](2)

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return 7

    answers: list[int] = []
    asking = [threading.Thread(target=lambda: answers.append(kept.get("a", (1,), make))) for _ in range(MOST_WAITING)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert (answers, made) == ([7] * MOST_WAITING, [1])


def test_when_enough_are_waiting_the_next_is_asked_to_come_again() -> None:
    kept = Kept[int](20)
    kept.get("known", (1,), lambda: 5)
    begun, may_end = threading.Semaphore(0), threading.Event()

    def make() -> int:
        begun.release()
        may_end.wait(10)
        return 1

    asking = [threading.Thread(target=kept.get, args=(key, (1,), make)) for key in range(MOST_WAITING)]
    for thread in asking:
        thread.start()
    for _ in range(AT_ONCE):
        assert begun.acquire(timeout=10)
    while kept._waiting._value:
        time.sleep(0.01)
    assert not begun.acquire(timeout=0.1), "no more than two are made at once"
    with pytest.raises(TooManyRequests):
        kept.get("new", (1,), lambda: 2)
    assert kept.get("known", (1,), lambda: 6) == 5, "what is known is given all the same"
    may_end.set()
    for thread in asking:
        thread.join()
    assert kept.get("new", (1,), lambda: 2) == 2


def test_what_fails_is_not_kept() -> None:
    kept = Kept[int](2)

    def fail() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        kept.get("a", (1,), fail)
    assert not kept._making
    assert kept.get("a", (1,), lambda: 3) == 3
