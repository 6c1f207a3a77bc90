"""Is it this one? How well pairs of reports are told apart, what weighs how, and what nobody is told."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from city.reports import duplicates, trained
from city.reports.likeness import Wording
from city.settings import PROJECT, settings
from commands import duplicate_evaluation as evaluation
from commands.seeding.learning import ensure_classifier
from tests.stories.telling import COAST, URP, SignIn, east_of, reported

LAMP = "lampione spento davanti al civico 12"
SAME_LAMP = "davanti al 12 il lampione non si accende"
CATEGORIES = evaluation._categories()
IDS = {category.id: category for category in CATEGORIES.values()}


@pytest.fixture
def classifier() -> Iterator[None]:
    """The classifier that the seed makes."""
    ensure_classifier(lambda _key, _share: None)
    trained.forget()
    yield
    trained.forget()


def told_of(
    *,
    words: str = SAME_LAMP,
    kept_words: str = LAMP,
    category: str = "lamp-out",
    kept_category: str = "lamp-out",
    metres: float = 5,
    days: float = 1,
    solved_days: float | None = None,
    coarsely: bool = False,
) -> list[duplicates.Nearby]:
    """What is told of one report that is there, `metres` away and `days` old."""
    sought = duplicates.Sought(COAST, CATEGORIES[category], Wording(words), evaluation.NOW, IDS)
    there = east_of(COAST, metres)
    row: dict[str, Any] = {
        "id": "00000000-0000-0000-0000-000000000001",
        "number": "PS-2026-1",
        "state": "assigned" if solved_days is None else "resolved",
        "category_id": CATEGORIES[kept_category].id,
        "lon": there.lon,
        "lat": there.lat,
        "created_at": evaluation.NOW - timedelta(days=days),
        "solved_at": None if solved_days is None else evaluation.NOW - timedelta(days=solved_days),
        "description": kept_words,
    }
    return duplicates.likely(sought, [row], coarsely=coarsely)


def score(**given_facts: Any) -> float:
    [near] = told_of(**given_facts)
    return near.score


# --- how well


def figures(pairs: list[evaluation.Pair]) -> tuple[evaluation.Figures, evaluation.Figures]:
    """Ours, and the plain rule's."""
    return (
        evaluation.Figures.of(pairs, [pair.is_told() for pair in pairs]),
        evaluation.Figures.of(pairs, [pair.is_told_plainly() for pair in pairs]),
    )


@pytest.mark.usefixtures("classifier")
def test_most_paraphrases_are_told_and_most_other_troubles_are_not(tmp_path: Path) -> None:
    pairs, left_out = evaluation.read_pairs(reports=tmp_path / "none")
    assert left_out > 0, "the real reports are not looked for elsewhere"
    ours, plain = figures(pairs)
    assert ours.precision >= 0.88
    assert ours.recall >= 0.93
    assert ours.f1 >= plain.f1 + 0.1


@pytest.mark.usefixtures("classifier")
def test_real_reports_are_told_apart_as_well(shared_data: Path) -> None:
    pairs, left_out = evaluation.read_pairs(reports=shared_data / "reports-dev" / evaluation.REAL.name)
    assert left_out == 0
    ours, plain = figures(pairs)
    assert ours.precision >= 0.85
    assert ours.recall >= 0.92
    assert ours.f1 >= plain.f1 + 0.1


@pytest.mark.usefixtures("classifier")
def test_two_languages_may_tell_of_one_trouble() -> None:
    italian, english = Wording("buca profonda nell'asfalto"), Wording("deep pothole in the road")
    assert italian.likeness(english) > Wording("cane randagio").likeness(english) + 0.2


def test_without_a_classifier_the_words_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "classifier", lambda: None)
    assert Wording(LAMP).likeness(Wording(SAME_LAMP)) > Wording(LAMP).likeness(Wording("panchina rotta"))


# --- what weighs how


METRES = st.floats(0, 24)
DAYS = st.floats(0, 1000)


@given(METRES, METRES, DAYS)
def test_nearer_is_likelier(one: float, other: float, days: float) -> None:
    near, far = sorted((one, other))
    assert score(metres=near, days=days) >= score(metres=far, days=days)


