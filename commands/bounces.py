"""`./lampione bounce < mail`: for a mail server that hands over by a pipe what has come back."""

from __future__ import annotations

import os
from typing import IO

from rich.console import Console

from city.errors import LampioneError
from city.outside.returned import LONGEST_READ
from city.texts import operator_language, said
from commands import installation
from workers import returned_mail


def take(console: Console, mail: IO[bytes]) -> int:
    """The exit code for the mail server: taken, or to be tried again later; mail that says nothing is taken too."""
    raw = mail.read(LONGEST_READ)
    while mail.read(LONGEST_READ):
        pass  # a mail server whose pipe breaks would try again
    try:
        with installation.ready():
            what = returned_mail.take(raw)
    except LampioneError as error:
        console.print(error.sentence(operator_language()), soft_wrap=True)
        return os.EX_TEMPFAIL
    console.print(said(f"cli.bounced_{what}"))
    return os.EX_OK
