"""What comes back by mail is understood in the forms that servers really send, and nothing else is taken for it."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from city.outside.mail_status import Bounce, judged, status_in
from city.outside.returned import Kind, Returned, read
from tests.trials import BOUNCES, returned

ANNA: Final = "anna@example.org"
TOKEN: Final = "abcdefgh" * 6
FORMS: Final[dict[str, tuple[Kind, Bounce | None, str]]] = {
    "postfix-unknown": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "postfix-delayed": (Kind.RETURNED, Bounce.DELAYED, "4.4.1"),
    "postfix-full": (Kind.RETURNED, Bounce.SOFT, "5.2.2"),
    "exim-unknown": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "exim-old": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "qmail-unknown": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "gmail-unknown": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "office365-unknown": (Kind.RETURNED, Bounce.HARD, "5.1.10"),
    "office365-denied": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "exchange-policy": (Kind.RETURNED, Bounce.OURS, "5.7.1"),
    "exchange-old": (Kind.RETURNED, Bounce.HARD, "5.1.1"),
    "global-status": (Kind.RETURNED, Bounce.HARD, "5.2.1"),
    "expired": (Kind.RETURNED, Bounce.SOFT, "4.4.1"),
    "complaint": (Kind.RETURNED, Bounce.COMPLAINT, ""),
    "out-of-office": (Kind.REPLY, None, ""),
    "vacation-sieve": (Kind.REPLY, None, ""),
    "read-receipt": (Kind.REPLY, None, ""),
    "delivered": (Kind.REPLY, None, ""),
    "from-a-person": (Kind.OTHER, None, ""),
}


def test_every_form_of_the_corpus_is_expected() -> None:
    assert {path.stem for path in BOUNCES.glob("*.eml")} == set(FORMS)
    assert len(TOKEN) == 48


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_understood_and_its_token_found(name: str, line_end: bytes) -> None:
    found = read(returned(name, TOKEN, ANNA).replace(b"\n", line_end))
    assert (found.kind, found.bounce, found.status) == FORMS[name]
    assert TOKEN in found.tokens


@pytest.mark.parametrize("name", FORMS)
def test_a_token_is_found_where_a_server_has_changed_its_letters(name: str) -> None:
    assert TOKEN in read(returned(name, TOKEN.upper(), ANNA)).tokens


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("550 5.1.1 <anna@example.org>: no such user", "5.1.1"),
        ("550-5.1.1 The account does not exist", "5.1.1"),
        ("550 No such user here", "5.1.1"),
        ("554 delivery error: dd This user doesn't have a yahoo.com account", "5.1.1"),
        ("552 mailbox full", "5.2.2"),
        ("550 blocked, see 5.9.12.33", "5.0.0"),
        ("550 rejected because of policy", "5.0.0"),
        ("550 5.7.1 user unknown or not allowed", "5.7.1"),
        ("host 192.0.2.5 said: 451 4.3.0 try again", "4.3.0"),
        ("550 5.4.1 no answer from host", "5.4.1"),
        ("no code at all", ""),
    ],
)
def test_a_status_is_read_from_what_a_server_says(words: str, status: str) -> None:
    assert status_in(words) == status


@pytest.mark.parametrize("status", ["5.7.1", "5.7.26", "4.7.0", "5.6.0", "5.3.4", "5.5.2", "5.1.8"])
def test_what_is_wrong_with_us_is_not_held_against_the_address(status: str) -> None:
    assert judged(status) is Bounce.OURS


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: message/rfc822\n\nContent-Type: text/plain; charset=nonsense\n\n\xff",
        b"Content-Type: multipart/mixed; boundary*=a\0b'en'x\n\n--x\n\nhi\n--x--",
        b"Content-Type: message/rfc822\n\n" * 3_000,
    ],
    ids=["charset", "boundary", "nested"],
)
def test_a_mail_that_python_cannot_read_stops_nobody(raw: bytes) -> None:
    assert read(raw) == Returned(Kind.OTHER, None, "", ())


@given(st.binary(max_size=600))
def test_whatever_lies_there_is_read_without_harm(raw: bytes) -> None:
    read(raw)


@given(st.sampled_from(sorted(FORMS)), st.data())
def test_a_mail_that_was_cut_or_changed_is_read_without_harm(name: str, data: st.DataObject) -> None:
    whole = returned(name, TOKEN, ANNA)
    at = data.draw(st.integers(0, len(whole)))
    read(whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + data.draw(st.integers(0, 60)) :])
