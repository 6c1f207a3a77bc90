"""Webhooks are signed as Standard Webhooks says: the example of its own documents comes out the same."""

from __future__ import annotations

import pytest

from city.errors import InvalidInput
from city.outside.strangers import Answer
from city.outside.webhook import key_of, reference_in, signature


def test_the_standards_own_example_is_signed_alike() -> None:
    signed = signature(
        key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_not base64!", "whsec_c2hvcnQ="])
def test_a_secret_that_anybody_could_guess_is_refused(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        key_of(secret)
    assert refused.value.field == "secret"


@pytest.mark.parametrize(
    ("body", "reference"),
    [
        (b'{"reference": "A-1"}', "A-1"),
        (b'{"id": 7}', "7"),
        (b'{"reference": ["A"], "id": "B"}', "B"),
        (b'{"reference": "A\\u0000"}', None),
        (b'["A-1"]', None),
        (b"", None),
        (b"<html>", None),
    ],
)
def test_their_number_is_read_where_the_answer_names_one(body: bytes, reference: str | None) -> None:
    assert reference_in(Answer(200, body)) == reference
