"""Errors are kept, and read later in anybody's language."""

from __future__ import annotations

import json

import pytest

from city.errors import NotFound, Unavailable, sentence_of


def test_what_is_kept_is_read_in_each_language_with_the_error_within() -> None:
    within = NotFound("tiles.no_such_tile", z=2**70, x="\ud800", y=None, deepest=22)
    error = Unavailable("bench.no_answer", seconds=within)
    for language in ("it", "en"):
        said = sentence_of(error.kept(), language)
        assert said == error.sentence(language)
        assert within.sentence(language) in said
    assert error.sentence("it") != error.sentence("en")


@pytest.mark.parametrize("kept", [None, "", "Il server di posta non risponde."])
def test_what_was_kept_as_a_sentence_stays(kept: str | None) -> None:
    assert sentence_of(kept, "en") == kept


@pytest.mark.parametrize("error", [{"key": "mail.gone_long_ago", "values": {}}, {"key": "mail.silent", "values": {}}])
def test_a_text_of_another_version_breaks_no_page(error: dict[str, object]) -> None:
    assert sentence_of(json.dumps(error), "it") == error["key"]
