"""Street names and house numbers, however they are written, come to one form."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from city.registry.addresses.street_names import (
    MOST_GRAMS,
    MOST_READINGS,
    HouseNumber,
    Reading,
    grams,
    read_number,
    readings,
    split_kind,
    telling,
    tidy,
    words_of,
)

SAME = [
    ("Via Sant'Antonio", "v. S. Antonio", "VIA SAN ANTONIO", "via s.antonio"),
    ("Viale della Libertà", "v.le della Liberta'", "VLE DELLA LIBERTÀ"),
    ("Piazza Garibaldi", "p.zza Garibaldi", "P.za  GARIBALDI", "pzza garibaldi"),
    ("Corso XX Settembre", "c.so 20 settembre", "Corso Venti Settembre"),
    ("Via Primo Maggio", "via 1° maggio", "Via 1 Maggio", "v. I maggio"),
    ("Via Papa Giovanni XXIII", "via papa giovanni 23", "Via Papa Giovanni Ventitré"),
    ("Via Fratelli Cervi", "via F.lli Cervi"),
    ("Strada Provinciale 494", "S.P. 494", "sp494"),
    ("Piazza Santissima Annunziata", "piazza santissima annunziata"),
    ("Via D'Annunzio", "via d’annunzio", "VIA D ANNUNZIO"),
    ("Largo Umberto I", "l.go Umberto primo"),
]


@pytest.mark.parametrize("ways", SAME)
def test_ways_of_writing_one_street_have_the_same_words(ways: tuple[str, ...]) -> None:
    assert len({words_of(way) for way in ways}) == 1, [words_of(way) for way in ways]


@pytest.mark.parametrize(
    ("typed", "words", "number"),
    [
        ("Via Roma 12", "via roma", HouseNumber(12)),
        ("via roma, 12/A", "via roma", HouseNumber(12, "A")),
        ("via roma 12a", "via roma", HouseNumber(12, "A")),
        ("via roma 12 a", "via roma", HouseNumber(12, "A")),
        ("via roma n. 12 bis", "via roma", HouseNumber(12, "BIS")),
        ("via roma n°12", "via roma", HouseNumber(12)),
        ("12, via roma", "via roma", HouseNumber(12)),
        ("via roma 12/1", "via roma", HouseNumber(12, "1")),
        ("roma via 12", "via roma", HouseNumber(12)),
        ("via roma 12 int. 3 scala B", "via roma", HouseNumber(12)),
        ("via XX settembre 7", "via 20 settembre", HouseNumber(7)),
        ("via 28 marzo 1921, 14", "via 28 marzo 1921", HouseNumber(14)),
        ("via palazzina 104", "via palazzina", HouseNumber(104)),
        ("15121 via roma 3", "via roma", HouseNumber(3)),
    ],
)
def test_the_likeliest_reading_comes_first(typed: str, words: str, number: HouseNumber) -> None:
    first = readings(typed)[0]
    assert (" ".join(first.words), first.number) == (words, number)


def test_a_number_in_the_name_stays_possible() -> None:
    assert Reading(("via", "25", "aprile")) in readings("via 25 aprile")
    assert Reading(("via", "4", "martiri"), HouseNumber(9)) in readings("via qattro martiri 9")


def test_nothing_to_go_by_has_no_reading() -> None:
    for typed in ("", "  ", ",./;", "€€"):
        assert readings(typed) == []


@pytest.mark.parametrize(
    ("number", "suffix", "read"),
    [
        ("12", "", HouseNumber(12)),
        ("12", "b", HouseNumber(12, "B")),
        ("12/BIS", "", HouseNumber(12, "BIS")),
        ("12 bis", "a", HouseNumber(12, "BIS A")),
        ("0012", "", HouseNumber(12)),
        ("n. 7", "", HouseNumber(7)),
        ("SNC", "", None),
        ("", "A", None),
        ("0", "", None),
        ("123456789", "", None),
    ],
)
def test_a_registers_number_is_read(number: str, suffix: str, read: HouseNumber | None) -> None:
    assert read_number(number, suffix) == read


@pytest.mark.parametrize(
    ("whole", "kind", "name"),
    [
        ("Via Giuseppe Garibaldi", "Via", "Giuseppe Garibaldi"),
        ("Strada Comunale di Valmadonna", "Strada Comunale", "di Valmadonna"),
        ("Via Vecchia Torino", "Via Vecchia", "Torino"),
        ("P.zza Roma", "P.zza", "Roma"),
        ("Avenue de la Costa", "Avenue", "de la Costa"),
        ("Roma", "", "Roma"),
        ("Corso", "", "Corso"),
    ],
)
def test_kind_and_name_are_told_apart(whole: str, kind: str, name: str) -> None:
    assert split_kind(whole) == (kind, name)


@pytest.mark.parametrize(
    ("shouted", "said"),
    [
        ("VIA GABRIELE D'ANNUNZIO", "Via Gabriele D'Annunzio"),
        ("PIAZZA DELLA LIBERTA'", "Piazza della Liberta'"),
        ("VIA PAPA GIOVANNI XXIII", "Via Papa Giovanni XXIII"),
        ("Via  Roma ", "Via Roma"),
    ],
)
def test_what_a_register_shouts_is_said_calmly(shouted: str, said: str) -> None:
    assert tidy(shouted) == said


# --- for any text ----------------------------------------------------------------------------------------------------

NAMES = (
    st.lists(st.text(alphabet=string.ascii_letters + "àèéìòù'", min_size=1, max_size=12), min_size=1, max_size=5)
    .map(" ".join)
    .filter(lambda name: any(letter.isalpha() for letter in name))
)


@given(st.text(max_size=300))
@example("౦")
def test_any_text_has_words_and_readings(text: str) -> None:
    for word in words_of(text):
        assert word
        assert word.isascii()
        assert word.isalnum()
        assert word == word.lower()
    found = readings(text)
    assert len(found) <= MOST_READINGS
    for reading in found:
        assert reading.words
        assert len(grams(telling(reading.words))) <= MOST_GRAMS
    tidy(text)
    split_kind(text)
    read_number(text)


@given(NAMES)
def test_the_one_form_is_the_same_in_any_dress(name: str) -> None:
    whole = f"Via {name}"
    words = words_of(whole)
    assert words_of(whole.upper()) == words
    assert words_of(f"  {whole}  ") == words
    assert words_of(" ".join(words)) == words


@given(NAMES, st.integers(1, 999), st.sampled_from(["", "A", "B", "BIS", "TER"]))
@example("n", 1, "")
def test_what_a_plate_says_is_read_back(name: str, number: int, suffix: str) -> None:
    house = HouseNumber(number, suffix)
    assert read_number(house.written) == house
    typed = f"Via {name} {house.written}"
    assert any(reading.number == house for reading in readings(typed)), readings(typed)


@given(st.from_regex(r"[a-z]{4,6}", fullmatch=True), st.data())
def test_one_slip_in_a_short_word_leaves_something_to_find_it_by(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 2))
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    dropped = word[:place] + word[place + 1 :]
    assert set(grams([word])) & set(grams([swapped]))
    if len(dropped) > 3:
        assert set(grams([word])) & set(grams([dropped]))
