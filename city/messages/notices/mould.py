"""One letter to very many: the mail is made once, with marks where its readers differ, and each gets a copy filled in.

To make a mail anew takes some hundred times as long. What comes out is the same mail, header for header.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from uuid import UUID

from city.messages.fates import opening
from city.messages.letter import Letter, as_mail, message_id
from city.messages.notices.queue import KIND
from city.messages.tables import Delivery
from city.outside.mail import ReadyMail
from city.registry.municipality import MunicipalityView

_LINK, _OWN_WORDS = "XQLINKQX", "XQMARKQX"
"""Stand where readers differ: in the link, which may lead past us, and in the footer."""
_BREAK: Final = "(?:=\r\n)?"
_MARKED: Final = re.compile(f"({_BREAK.join(_LINK)})|{_BREAK.join(_OWN_WORDS)}".encode())
"""In quoted-printable text a line may end anywhere."""
_OWN: Final = ("To", "Message-ID", "Date", "List-Unsubscribe")
"""The headers in which readers differ."""
_QUOTED: Final = "quoted-printable"
_CHUNK: Final = 70
"""Letters of a line of quoted-printable text, which has 76 at most."""


class Mould:
    """A letter to many in one language. `theirs` stands in its footer for what is each reader's own."""

    def __init__(self, municipality: MunicipalityView, letter: Letter, theirs: str, language: str) -> None:
        self._link = letter.link if opening.is_noted(KIND, letter.link) else None
        marked = replace(
            letter,
            link=_LINK if self._link is not None else letter.link,
            footer=letter.footer.replace(theirs, _OWN_WORDS),
            unsubscribe="https://unsubscribe",
        )
        nobody = Delivery(municipality_id=municipality.id, id=UUID(int=0), address="n@example.org", language=language)
        mail = as_mail(municipality, nobody, marked)
        for name in _OWN:
            del mail[name]
        encodings = [part["Content-Transfer-Encoding"] for part in mail.iter_parts()]
        self._pieces, found = _split(mail.as_bytes(policy=SMTP))
        each = [_LINK, _OWN_WORDS] if self._link is not None else [_OWN_WORDS]
        self._is_whole = found == each * len(encodings)
        self._marks = [(mark, encoding == _QUOTED) for encoding in encodings for mark in each]

    def cast(self, delivery: Delivery, own: str, unsubscribe: str) -> ReadyMail | None:
        """The mail of one reader, with `own` for what is theirs; None where it has to be made by hand."""
        if not self._is_whole or not (delivery.address + own + unsubscribe).isascii():
            return None
        link = opening.through(delivery, self._link) if self._link is not None else ""
        name = message_id(delivery)
        headers = (
            f"To: {delivery.address}\r\nMessage-ID: {name}\r\nDate: {format_datetime(datetime.now(UTC))}\r\n"
            f"List-Unsubscribe: <{unsubscribe}>\r\n"
        )
        filled = [headers.encode(), self._pieces[0]]
        for (mark, is_quoted), piece in zip(self._marks, self._pieces[1:], strict=True):
            words = own if mark == _OWN_WORDS else link
            filled += [_quoted(words) if is_quoted else words.encode(), piece]
        return ReadyMail(delivery.address, name, b"".join(filled))


def _split(mail: bytes) -> tuple[list[bytes], list[str]]:
    """The pieces between the marks, and the marks."""
    pieces, found, start = list[bytes](), list[str](), 0
    for mark in _MARKED.finditer(mail):
        pieces.append(mail[start : mark.start()])
        found.append(_LINK if mark[1] else _OWN_WORDS)
        start = mark.end()
    return [*pieces, mail[start:]], found


def _quoted(own: str) -> bytes:
    """As quoted-printable text, on lines of its own."""
    lines = [own[start : start + _CHUNK].replace("=", "=3D") for start in range(0, len(own), _CHUNK)]
    return "".join(f"=\r\n{line}" for line in [*lines, ""]).encode()
