"""The council's steps of the demo hold where they should, and fail where they should."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from commands.journey_council import Council
from commands.journey_steps import Unexpected
from tests.stories.telling import COAST, URP, SignIn, reported
from tests.trials import PASSWORD


def test_the_council_finds_what_was_just_solved_and_nothing_else(client: TestClient, signed_in: SignIn) -> None:
    council = Council(client, PASSWORD)
    report = reported(client, COAST, "lampione spento", category="lamp-out")
    with pytest.raises(Unexpected, match="nothing was solved"):
        council.figures("lighting-office")
    signed_in(URP).change("POST", report["id"], "moves", {"to": "resolved", "reason": "Fatto."})
    assert council.figures("lighting-office").startswith("1 ")
    with pytest.raises(Unexpected, match="urp has solved nothing"):
        council.figures("urp")


@pytest.mark.filterwarnings("ignore:You should not use the 'timeout'")
def test_the_month_is_printed(client: TestClient) -> None:
    assert Council(client, PASSWORD).printed().endswith(" kB")
