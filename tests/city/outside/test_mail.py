"""Mail leaves by a real SMTP server, and what it says of a message decides whether trying again is of use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller

from city.errors import Refused, Unavailable
from city.outside.mail import SmtpMailer
from commands.serving import HOST, free_port
from tests.trials import Postbox


def letter(address: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Lampione <lampione@example.org>"
    message["To"] = address
    message["Subject"] = "Ricevuta"
    message["Message-ID"] = "<prova@example.org>"
    message.set_content("La segnalazione è arrivata.")
    return message


@pytest.fixture
def server() -> Iterator[Callable[..., tuple[Postbox, SmtpMailer]]]:
    """Start an SMTP server: its inbox and the way to it."""
    running: list[Controller] = []

    def start(**abilities: bool) -> tuple[Postbox, SmtpMailer]:
        box = Postbox()
        controller = Controller(box, hostname=HOST, port=free_port(HOST), **abilities)
        controller.start()
        running.append(controller)
        return box, SmtpMailer(f"smtp://{HOST}:{controller.port}", 5)

    yield start
    for controller in running:
        controller.stop()


def test_a_letter_arrives_whole(server: Callable[..., tuple[Postbox, SmtpMailer]]) -> None:
    box, mailer = server()
    assert mailer.send(letter("anna@example.org")) == "<prova@example.org>"
    (taken,) = box.to("anna@example.org")
    assert taken.get_content().strip() == "La segnalazione è arrivata."


def test_an_address_beyond_ascii_goes_where_the_server_carries_it(
    server: Callable[..., tuple[Postbox, SmtpMailer]],
) -> None:
    box, mailer = server(enable_SMTPUTF8=True)
    mailer.send(letter("però@example.org"))
    assert len(box.messages) == 1


def test_an_address_that_the_server_cannot_carry_is_refused_for_good(
    server: Callable[..., tuple[Postbox, SmtpMailer]],
) -> None:
    _, mailer = server(enable_SMTPUTF8=False)
    with pytest.raises(Refused) as caught:
        mailer.send(letter("però@example.org"))
    assert "però" not in str(caught.value)


def test_refused_now_and_refused_for_good_are_told_apart_without_the_address(
    server: Callable[..., tuple[Postbox, SmtpMailer]],
) -> None:
    box, mailer = server()
    box.refusing.add("nobody@example.org")
    box.silent.add("later@example.org")
    for address, kind in (("nobody@example.org", Refused), ("later@example.org", Unavailable)):
        with pytest.raises(kind) as caught:
            mailer.send(letter(address))
        assert address not in str(caught.value)


def test_a_server_that_is_not_there_may_come_back() -> None:
    with pytest.raises(Unavailable):
        SmtpMailer(f"smtp://{HOST}:1", 1).send(letter("anna@example.org"))
