"""What a mail says, and how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from city.messages.fates.return_address import token
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.settings import settings


def quoted(words: str, language: str) -> str:
    """What somebody wrote, as their words."""
    return f"«{words}»" if language == "it" else f"“{words}”"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, in the language of whoever gets it; everything here is plain text."""

    subject: str
    heading: str
    happened: list[str]
    footer: str
    next_step: str = ""
    """The line that stands out; empty: none."""
    facts: Sequence[tuple[str, str]] = field(default=())
    link: str = ""
    """Where the button leads; empty: no button."""
    button: str = ""
    choices_line: str = ""
    """What is asked; the choices answer it."""
    choices: Sequence[tuple[str, str]] = field(default=())
    """What can be chosen, and the link of each."""
    attachments: Sequence[Attachment] = field(default=())
    reply_to: str = ""
    """Who reads the answers; empty: the municipality."""
    unsubscribe: str = ""
    """What ends such letters with one click (RFC 8058); empty: they are not asked for."""
    unsubscribe_line: str = ""
    """The words of the link at the foot that does the same; empty: the footer says it."""
    confirm: str = ""
    """The token with which a browser says yes by itself, where the letter asks for that."""
    topic: str = ""
    """What it is about: on a lock screen a later letter of the same takes its place; empty: it stands for itself."""

    def plain(self) -> str:
        """As plain text."""
        lines = [self.heading, "", *self.happened, ""]
        if self.next_step:
            lines += [self.next_step, ""]
        lines += [f"{name}: {value}" for name, value in self.facts]
        if self.link:
            lines += ["", f"{self.button}:", self.link]
        if self.choices:
            lines += ["", self.choices_line, *(f"{name}: {link}" for name, link in self.choices)]
        foot = [self.footer, *([f"{self.unsubscribe_line}: {self.unsubscribe}"] if self.unsubscribe_line else [])]
        return "\n".join([*lines, "", "-- ", *foot, ""])

    def page(self, language: str) -> str:
        """As HTML."""
        return _template().render(letter=self, language=language)


def as_mail(municipality: MunicipalityView | None, delivery: Delivery, letter: Letter) -> EmailMessage:
    """The letter, ready to be sent to the delivery's address under the delivery's own Message-ID."""
    message = EmailMessage()
    message["Subject"] = letter.subject
    message["From"] = settings().mail_from
    message["To"] = delivery.address
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = message_id(delivery)
    message["Auto-Submitted"] = "auto-generated"
    if reply_to := letter.reply_to or (municipality.email if municipality else ""):
        message["Reply-To"] = reply_to
    if letter.unsubscribe:
        message["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(letter.plain())
    message.add_alternative(letter.page(delivery.language), subtype="html")
    for attachment in letter.attachments:
        maintype, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.name)
    message["Content-Language"] = delivery.language  # last: each content takes earlier headers of this family away
    return message


def message_id(delivery: Delivery) -> str:
    """The Message-ID of a delivery's mail, always the same."""
    domain = parseaddr(settings().mail_from)[1].rpartition("@")[2] or "localhost"
    return f"<{token(delivery) if delivery.municipality_id is not None else delivery.id}@{domain}>"


@cache
def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template("mail.html.jinja")
