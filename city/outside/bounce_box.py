"""Where mails that come back lie: an IMAP mailbox, or the local twin, a Maildir folder.

imaps://user:password@host/INBOX    imap://host?starttls=1    maildir:///folder

Nothing is taken out before it was put away; what a killed reader has left lies there still.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from city.errors import Unavailable
from city.outside.returned import LONGEST_READ
from city.settings import settings

_READ: Final = f"(BODY.PEEK[]<0.{LONGEST_READ}>)"


class Lying(NamedTuple):
    """A mail that lies there: its name in its box, and (the beginning of) its bytes."""

    name: str
    content: bytes


class BounceBox(Protocol):
    """A mailbox that is read by us, and perhaps by people too."""

    def unread(self, most: int) -> Iterator[Lying]:
        """The mails that nobody has looked at, at most so many. Raises Unavailable."""
        ...

    def put_away(self, name: str, *, keep: bool) -> None:
        """Delete a mail, or keep it as one that was looked at. Raises Unavailable."""
        ...


class ImapBox:
    """A folder of an IMAP server."""

    def __init__(self, server: imaplib.IMAP4) -> None:
        self._server = server
        self._expunges_one = b"UIDPLUS" in (server.capability()[1][-1] or b"").upper()

    def unread(self, most: int) -> Iterator[Lying]:
        """By UID, so that a mail that goes meanwhile moves no other."""
        found = self._ask("SEARCH", "UNSEEN", "UNDELETED")
        for uid in (found[0] or b"").decode().split()[:most]:
            answer = self._ask("FETCH", uid, _READ)
            for part in answer:
                if isinstance(part, tuple):
                    yield Lying(uid, part[1])

    def put_away(self, name: str, *, keep: bool) -> None:
        """Only this one is expunged where the server can do that."""
        self._ask("STORE", name, "+FLAGS.SILENT", r"(\Seen)" if keep else r"(\Seen \Deleted)")
        if not keep:
            if self._expunges_one:
                self._ask("EXPUNGE", name)
            else:
                with _silence():
                    self._server.expunge()

    def _ask(self, *command: str) -> list[Any]:
        with _silence():
            status, answer = self._server.uid(*command)
        if status != "OK":
            raise Unavailable("bounces.silent", problem=command[0])
        return answer


class MaildirBox:
    """A Maildir: `new` holds what nobody has looked at, `cur` the rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def unread(self, most: int) -> Iterator[Lying]:
        """Oldest first: the names begin with the time."""
        with _silence():
            names = sorted(path.name for path in self._new().iterdir()) if self._new().is_dir() else []
        for name in names[:most]:
            with _silence(), (self._new() / name).open("rb") as file:
                content = file.read(LONGEST_READ)
            yield Lying(name, content)

    def put_away(self, name: str, *, keep: bool) -> None:
        """Into `cur`, marked as seen, or away."""
        with _silence(), contextlib.suppress(FileNotFoundError):
            if keep:
                (self._folder / "cur").mkdir(exist_ok=True)
                (self._new() / name).rename(self._folder / "cur" / f"{name}:2,S")
            else:
                (self._new() / name).unlink()

    def _new(self) -> Path:
        return self._folder / "new"


@contextmanager
def opened() -> Iterator[BounceBox | None]:
    """The mailbox that the settings name, or None. Raises Unavailable."""
    place = urlsplit(settings().bounces)
    if not place.scheme:
        yield None
    elif place.scheme == "maildir":
        yield MaildirBox(Path(unquote(place.path)))
    else:
        with _silence():
            server = _connected(place)
        try:
            with _silence():
                box = _signed_in(server, place)
            yield box
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                server.logout()


def _connected(place: SplitResult) -> imaplib.IMAP4:
    host, timeout = place.hostname or "localhost", settings().slow_outside_seconds
    if place.scheme == "imaps":
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(host, place.port or 993, ssl_context=context, timeout=timeout)
    return imaplib.IMAP4(host, place.port or 143, timeout=timeout)


def _signed_in(server: imaplib.IMAP4, place: SplitResult) -> ImapBox:
    if parse_qs(place.query).get("starttls", ["0"])[0] == "1":
        server.starttls(ssl.create_default_context())
    if place.username:
        server.login(unquote(place.username), unquote(place.password or ""))
    folder = unquote(place.path.strip("/")) or "INBOX"
    status, _ = server.select('"' + re.sub(r'(["\\])', r"\\\1", folder) + '"')
    if status != "OK":
        raise Unavailable("bounces.silent", problem="SELECT")
    return ImapBox(server)


@contextmanager
def _silence() -> Iterator[None]:
    """What the server says may quote somebody: only the kind of trouble is told."""
    try:
        yield
    except (OSError, imaplib.IMAP4.error) as error:
        raise Unavailable("bounces.silent", problem=type(error).__name__) from error
