"""A mail cast from a mould is the one that is made by hand, whatever its letter says."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from uuid import uuid4

import pytest

from city.messages.fates import opening
from city.messages.letter import Letter, as_mail
from city.messages.notices.mould import Mould
from city.messages.tables import Delivery
from city.registry import view
from city.settings import settings

THEIRS = "{subscriptions}"
PAGE = "https://segnalazioni.example.org/subscriptions/" + "aB3-_" * 14
END = "https://segnalazioni.example.org/unsubscribe/" + "Zz9_-" * 12


def letter(words: str, footer: str) -> Letter:
    return Letter(
        subject=f"Avviso: {words}"[:150].replace("\n", " "),
        heading=words[:60],
        happened=words.split("\n"),
        facts=[("Quando", "dal 1/12/2026")],
        link="https://segnalazioni.example.org/notices/PD-A-2026-1",
        footer=f"{footer}{THEIRS}",
        button="Leggi",
    )


@pytest.fixture(params=[False, True], ids=["as it is", "noted"])
def noted(request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether it is noted that links are opened."""
    assert database
    monkeypatch.setenv("LAMPIONE_PUBLIC_URL", "https://segnalazioni.example.org")
    monkeypatch.setenv("LAMPIONE_NOTE_OPENED_LINKS", str(request.param))
    settings.cache_clear()
    yield request.param
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize("footer", ["", "Per smettere: ", "Perché lo ha chiesto così: "])
@pytest.mark.parametrize(
    "words",
    ["Works", "L'acqua può mancare: è così = 3", "Riga\n.\n..punto\nXQMARK", "parola " * 200, "漢字かな交じり文 " * 60],
)
def test_a_cast_mail_is_the_one_made_by_hand(words: str, footer: str, noted: bool) -> None:
    town = view.newest().slugs["pesaro"]
    delivery = Delivery(municipality_id=town.id, id=uuid4(), kind="notice", address="anna@example.org", language="it")
    plain = letter(words, footer)
    cast = Mould(town, plain, THEIRS, "it").cast(delivery, PAGE, END)
    if cast is None:
        assert "漢" in words, "only what is hardly ever written is made by hand"
        return
    assert max(len(line) for line in cast.content.split(b"\r\n")) <= 998
    made = as_mail(town, delivery, by_hand(replace(plain, link=opening.through(delivery, plain.link))))
    read = email.message_from_bytes(cast.content, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    for name in {*made.keys(), *read.keys()} - {"Date", "Content-Type"}:
        assert read[name] == made[name], name
    for kind in ("plain", "html"):
        ours, theirs = read.get_body((kind,)), made.get_body((kind,))
        assert ours is not None
        assert theirs is not None
        assert ours.get_content().replace("\r\n", "\n") == theirs.get_content()
        assert ("segnalazioni.example.org/l/" in ours.get_content()) == noted


def by_hand(plain: Letter) -> Letter:
    return replace(plain, footer=plain.footer.replace(THEIRS, PAGE), unsubscribe=END)


def test_an_address_beyond_ascii_is_made_by_hand(database: str) -> None:
    assert database
    town = view.newest().slugs["pesaro"]
    delivery = Delivery(municipality_id=town.id, id=uuid4(), kind="notice", address="annà@example.org", language="it")
    assert Mould(town, letter("Lavori", "Per smettere: "), THEIRS, "it").cast(delivery, PAGE, END) is None
