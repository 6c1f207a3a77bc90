"""Many mails over one connection: whatever the server does between them, each arrives, once."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from city.errors import Refused
from city.outside.mail import ReadyMail, SmtpMailer
from tests.trials import any_port


class Moody:
    """A server that takes so many messages of a connection, and then sends the client away."""

    def __init__(self) -> None:
        self.most = 100
        self.taken: list[tuple[Any, str]] = []
        self.by_peer: dict[Any, int] = {}

    async def handle_MAIL(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.by_peer.get(session.peer, 0) >= self.most:
            return "421 4.7.0 enough for one connection"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.by_peer[session.peer] = self.by_peer.get(session.peer, 0) + 1
        self.taken.append((session.peer, envelope.rcpt_tos[0]))
        return "250 kept"


@pytest.fixture
def moody() -> Iterator[tuple[Moody, SmtpMailer]]:
    server = Moody()
    control = Controller(server, hostname="127.0.0.1", port=any_port())
    control.start()
    yield server, SmtpMailer(f"smtp://127.0.0.1:{control.port}", 5)
    control.stop()


def message(to: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Message-ID"] = "us@example.org", to, f"<{to}>"
    made.set_content("Avviso")
    return made


def test_one_connection_takes_several_and_each_alone_its_own(moody: tuple[Moody, SmtpMailer]) -> None:
    server, mailer = moody
    with mailer.keeping():
        for number in range(3):
            mailer.send(message(f"n{number}@example.org"))
        ready = ReadyMail("r@example.org", "<r>", b"Subject: x\r\n\r\nx\r\n")
        assert mailer.send(ready, "bounces@example.org") == "<r>"
    assert len(server.by_peer) == 1
    mailer.send(message("a@example.org"))
    mailer.send(message("b@example.org"))
    assert len(server.by_peer) == 3
    assert [address for _, address in server.taken] == [
        f"{name}@example.org" for name in ("n0", "n1", "n2", "r", "a", "b")
    ]


def test_a_server_that_has_had_enough_gets_a_new_connection(moody: tuple[Moody, SmtpMailer]) -> None:
    server, mailer = moody
    server.most = 2
    with mailer.keeping():
        for number in range(5):
            mailer.send(message(f"n{number}@example.org"))
    assert [address for _, address in server.taken] == [f"n{number}@example.org" for number in range(5)]
    assert sorted(server.by_peer.values()) == [1, 2, 2]


def test_who_is_refused_does_not_end_the_connection_for_the_others(moody: tuple[Moody, SmtpMailer]) -> None:
    server, mailer = moody
    with mailer.keeping():
        mailer.send(message("a@example.org"))
        with pytest.raises(Refused):
            mailer.send(message("nobody@example.org"))
        mailer.send(message("b@example.org"))
    assert len(server.by_peer) == 1
    assert len(server.taken) == 2
