"""One letter to very many: the mail is made once, with marks where its readers differ, and each gets a copy filled in.

To make a mail anew takes some hundred times as long. What comes out is the same mail, header for header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from uuid import UUID

from city.messages.letter import Letter, as_mail, message_id
from city.messages.tables import Delivery
from city.outside.mail import ReadyMail
from city.registry.view import MunicipalityView

_MARK: Final = "XQMARKQX"
_MARKED: Final = re.compile("(?:=\r\n)?".join(_MARK).encode())
"""In quoted-printable text a line may end anywhere."""
_OWN: Final = ("To", "Message-ID", "Date", "List-Unsubscribe")
"""The headers in which readers differ."""
_QUOTED: Final = "quoted-printable"
_CHUNK: Final = 70
"""Letters of a line of quoted-printable text, which has 76 at most."""


class Mould:
    """A letter to many in one language. `theirs` stands in its footer for what is each reader's own."""

    def __init__(self, municipality: MunicipalityView, letter: Letter, theirs: str, language: str) -> None:
        marked = replace(letter, footer=letter.footer.replace(theirs, _MARK), unsubscribe="https://unsubscribe")
        nobody = Delivery(municipality_id=municipality.id, id=UUID(int=0), address="n@example.org", language=language)
        mail = as_mail(municipality, nobody, marked)
        for name in _OWN:
            del mail[name]
        self._encodings = [part["Content-Transfer-Encoding"] for part in mail.iter_parts()]
        self._pieces: Sequence[bytes] = _MARKED.split(mail.as_bytes(policy=SMTP))

    def cast(self, delivery: Delivery, own: str, unsubscribe: str) -> ReadyMail | None:
        """The mail of one reader, with `own` for what is theirs; None where it has to be made by hand."""
        if len(self._pieces) != len(self._encodings) + 1 or not (delivery.address + own + unsubscribe).isascii():
            return None
        name = message_id(delivery)
        headers = (
            f"To: {delivery.address}\r\nMessage-ID: {name}\r\nDate: {format_datetime(datetime.now(UTC))}\r\n"
            f"List-Unsubscribe: <{unsubscribe}>\r\n"
        )
        filled = [headers.encode(), self._pieces[0]]
        for encoding, piece in zip(self._encodings, self._pieces[1:], strict=True):
            filled += [_quoted(own) if encoding == _QUOTED else own.encode(), piece]
        return ReadyMail(delivery.address, name, b"".join(filled))


def _quoted(own: str) -> bytes:
    """As quoted-printable text, on lines of its own."""
    lines = [own[start : start + _CHUNK].replace("=", "=3D") for start in range(0, len(own), _CHUNK)]
    return "".join(f"=\r\n{line}" for line in [*lines, ""]).encode()