@given(DAYS, DAYS, METRES)
def test_sooner_is_likelier_and_solved_lately_more_than_solved_long_ago(
    one: float, other: float, metres: float
) -> None:
    soon, late = sorted((one, other))
    assert score(days=soon, metres=metres) >= score(days=late, metres=metres)
    assert score(days=late, solved_days=soon, metres=metres) >= score(days=late, solved_days=late, metres=metres)


@given(st.text(max_size=80), st.text(max_size=80))
def test_likeness_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    there, back = Wording(one).likeness(Wording(other)), Wording(other).likeness(Wording(one))
    assert there == pytest.approx(back)
    assert 0 <= there <= 1.000001


def test_the_same_category_is_likelier_than_one_that_is_confused_with_it_and_that_than_the_group() -> None:
    same = score(category="lamp-flicker", kept_category="lamp-flicker")
    confused = score(category="lamp-flicker", kept_category="lamp-out")
    of_group = score(category="lamp-flicker", kept_category="lamp-pole")
    assert same > confused > of_group
    assert told_of(kept_category="pothole") == []


def test_other_numbers_speak_against_it() -> None:
    same = score(kept_words="lampione 4417 spento", words="lampione 4417 spento", metres=20)
    other = score(kept_words="lampione 4417 spento", words="lampione 4418 spento", metres=20)
    assert same > other + 0.2


def test_each_category_reaches_as_far_as_its_trouble() -> None:
    assert told_of(metres=30) == []
    assert told_of(metres=70, category="flooding", kept_category="flooding", words="sottopasso allagato")


def test_every_name_in_the_table_of_kinship_is_a_category() -> None:
    table = tomllib.loads((PROJECT / "city" / "reports" / "kinship.toml").read_text("utf-8"))
    named = {slug for pair in table["confused"] for slug in pair} | table["reach"].keys()
    assert named <= CATEGORIES.keys()
    assert all(len(set(pair)) == 2 for pair in table["confused"])


def test_the_reasons_are_a_sentence() -> None:
    [near] = told_of(metres=12, days=3.4)
    assert near.why()["it"].startswith("Stessa categoria, a 12 m, segnalata 3 giorni prima, parole")
    [solved] = told_of(days=9, solved_days=1.2, words="lampione al 14 spento")
    assert "solved one day before" in solved.why()["en"]
    assert "but with other numbers" in solved.why()["en"]
    [later] = told_of(days=-5)
    assert "reported after this one" in later.why()["en"]


# --- what nobody is told


def test_a_citizen_learns_of_other_words_in_coarse_steps_only() -> None:
    for words in (SAME_LAMP, LAMP, "lampione", "luce spenta al 12"):
        for near in told_of(words=words, coarsely=True):
            assert near.likeness * 4 == int(near.likeness * 4)


def test_what_was_solved_lately_is_told_with_the_day(client: TestClient, signed_in: SignIn) -> None:
    first = reported(client, COAST, LAMP, category="lamp-out", email="anna@example.org")
    signed_in(URP).change("POST", first["id"], "moves", {"to": "resolved", "reason": "Lampada sostituita."})
    [near] = reported(client, east_of(COAST, 4), SAME_LAMP, category="lamp-out")["near_duplicates"]
    assert (near["number"], near["state"]) == (first["number"], "resolved")
    assert near["solved_at"] > first["created_at"]
    assert "risolta nelle ultime 24 ore" in near["why"]["it"]


def test_no_kept_answer_holds_the_words_of_another_report(client: TestClient, database: str) -> None:
    reported(client, COAST, LAMP + " segreto", category="lamp-out", email="anna@example.org")
    asked = {
        "lon": COAST.lon,
        "lat": COAST.lat,
        "description": SAME_LAMP,
        "category": "lamp-out",
        "contact": {"email": "bruno@example.org"},
        "client_reference": "7d4a4c3a-3f0b-4a4a-8d6e-0d6f3c1b2a19",
    }
    first = client.post("/api/v1/reports", json=asked)
    again = client.post("/api/v1/reports", json=asked)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["near_duplicates"] == again.json()["near_duplicates"] != []
    assert "segreto" not in first.text
    with psycopg.connect(database) as admin:
        kept = admin.execute("SELECT answer::text FROM client_request").fetchall()
    assert kept
    assert "segreto" not in orjson.dumps(kept, default=str).decode()


def test_the_plain_radius_is_for_categories_without_a_reach_of_their_own() -> None:
    assert duplicates.reach_metres(CATEGORIES["pavement"]) == settings().duplicate_radius_metres
