"""How a letter travels: one function a channel. What a letter says is the same on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from city.database import WriteSession
from city.errors import Refused
from city.messages import app_io, mail_pace
from city.messages.fates import opening
from city.messages.fates.return_address import sender
from city.messages.letter import Letter, as_mail
from city.messages.push import by_push
from city.messages.staff_channels import by_staff_channel
from city.messages.tables import Delivery
from city.outside.mail import ReadyMail
from city.registry.municipality import MunicipalityView

Channel = Callable[[WriteSession, MunicipalityView, Delivery, Letter], str]
"""Takes the letter away and gives its receipt. Raises Unavailable (try later), Refused (never)."""


def _by_mail(_session: WriteSession, municipality: MunicipalityView, delivery: Delivery, letter: Letter) -> str:
    noted = replace(letter, link=opening.through(delivery, letter.link))
    return mail_pace.send(as_mail(municipality, delivery, noted), sender(delivery))


def by_ready_mail(delivery: Delivery, mail: ReadyMail) -> str:
    """As a mail that is made already."""
    return mail_pace.send(mail, sender(delivery))


def _by_app_io(session: WriteSession, municipality: MunicipalityView, delivery: Delivery, letter: Letter) -> str:
    """A reporter who cannot be reached in the app gets a mail, where there is an address."""
    try:
        return app_io.by_app_io(session, municipality, delivery, letter)
    except Refused:
        address = app_io.mail_instead(session, municipality, delivery)
        if address is None:
            raise
    delivery.channel, delivery.address = "email", address
    return _by_mail(session, municipality, delivery, letter)


CHANNELS: Final[dict[str, Channel]] = {
    "app_io": _by_app_io,
    "email": _by_mail,
    "push": by_push,
    "staff": by_staff_channel,
}
