from __future__ import annotations

from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from city.messages.letter import Letter
from city.messages.push import LONG, content_of
from city.outside import web_push
from city.outside.web_push import MOST_BYTES, Browser, encrypted
from tests.push_service import bytes_of, text_of

AUTH: Final = "BTBZMqHH6r4Tts7J_aSIgg"
P256DH: Final = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"


def test_a_message_is_encrypted_as_the_standards_example() -> None:
    """RFC 8291, section 5 and appendix A."""
    key = ec.derive_private_key(int.from_bytes(bytes_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1())
    body = encrypted(
        Browser("https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV", P256DH, AUTH),
        b"When I grow up, I want to be a watermelon",
        key=key,
        salt=bytes_of("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert text_of(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_every_machine_with_the_same_secret_signs_with_the_same_key() -> None:
    first = web_push._signing_key.__wrapped__("a" * 32)
    assert first.private_numbers() == web_push._signing_key.__wrapped__("a" * 32).private_numbers()
    assert first.private_numbers() != web_push._signing_key.__wrapped__("b" * 32).private_numbers()


@pytest.mark.parametrize("words", ["a" * 9_000, "è" * 9_000, "😀" * 9_000, "\n" * 9_000])
def test_a_message_is_never_larger_than_push_services_take(words: str) -> None:
    letter = Letter(
        subject="s" * 300,
        heading="h",
        happened=[words],
        link="https://example.org/" + "l" * 300,
        footer="",
    )
    assert len(content_of(letter, "t" * 32, "it", LONG)) <= MOST_BYTES
    assert len(content_of(letter, "t" * 32, "it", 100_000)) <= MOST_BYTES
