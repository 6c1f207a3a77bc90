"""The fold of a report's facts: an algebra that no order, repetition or partition can disturb."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from city.reports.field.folding import BINDING, Fact, Fate, Folded, fold
from city.reports.lifecycle import MOVES, Mover, State

DAWN: Final = datetime(2026, 3, 2, 7, tzinfo=UTC)
DEEDS: Final = (State.IN_PROGRESS, State.RESOLVED, State.WAITING)


def minute(number: int) -> datetime:
    return DAWN + timedelta(minutes=number)


def deed(number: int, to: State, *, was_theirs: bool = True, key: str = "") -> Fact:
    return Fact(minute(number), is_deed=True, key=key or f"deed-{number}-{to.value}", to=to, was_theirs=was_theirs)


def decision(number: int, to: State) -> Fact:
    return Fact(minute(number), is_deed=False, key=f"entry-{number}", to=to)


RECEIVED: Final = [decision(-2, State.RECEIVED), decision(-1, State.ASSIGNED)]

deeds = st.lists(
    st.builds(
        deed,
        st.integers(0, 30),
        st.sampled_from(DEEDS),
        was_theirs=st.booleans() | st.just(True),
        key=st.uuids().map(str),
    ),
    max_size=8,
    unique_by=lambda fact: fact.key,
)
minutes = st.lists(st.integers(0, 30), max_size=6, unique=True).map(sorted)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """Decisions as a desk makes them that hears of no deed before its last decision; and the deeds."""
    state, decisions = State.ASSIGNED, list(RECEIVED)
    for number in draw(minutes):
        ways = sorted({there for (here, there), move in MOVES.items() if here is state and Mover.DESK in move.movers})
        if not ways:
            break
        state = draw(st.sampled_from(ways))
        decisions.append(decision(number, state))
    return decisions, draw(deeds)


@settings(max_examples=3000, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_order_and_repetition_play_no_part(history: tuple[list[Fact], list[Fact]], chance: object) -> None:
    decisions, done = history
    facts = [*decisions, *done]
    once = fold(facts)
    shuffled = facts + facts[: len(facts) // 2]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == once


@settings(max_examples=700, deadline=None)
@given(histories())
def test_without_deeds_the_desk_is_obeyed_to_the_letter(history: tuple[list[Fact], list[Fact]]) -> None:
    decisions, _ = history
    folded = fold(decisions)
    assert folded.state is decisions[-1].to
    assert set(folded.fates.values()) <= {Fate.MOVED, Fate.AGREES}


def steps(decisions: list[Fact], done: list[Fact]) -> list[tuple[State | None, Fact, Fate, State | None]]:
    """Each fact in its order with the state before and after, found by folding ever longer beginnings."""
    ordered = sorted([*decisions, *done], key=lambda fact: (fact.at, fact.is_deed, fact.key))
    seen: list[tuple[State | None, Fact, Fate, State | None]] = []
    before = Folded()
    for index, fact in enumerate(ordered):
        after = fold(ordered[: index + 1])
        seen.append((before.state, fact, after.fates[fact.key], after.state))
        before = after
    return seen


@settings(max_examples=700, deadline=None)
@given(histories())
def test_a_crew_moves_a_report_only_as_its_life_allows(history: tuple[list[Fact], list[Fact]]) -> None:
    for here, fact, fate, there in steps(*history):
        if fact.is_deed and fate is Fate.MOVED:
            assert here is not None
            assert Mover.CREW in MOVES[here, fact.to].movers
            assert fact.was_theirs
        assert there is (fact.to if fate is Fate.MOVED else here)


@settings(max_examples=700, deadline=None)
@given(histories())
def test_what_binds_is_never_overturned(history: tuple[list[Fact], list[Fact]]) -> None:
    for _, fact, fate, there in steps(*history):
        if not fact.is_deed and fact.to in BINDING:
            assert there is fact.to
            assert fate.counts


@settings(max_examples=700, deadline=None)
@given(histories())
def test_work_done_before_a_decision_stays_done(history: tuple[list[Fact], list[Fact]]) -> None:
    decisions, done = history
    solvable = {here for (here, there), move in MOVES.items() if there is State.RESOLVED and Mover.CREW in move.movers}
    for here, fact, fate, there in steps(decisions, done):
        if fact.is_deed and fact.to is State.RESOLVED and fact.was_theirs and here in solvable:
            assert (fate, there) == (Fate.MOVED, State.RESOLVED)
        if fate is Fate.OVERTURNED:
            assert here in {State.RESOLVED, State.CLOSED}
            assert there is here


@settings(max_examples=700, deadline=None)
@given(histories())
def test_the_times_are_those_of_the_facts(history: tuple[list[Fact], list[Fact]]) -> None:
    decisions, done = history
    folded = fold([*decisions, *done])
    solved_at = None
    stopped: datetime | None = None
    stops = []
    for _, fact, fate, there in steps(decisions, done):
        if fate is not Fate.MOVED or there is None:
            continue
        if there is State.REOPENED:
            solved_at = None
        if there in {State.RESOLVED, State.CLOSED} and solved_at is None:
            solved_at = fact.at
        if there.is_open and there is not State.WAITING:
            stops += [(stopped, fact.at)] if stopped else []
            stopped = None
        else:
            stopped = stopped or fact.at
    assert (folded.solved_at, folded.stopped_at, folded.stops) == (solved_at, stopped, stops)


def test_a_later_decision_of_the_desk_counts_unless_the_work_was_done_before() -> None:
    began, planned = deed(10, State.IN_PROGRESS), decision(20, State.PLANNED)
    assert fold([*RECEIVED, began, planned]).state is State.PLANNED
    finished = deed(15, State.RESOLVED)
    folded = fold([*RECEIVED, began, finished, planned])
    assert folded.state is State.RESOLVED
    assert folded.overturned() == {planned.key}
    rejected = decision(20, State.REJECTED)
    assert fold([*RECEIVED, began, finished, rejected]).state is State.REJECTED


def test_two_crews_that_did_the_same_agree_and_the_first_counts() -> None:
    first, second = deed(5, State.RESOLVED, key="b"), deed(9, State.RESOLVED, key="a")
    folded = fold([*RECEIVED, second, first])
    assert (folded.solved_at, folded.moved_by) == (minute(5), "b")
    assert folded.fates["a"] is Fate.AGREES
    closed = fold([*RECEIVED, decision(6, State.RESOLVED), decision(7, State.CLOSED), second])
    assert (closed.state, closed.fates["a"]) == (State.CLOSED, Fate.AGREES)


def test_what_was_not_theirs_moves_nothing() -> None:
    folded = fold([*RECEIVED, deed(5, State.RESOLVED, was_theirs=False, key="x")])
    assert (folded.state, folded.fates["x"]) == (State.ASSIGNED, Fate.NOT_YOURS)
    late = fold([*RECEIVED, decision(3, State.RESOLVED), deed(5, State.IN_PROGRESS, key="y")])
    assert (late.state, late.fates["y"]) == (State.RESOLVED, Fate.BARRED)
