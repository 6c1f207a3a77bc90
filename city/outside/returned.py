"""What came back by mail: delivery status notifications (RFC 3464), the common forms that are none, complaints (ARF).

Read are a few codes, and whatever looks like one of our tokens; nothing else is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser, Parser
from email.policy import compat32
from enum import StrEnum
from typing import Any, Final

from city.outside.mail_status import Bounce, judged, status_in

LONGEST_READ: Final = 256 * 1024
"""Bytes of a mail that are looked at; what matters stands at its beginning."""
MOST_TOKENS: Final = 20

_TOKEN: Final = re.compile(r"(?<![a-z2-7])[a-z2-7]{48}(?![a-z2-7])", re.IGNORECASE)
_STATUS_PARTS: Final = {"message/delivery-status", "message/global-delivery-status"}
_RETURNED: Final = re.compile(
    r"hi\. this is the (qmail-send|\S+) program at|the following (address|recipient|message).{0,80}"
    r"(failed|could not|not be|reached)|(could not|couldn.t|cannot|was not|wasn.t) be(en)? delivered"
    r"|undeliver|delivery (has )?failed|delivery to the following|mail delivery failed|unable to deliver",
    re.IGNORECASE | re.DOTALL,
)
_STILL_TRYING: Final = re.compile(
    r"(has|have) not (yet )?been delivered|delayed|warning: message|will be retried|still being", re.IGNORECASE
)
_COPY_BEGINS: Final = re.compile(
    r"^(--- (below this line|enclosed)|-+ this is a copy|-+ original message|-+ return path|received: )",
    re.IGNORECASE | re.MULTILINE,
)


class Kind(StrEnum):
    """What a mail is."""

    RETURNED = "returned"
    """It says what became of another one."""
    REPLY = "reply"
    """Written by a program: somebody is on holiday, or has read it."""
    OTHER = "other"
    """Anything else: it may be from a person."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What a mail says, and what in it may be a token of ours."""

    kind: Kind
    bounce: Bounce | None
    status: str
    tokens: tuple[str, ...]


def read(raw: bytes) -> Returned:
    """What a mail says; never raises, whatever it holds. One nested without end, or in charsets of no name that Python
    could look up, says nothing.
    """
    try:
        return _read(BytesParser(policy=compat32).parsebytes(raw[:LONGEST_READ]))
    except (RecursionError, LookupError, ValueError):
        return Returned(Kind.OTHER, None, "", ())


def _read(mail: Message) -> Returned:
    kind, bounce, status = _judged(mail)
    tokens = dict.fromkeys(token.lower() for words in _all_words(mail) for token in _TOKEN.findall(words))
    return Returned(kind, bounce, status, tuple(tokens)[:MOST_TOKENS])


def _judged(mail: Message) -> tuple[Kind, Bounce | None, str]:
    report = str(mail.get_param("report-type", "")).lower()
    if report == "feedback-report":
        is_complaint = "feedback-type: not-spam" not in _first_words(mail, "message/feedback-report").lower()
        return (Kind.RETURNED, Bounce.COMPLAINT, "") if is_complaint else (Kind.REPLY, None, "")
    if report == "disposition-notification":
        return Kind.REPLY, None, ""
    if blocks := [block for block in _blocks(mail) if block["Action"] or block["Status"]]:
        return _by_standard(blocks)
    words = _first_words(mail, "text/plain") or _first_words(mail, "text/html")
    words = words[: found.start()] if (found := _COPY_BEGINS.search(words)) else words
    if mail["X-Failed-Recipients"] or (_is_by_a_server(mail) and _RETURNED.search(f"{mail['Subject']}\n{words}")):
        status = status_in(words)
        is_delay = _STILL_TRYING.search(f"{mail['Subject']}\n{words}") and not status.startswith("5")
        return Kind.RETURNED, Bounce.DELAYED if is_delay else judged(status), status
    return (Kind.REPLY if _is_automatic(mail) else Kind.OTHER), None, ""


def _by_standard(blocks: list[Message]) -> tuple[Kind, Bounce | None, str]:
    """The worst that is said of any recipient: ours have one, but a list may have passed the mail on to many."""
    failed = [block for block in blocks if _action(block) == "failed"]
    delayed = [block for block in blocks if _action(block) == "delayed"]
    if not failed and not delayed:
        return Kind.REPLY, None, ""
    block = (failed or delayed)[0]
    said = status_in(_unfolded(block["Status"]) + " ")
    diagnosis = _unfolded(block["Diagnostic-Code"]).partition(";")[2]
    if not said or said.endswith(".0.0") or said == "5.4.1":
        said = status_in(diagnosis) or said
    return Kind.RETURNED, judged(said) if failed else Bounce.DELAYED, said


def _action(block: Message) -> str:
    return _unfolded(block["Action"]).strip().lower() or "failed"


def _blocks(mail: Message) -> Iterator[Message]:
    """The groups of fields of a delivery status: one about the mail, then one about each recipient."""
    for part in mail.walk():
        if part.get_content_type() not in _STATUS_PARTS:
            continue
        blocks: Any = part.get_payload() if part.is_multipart() else []
        for block in blocks:
            yield block
            for words in _plain(block).split("\n\n"):
                yield Parser(policy=compat32).parsestr(words.strip(), headersonly=True)


def _is_by_a_server(mail: Message) -> bool:
    sender = str(mail["From"]).lower()
    return bool(re.search(r"mailer-daemon|postmaster|mail delivery|mail-daemon|microsoftexchange", sender))


def _is_automatic(mail: Message) -> bool:
    submitted = _unfolded(mail["Auto-Submitted"]).lower().strip()
    return (
        (bool(submitted) and submitted != "no")
        or any(mail[name] for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"))
        or _unfolded(mail["Precedence"]).lower().strip() in {"auto_reply", "auto-reply", "bulk", "junk"}
    )


def _first_words(mail: Message, content_type: str) -> str:
    for part in mail.walk():
        if part.get_content_type() == content_type:
            return "\n".join(_words(part))
    return ""


def _all_words(mail: Message) -> Iterator[str]:
    for part in mail.walk():
        yield "\n".join(_unfolded(value) for value in part.values())
        yield from _words(part)


def _words(part: Message) -> Iterator[str]:
    """The text of a part, whatever it claims to be written in; of a mail within it the fields."""
    if part.is_multipart():
        parts: Any = part.get_payload() if part.get_content_maintype() == "message" else []
        yield from (f"{name}: {_unfolded(value)}" for inner in parts for name, value in inner.items())
        return
    yield _plain(part)


def _plain(part: Message) -> str:
    """What stands in a part itself; of one that holds others nothing. No charset is asked: it may be anything."""
    content: Any = part.get_payload(decode=True)
    return (content or b"").decode("latin-1")


def _unfolded(value: object) -> str:
    return " ".join(str(value).split()) if value is not None else ""
