"""Letters in app IO: to one person about their own reports and cases, never to an area.

The app's rules: a subject without anything personal, 80 letters at least, and nobody who has silenced the sender.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import select

from city.database import ReadSession
from city.errors import Refused
from city.messages.fates import pausing
from city.messages.letter import Letter
from city.messages.subscriptions.tables import Subscriber
from city.messages.tables import Delivery
from city.outside.app_io import LONGEST_SUBJECT, LONGEST_TEXT, NOBODY, SHORTEST_SUBJECT, SHORTEST_TEXT, Message, app_io
from city.registry.channels import app_io_services
from city.registry.municipality import MunicipalityView
from city.registry.sign_in import fiscal_codes
from city.reports.tables import Reporter
from city.texts import text

CHANNEL: Final = "app_io"
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


def by_app_io(session: ReadSession, municipality: MunicipalityView, delivery: Delivery, letter: Letter) -> str:
    """Bring a letter to the app. Raises Refused, Unavailable."""
    key = app_io_services.key_of(session, municipality.id)
    code = _code(session, municipality, delivery)
    return app_io().send(key, code, message_of(str(delivery.id), municipality, letter, delivery.language))


def mail_instead(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> str | None:
    """The e-mail address of a reporter who cannot be reached in the app, if it takes mail."""
    reporter = _reporter(session, municipality, delivery)
    address = reporter.email if reporter else None
    return None if pausing.paused(session, municipality.id, address) else address


def attempt(key: str, municipality: MunicipalityView, message_id: str, language: str) -> str:
    """Write to the code for tries. Raises Refused, Unavailable."""
    return app_io().send(
        key,
        NOBODY,
        Message(
            message_id,
            text("app_io.try_subject", language=language, municipality=municipality.name),
            text("app_io.try_text", language=language, municipality=municipality.name),
        ),
    )


def message_of(message_id: str, municipality: MunicipalityView, letter: Letter, language: str) -> Message:
    """The letter as the app takes it."""
    subject = letter.subject
    if len(subject) < SHORTEST_SUBJECT:
        subject = text("app_io.from", language=language, municipality=municipality.name, subject=subject)
    if len(subject) > LONGEST_SUBJECT:
        subject = subject[: LONGEST_SUBJECT - 1] + "…"
    return Message(message_id, subject, markdown(letter))


def markdown(letter: Letter) -> str:
    """What the letter says, of a length the app takes; what people wrote is text there, and nothing else."""
    happened = "\n\n".join(_plain(line) for line in letter.happened)
    room = LONGEST_TEXT - len(_blocks(letter, ""))
    if len(happened) > room:
        happened = happened[: room - 1].rstrip("\\") + "…"
    return _blocks(letter, happened).ljust(SHORTEST_TEXT, "\u00a0")


def _blocks(letter: Letter, happened: str) -> str:
    blocks = [f"## {_plain(letter.heading)}", happened]
    if letter.next_step:
        blocks.append(f"**{_plain(letter.next_step)}**")
    if letter.facts:
        blocks.append("\n".join(f"- {_plain(name)}: {_plain(value)}" for name, value in letter.facts))
    if letter.link:
        blocks.append(f"[{_plain(letter.button)}]({letter.link})")
    if letter.choices:
        blocks.append(_plain(letter.choices_line))
        blocks.append("\n".join(f"- [{_plain(name)}]({link})" for name, link in letter.choices))
    blocks.append(_footer(letter.footer))
    if letter.unsubscribe_line:
        blocks.append(f"[{_plain(letter.unsubscribe_line)}]({letter.unsubscribe})")
    return "\n\n".join(blocks)


def _plain(words: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def _footer(words: str) -> str:
    """Our own words, with links that stay links."""
    return re.sub(r"https?://\S+", lambda found: f"<{found[0]}>", words)


def _code(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> str:
    reporter = _reporter(session, municipality, delivery)
    kept = reporter.fiscal_code if reporter is not None else None
    if kept is None:
        kept = session.scalar(
            select(Subscriber.sealed).where(
                Subscriber.municipality_id == municipality.id,
                Subscriber.channel == CHANNEL,
                Subscriber.address == delivery.address,
            )
        )
    if kept is None:
        raise Refused("app_io.gone")
    return fiscal_codes.unsealed(kept)


def _reporter(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> Reporter | None:
    """To whom the letter is, where that is the reporter of its report."""
    return session.get(Reporter, (municipality.id, delivery.report_id)) if delivery.report_id is not None else None
