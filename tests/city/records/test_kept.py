"""Answers are kept until something happens, and made once however many ask."""

from __future__ import annotations

import threading
import time

import pytest

from city.records.kept import LONGEST_SECONDS, Kept


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
    asking = [threading.Thread(target=lambda: answers.append(kept.get("a", (1,), make))) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert (answers, made) == ([7] * 8, [1])


def test_what_fails_is_not_kept() -> None:
    kept = Kept[int](2)

    def fail() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        kept.get("a", (1,), fail)
    assert kept.get("a", (1,), lambda: 3) == 3
