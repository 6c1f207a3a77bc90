from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.errors import InvalidInput
from city.registry.sign_in.fiscal_codes import check_letter, checked

FOR_DIGITS = "LMNPQRSTUV"
DIGIT_PLACES = (6, 7, 9, 10, 12, 13, 14)


@pytest.mark.parametrize("code", ["RSSMRA80A01H501U", "MRTMTT25D09F205Z", "RSSMRA85T10A562S", "rssmra 80a01 h501u"])
def test_a_code_that_somebody_can_have(code: str) -> None:
    assert checked(code) == code.replace(" ", "").upper()


@pytest.mark.parametrize(
    "code",
    [
        "",
        "RSSMRA80A01H501",
        "RSSMRA80A01H501X",
        "RSSMRA80F01H501U",
        "SRSMRA80A01H501U",
        "AAAAAA00A00A000A",
        "12345678901",
        "RSSMRA80A01H501UU",
    ],
)
def test_a_code_that_nobody_can_have(code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(code)
    assert refused.value.field == "fiscal_code"


@given(st.sets(st.sampled_from(DIGIT_PLACES)))
def test_letters_may_stand_for_any_of_the_digits(places: set[int]) -> None:
    first = [FOR_DIGITS[int(sign)] if at in places else sign for at, sign in enumerate("RSSMRA80A01H501")]
    code = "".join(first)
    assert checked(code + check_letter(code)) == code + check_letter(code)


@pytest.mark.parametrize("day", ["00", "32", "40", "72", "99"])
def test_a_day_that_no_month_has(day: str) -> None:
    first = f"RSSMRA80A{day}H501"
    with pytest.raises(InvalidInput):
        checked(first + check_letter(first))
