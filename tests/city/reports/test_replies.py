"""Placeholders of reply templates: every known one is filled in both languages, any other is refused by its name."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.errors import InvalidInput
from city.reports.dialogue.replies import PLACEHOLDERS, checked

NAMES = {name for placeholder in PLACEHOLDERS for name in (placeholder.it, placeholder.en)}


def test_no_name_means_two_things() -> None:
    assert len(NAMES) == 2 * len(PLACEHOLDERS)


@given(st.lists(st.sampled_from(sorted(NAMES))), st.text(st.characters(exclude_characters="{}")))
def test_known_placeholders_are_taken_as_they_are(names: list[str], words: str) -> None:
    template = words.join(f"{{{name}}}" for name in names)
    assert checked(template, "text_it", "it") == template


@given(st.text(string.ascii_letters + "._![]0 ", max_size=20).filter(lambda name: name not in NAMES))
def test_an_unknown_placeholder_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(f"Grazie, {{{name}}}.", "text_it", "it")
    assert refused.value.field == "text_it"
    assert f"{{{name}}}" in refused.value.sentence("it")
    assert "{numero}" in refused.value.sentence("it")


@pytest.mark.parametrize("words", ["Grazie {numero", "numero}", "{{numero}}", "{numero}}"])
def test_a_brace_alone_is_refused(words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(words, "text_en", "en")
    assert refused.value.field == "text_en"
