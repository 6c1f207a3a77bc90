"""The life of a report: drawing and table agree, every state can be reached, and no step leads astray."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from city.errors import Conflict, Forbidden, InvalidInput
from city.reports import lifecycle
from city.reports.lifecycle import ENTRANCES, MOVES, Mover, State, check_move

ENDED = {State.RESOLVED, State.CLOSED, State.REJECTED, State.DUPLICATE, State.WITHDRAWN}


def drawn() -> set[tuple[str, str]]:
    return set(re.findall(r"^\s+(\S+) --> (\S+)$", lifecycle.__doc__ or "", re.MULTILINE))


def test_the_drawing_is_the_table() -> None:
    steps = {(here, there) for here, there in drawn() if "[*]" not in {here, there}}
    assert steps == {(here.value, there.value) for here, there in MOVES}
    assert {there for here, there in drawn() if here == "[*]"} == {state.value for state in ENTRANCES}


def test_the_drawing_ends_where_nobody_has_to_do_anything_any_more() -> None:
    ends = {here for here, there in drawn() if there == "[*]"}
    assert ends <= {state.value for state in ENDED}
    without_way_out = {state for state in State if not any(here is state for here, _ in MOVES)}
    assert without_way_out == {State.WITHDRAWN}


def test_open_is_what_is_not_ended() -> None:
    assert {state for state in State if not state.is_open} == ENDED


def test_every_state_is_reached_and_from_every_open_one_there_is_an_end() -> None:
    reached = set(ENTRANCES)
    while grown := {there for here, there in MOVES if here in reached} - reached:
        reached |= grown
    assert reached == set(State)
    for state in State:
        ahead = {state}
        while grown := {there for here, there in MOVES if here in ahead} - ahead:
            ahead |= grown
        assert ahead & ENDED


def test_no_step_leads_nowhere() -> None:
    assert all(here is not there for here, there in MOVES)
    assert all(move.movers for move in MOVES.values())


def test_the_desk_can_take_every_step_but_the_reporters() -> None:
    for (_, there), move in MOVES.items():
        assert (Mover.DESK in move.movers) == (there is not State.WITHDRAWN)
        if Mover.CITIZEN in move.movers:
            assert there in {State.WITHDRAWN, State.REOPENED}


def test_what_disappoints_the_reporter_is_explained() -> None:
    for (_, there), move in MOVES.items():
        if there in {State.REJECTED, State.FORWARDED, State.WAITING, State.RESOLVED}:
            assert move.needs_reason, there


@pytest.mark.parametrize("here", State)
@pytest.mark.parametrize("there", State)
def test_check_move_is_the_table(here: State, there: State) -> None:
    for mover in Mover:
        for reason in (None, "", " \n", "perché sì"):
            move = MOVES.get((here, there))
            wanted: Any = None
            if move is None:
                wanted = Conflict
            elif mover not in move.movers:
                wanted = Forbidden
            elif move.needs_reason and not (reason or "").strip():
                wanted = InvalidInput
            if wanted is None:
                assert check_move(here, there, mover, reason) is move
            else:
                with pytest.raises(wanted) as caught:
                    check_move(here, there, mover, reason)
                assert here.value in caught.value.sentence("it") or there.value in caught.value.sentence("it")


def test_a_refusal_names_the_steps_that_there_are() -> None:
    with pytest.raises(Conflict) as caught:
        check_move(State.RESOLVED, State.PLANNED, Mover.DESK, None)
    assert "closed, reopened" in caught.value.sentence("en")


class Life(RuleBasedStateMachine):
    """Any life of a report, taken step by step by anybody."""

    lives = Bundle("lives")

    def __init__(self) -> None:
        super().__init__()
        self.state = State.RECEIVED
        self.is_open = True

    @initialize(entrance=st.sampled_from(sorted(ENTRANCES)))
    def begin(self, entrance: State) -> None:
        self.state, self.is_open = entrance, entrance.is_open

    @rule(
        there=st.sampled_from(State),
        mover=st.sampled_from(Mover),
        reason=st.one_of(st.none(), st.sampled_from(["", "fatto"])),
    )
    def step(self, there: State, mover: Mover, reason: str | None) -> None:
        before = self.state
        try:
            check_move(self.state, there, mover, reason)
        except (Conflict, Forbidden, InvalidInput):
            assert self.state is before
        else:
            self.state, self.is_open = there, there.is_open

    @invariant()
    def open_or_over(self) -> None:
        assert self.is_open == (self.state not in ENDED)

    @invariant()
    def withdrawn_is_for_good(self) -> None:
        if self.state is State.WITHDRAWN:
            assert not any(here is State.WITHDRAWN for here, _ in MOVES)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
