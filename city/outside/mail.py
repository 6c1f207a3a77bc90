"""How mail leaves: an SMTP server, or the local twin, a folder of `.eml` files that any mail program opens.

smtp://user:password@host:587?starttls=1    smtps://host    file:///folder
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from email.message import EmailMessage
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from city.errors import LampioneError, Refused, Unavailable
from city.outside.mail_status import status_in
from city.settings import settings

_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
"""An enhanced status code (RFC 3463), which quotes nobody."""
_CLOSING: Final = 421
MOST_KEPT: Final = 200
"""Mails that one connection takes: servers close it after some number of their own."""


class ReadyMail(NamedTuple):
    """A message as it goes over the line, and to whom."""

    to: str
    message_id: str
    content: bytes


class Mailer(Protocol):
    """Something that takes messages away."""

    def send(self, message: EmailMessage | ReadyMail, sender: str | None = None) -> str:
        """Hand `message` over and give its receipt; it comes back to `sender`, or (None) to whom it is from.

        Raises Unavailable (try later) and Refused (never); its value `status` judges the recipient's address.
        """
        ...

    def keeping(self) -> AbstractContextManager[None]:
        """For the length of the block, this thread may send several messages over one connection."""
        ...


class _Line(smtplib.SMTP):
    """A connection that knows how many messages went into it, and whether the last one was begun."""

    taken = 0
    has_begun = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.has_begun = True
        self.taken += 1
        return super().data(msg)


class _SafeLine(_Line, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class SmtpMailer:
    """A real mail server."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._is_tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._is_tls else 25)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._starttls = parse_qs(parts.query).get("starttls", ["0"])[0] == "1"
        self._timeout = timeout_seconds
        self._kept = _Kept()

    def send(self, message: EmailMessage | ReadyMail, sender: str | None = None) -> str:
        """One connection a message, unless in `keeping`: a small office's provider closes idle ones."""
        try:
            if self._kept.is_on:
                self._send_kept(message, sender)
            else:
                with self._connect() as server:
                    _hand_over(server, message, sender)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise _refusal(code, words, of_recipient=True) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            # An address with letters beyond ASCII, and a server that cannot carry it: it never will.
            raise Refused("mail.refused", problem="SMTPUTF8") from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable("mail.silent", problem=type(error).__name__) from error
        return _id_of(message)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep the connection from message to message; it is closed at the end, and after a failure."""
        self._kept.is_on = True
        try:
            yield
        finally:
            self._kept.is_on = False
            self._hang_up()

    def _send_kept(self, message: EmailMessage | ReadyMail, sender: str | None) -> None:
        """Over the connection kept, or a new one where the server has closed it before the message was begun."""
        line, self._kept.line = self._kept.line, None
        if line is not None and line.taken < MOST_KEPT:
            line.has_begun = False
            try:
                _hand_over(line, message, sender)
            except (smtplib.SMTPException, OSError) as error:
                if line.has_begun or not _is_closed(error):
                    self._keep_if_open(line)
                    raise
            else:
                self._kept.line = line
                return
        self._hang_up(line)
        line = self._connect()
        try:
            _hand_over(line, message, sender)
        finally:
            self._keep_if_open(line)

    def _keep_if_open(self, line: _Line) -> None:
        if line.sock is not None:
            self._kept.line = line

    def _hang_up(self, line: _Line | None = None) -> None:
        line = line or self._kept.line
        self._kept.line = None
        if line is not None:
            with suppress(smtplib.SMTPException, OSError):
                line.quit()

    def _connect(self) -> _Line:
        if self._is_tls:
            context = ssl.create_default_context()
            server: _Line = _SafeLine(self._host, self._port, timeout=self._timeout, context=context)
        else:
            server = _Line(self._host, self._port, timeout=self._timeout)
            if self._starttls:
                server.starttls(context=ssl.create_default_context())
        if self._user:
            server.login(self._user, self._password)
        return server


class _Kept(threading.local):
    """The connection that a thread keeps, if it does."""

    is_on = False
    line: _Line | None = None


def _hand_over(line: smtplib.SMTP, message: EmailMessage | ReadyMail, sender: str | None) -> None:
    if isinstance(message, ReadyMail):
        line.sendmail(sender or parseaddr(settings().mail_from)[1], [message.to], message.content)
    else:
        line.send_message(message, from_addr=sender)


def _id_of(message: EmailMessage | ReadyMail) -> str:
    return message.message_id if isinstance(message, ReadyMail) else str(message["Message-ID"])


def _is_closed(error: Exception) -> bool:
    return isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError) or (
        isinstance(error, smtplib.SMTPResponseException) and error.smtp_code == _CLOSING
    )


class FolderMailer:
    """The local twin: one file a message, named by its Message-ID, so that a repeat writes the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage | ReadyMail, sender: str | None = None) -> str:
        """Write the file whole or not at all, headed as a mail that has arrived."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{_id_of(message).strip('<>').split('@')[0]}.eml"
        content = message.content if isinstance(message, ReadyMail) else message.as_bytes()
        draft = path.with_suffix(".part")
        try:
            draft.write_bytes((f"Return-Path: <{sender}>\n" if sender else "").encode() + content)
            draft.replace(path)
        except OSError as error:
            raise Unavailable("mail.silent", problem=error.strerror or "OSError") from error
        return str(path)

    def keeping(self) -> AbstractContextManager[None]:
        """Files need no connection."""
        return nullcontext()


def _refusal(code: int, words: bytes | str, *, of_recipient: bool = False) -> LampioneError:
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    # What the server says may quote the address: only its codes are kept.
    status = next((part for part in said.split() if _ENHANCED.fullmatch(part)), "")
    problem = f"{code} {status}".strip()
    if code < 500:  # noqa: PLR2004
        return Unavailable("mail.silent", problem=problem)
    return Refused("mail.refused", problem=problem, status=status_in(f"{code} {said}") if of_recipient else "")


@cache
def mailer() -> Mailer:
    """The way out that the settings name."""
    url = settings().mail
    if urlsplit(url).scheme == "file":
        return FolderMailer(Path(unquote(urlsplit(url).path)))
    return SmtpMailer(url, settings().slow_outside_seconds)
